"""What does this run directory hold? The reader for scripts of your own, and for all tools.

open_run(path) gives a Run whose series are read when asked for and kept. It reads finished, running,
interrupted and older runs alike: what is not there is None, a value that does not exist is NaN. Needs h5py and
numpy: where the running Python lacks them it starts the system's Python in its place.

This is the name by which the reader is imported; it lives in grokscope_tools/reading, Run in run.py.
"""
from grokscope_tools.command_line.process import (
    ENVIRONMENT_ERROR,
    USER_ERROR,
    ToolError,
    require_modules,
    run_tool,
    writing_to,
)
from grokscope_tools.reading.hdf5_access import natural_key, plain, shape_of
from grokscope_tools.reading.moments import Moment
from grokscope_tools.reading.parameter_table import Parameter
from grokscope_tools.reading.run import Run, Transition, find_runs, open_run, open_runs, reached, shortest_labels
from grokscope_tools.reading.run_files import STUDY
from grokscope_tools.reading.run_series import Series

__all__ = [
    "ENVIRONMENT_ERROR",
    "STUDY",
    "USER_ERROR",
    "Moment",
    "Parameter",
    "Run",
    "Series",
    "ToolError",
    "Transition",
    "find_runs",
    "natural_key",
    "open_run",
    "open_runs",
    "plain",
    "reached",
    "require_modules",
    "run_tool",
    "shape_of",
    "shortest_labels",
    "writing_to",
]

"""How does a run look in pandas or xarray? Their labelled arrays, where they are installed.

Called through Run.to_pandas() and Run.to_xarray(). A table is the series that share one pair of axes: "" for
the tracked epochs, "training" for every evaluation, "observables" and so on.
"""
import importlib

import numpy as np

from grokscope_tools.command_line.process import ENVIRONMENT_ERROR, ToolError


def to_pandas(run, table=""):
    """A DataFrame with a row for each moment (index: epoch and step) and a column for each scalar series of
    the table, layers and all; vectors are left to to_xarray(). Throws ToolError when pandas is missing."""
    pandas = optional("pandas")
    axes, series = table_of(run, table)
    index = pandas.MultiIndex.from_arrays(axes, names=("epoch", "step"))
    scalars = {name: one.values for name, one in series.items() if one.values.ndim == 1}
    return pandas.DataFrame(scalars, index=index)


def to_xarray(run, table=""):
    """A Dataset with the coordinates step and epoch and a variable for each series of the table, with its
    long_name, units and definition; vectors have their index as a second dimension. Throws ToolError when
    xarray is missing."""
    xarray = optional("xarray")
    axes, series = table_of(run, table)
    variables = {}
    for name, one in series.items():
        dims = ("step",) + tuple(f"index_{n}" for n in one.values.shape[1:])
        if len(set(dims)) == len(dims):
            variables[name] = (dims, one.values, run.attrs(name))
    coordinates = {"step": axes[1], "epoch": ("step", axes[0])}
    return xarray.Dataset(variables, coordinates, {"run": str(run.path), **run.attrs()})


def optional(module):
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ToolError(
            f"{module} is not installed (grokscope itself needs only numpy), run: "
            f"apt install python3-{module}",
            ENVIRONMENT_ERROR,
        ) from error


def table_of(run, table):
    """((epoch, step) of the table, {name: Series of all that lies on these axes})."""
    prefix = f"{table}/" if table else ""
    axes = [run.array(f"{prefix}{axis}") for axis in ("epoch", "step")]
    if any(axis is None for axis in axes):
        raise ToolError(
            f"{run.path} has no table {table!r} (a table has the axes epoch and step), try 'training'"
        )
    found = {}
    for name in run.names(table):
        series = run.series(name)
        if series is not None and all(map(np.array_equal, axes, (series.epoch, series.step))):
            found[name] = series
    return axes, found

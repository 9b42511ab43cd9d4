"""How does a run directory become arrays?

Needs h5py and numpy: where the running Python lacks them, whoever imports this starts the system's Python in its place.
"""
import os

from grokscope_tools.command_line.process import require_modules

# Published files are immutable and replaced by renaming, so that locks protect nothing; on many network file
# systems asking for one fails.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")
require_modules("h5py", "numpy")

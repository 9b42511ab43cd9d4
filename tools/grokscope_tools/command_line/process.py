"""How does a tool start, fail and end?

It starts in a Python that has the packages it needs, a problem becomes one line on stderr, and the exit code
is that of the grokscope program. It must run before anything beyond Python's own library is imported.
"""
import contextlib
import importlib
import os
import subprocess
import sys
from pathlib import Path

SYSTEM_PYTHON = os.environ.get("GROKSCOPE_PYTHON", "/usr/bin/python3")
PACKAGES = {"h5py": "python3-h5py", "numpy": "python3-numpy", "matplotlib": "python3-matplotlib"}
USER_ERROR, ENVIRONMENT_ERROR = 2, 3


def require_modules(*modules):
    """Makes sure that `modules` can be imported, replacing this process by the system's Python where only
    that has them."""
    try:
        for module in modules:
            importlib.import_module(module)
        return
    except ImportError as error:
        reason = error
    already_replaced = os.environ.get("GROKSCOPE_PYTHON_REPLACED") == str(os.getpid())  # exec keeps the pid
    if not already_replaced and os.access(SYSTEM_PYTHON, os.X_OK):
        probe = subprocess.run(
            [SYSTEM_PYTHON, "-c", "import " + ", ".join(modules)], capture_output=True, check=False
        )
        if probe.returncode == 0:
            os.environ["GROKSCOPE_PYTHON_REPLACED"] = str(os.getpid())
            arguments = getattr(sys, "orig_argv", [sys.executable] + sys.argv)[1:]
            os.execv(SYSTEM_PYTHON, [SYSTEM_PYTHON] + arguments)
    packages = " ".join(PACKAGES[module] for module in modules)
    print(
        f"error: {sys.executable} lacks what this tool needs ({reason}), run: apt install {packages}, or "
        "name a Python that has it in GROKSCOPE_PYTHON",
        file=sys.stderr,
    )
    sys.exit(ENVIRONMENT_ERROR)


class ToolError(Exception):
    """A problem to tell the user: "problem (why it is a problem), suggestion"."""

    def __init__(self, message, exit_code=USER_ERROR):
        super().__init__(message)
        self.exit_code = exit_code


@contextlib.contextmanager
def writing_to(folder, option="--save_dir"):
    """Makes the folder and gives it as a Path; where it or what is written into it fails, that is a
    ToolError, which names the option that chooses another place."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        yield Path(folder)
    except OSError as error:
        raise ToolError(
            f"nothing can be written to {folder} ({error.strerror or error}), choose another place with "
            f"{option}",
            ENVIRONMENT_ERROR,
        ) from error


def run_tool(main):
    """Runs a tool's main() and ends the process with its exit code; a ToolError becomes one line on
    stderr."""
    try:
        sys.exit(main())
    except ToolError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)

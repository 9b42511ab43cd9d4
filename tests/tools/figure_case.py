"""How are figures tested? A tool called in this process, and a test case that has a folder of its own, where it writes an
invented run, draws one panel, and finds the lines in it."""
import contextlib
import io
import sys
import tempfile
import unittest
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOOLS = HERE.parent.parent / "tools"
sys.path[:0] = [str(TOOLS), str(HERE)]

import grokscope_io  # noqa: E402
from grokscope_tools.drawing import style  # noqa: E402
from synthetic_run import Shape, make_run  # noqa: E402


def call(main, *arguments):
    """Runs the main() of a tool; returns its exit code, what it printed, and what it said on stderr. A warning is an error."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            code = main(list(map(str, arguments)))
        except grokscope_io.ToolError as error:
            code = error.exit_code
            print(f"error: {error}", file=err)
    return code, out.getvalue(), err.getvalue()


class FolderCase(unittest.TestCase):
    """Has an empty folder, and leaves neither it nor a figure behind."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        self.addCleanup(style.plt.close, "all")


class Case(FolderCase):
    def setUp(self):
        super().setUp()
        self.folder = self.folder / "run"

    def run_of(self, **shape):
        self.known = make_run(self.folder, Shape(**shape))
        run = grokscope_io.open_run(self.folder)
        self.addCleanup(run.refresh)
        return run

    def panel(self, draw_panel, run, *arguments):
        """Axes in which one panel was drawn."""
        ax = style.plt.figure().add_subplot()
        draw_panel(ax, run, *arguments)
        return ax

    def line(self, ax, label):
        found = [line for line in ax.lines if line.get_label() == label]
        self.assertEqual(len(found), 1, [line.get_label() for line in ax.lines])
        return found[0]

    def texts(self, ax):
        return "\n".join(text.get_text() for text in ax.texts)

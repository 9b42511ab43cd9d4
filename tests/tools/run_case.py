"""Which run do the tests of the reader read?"""
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOOLS = HERE.parent.parent / "tools"
sys.path[:0] = [str(TOOLS), str(HERE)]

import grokscope_io as io  # noqa: E402
from synthetic_run import make_run  # noqa: E402


class RunCase(unittest.TestCase):
    """A run of the invented kind, which a test reads, or copies and damages."""

    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.scratch.name) / "run"
        cls.known = make_run(cls.folder)

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def setUp(self):
        self.run_ = io.open_run(self.folder)
        self.addCleanup(self.run_.refresh)

    def copy(self, name):
        """A copy of the run that a test may damage."""
        target = Path(self.scratch.name) / name
        shutil.copytree(self.folder, target)
        self.addCleanup(shutil.rmtree, target)
        return target

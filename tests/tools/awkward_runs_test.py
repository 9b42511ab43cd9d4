"""Is every figure drawn of any run, however awkward, and of one that is still being written?"""
import subprocess
import sys
import unittest

from figure_case import FolderCase, call  # first: it finds the tools, and they a Python that has the packages

import animate  # noqa: E402
import compare_experiments  # noqa: E402
import export_series  # noqa: E402
import grokscope_io  # noqa: E402
import lead_lag  # noqa: E402
import numpy as np  # noqa: E402
import report  # noqa: E402
import visualize_gop  # noqa: E402
from grokscope_tools.drawing.run_figures import FIGURES  # noqa: E402
from synthetic_run import Shape, make_run  # noqa: E402

AWKWARD = {
    "a gap": dict(gap=(20, 35), gop_epochs=(0, 400, 1180)),
    "nothing but NaN": dict(tracked=9, gap=(0, 9), with_gop=False),
    "rank one": dict(rank=1, examples=1),
    "zeros": dict(tracked=9, scale=0),
    "one tracked epoch": dict(tracked=1, state="running"),
    "two epochs, nothing but metrics": dict(tracked=2, with_groups=False, with_gop=False),
    "nothing tracked": dict(tracked=0, with_groups=False, with_gop=False),
    "moments within epochs": dict(tracked=12, steps_per_epoch=48),
}
WITHOUT_DATA = {
    "nothing but NaN": {"gop_metrics", "eigenvalue_spectrum", "layers", "subspace_rotation"},
    "two epochs, nothing but metrics": {"layers", "subspace_rotation", "observables"},
    "one tracked epoch": {"subspace_rotation"},
    "zeros": {"eigenvalue_spectrum", "layers", "subspace_rotation"},
    "nothing tracked": set(FIGURES),
}
# Writes the two runs in turn, each file into a temporary one that is renamed, as the program publishes.
WRITER = """
import os, shutil, sys
target, *sources = sys.argv[1:]
print("started", flush=True)
for i in range(10**9):
    for name in ("gop_full.h5", "gop_layers.h5", "metrics.h5"):
        shutil.copyfile(os.path.join(sources[i % 2], name), os.path.join(target, name + ".tmp"))
        os.replace(os.path.join(target, name + ".tmp"), os.path.join(target, name))
    if os.getppid() == 1:
        break
"""


def draw(folder, *options):
    """Exit code of the tool, and what it said on stderr."""
    code, _, err = call(visualize_gop.main, "--results_dir", folder, "--formats", "png", "--dpi", "40", *options)
    return code, err


class AwkwardRunsTest(FolderCase):
    def test_every_figure_of_every_awkward_run(self):
        for name, shape in AWKWARD.items():
            with self.subTest(name):
                folder = self.folder / name.replace(" ", "_")
                make_run(folder, Shape(**shape))
                code, err = draw(folder)
                self.assertEqual(code, 2 if name == "nothing tracked" else 0, err)
                self.assertEqual({path.stem for path in (folder / "plots").iterdir()}, set(FIGURES))
                empty = {line.split()[1] for line in err.splitlines() if " has no data (" in line}
                self.assertEqual(empty, WITHOUT_DATA.get(name, set()), err)


class RunningTest(FolderCase):
    """A real process replaces the files while they are read."""

    def setUp(self):
        super().setUp()
        self.run_folder = self.folder / "run"
        sources = [self.folder / "short", self.folder / "long"]
        longer = Shape(tracked=90, seed=2, gop_epochs=(0, 600, 1180))
        self.known = {60: make_run(sources[0], Shape()), 90: make_run(sources[1], longer)}
        make_run(self.run_folder, Shape())  # its segments hold what both views link to
        command = [sys.executable, "-c", WRITER, self.run_folder, *sources]
        self.writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.end_writer)
        self.writer.stdout.readline()

    def end_writer(self):
        self.writer.terminate()
        self.writer.wait()
        self.writer.stdout.close()

    def test_all_answers_of_a_file_belong_to_one_commit(self):
        seen = set()
        for _ in range(60):
            with grokscope_io.open_run(self.run_folder) as run:
                known = self.known[run.epochs_tracked().size]
                seen.add(run.epochs_tracked().size)
                for name in ("gop_trace", "eigenvalues", "training/test_acc", "layers/embed/gop_trace"):
                    np.testing.assert_array_equal(run.series(name).values, known[name], err_msg=name)
                self.assertEqual(run.load_gop(600).shape, (108, 108))
                self.assertEqual(run.gop_epochs("embed"), [0, 600, 1180])
        self.assertEqual(seen, {60, 90}, "the writer did not get on")
        self.assertIsNone(self.writer.poll())

    def test_every_tool_runs_through(self):
        run, out = self.run_folder, ["--save_dir", self.folder / "out"]
        small = ["--formats", "png"]
        for tool, *arguments in (
            (visualize_gop, "--results_dir", run, *small, "--figures", "training_curves", "subspace_rotation", "spectrum_evolution"),
            (compare_experiments, "--experiments", run, *out, *small, "--metrics", "gop_trace"),
            (lead_lag, run, *out, *small, "--series", "gop_*"),
            (animate, "--results_dir", run, "-o", self.folder / "film.gif", "--frames", "20", "--dpi", "30"),
            (report, run),
            *((export_series, "--results_dir", run, "--format", kind, *out) for kind in export_series.FORMATS),
        ):
            with self.subTest(tool.__name__, arguments=arguments):
                code, _, err = call(tool.main, *arguments)
                self.assertEqual((code, err), (0, ""))
        self.assertIsNone(self.writer.poll())


if __name__ == "__main__":
    unittest.main()

"""Do the tools draw what the program writes, and do the snippets of the file format work as they stand?

Runs tiny configurations, then the tools as a user calls them.
"""
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np

TOOLS = Path(__file__).resolve().parents[2] / "tools"
sys.path.insert(0, str(TOOLS))

import grokscope_io  # noqa: E402
import tiny_run  # noqa: E402
from grokscope_tools.reading.eigenspaces import eigenspaces, overlaps  # noqa: E402
from tiny_run import LINEAR, TRANSFORMER, ProgramTest, variant  # noqa: E402

FIGURES = (
    "training_curves gop_metrics top_eigenvalues eigenvalue_spectrum eigenvalue_spectrum_grokking spectrum_evolution layers "
    "subspace_rotation observables summary"
).split()
SNIPPETS = """
with h5py.File('results/03_nanda_progress/metrics.h5') as f:
    test_acc, gop_trace, top = f['test_acc'][:], f['gop_trace'][:], f['eigenvalues_top_k'][:]
with h5py.File('results/09_levi_linear/gop_full.h5') as f:
    gop, eigenvalues = f['epoch_1000']['gop'][:], f['epoch_1000']['eigenvalues'][:]
"""


def storing(policy):
    """A transformer that keeps the matrices of two epochs, in one of the layouts."""
    return variant(TRANSFORMER, training={"epochs": 10},
                   gop_tracking={"frequency": 10, "store_eigenvectors": False},
                   storage={"store_full_gop": policy, "store_layer_gops": policy, "gop_schedule": {"every": 10}})


class ToolsTest(ProgramTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        linear = variant(
            LINEAR,
            training={"epochs": 1500, "memorised_at": 0.9545, "generalised_at": 0.9545, "lr": 0.05},
            gop_tracking={"frequency": 50},
            storage={"store_full_gop": True, "output_dir": str(cls.folder / "results/09_levi_linear")},
            computational_limits={"checkpoint_frequency": 500},
        )
        cls.linear = cls.train("linear", linear)
        few = variant(linear, data={"n_train": 22}, storage={"output_dir": str(cls.folder / "control")})
        cls.control = cls.train("control", few)  # nearly as few examples as inputs: it does not generalise in this time
        transformer = variant(
            TRANSFORMER,
            gop_tracking={"store_eigenvectors": True},
            storage={"output_dir": str(cls.folder / "results/03_nanda_progress")},
        )
        cls.transformer = cls.train("transformer", transformer)
        cls.stored = {policy: cls.train(f"stored-{policy}", storing(policy)) for policy in (True, "factors")}

    def tool(self, name, *arguments, code=0):
        command = [sys.executable, str(TOOLS / name), *map(str, arguments)]
        result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.folder)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        return result.stdout + result.stderr

    def test_the_snippets_of_the_file_format(self):
        found, before = {"h5py": h5py}, os.getcwd()
        os.chdir(self.folder)
        try:
            exec(SNIPPETS, found)  # as they stand
        finally:
            os.chdir(before)
        self.assertEqual(found["gop_trace"].shape, (5,))
        self.assertEqual(found["top"].shape, (5, 4))
        np.testing.assert_allclose(np.linalg.eigvalsh(found["gop"])[::-1], found["eigenvalues"], atol=1e-10 * found["eigenvalues"][0])

    def test_every_figure_of_both_runs(self):
        for run in (self.linear, self.transformer):
            said = self.tool("visualize_gop.py", "--results_dir", run, "--formats", "png", "--dpi", "60")
            self.assertNotIn("note:", said, "a panel without data")
            names = {path.stem for path in (run / "plots").iterdir()}
            self.assertLessEqual(set(FIGURES), names)

    def test_subspaces_come_from_stored_vectors(self):
        with grokscope_io.open_run(self.transformer) as run:
            spaces = eigenspaces(run)
            self.assertEqual(list(spaces), [0, 10, 20, 30, 40])
            for space in spaces.values():
                np.testing.assert_allclose(space.T @ space, np.eye(space.shape[1]), atol=1e-10)
            # The program's own subspace_overlap, from the Gram matrices of both epochs, is the first side diagonal.
            stored = run.series("gop_subspace_overlap").values[1:]
            matrix = overlaps(spaces)
            np.testing.assert_allclose(np.diag(matrix, 1), stored, rtol=1e-8)

    def test_every_layout_of_a_matrix_is_read_alike(self):
        dense, factors = (grokscope_io.open_run(self.stored[policy]) for policy in (True, "factors"))
        self.assertIsNone(factors.gop_array(10, "gop"))  # nothing dense is there
        for layer in [None, *dense.layers()]:
            whole = dense.load_gop(10, layer=layer)
            self.assertEqual(factors.gop_size(10, layer), len(whole))
            close = {"rtol": 0, "atol": 1e-13 * np.abs(whole).max(), "err_msg": str(layer)}
            np.testing.assert_allclose(factors.load_gop(10, layer=layer), whole, **close)
            third = len(whole) // 3
            block = factors.load_gop(10, (third, -1), (0, 2 * third), layer)
            np.testing.assert_allclose(block, whole[third:-1, : 2 * third], **close)
        spaces = [eigenspaces(run) for run in (dense, factors)]
        self.assertEqual([list(found) for found in spaces], [[0, 10]] * 2)
        np.testing.assert_allclose(*map(overlaps, spaces), rtol=1e-6)

    def test_the_other_tools(self):
        out = self.folder / "out"
        self.tool("compare_experiments.py", "--experiments", self.folder / "results", "--save_dir", out, "--formats", "png")
        self.assertTrue((out / "gop_trace_comparison.png").exists() and (out / "transitions.csv").exists())
        text = self.tool("lead_lag.py", self.linear, "--save_dir", out, code=2)
        self.assertIn("too short a delay", text)  # it generalises at less than twice t_mem
        text = self.tool("lead_lag.py", self.control, "--save_dir", out, "--formats", "png")
        self.assertIn("control (t_mem ", text)
        self.assertTrue((out / "lead_lag_all.png").exists() and (out / "lead_lag.csv").exists(), text)
        self.tool("lead_lag.py", self.transformer, "--save_dir", out, code=2)  # 40 steps: it never memorises
        self.tool("animate.py", "--results_dir", self.linear, "-o", out / "film.gif", "--frames", "5", "--dpi", "40")
        self.tool("export_series.py", "--results_dir", self.linear, "--format", "csv", "--save_dir", out)
        self.tool("report.py", self.folder / "results", "-o", out / "report.html")
        page = (out / "report.html").read_text(encoding="utf-8")
        self.assertIn("whole run", page)  # the timing of log.txt is found
        self.assertIn("git_commit", page)

    def test_a_viewer_finds_a_plot(self):
        with h5py.File(self.linear / "metrics.h5", "r") as file:
            plot = file[file.attrs["default"]]
            plot = plot[plot.attrs["default"]]
            signal, axis = plot[plot.attrs["signal"]], plot[plot.attrs["axes"][0]]
            np.testing.assert_array_equal(signal[:], file["training/test_acc"][:])
            np.testing.assert_array_equal(axis[:], file["training/step"][:])
        with h5py.File(self.linear / "gop_full.h5", "r") as file:
            group = file["epoch_1000"]
            self.assertEqual((group.attrs["NX_class"], group.attrs["signal"]), (b"NXdata", b"eigenvalues"))


if __name__ == "__main__":
    tiny_run.main()

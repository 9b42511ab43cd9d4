"""Does the reader find what the program stores within an epoch?

Trains a tiny transformer in batches, tracked by steps, and compares matrices, vectors and spectra of every moment with each
other. Takes the path of the program as its first argument.
"""
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np

HERE = Path(__file__).resolve().parent
TOOLS = HERE.parent.parent / "tools"
sys.path[:0] = [str(TOOLS), str(HERE.parent / "run")]

import grokscope_io  # noqa: E402
import tiny_run  # noqa: E402
from grokscope_tools.reading.eigenspaces import eigenspaces  # noqa: E402
from grokscope_tools.reading.gop_factors import gop_of_file  # noqa: E402
from tiny_run import TRANSFORMER, ProgramTest, variant  # noqa: E402

EVERY = {"kind": "every", "unit": "step", "every": 4}


class MomentsTest(ProgramTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        base = variant(
            TRANSFORMER, training={"batch_size": 3, "epochs": 4}, gop_tracking={"schedule": EVERY, "store_eigenvectors": True}
        )
        cls.folders = {
            policy: cls.train(f"stored-{policy}", variant(base, storage={"store_full_gop": policy, "gop_schedule": EVERY}))
            for policy in (True, "factors")
        }

    def test_every_stored_group_is_a_moment(self):
        run = grokscope_io.open_run(self.folders[True])
        with h5py.File(run.path / "gop_full.h5", "r") as file:
            steps = sorted(file[name].attrs["step"] for name in file if name.startswith("epoch_"))
            within = sum("_step_" in name for name in file)
        self.assertGreater(within, 3)
        self.assertEqual([moment.step for moment in run.gop_moments()], steps)
        self.assertEqual(run.gop_moments(), run.tracked_moments())
        for layer in run.layers():
            self.assertEqual(run.gop_moments(layer), run.tracked_moments())

    def test_matrices_vectors_and_spectra_belong_together(self):
        dense, factors = (grokscope_io.open_run(folder) for folder in self.folders.values())
        with h5py.File(factors.path / "gop_full.h5", "r") as file:
            within = [moment for moment in factors.gop_moments() if f"epoch_{moment.epoch}_step_{moment.step}" in file]
        for epoch, step in dense.gop_moments():
            where = f"epoch {epoch}, step {step}"
            whole, values = dense.load_gop(epoch, step=step), dense.spectrum(epoch, step)
            self.assertEqual(dense.gop_attrs(epoch, step=step)["step"], step)
            close = {"rtol": 0, "atol": 1e-5 * values[0], "err_msg": where}
            np.testing.assert_allclose(np.linalg.eigvalsh(whole)[::-1][: values.size], values, **close)
            self.assertLess(dense.noise_floor(epoch, step), values[0])
            vectors = dense.eigenvectors(epoch, 3, step)[1]
            np.testing.assert_allclose(whole @ vectors, vectors * values[:3], **close)
            np.testing.assert_allclose(factors.load_gop(epoch, step=step), whole, **close)
            if (epoch, step) in within:
                np.testing.assert_allclose(gop_of_file(factors.path / "gop_full.h5", epoch, step=step), whole, **close)
        self.assertEqual(list(eigenspaces(dense)), [moment.step for moment in dense.gop_moments()])

    def test_the_figures_name_the_steps(self):
        out = self.folder / "plots"
        command = [sys.executable, TOOLS / "visualize_gop.py", "--results_dir", self.folders[True], "--save_dir", out]
        options = ["--formats", "svg", "--figures", "eigenvalue_spectrum", "subspace_rotation", "--steps", "4", "8"]
        result = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertEqual(result.stdout.count(str(out)), 2)


if __name__ == "__main__":
    tiny_run.main()

"""Does an installation stand on its own? Usage: install_test.py BUILD_FOLDER [test ...]

Installs into a temporary prefix, runs the program from there, loads the modulefile, builds a program of somebody else
(tests/outsider/eleventh: an experiment and a probe) with find_package(grokscope) and runs it, and configures from those
files alone that the container's recipe copies.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import h5py
import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
ELEVENTH = REPOSITORY / "tests/outsider/eleventh"


def call(*command, **options):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **options)
    if result.returncode != 0:
        raise AssertionError(f"{command}: code {result.returncode}\n{result.stdout[-3000:]}{result.stderr[-3000:]}")
    return result.stdout


def parity_gradients(theta, inputs, targets):
    """Row i: the gradient of the loss of example i, by hand."""
    before = inputs @ theta["hidden.weight"].T + theta["hidden.bias"]
    hidden = np.maximum(before, 0)
    logits = hidden @ theta["readout.weight"].T
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    error = shares / shares.sum(axis=1, keepdims=True) - np.eye(2)[targets]
    back = (error @ theta["readout.weight"]) * (before > 0)
    rows = len(inputs)
    return np.hstack([np.einsum("ni,nj->nij", back, inputs).reshape(rows, -1), back,
                      np.einsum("ni,nj->nij", error, hidden).reshape(rows, -1)])


class InstallTest(unittest.TestCase):
    build = None

    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        cls.folder = Path(scratch.name)
        cls.prefix = cls.folder / "prefix"
        call("cmake", "--install", cls.build, "--prefix", cls.prefix)

    def test_the_program_runs_and_does_not_lean_on_the_build(self):
        program = self.prefix / "bin" / "grokscope"
        self.assertIn("LibTorch", call(program, "version", cwd=self.folder))
        dynamic = call("readelf", "-d", program)
        path = re.search(r"(?:RUNPATH|RPATH).*\[(.*)\]", dynamic)
        self.assertNotIn(str(self.build), dynamic)
        self.assertNotIn("", path.group(1).split(":") if path else ["x"], "an empty entry is the present folder")

    def test_a_run_elsewhere(self):
        share = self.prefix / "share" / "grokscope"
        text = call(self.prefix / "bin" / "grokscope", "check", share / "configs/quick/09_levi_linear.yaml", cwd=self.folder)
        self.assertIn("eigensolver", text)
        page = ("tools/grokscope_tools/page/page.css", "tools/grokscope_tools/page/page.js")
        for name in ("slurm/run.sbatch", "slurm/launch.sh", "tools/status.py", "tools/grokscope_io.py", *page):
            self.assertTrue((share / name).is_file(), name)
        self.assertTrue(os.access(share / "slurm/launch.sh", os.X_OK))
        self.assertIn("[--json]", call(share / "tools/status.py", "--help"))

    def test_the_modulefile(self):
        command = shutil.which("modulecmd")
        self.assertIsNotNone(command, "no modulecmd (it loads the modulefile), apt-get install environment-modules")
        environment = {**os.environ, "MODULEPATH": str(self.prefix / "share/modulefiles")}
        code = call(command, "bash", "load", "grokscope", env=environment)
        shown = call("bash", "-c", code + '\ncommand -v grokscope; echo "$GROKSCOPE_HOME"; grokscope version', cwd=self.folder)
        lines = shown.splitlines()
        self.assertEqual(lines[:2], [str(self.prefix / "bin/grokscope"), str(self.prefix / "share/grokscope")])
        self.assertIn("LibTorch", shown)

    def test_somebody_else_s_program(self):
        source, build = self.folder / "eleventh", self.folder / "eleventh_build"
        shutil.copytree(ELEVENTH, source)
        call("cmake", "-S", source, "-B", build, f"-DCMAKE_PREFIX_PATH={self.prefix}", "-DCMAKE_BUILD_TYPE=Release")
        targets = (self.prefix / "lib/cmake/grokscope/grokscopeTargets.cmake").read_text()
        self.assertNotIn(str(REPOSITORY), targets)
        call("cmake", "--build", build)
        program = build / "eleventh"
        listed = call(program, "list")
        self.assertIn("09_levi_linear", listed)
        self.assertIn("11_parity", listed)
        self.assertIn("epochs between measurements", call(program, "describe", "11_parity"))
        run = self.folder / "results/parity"
        call(program, "run", source / "parity.yaml", f"storage.output_dir={run}", cwd=self.folder)
        self.check_parity(run)
        without = self.folder / "results/without"
        call(program, "run", source / "parity.yaml", f"storage.output_dir={without}", "probes.class_gradients.every=1000",
             "gop_tracking.enabled=false", cwd=self.folder)
        with h5py.File(run / "metrics.h5") as looked_at, h5py.File(without / "metrics.h5") as alone:
            np.testing.assert_array_equal(looked_at["training/train_loss"][()], alone["training/train_loss"][()])
            self.assertNotIn("gop_trace", alone)

    def check_parity(self, run):
        """The files of an experiment and a probe that grokscope has never heard of, recomputed from data and weights."""
        with h5py.File(run / "data.h5") as data:
            ids, inputs, targets = (data[f"train/{name}"][()] for name in ("ids", "inputs", "targets"))
        np.testing.assert_array_equal(targets, [bin(i & 0b111).count("1") % 2 for i in ids])
        np.testing.assert_array_equal(inputs, [[1 if i >> b & 1 else -1 for b in range(6)] for i in ids])
        with h5py.File(run / "metrics.h5") as metrics:
            self.assertEqual(list(metrics["probes/class_gradients/epoch"]), [0, 15, 30])
            norm = metrics["probes/class_gradients/norm"][()]
            share = metrics["observables/relevant_share"][-1]
            trace = metrics["gop_trace"][-1]
        with h5py.File(run / "checkpoints/epoch_30.h5") as checkpoint:
            theta = {name: value[()] for name, value in checkpoint["parameters"].items()}
        gradients = parity_gradients(theta, inputs, targets)
        expected = [np.linalg.norm(gradients[targets == c].mean(axis=0)) for c in (0, 1)]
        np.testing.assert_allclose(norm[-1], expected, rtol=1e-9)
        self.assertGreater(abs(norm[-1][0] / norm[-1][1] - 1), 1e-6, "classes could be exchanged unseen")
        np.testing.assert_allclose(trace, (gradients ** 2).sum() / len(ids), rtol=1e-9)
        square = theta["hidden.weight"] ** 2
        np.testing.assert_allclose(share, square[:, :3].sum() / square.sum(), rtol=1e-12)

    def test_the_container_s_files_are_enough(self):
        text = (REPOSITORY / "tools/packaging/grokscope.def").read_text()
        copied = re.findall(r"^  (\S+) /opt/grokscope/\S+$", text, re.MULTILINE)
        source = self.folder / "container"
        source.mkdir()
        for name in copied:
            copy = shutil.copytree if (REPOSITORY / name).is_dir() else shutil.copy
            copy(REPOSITORY / name, source / name)
        line = re.search(r"^  (cmake --preset .*)$", text, re.MULTILINE).group(1)
        call(*line.split(), cwd=source)
        self.assertTrue((source / "build/build.ninja").is_file())


if __name__ == "__main__":
    InstallTest.build = Path(sys.argv.pop(1)).resolve()
    unittest.main(verbosity=2)

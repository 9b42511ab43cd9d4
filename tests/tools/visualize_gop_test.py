"""Does the tool write every figure of any run, however incomplete, where it is asked to?"""
import struct
import subprocess
import sys
import unittest

from figure_case import TOOLS, Case, call  # first: it finds the tools, and they a Python that has the packages

import h5py  # noqa: E402
import numpy as np  # noqa: E402
import visualize_gop  # noqa: E402
from synthetic_run import add_series  # noqa: E402

FIGURES = [
    "training_curves",
    "gop_metrics",
    "top_eigenvalues",
    "eigenvalue_spectrum",
    "eigenvalue_spectrum_grokking",
    "spectrum_evolution",
    "layers",
    "subspace_rotation",
    "observables",
    "summary",
]


def png_size(path):
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n", path
    return struct.unpack(">II", data[16:24])


def draw(*arguments):
    return call(visualize_gop.main, *arguments)


class FilesTest(Case):
    def test_every_figure_of_a_complete_run(self):
        """As PDF; reference_images_test.py has the PNGs."""
        self.run_of()
        code, out, _ = draw("--results_dir", self.folder, "--formats", "pdf", "--dpi", "50")
        self.assertEqual(code, 0)
        for name in FIGURES:
            self.assertTrue((self.folder / "plots" / f"{name}.pdf").read_bytes().startswith(b"%PDF"), name)
            self.assertIn(name, out)

    def test_png_and_pdf_are_written_by_default(self):
        self.run_of(with_gop=False)
        code, out, _ = draw("--results_dir", self.folder, "--dpi", "50", "--figures", "training_curves")
        self.assertEqual(code, 0)
        self.assertIn("training_curves  (png, pdf)", out)
        self.assertEqual(png_size(self.folder / "plots/training_curves.png"), (360, 254))
        self.assertEqual(len(list((self.folder / "plots").iterdir())), 2)

    def test_values_without_a_logarithm(self):
        self.run_of(with_gop=False)
        with h5py.File(self.folder / "metrics.h5", "a") as file:
            file["gop_trace"][10:14], file["gop_spectral_norm"][:], file["eigenvalues"][30:] = 0, 0, 0
            file["eigenvalues_top_k"][30:], file["gop_frobenius_norm"][:] = 0, -1
            file["gop_log_pseudo_determinant"][20:], file["gop_stable_rank"][5:9] = -np.inf, np.inf
        self.assertEqual(
            draw(
                "--results_dir",
                self.folder,
                "--formats",
                "png",
                "--dpi",
                "60",
                "--figures",
                "gop_metrics",
                "top_eigenvalues",
                "eigenvalue_spectrum_grokking",
            )[0],
            0,
        )

    def test_epochs_folder_figures_and_formats_are_chosen(self):
        self.run_of()
        elsewhere = self.folder.parent / "else/where"
        code, out, _ = draw(
            "--results_dir",
            self.folder,
            "--save_dir",
            elsewhere,
            "--epochs",
            "0",
            "605",
            "--figures",
            "eigenvalue_spectrum",
            "--formats",
            "svg",
        )
        self.assertEqual(code, 0)
        self.assertEqual([path.name for path in elsewhere.iterdir()], ["eigenvalue_spectrum.svg"])
        self.assertIn("epoch 605 has no spectrum, epoch 600 is drawn in its place", out)
        self.assertFalse((self.folder / "plots").exists())

    def test_many_observables_fill_further_pages(self):
        self.run_of(with_gop=False)
        with h5py.File(self.folder / "metrics.h5", "a") as file:
            length = len(file["observables/step"])
            for i in range(9):
                add_series(file, f"observables/group{i}/value", np.arange(length) * float(i))
        draw("--results_dir", self.folder, "--figures", "observables", "--formats", "png", "--dpi", "60")
        self.assertEqual(
            sorted(path.name for path in (self.folder / "plots").iterdir()),
            ["observables.png", "observables_2.png"],
        )

    def run_tool(self, *arguments):
        return subprocess.run(
            [sys.executable, TOOLS / "visualize_gop.py", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
        )

    def test_moments_within_an_epoch_are_chosen(self):
        self.run_of(tracked=12, steps_per_epoch=48, with_gop=False)
        options = ["--results_dir", self.folder, "--figures", "eigenvalue_spectrum", "--formats", "svg"]
        code, out, err = draw(*options, "--epochs", "1", "3", "--steps", "80", "213")
        self.assertEqual((code, err), (0, ""))
        self.assertIn("epoch 1 has 2 spectra, the first is drawn (step 60): --steps chooses others", out)
        self.assertIn("step 213 has no spectrum, epoch 4, step 220 is drawn in its place", out)

    def test_what_the_summary_leaves_out_is_said(self):
        self.run_of(with_gop=False)
        options = ["--results_dir", self.folder, "--formats", "png", "--dpi", "50", "--figures", "summary"]
        self.assertIn("the summary draws the first 4 of 5 moments", draw(*options, "--epochs", *range(0, 100, 20))[2])
        self.assertEqual(draw(*options, "--epochs", *range(0, 80, 20))[2], "")

    def test_a_run_that_tracks_nothing(self):
        """It trained, so that it is drawn; which figures have no data is said, and why."""
        self.run_of(tracked=20, with_gop=False)
        with h5py.File(self.folder / "metrics.h5", "a") as file:
            for name in list(file):
                if name not in ("training", "events"):
                    del file[name]
        (self.folder / "config.json").write_text('{"gop_tracking": {"enabled": false}}')
        options = ["--results_dir", self.folder, "--formats", "png", "--dpi", "40"]
        code, out, err = draw(*options, "--epochs", "7")
        self.assertEqual(code, 0)
        for name in FIGURES:
            self.assertIn(f"plots/{name}", out)
        self.assertIn("--epochs and --steps choose nothing, no spectrum is stored (gop_tracking.enabled is false)", err)
        for name in ("gop_metrics", "eigenvalue_spectrum", "layers", "subspace_rotation", "observables"):
            self.assertIn(f"note: {name} has no data (", err)
        self.assertIn("note: summary has no data in Trace, Effective ranks, Directions, Top eigenvalues, Spectra", err)
        self.assertNotIn("training_curves", err)
        code, _, err = draw(*options, "--figures", "gop_metrics", "layers")
        self.assertEqual(code, 2)
        self.assertIn("has nothing to draw (gop_tracking.enabled is false)", err)

    def test_exit_codes(self):
        self.folder.mkdir()
        for arguments, code, message in (
            (["--results_dir", self.folder], 2, "has no metrics.h5"),
            (["--results_dir", self.folder / "nowhere"], 2, "is no directory"),
            ([], 2, "--results_dir"),
            (["--results_dir", self.folder, "--figures", "pie_chart"], 2, "invalid choice"),
        ):
            result = self.run_tool(*arguments)
            self.assertEqual(result.returncode, code, result.stderr)
            self.assertIn(message, result.stderr)
            self.assertNotIn("Traceback", result.stderr)

    def test_an_unwritable_folder(self):
        self.run_of(tracked=2, with_gop=False)
        (self.folder / "plots").write_text("a file is in the way")
        result = self.run_tool("--results_dir", self.folder, "--figures", "training_curves")
        self.assertEqual(result.returncode, 3)
        self.assertIn("choose another place with --save_dir", result.stderr)

    def test_help_names_everything(self):
        result = self.run_tool("--help")
        self.assertEqual(result.returncode, 0)
        text = " ".join(result.stdout.split())
        for word in [
            "--results_dir",
            "--save_dir",
            "--epochs",
            "--steps",
            "--figures",
            "--formats",
            "--dpi",
            "Exit codes",
            *FIGURES,
            "study_times",
            "study_phase",
            "study_losses",
        ]:
            self.assertIn(word, text)

    def test_drawing_touches_nothing_but_the_plots(self):
        self.run_of()
        before = {path: path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}
        draw("--results_dir", self.folder, "--figures", "summary", "--formats", "png", "--dpi", "60")
        after = {path: path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}
        self.assertEqual(set(after) - set(before), {self.folder / "plots/summary.png"})
        self.assertEqual({path: after[path] for path in before}, before)


if __name__ == "__main__":
    unittest.main()

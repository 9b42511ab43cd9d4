"""Does the film show every spectrum at its moment, and say what it lacks?"""
import os
import shutil
import subprocess
import unittest
from pathlib import Path
from unittest import mock

from figure_case import Case, call  # first: it finds the tools, and they a Python that has the packages

import animate  # noqa: E402
import grokscope_io  # noqa: E402
import h5py  # noqa: E402
import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402
from synthetic_run import Shape, make_run  # noqa: E402


class AnimateTest(Case):
    def write(self, **shape):
        self.known = make_run(self.folder, Shape(with_gop=False, **shape))
        run = grokscope_io.open_run(self.folder)
        self.addCleanup(run.refresh)
        return run

    def animate(self, *arguments):
        """Exit code, and what the tool printed or said on stderr."""
        code, out, err = call(animate.main, "--results_dir", self.folder, "--dpi", "40", *arguments)
        return code, out + err

    def test_every_frame_shows_its_spectrum_and_its_step(self):
        frames, available = animate.frames_of(self.write(tracked=12), 240)
        self.assertEqual((len(frames), available), (12, 12))
        film = animate.Film(grokscope_io.open_run(self.folder), frames)
        for i in (0, 5, 11):
            film.show(i)
            x, y = film.lines_[-1].get_data()
            known = self.known["eigenvalues"][i]
            np.testing.assert_array_equal(x, np.arange(1, 31))
            np.testing.assert_array_equal(y, np.where(known > 0, known, np.nan))
            self.assertEqual(list(film.now_.get_xdata()), [20.0 * i, 20.0 * i])
            self.assertIn(f"step {20 * i}", film.title_.get_text())
        np.testing.assert_array_equal(film.lines_[-3].get_ydata()[:5], self.known["eigenvalues"][9][:5])
        film.show(0)
        self.assertEqual(film.lines_[0].get_xdata().size, 0)  # before the first frame there is no trail

    def test_long_runs_are_thinned_and_it_says_so(self):
        run = self.write(tracked=300, every=4)
        frames, available = animate.frames_of(run, 40)
        self.assertTrue(available == 300 and 20 < len(frames) <= 40)
        self.assertEqual((frames[0][0], frames[-1][0]), (0, 1196))

    def test_a_gif_has_as_many_frames_as_there_are_spectra(self):
        self.write(tracked=5)
        code, text = self.animate("-o", self.folder / "film.gif", "--fps", "5")
        self.assertEqual(code, 0)
        with Image.open(self.folder / "film.gif") as film:
            self.assertEqual((film.n_frames, film.info["duration"]), (5, 200))
        self.assertIn("5 frames, 1.0 s", text)

    @unittest.skipUnless(shutil.which("ffprobe"), "ffmpeg is not installed: apt-get install ffmpeg")
    def test_an_mp4_has_the_frame_rate_asked_for(self):
        self.write(tracked=6)
        code, _ = self.animate("--fps", "12")
        self.assertEqual(code, 0)
        ask = [
            "ffprobe",
            "-v",
            "error",
            "-count_frames",
            "-show_entries",
            "stream=nb_read_frames,r_frame_rate",
            "-of",
            "csv=p=0",
        ]
        answer = subprocess.run(
            [*ask, self.folder / "plots/spectrum.mp4"], capture_output=True, text=True, check=True
        )
        self.assertEqual(answer.stdout.strip(), "12/1,6")

    def test_without_ffmpeg_it_is_a_gif(self):
        run = self.write(tracked=2)
        with mock.patch("shutil.which", return_value=None):
            self.assertEqual(animate.default_output(run).name, "spectrum.gif")
            with self.assertRaisesRegex(grokscope_io.ToolError, "ffmpeg is not installed"):
                animate.writer_for(Path("film.mp4"), 10)
        with self.assertRaisesRegex(grokscope_io.ToolError, "neither .mp4 nor .gif"):
            animate.writer_for(Path("film.avi"), 10)

    def test_awkward_runs(self):
        self.write(tracked=1)
        self.assertEqual(self.animate("-o", self.folder / "one.gif")[0], 0)
        for values, why in ((0, "no eigenvalue is above 0"), (np.nan, "every eigenvalue is NaN")):
            with h5py.File(self.folder / "metrics.h5", "a") as file:
                file["eigenvalues"][:], file["eigenvalues_top_k"][:] = values, values
            code, text = self.animate("-o", self.folder / "none.gif")
            self.assertEqual(code, 2)
            self.assertIn(f"holds no spectrum to show ({why})", text)

    def test_a_run_that_tracks_nothing(self):
        self.write(tracked=0, with_groups=False)
        (self.folder / "config.json").write_text('{"gop_tracking": {"enabled": false}}')
        code, text = self.animate("-o", self.folder / "none.gif")
        self.assertEqual(code, 2)
        self.assertIn("holds no spectrum to show (gop_tracking.enabled is false)", text)

    def test_an_ffmpeg_that_fails_is_a_clear_error(self):
        """As one without libx264: it ends before it has read a frame."""
        self.write(tracked=3)
        fake = self.folder / "bin/ffmpeg"
        fake.parent.mkdir()
        fake.write_text("#!/bin/sh\necho \"Unknown encoder 'h264'\" >&2\nexit 1\n")
        fake.chmod(0o755)
        with mock.patch.dict(os.environ, {"PATH": f"{fake.parent}:{os.environ['PATH']}"}):
            code, text = self.animate("-o", self.folder / "film.mp4")
        self.assertEqual(code, 3)
        self.assertIn("ffmpeg ended with 1 while it wrote", text)
        self.assertIn("(Unknown encoder 'h264'), free some space", text)


if __name__ == "__main__":
    unittest.main()

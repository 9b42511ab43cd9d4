#!/usr/bin/env python3
"""How does the spectrum move while the run learns? A film of the eigenvalues, with the accuracy beside them.

An mp4 where ffmpeg is there, a gif otherwise. A run with more spectra than frames is thinned evenly over
log(step), and says so.
"""
import logging
import shutil
import subprocess
from pathlib import Path

import grokscope_io  # first: it finds a Python that has the packages
from grokscope_tools.command_line.options import add_run, make_parser
from grokscope_tools.drawing import panels, spectra, style
from grokscope_tools.reading import thinning

import numpy as np
from matplotlib import animation

TRAIL = 6  # spectra of the frames before stay visible, fading


def frames_of(run, limit):
    """[(step, epoch, eigenvalues)] of at most `limit` moments that have a spectrum, evenly over log(step); and how
    many have one."""
    moments = spectra.spectrum_moments(run)
    found = []
    for i in thinning.spread([moment.step for moment in moments], limit):
        values = run.spectrum(*moments[i])
        if values is not None and (values > 0).any():
            found.append((moments[i].step, moments[i].epoch, values))
    return found, len(moments)


class Film:
    """The figure and what changes in it from frame to frame."""

    def __init__(self, run, frames, note=""):
        self.frames_ = frames
        self.figure = style.plt.figure(figsize=(9.6, 4.6))
        self.figure.suptitle(f"{run.name}: the spectrum over training{note}")
        left, right = self.figure.subplots(1, 2, width_ratios=(1.25, 1))
        self.lines_ = self.prepare_spectra_(left)
        panels.accuracy(right, run)
        if not right.lines:
            panels.loss(right, run)
        self.now_ = right.axvline(frames[0][0], color=style.BLACK, linewidth=1.2)
        self.title_ = left.set_title("")
        panels.transition_legend(self.figure, run)
        self.figure.draw_without_rendering()
        self.figure.set_layout_engine("none")  # the same place for everything in every frame

    def prepare_spectra_(self, ax):
        """Axes that hold every frame, and the lines of the trail, the newest last."""
        positive = np.concatenate([values[values > 0] for *_, values in self.frames_])
        spectra.rank_axis(ax, "x", max(values.size for *_, values in self.frames_))
        low, high = float(positive.min()) / 2, float(positive.max()) * 2
        ax.set(yscale="log", ylim=(low, high), ylabel="eigenvalue")
        style.decade_ticks(ax.yaxis, low, high)
        shades = np.linspace(0.12, 0.5, TRAIL)
        lines = [ax.plot([], [], "-", color=style.SKY, linewidth=0.9, alpha=shade)[0] for shade in shades]
        return lines + ax.plot([], [], "-", color=style.BLUE, linewidth=1.8)

    def show(self, i):
        """Draws frame i."""
        for back, line in enumerate(reversed(self.lines_)):
            values = self.frames_[i - back][2] if i >= back else np.zeros(0)
            kept = (
                thinning.log_spaced(values.size, spectra.LINE_POINTS) if values.size else np.zeros(0, int)
            )
            line.set_data(kept + 1, np.where(values[kept] > 0, values[kept], np.nan))
        step, epoch, _ = self.frames_[i]
        self.now_.set_xdata([step, step])
        self.title_.set_text(
            f"Eigenvalues at step {step:,.0f}" + ("" if step == epoch else f" (epoch {epoch:,})")
        )


def default_output(run):
    return run.path / "plots" / ("spectrum.mp4" if shutil.which("ffmpeg") else "spectrum.gif")


def writer_for(path, fps):
    """The writer of the file's kind. Throws ToolError where ffmpeg is missing or the kind is unknown."""
    if path.suffix == ".gif":
        return animation.PillowWriter(fps=fps)
    if path.suffix != ".mp4":
        raise grokscope_io.ToolError(
            f"{path} is neither .mp4 nor .gif (no other kind can be written), name one of them"
        )
    if not shutil.which("ffmpeg"):
        raise grokscope_io.ToolError(
            "ffmpeg is not installed (an .mp4 needs it), run apt install ffmpeg, or write a .gif",
            grokscope_io.ENVIRONMENT_ERROR,
        )
    # h264 gets even sizes and yuv420p, which every player shows. Without -xerror a film whose end does not fit on the disk is
    # no error.
    return animation.FFMpegWriter(fps=fps, codec="h264", extra_args=["-xerror"])


def write_film(writer, film, output, dpi):
    """Writes every frame. Throws ToolError where ffmpeg gives up, with its last words."""
    logging.getLogger("matplotlib.animation").setLevel(logging.ERROR)  # it would print all of these words as well
    try:
        with writer.saving(film.figure, str(output), dpi):
            for i in range(len(film.frames_)):
                film.show(i)
                writer.grab_frame()
    except subprocess.CalledProcessError as error:
        words = (error.stderr or "").strip().splitlines() or ["without a word"]
        raise grokscope_io.ToolError(
            f"ffmpeg ended with {error.returncode} while it wrote {output} ({words[-1]}), free some space, choose another "
            "place with -o, or write a .gif, which needs no ffmpeg",
            grokscope_io.ENVIRONMENT_ERROR,
        ) from error


def parse_arguments(argv):
    parser = make_parser(
        __doc__,
        "Exit codes: 0 written, 2 wrong usage or no spectrum to show, 3 ffmpeg is missing or fails, or "
        "a file cannot be read or written.",
    )
    add_run(parser)
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="default: D/plots/spectrum.mp4 (or .gif)"
    )
    parser.add_argument("--fps", type=float, default=15, help="frames a second (default: 15)")
    parser.add_argument("--frames", type=int, default=240, help="at most so many (default: 240)")
    parser.add_argument("--dpi", type=int, default=100, help="resolution: 960 x 460 pixels at the default of 100")
    arguments = parser.parse_args(argv)
    if arguments.fps <= 0 or arguments.frames < 1 or arguments.dpi < 20:
        parser.error("--fps, --frames and --dpi are positive, --dpi at least 20")
    return arguments


def main(argv=None):
    arguments = parse_arguments(argv)
    with grokscope_io.open_run(arguments.results_dir) as run:
        output = arguments.output or default_output(run)
        writer = writer_for(output, arguments.fps)
        frames, available = frames_of(run, arguments.frames)
        if not frames:
            raise grokscope_io.ToolError(
                f"{run.path} holds no spectrum to show ({run.why_no_spectrum()}), wait for a later commit where the "
                "run goes on, or name another run"
            )
        note = "" if len(frames) == available else f" ({len(frames)} of {available} spectra)"
        film = Film(run, frames, note)
        with grokscope_io.writing_to(output.parent, "-o"):
            write_film(writer, film, output, arguments.dpi)
        style.plt.close(film.figure)
    print(f"{output}  ({len(frames)} frames, {len(frames) / arguments.fps:.1f} s{note})")
    return 0


if __name__ == "__main__":
    grokscope_io.run_tool(main)

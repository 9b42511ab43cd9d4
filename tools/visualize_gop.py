#!/usr/bin/env python3
"""What happened in this run, or in the runs of this study? Draws the figures of one directory, finished or running.

The figures are those of run_figures.py and study_figures.py in grokscope_tools/drawing. Nothing in the directory is
touched but the folder of the plots.
"""
import functools
import sys

import grokscope_io  # first: it finds a Python that has the packages
from grokscope_tools.command_line.options import add_figures, add_run, make_parser
from grokscope_tools.drawing import run_figures, study_figures, style
from grokscope_tools.drawing.spectra import spectrum_moments
from grokscope_tools.reading.study_table import NOBODY_YET, Study, is_study


def note(text):
    print(f"note: {text}", file=sys.stderr, flush=True)


def chosen_moments(run, arguments):
    """The Moments with a spectrum that are nearest to the wanted epochs and steps; says where they differ."""
    wanted = [("epoch", epoch) for epoch in arguments.epochs] + [("step", step) for step in arguments.steps]
    available = spectrum_moments(run)
    if wanted and not available:
        note(f"--epochs and --steps choose nothing, no spectrum is stored ({run.why_no_spectrum()})")
        return []
    chosen = {nearest_moment(available, unit, number) for unit, number in wanted}
    chosen = sorted(chosen, key=lambda moment: moment.step)
    if len(chosen) > run_figures.IN_SUMMARY and "summary" in arguments.figures:
        note(f"the summary draws the first {run_figures.IN_SUMMARY} of {len(chosen)} moments, eigenvalue_spectrum all of them")
    return chosen


def nearest_moment(available, unit, wanted):
    """The one whose "epoch" or "step" is nearest; of several in one epoch the first."""
    nearest = min(available, key=lambda moment: (abs(getattr(moment, unit) - wanted), moment.step))
    within = sum(moment.epoch == nearest.epoch for moment in available)
    if getattr(nearest, unit) != wanted:
        print(f"{unit} {wanted} has no spectrum, {nearest.label()} is drawn in its place")
    elif unit == "epoch" and within > 1:
        print(f"epoch {wanted} has {within} spectra, the first is drawn (step {nearest.step}): --steps chooses others")
    return nearest


def describe_gaps(name, figures):
    """What of a figure has no data, one line each; whether any of it has some."""
    empty = [panel for fig in figures for panel in style.empty_panels(fig)]
    total = sum(len(fig.axes) for fig in figures)
    if not empty:
        return True
    reasons = [(why.split("\n") + [why])[1] for _, why in empty]  # the line after "no data"
    reason = "; ".join(list(dict.fromkeys(reasons))[:2])
    if len(empty) == total:
        note(f"{name} has no data ({reason})")
        return False
    note(f"{name} has no data in {', '.join(title for title, _ in empty)} ({reason})")
    return True


def draw_all(figures, arguments, default_folder):
    """Writes {name: function that gives a list of figures}; whether any of them has data."""
    found = False
    with grokscope_io.writing_to(arguments.save_dir or default_folder) as folder:
        for name, draw in figures.items():
            drawn = draw()
            found |= describe_gaps(name, drawn)
            for i, fig in enumerate(drawn):
                page = name if i == 0 else f"{name}_{i + 1}"
                written = style.save_figure(fig, folder, page, arguments.formats, arguments.dpi)
                print(f"{folder / page}  ({', '.join(path.suffix[1:] for path in written)})", flush=True)
    return found


def draw_run(arguments):
    with grokscope_io.open_run(arguments.results_dir) as run:
        arguments.figures = of_kind(arguments.figures, run_figures.FIGURES, "a run")
        moments = chosen_moments(run, arguments)
        figures = {name: functools.partial(run_figures.FIGURES[name], run, moments) for name in arguments.figures}
        if draw_all(figures, arguments, run.path / "plots"):
            return
        why = run.why_nothing_is_tracked() or "all that the chosen figures show is missing or NaN"
        raise grokscope_io.ToolError(f"{run.path} has nothing to draw ({why}), the figures written say so")


def draw_study(arguments):
    if arguments.epochs or arguments.steps:
        note("--epochs and --steps are about one run, name one of members/")
    study = Study(arguments.results_dir)
    asked, varied = of_kind(arguments.figures, study_figures.FIGURES, "a study"), ", ".join(study.axes()) or "no numeric key"
    figures = {}
    for name in asked:
        drawn = study_figures.FIGURES[name](study)
        if drawn is not None:
            figures[name] = functools.partial(list, drawn)
        elif arguments.figures:
            note(f"{name} needs two numeric keys, this study varies {varied}")
    if not draw_all(figures, arguments, study.path / "plots"):
        raise grokscope_io.ToolError(f"{study.path} has nothing to draw ({NOBODY_YET}), wait for one")


def of_kind(asked, known, what):
    """The figures that were asked for, all where none was; those of another kind of directory are a ToolError."""
    strange = [name for name in asked or [] if name not in known]
    if strange:
        raise grokscope_io.ToolError(f"{', '.join(strange)}: no figure of {what} (which has {', '.join(known)}), name one of these")
    return asked or list(known)


def parse_arguments(argv):
    parser = make_parser(
        "Draws the figures of one run or study, finished or still running, as .png and .pdf.",
        "Figures of a run: "
        + ", ".join(run_figures.FIGURES)
        + "; of a study (a directory with study.h5): "
        + ", ".join(study_figures.FIGURES)
        + ". A panel without data says why, and so does a line on stderr. Large spectra are thinned to what a "
        "screen can show; the panel says so. Exit codes: 0 drawn, 2 wrong usage, no run there or nothing to draw, 3 "
        "unreadable files or an unwritable folder.",
    )
    add_run(parser)
    add_figures(parser, words="default: D/plots")
    for option, letter, what in (("--epochs", "E", "epochs"), ("--steps", "S", "optimizer steps")):
        words = f"{what} whose spectra are drawn (default: spread over the run, and around the jump)"
        parser.add_argument(option, nargs="+", type=int, metavar=letter, default=[], help=words)
    parser.add_argument(
        "--figures",
        nargs="+",
        choices=[*run_figures.FIGURES, *study_figures.FIGURES],
        metavar="NAME",
        help="draw these only (default: all)",
    )
    parser.add_argument(
        "--dpi", type=int, default=200, help="resolution of .png, and of heat maps in .pdf (default: 200)"
    )
    return parser.parse_args(argv)


def main(argv=None):
    arguments = parse_arguments(argv)
    (draw_study if is_study(arguments.results_dir) else draw_run)(arguments)
    return 0


if __name__ == "__main__":
    grokscope_io.run_tool(main)

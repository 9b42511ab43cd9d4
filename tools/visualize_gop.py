#!/usr/bin/env python3
"""What happened in this run, or in the runs of this study? Draws the figures of one directory, finished or running.

Each figure below arranges panels of plot_panels.py and its neighbours. Nothing is computed here beyond what
is drawn, and nothing in the directory is touched but the folder of the plots. The figures of a study are in
plot_study.py.
"""
import functools
import sys

import grokscope_io  # first: it finds a Python that has the packages
import plot_layers
import plot_observables
import plot_panels as panels
import plot_spectra
import plot_study
import plot_style as style
import plot_subspace
import tool_options
from study_table import NOBODY_YET, Study, is_study

IN_SUMMARY = 4  # spectra
PANELS_PER_PAGE = 12


def new_figure(run, title, width, height):
    """An empty figure with the run's name, and its state unless it is done."""
    fig = style.plt.figure(figsize=(width, height))
    state = (run.status() or {}).get("state", "done")
    suffix = "" if state == "done" else f" ({state}, committed epoch {run.committed_epoch()})"
    fig.suptitle(f"{run.name}: {title}{suffix}")
    return fig


def grid_figure(run, title, rows, cols, draws, height=2.3):
    """A grid of panels, each drawn by a function of (axes, run), with the legend of the transition below."""
    fig = new_figure(run, title, 2.75 * cols + 0.4 if cols > 2 else 7.2, height * rows + 0.5)
    axes = [fig.add_subplot(rows, cols, i + 1) for i in range(len(draws))]
    for ax, draw in zip(axes, draws):
        draw(ax, run)
    style.letter_panels(axes)
    panels.transition_legend(fig, run)
    return fig


def training_curves(run, _):
    return [
        grid_figure(run, "training", 2, 2, [panels.loss, panels.accuracy, panels.weight_norm, panels.gap])
    ]


def gop_metrics(run, _):
    return [
        grid_figure(
            run,
            "gradient outer product",
            2,
            3,
            [
                panels.trace,
                panels.norms,
                panels.effective_ranks,
                panels.rank,
                panels.log_pseudo_determinant,
                panels.alignment,
            ],
        )
    ]


def top_eigenvalues(run, _):
    fig = new_figure(run, "largest eigenvalues", 7.2, 5.4)
    grid = fig.add_gridspec(2, 1, height_ratios=(3, 1.3))
    axes = [fig.add_subplot(grid[0]), fig.add_subplot(grid[1])]
    panels.top_eigenvalues(axes[0], run)
    panels.accuracy(axes[1], run, run.series("epoch"))
    style.letter_panels(axes)
    panels.transition_legend(fig, run)
    return [fig]


def eigenvalue_spectrum(run, moments):
    moments = moments or plot_spectra.spread_moments(run)
    fig = new_figure(run, "eigenvalue spectra", 7.2, 3.6)
    grid = fig.add_gridspec(1, 2, width_ratios=(1.6, 1), wspace=0.03)
    axes = [fig.add_subplot(grid[0]), fig.add_subplot(grid[1])]
    plot_spectra.spectra(axes[0], run, moments)
    plot_spectra.cumulative_share(axes[1], run, moments)
    style.letter_panels(axes)
    return [fig]


def eigenvalue_spectrum_grokking(run, moments):
    chosen = [(moment, "") for moment in moments] if moments else plot_spectra.jump_moments(run)
    fig = new_figure(run, "the spectrum through the jump", 9.2, 4.8)
    grid = fig.add_gridspec(2, 3, height_ratios=(1, 2.4), width_ratios=(1.35, 0.03, 1))
    axes = [fig.add_subplot(grid[0, 0]), fig.add_subplot(grid[1, 0]), fig.add_subplot(grid[:, 2])]
    panels.accuracy(axes[0], run, run.series("epoch"))
    mesh = plot_spectra.heat_map(axes[1], run)
    if mesh is not None:
        fig.colorbar(
            mesh, cax=fig.add_subplot(grid[1, 1]), extend="min", label="eigenvalue (grey: ≤ noise floor)"
        )
    labels = [label for _, label in chosen if label]
    title = "Spectra around the jump" if "at" in labels else "Spectra" + (" (no jump yet)" if labels else "")
    plot_spectra.spectra(axes[2], run, [moment for moment, _ in chosen], labels, title)
    style.letter_panels(axes)
    panels.transition_legend(fig, run)
    return [fig]


def spectrum_evolution(run, _):
    fig = new_figure(run, "the whole spectrum", 7.2, 7.2)
    grid = fig.add_gridspec(3, 2, height_ratios=(1, 2, 2), width_ratios=(1, 0.025))
    axes = [fig.add_subplot(grid[row, 0]) for row in range(3)]
    panels.accuracy(axes[0], run, run.series("epoch"))
    for ax, row, relative, label in (
        (axes[1], 1, False, "eigenvalue (grey: ≤ noise floor)"),
        (axes[2], 2, True, "eigenvalue / largest"),
    ):
        mesh = plot_spectra.heat_map(ax, run, relative)
        if mesh is not None:
            fig.colorbar(mesh, cax=fig.add_subplot(grid[row, 1]), extend="min", label=label)
            axes[0].set_xlim(ax.get_xlim())
    style.letter_panels(axes)
    panels.transition_legend(fig, run)
    return [fig]


def subspace_rotation(run, _):
    rotation = plot_subspace.Rotation(plot_subspace.eigenspaces(run))
    fig = new_figure(run, "do the eigenspaces turn?", 7.2, 3.7)
    left, right = fig.subplots(1, 2)
    image = plot_subspace.overlap_matrix(left, run, rotation)
    if image is not None:
        fig.colorbar(image, ax=left, fraction=0.046, pad=0.02)
    plot_subspace.overlap_with(right, run, rotation)
    style.letter_panels([left, right])
    panels.transition_legend(fig, run)
    return [fig]


def layers(run, _):
    draws = [plot_layers.layer_shares]
    for metric, title in (
        ("gop_trace", "Trace"),
        ("gop_stable_rank", "Stable rank"),
        ("gop_participation_ratio", "Participation ratio"),
        ("gop_spectral_norm", "Largest eigenvalue"),
        ("gop_entropy_rank", "Entropy rank"),
    ):
        draws.append(
            lambda ax, run, metric=metric, title=title: plot_layers.layer_metric(ax, run, metric, title)
        )
    fig = grid_figure(run, "layers", 2, 3, draws)
    handles, labels = fig.axes[0].get_legend_handles_labels()
    if handles:
        hidden = len(run.layers()) - len(handles)
        title = "layer" if hidden == 0 else f"layer (the {hidden} with\nsmaller shares in grey)"
        style.legend_right(fig, handles, labels, title)
    return [fig]


def observables(run, _):
    every = plot_observables.observable_panels(run)
    if not every:
        every = [("Observables", lambda ax: style.say_empty(ax, "no data\nthis run records no /observables"))]
    pages = [every[i : i + PANELS_PER_PAGE] for i in range(0, len(every), PANELS_PER_PAGE)]
    figures = []
    for page in pages:
        cols = min(3, len(page))
        fig = new_figure(run, "observables", max(2.9 * cols, 6.5), 2.4 * -(-len(page) // cols) + 0.5)
        axes = [fig.add_subplot(-(-len(page) // cols), cols, i + 1) for i in range(len(page))]
        for ax, (title, draw) in zip(axes, page):
            ax.set_title(title)  # first: the legend is placed beside it
            draw(ax)
        style.letter_panels(axes)
        panels.transition_legend(fig, run)
        figures.append(fig)
    return figures


def summary(run, moments):
    chosen = moments[:IN_SUMMARY] or [moment for moment, _ in plot_spectra.jump_moments(run)]
    left_out = len(moments) - len(chosen)
    title = f"Spectra ({IN_SUMMARY} of the {len(moments)} chosen)" if left_out > 0 else "Spectra"
    meshes = []
    fig = grid_figure(
        run,
        "summary",
        3,
        3,
        [
            panels.loss,
            panels.accuracy,
            panels.weight_norm,
            panels.trace,
            panels.effective_ranks,
            panels.alignment,
            lambda ax, run: panels.top_eigenvalues(ax, run, legend=False),
            lambda ax, run: plot_spectra.spectra(ax, run, chosen, title=title),
            lambda ax, run: meshes.append((ax, plot_spectra.heat_map(ax, run))),
        ],
    )
    for ax, mesh in meshes:
        if mesh is not None:
            fig.colorbar(mesh, ax=ax, extend="min", pad=0.02)
    return [fig]


FIGURES = {
    figure.__name__: figure
    for figure in (
        training_curves,
        gop_metrics,
        top_eigenvalues,
        eigenvalue_spectrum,
        eigenvalue_spectrum_grokking,
        spectrum_evolution,
        layers,
        subspace_rotation,
        observables,
        summary,
    )
}


# What is drawn, and what is said of it -----------------------------------------------------------------


def note(text):
    print(f"note: {text}", file=sys.stderr, flush=True)


def chosen_moments(run, arguments):
    """The Moments with a spectrum that are nearest to the wanted epochs and steps; says where they differ."""
    wanted = [("epoch", epoch) for epoch in arguments.epochs] + [("step", step) for step in arguments.steps]
    available = plot_spectra.spectrum_moments(run)
    if wanted and not available:
        why = run.why_nothing_is_tracked() or "every eigenvalue is NaN"
        note(f"--epochs and --steps choose nothing, no spectrum is stored ({why})")
        return []
    chosen = {nearest_moment(available, unit, number) for unit, number in wanted}
    chosen = sorted(chosen, key=lambda moment: moment.step)
    if len(chosen) > IN_SUMMARY and "summary" in arguments.figures:
        note(f"the summary draws the first {IN_SUMMARY} of {len(chosen)} moments, eigenvalue_spectrum all of them")
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
        arguments.figures = of_kind(arguments.figures, FIGURES, "a run")
        moments = chosen_moments(run, arguments)
        figures = {name: functools.partial(FIGURES[name], run, moments) for name in arguments.figures}
        if draw_all(figures, arguments, run.path / "plots"):
            return
        why = run.why_nothing_is_tracked() or "all that the chosen figures show is missing or NaN"
        raise grokscope_io.ToolError(f"{run.path} has nothing to draw ({why}), the figures written say so")


def draw_study(arguments):
    if arguments.epochs or arguments.steps:
        note("--epochs and --steps are about one run, name one of members/")
    study = Study(arguments.results_dir)
    asked, varied = of_kind(arguments.figures, plot_study.FIGURES, "a study"), ", ".join(study.axes()) or "no numeric key"
    figures = {}
    for name in asked:
        drawn = plot_study.FIGURES[name](study)
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
    parser = tool_options.make_parser(
        "Draws the figures of one run or study, finished or still running, as .png and .pdf.",
        "Figures of a run: "
        + ", ".join(FIGURES)
        + "; of a study (a directory with study.h5): "
        + ", ".join(plot_study.FIGURES)
        + ". A panel without data says why, and so does a line on stderr. Large spectra are thinned to what a "
        "screen can show; the panel says so. Exit codes: 0 drawn, 2 wrong usage, no run there or nothing to draw, 3 "
        "unreadable files or an unwritable folder.",
    )
    tool_options.add_run(parser)
    tool_options.add_figures(parser, words="default: D/plots")
    for option, letter, what in (("--epochs", "E", "epochs"), ("--steps", "S", "optimizer steps")):
        words = f"{what} whose spectra are drawn (default: spread over the run, and around the jump)"
        parser.add_argument(option, nargs="+", type=int, metavar=letter, default=[], help=words)
    parser.add_argument(
        "--figures",
        nargs="+",
        choices=[*FIGURES, *plot_study.FIGURES],
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

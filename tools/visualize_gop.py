#!/usr/bin/env python3
"""What happened in this run? Draws the figures of one run directory, finished or still running.

Each figure below arranges panels of plot_panels.py and its neighbours. Nothing is computed here beyond what
is drawn, and nothing in the run directory is touched but the folder of the plots.
"""

import grokscope_io  # first: it finds a Python that has the packages
import plot_layers
import plot_observables
import plot_panels as panels
import plot_spectra
import plot_style as style
import plot_subspace
import tool_options

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


def eigenvalue_spectrum(run, epochs):
    epochs = epochs or plot_spectra.spread_epochs(run)
    fig = new_figure(run, "eigenvalue spectra", 7.2, 3.6)
    grid = fig.add_gridspec(1, 2, width_ratios=(1.6, 1), wspace=0.03)
    axes = [fig.add_subplot(grid[0]), fig.add_subplot(grid[1])]
    plot_spectra.spectra(axes[0], run, epochs)
    plot_spectra.cumulative_share(axes[1], run, epochs)
    style.letter_panels(axes)
    return [fig]


def eigenvalue_spectrum_grokking(run, epochs):
    chosen = [(epoch, "") for epoch in epochs] if epochs else plot_spectra.jump_epochs(run)
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
    plot_spectra.spectra(axes[2], run, [epoch for epoch, _ in chosen], labels, title)
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
    spaces = plot_subspace.eigenspaces(run)
    fig = new_figure(run, "do the eigenspaces turn?", 7.2, 3.7)
    left, right = fig.subplots(1, 2)
    image = plot_subspace.overlap_matrix(left, run, spaces)
    if image is not None:
        fig.colorbar(image, ax=left, fraction=0.046, pad=0.02)
    plot_subspace.overlap_with(right, run, spaces)
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


def summary(run, epochs):
    chosen = epochs[:4] if epochs else [epoch for epoch, _ in plot_spectra.jump_epochs(run)]
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
            lambda ax, run: plot_spectra.spectra(ax, run, chosen),
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


def nearest_epochs(run, wanted):
    """The stored epochs nearest to the wanted ones; says so where they differ."""
    available = plot_spectra.spectrum_epochs(run)
    if not available.size:
        return []
    chosen = []
    for epoch in wanted:
        nearest = int(available[abs(available - epoch).argmin()])
        if nearest != epoch:
            print(f"epoch {epoch} has no spectrum, epoch {nearest} is drawn in its place")
        chosen.append(nearest)
    return sorted(set(chosen))


def parse_arguments(argv):
    parser = tool_options.make_parser(
        "Draws the figures of one run, finished or still running, as .png and .pdf.",
        "Figures: "
        + ", ".join(FIGURES)
        + ". A panel without data says why. Large spectra are thinned to what a "
        "screen can show; the panel says so. Exit codes: 0 drawn, 2 wrong usage or no run there, 3 "
        "unreadable files or an unwritable folder.",
    )
    tool_options.add_run(parser)
    tool_options.add_figures(parser, words="default: D/plots")
    parser.add_argument(
        "--epochs",
        nargs="+",
        type=int,
        metavar="E",
        help="epochs whose spectra are drawn (default: spread over the run, and around the jump)",
    )
    parser.add_argument(
        "--figures",
        nargs="+",
        choices=list(FIGURES),
        metavar="NAME",
        default=list(FIGURES),
        help="draw these only (default: all)",
    )
    parser.add_argument(
        "--dpi", type=int, default=200, help="resolution of .png, and of heat maps in .pdf (default: 200)"
    )
    return parser.parse_args(argv)


def main(argv=None):
    arguments = parse_arguments(argv)
    with grokscope_io.open_run(arguments.results_dir) as run:
        epochs = nearest_epochs(run, arguments.epochs) if arguments.epochs else []
        with grokscope_io.writing_to(arguments.save_dir or run.path / "plots") as folder:
            for name in arguments.figures:
                for i, fig in enumerate(FIGURES[name](run, epochs)):
                    page = name if i == 0 else f"{name}_{i + 1}"
                    written = style.save_figure(fig, folder, page, arguments.formats, arguments.dpi)
                    print(f"{folder / page}  ({', '.join(path.suffix[1:] for path in written)})", flush=True)
    return 0


if __name__ == "__main__":
    grokscope_io.run_tool(main)

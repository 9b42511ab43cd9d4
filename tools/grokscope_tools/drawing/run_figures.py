"""What happened in this run? Its figures, each of which arranges panels.

A figure is a function of the run and the moments that were chosen, and gives a list of pages. Nothing is computed here
beyond what is drawn. visualize_gop.py draws whatever FIGURES holds.
"""
from grokscope_tools.drawing import panels, spectra, style, subspace
from grokscope_tools.drawing.layers import layer_metric, layer_shares, trace_shares
from grokscope_tools.drawing.observables import observable_panels
from grokscope_tools.reading.eigenspaces import eigenspaces

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
    moments = moments or spectra.spread_moments(run)
    fig = new_figure(run, "eigenvalue spectra", 7.2, 3.6)
    grid = fig.add_gridspec(1, 2, width_ratios=(1.6, 1), wspace=0.03)
    axes = [fig.add_subplot(grid[0]), fig.add_subplot(grid[1])]
    spectra.spectra(axes[0], run, moments)
    spectra.cumulative_share(axes[1], run, moments)
    style.letter_panels(axes)
    return [fig]


def eigenvalue_spectrum_grokking(run, moments):
    chosen = [(moment, "") for moment in moments] if moments else spectra.jump_moments(run)
    fig = new_figure(run, "the spectrum through the jump", 9.2, 4.8)
    grid = fig.add_gridspec(2, 3, height_ratios=(1, 2.4), width_ratios=(1.35, 0.03, 1))
    axes = [fig.add_subplot(grid[0, 0]), fig.add_subplot(grid[1, 0]), fig.add_subplot(grid[:, 2])]
    panels.accuracy(axes[0], run, run.series("epoch"))
    mesh = spectra.heat_map(axes[1], run)
    if mesh is not None:
        fig.colorbar(
            mesh, cax=fig.add_subplot(grid[1, 1]), extend="min", label="eigenvalue (grey: ≤ noise floor)"
        )
    labels = [label for _, label in chosen if label]
    title = "Spectra around the jump" if "at" in labels else "Spectra" + (" (no jump yet)" if labels else "")
    spectra.spectra(axes[2], run, [moment for moment, _ in chosen], labels, title)
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
        mesh = spectra.heat_map(ax, run, relative)
        if mesh is not None:
            fig.colorbar(mesh, cax=fig.add_subplot(grid[row, 1]), extend="min", label=label)
            axes[0].set_xlim(ax.get_xlim())
    style.letter_panels(axes)
    panels.transition_legend(fig, run)
    return [fig]


def subspace_rotation(run, _):
    rotation = subspace.Rotation(eigenspaces(run))
    fig = new_figure(run, "do the eigenspaces turn?", 7.2, 3.7)
    left, right = fig.subplots(1, 2)
    image = subspace.overlap_matrix(left, run, rotation)
    if image is not None:
        fig.colorbar(image, ax=left, fraction=0.046, pad=0.02)
    subspace.overlap_with(right, run, rotation)
    style.letter_panels([left, right])
    panels.transition_legend(fig, run)
    return [fig]


def layers(run, _):
    shares = trace_shares(run)
    draws = [lambda ax, run: layer_shares(ax, run, shares)]
    for metric, title in (
        ("gop_trace", "Trace"),
        ("gop_stable_rank", "Stable rank"),
        ("gop_participation_ratio", "Participation ratio"),
        ("gop_spectral_norm", "Largest eigenvalue"),
        ("gop_entropy_rank", "Entropy rank"),
    ):
        draws.append(
            lambda ax, run, metric=metric, title=title: layer_metric(ax, run, shares, metric, title)
        )
    fig = grid_figure(run, "layers", 2, 3, draws)
    handles, labels = fig.axes[0].get_legend_handles_labels()
    if handles:
        hidden = len(run.layers()) - len(handles)
        title = "layer" if hidden == 0 else f"layer (the {hidden} with\nsmaller shares in grey)"
        style.legend_right(fig, handles, labels, title)
    return [fig]


def observables(run, _):
    every = observable_panels(run)
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
    chosen = moments[:IN_SUMMARY] or [moment for moment, _ in spectra.jump_moments(run)]
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
            lambda ax, run: spectra.spectra(ax, run, chosen, title=title),
            lambda ax, run: meshes.append((ax, spectra.heat_map(ax, run))),
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

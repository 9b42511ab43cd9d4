"""Do the leading eigenvectors turn while the run learns? Panels of the overlap of top-k eigenspaces between
epochs.

The overlap of two eigenspaces is |V_tt V_s|_F^2 / min(k_t, k_s), V orthonormal: 1 where the smaller lies in
the larger, about k / P for random ones. Vectors come from what is stored: eigenvectors_top_k of the run or of
one of its analyses, else the leading ones of the stored matrix or of its factors, where that takes seconds.
"""
import plot_panels  # first: it finds a Python that has the packages
import plot_style as style
import thinning

import grokscope_io
import numpy as np  # noqa: E402

EPOCHS = 60  # of the matrix, at most
TOP_K = 10
HOW_TO = (
    "no data\nfewer than two epochs have stored eigenvectors:\nset gop_tracking.store_eigenvectors, or run\n"
    "grokscope analyze RUN_DIR\ngop_tracking.store_eigenvectors=true"
)


def sources(run):
    """The run itself, then its analyses: whatever may hold eigenvectors."""
    return [run] + [grokscope_io.Run(folder) for folder in sorted((run.path / "analysis").glob("*"))]


def eigenspaces(run):
    """{epoch: V [P, k], orthonormal columns} of at most EPOCHS epochs, evenly over log(1 + step); only
    vectors whose eigenvalue lies above the noise floor."""
    readers = {}
    for source in sources(run):
        for epoch in source.gop_epochs():
            if epoch not in readers and source.has_eigenvectors(epoch):
                readers[epoch] = source
    epochs = sorted(readers)
    chosen = [epochs[i] for i in thinning.spread(step_of(run, epochs), EPOCHS)]
    spaces = {epoch: eigenspace(readers[epoch], epoch) for epoch in chosen}
    return {epoch: space for epoch, space in spaces.items() if space.shape[1]}


def eigenspace(source, epoch):
    """V [P, k] of one epoch."""
    values, vectors = source.eigenvectors(epoch, TOP_K)
    there = np.isfinite(vectors).all(axis=0)
    there &= np.pad(values[: there.size] > (source.noise_floor(epoch) or 0.0), (0, max(0, there.size - values.size)))
    return vectors[:, there]


def overlaps(spaces):
    """[n, n] overlaps of the eigenspaces, 1 on the diagonal."""
    n, listed = len(spaces), list(spaces.values())
    found = np.ones((n, n))
    for i in range(n):
        for j in range(i):
            shared = np.sum((listed[i].T @ listed[j]) ** 2)
            found[i, j] = found[j, i] = shared / min(listed[i].shape[1], listed[j].shape[1])
    return found


def step_of(run, epochs):
    tracked = run.series("epoch")
    known = {} if tracked is None else dict(zip(tracked.epoch.astype(int), tracked.step))
    return np.array([known.get(epoch, epoch) for epoch in epochs], float)


def overlap_matrix(ax, run, spaces):
    """The matrix as a picture over the order of the epochs, t_mem and t_gen as lines. Returns it for a colour
    bar; None when there are too few epochs."""
    ax.set_title("Overlap of top eigenspaces")
    if len(spaces) < 2:
        style.say_empty(ax, HOW_TO)
        return None
    steps = step_of(run, spaces)
    image = ax.imshow(
        overlaps(spaces), vmin=0, vmax=1, cmap=style.HEAT, origin="lower", interpolation="nearest"
    )
    shown = np.unique(np.linspace(0, steps.size - 1, 6).round().astype(int))
    labels = [f"{steps[i]:,.0f}" for i in shown]
    ax.set_xticks(shown, labels, rotation=30, ha="right")
    ax.set_yticks(shown, labels)
    ax.set(xlabel="optimizer step", ylabel="optimizer step")
    ax.grid(False)
    for step, dashes in zip(run.transition()[:2], (":", "-.")):
        if step is not None:
            place = np.searchsorted(steps, step) - 0.5
            for line in (ax.axvline, ax.axhline):
                line(place, color="white", linestyle=dashes, linewidth=1, path_effects=style.OUTLINED)
    widths = sorted({space.shape[1] for space in spaces.values()})
    style.note(
        ax, [f"{len(spaces)} epochs, k = {widths[0]}" + (f" to {widths[-1]}" if len(widths) > 1 else "")]
    )
    return image


def overlap_with(ax, run, spaces):
    """The overlap with three epochs against the step: the first, the one nearest to t_gen, the last."""
    if len(spaces) < 2:
        ax.set_title("Overlap with one epoch")
        style.say_empty(ax, "no data, as in (a)")
        return
    steps, matrix = step_of(run, spaces), overlaps(spaces)
    anchors = {0: "first", len(spaces) - 1: "last"}
    t_gen = run.transition().t_gen
    if t_gen is not None:
        anchors.setdefault(int(np.abs(steps - t_gen).argmin()), "$t_{\\mathrm{gen}}$")
    lines = [
        (grokscope_io.Series(np.array(list(spaces)), steps, matrix[i]), label, style.line_style(n))
        for n, (i, label) in enumerate(sorted(anchors.items()))
    ]
    plot_panels.time_panel(ax, run, "Overlap with one epoch", lines)
    ax.set_ylim(-0.04, 1.04)

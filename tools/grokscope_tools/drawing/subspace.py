"""Do the leading eigenvectors turn while the run learns? Panels of the overlap of top-k eigenspaces between moments.

The overlap of two eigenspaces is |V_tt V_s|_F^2 / min(k_t, k_s), V orthonormal: 1 where the smaller lies in the larger,
about k / P for random ones. reading/eigenspaces.py finds the spaces and compares them.
"""
import numpy as np

from grokscope_tools.drawing import style
from grokscope_tools.drawing.panels import dashes_of_transition, time_panel
from grokscope_tools.reading.eigenspaces import NO_VECTORS, overlaps
from grokscope_tools.reading.run_series import Series

HOW_TO = "\nset gop_tracking.store_eigenvectors, or run\ngrokscope analyze RUN_DIR\ngop_tracking.store_eigenvectors=true"


class Rotation:
    """What both panels show: the overlaps of a run's eigenspaces, found once. `missing` says why there are none."""

    def __init__(self, spaces):
        self.steps = np.array(list(spaces), float)
        self.missing = spaces.missing and f"no data\n{spaces.missing}{HOW_TO if spaces.missing == NO_VECTORS else ''}"
        if self.missing:
            return
        self.matrix = overlaps(spaces)
        self.note = f"{len(spaces)} moments, k = " + " to ".join(map(str, sorted({min(spaces.widths()), max(spaces.widths())})))
        if len(spaces) < spaces.found:
            self.note += f" (of {spaces.found:,} stored, spread over log(step))"


def overlap_matrix(ax, run, rotation):
    """The matrix as a picture over the order of the moments, t_mem and t_gen as lines. Returns it for a colour
    bar; None when there is none."""
    ax.set_title("Overlap of top eigenspaces")
    if rotation.missing:
        style.say_empty(ax, rotation.missing)
        return None
    steps = rotation.steps
    image = ax.imshow(rotation.matrix, vmin=0, vmax=1, cmap=style.HEAT, origin="lower", interpolation="nearest")
    shown = np.unique(np.linspace(0, steps.size - 1, 6).round().astype(int))
    labels = [f"{steps[i]:,.0f}" for i in shown]
    ax.set_xticks(shown, labels, rotation=30, ha="right")
    ax.set_yticks(shown, labels)
    ax.set(xlabel="optimizer step", ylabel="optimizer step")
    ax.grid(False)
    for _, step, dashes in dashes_of_transition(run):
        if step is not None:
            place = np.searchsorted(steps, step) - 0.5
            for line in (ax.axvline, ax.axhline):
                line(place, color="white", linestyle=dashes, linewidth=1, path_effects=style.OUTLINED)
    style.note(ax, [rotation.note])
    return image


def overlap_with(ax, run, rotation):
    """The overlap with three moments against the step: the first, the one nearest to t_gen, the last."""
    if rotation.missing:
        ax.set_title("Overlap with one moment")
        style.say_empty(ax, "no data, as in (a)")
        return
    steps = rotation.steps
    anchors = {0: "first", steps.size - 1: "last"}
    t_gen = run.transition().t_gen
    if t_gen is not None:
        anchors.setdefault(int(np.abs(steps - t_gen).argmin()), "$t_{\\mathrm{gen}}$")
    lines = [
        (Series(steps, steps, rotation.matrix[i]), label, style.line_style(n))
        for n, (i, label) in enumerate(sorted(anchors.items()))
    ]
    time_panel(ax, run, "Overlap with one moment", lines)
    ax.set_ylim(-0.04, 1.04)

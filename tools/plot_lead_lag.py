"""Which series changed first? Figures over the table of lead_lag.py: one for each experiment, one over all.
"""
import re

import plot_style as style  # first: it finds a Python that has the packages

import numpy as np  # noqa: E402
from matplotlib.colors import TwoSlopeNorm  # noqa: E402

ROWS = 32  # beyond so many rows the names cannot be read
LAYER_METRICS = (
    "gop_trace",
    "gop_stable_rank",
    "gop_participation_ratio",
    "gop_spectral_norm",
    "gop_entropy_rank",
)
CAVEAT = (
    "Onset and alarm by the test of Chu, Stinchcombe and White (1996), the same for the series and for "
    "test_acc; parameters in tools/change_point.py. A lead is no cause; rates are those of the runs at hand."
)


def draw_all(rows, verdicts, folder, formats):
    """Writes lead_lag_<experiment>, lead_lag_<experiment>_layers and lead_lag_all; returns their names."""
    written = []
    for experiment in dict.fromkeys(row.experiment for row in rows):
        mine = [row for row in rows if row.experiment == experiment]
        for suffix, chosen in (("", whole_model(mine, verdicts)), ("_layers", of_layers(mine))):
            if chosen or not suffix:
                name = "lead_lag_" + re.sub(r"[^\w.-]+", "_", experiment) + suffix
                style.save_figure(experiment_figure(experiment, chosen, verdicts), folder, name, formats)
                written.append(name)
    style.save_figure(overview(rows, verdicts), folder, "lead_lag_all", formats)
    return written + ["lead_lag_all"]


def is_drawn(row):
    return row.onset_ratio is not None and not row.series.startswith(("layers/", "definitions/"))


def whole_model(rows, verdicts):
    """Rows of the whole model that changed, of equal ones (nuclear norm = trace) only the first; the earliest
    on top."""
    found, seen = [], set()
    for row in rows:
        key = tuple((v.run, v.onset, v.alarm, v.watched.score.tobytes()) for v in changed(row, verdicts))
        if is_drawn(row) and key not in seen:
            seen.add(key)
            found.append(row)
    return sorted(found, key=lambda row: row.onset_ratio)[:ROWS]


def of_layers(rows):
    """Rows of layers that changed, of a few metrics; the earliest on top."""
    kept = [
        row
        for row in rows
        if row.series.startswith("layers/")
        and row.series.rsplit("/", 1)[1] in LAYER_METRICS
        and row.onset_ratio is not None
    ]
    return sorted(kept, key=lambda row: row.onset_ratio)[:ROWS]


def changed(row, verdicts):
    return [
        v
        for v in verdicts
        if (v.experiment, v.series, v.kind) == (row.experiment, row.series, "generalising")
        and v.onset is not None
        and v.jump_onset is not None
    ]


def experiment_figure(experiment, rows, verdicts):
    """Left: when each series changed, as a fraction of the step at which test_acc began to move. Right: how
    often its alarm came first, how often it is false, and the AUROC."""
    fig = style.plt.figure(figsize=(8.2, 1.6 + 0.19 * max(len(rows), 6)))
    fig.suptitle(f"{experiment}: what changed before the test accuracy?")
    left, right = fig.subplots(1, 2, sharey=True, width_ratios=(2.1, 1))
    if not rows:
        style.say_empty(left, "no series changed in a run whose jump could be watched")
        style.say_empty(right, "")
        return fig
    for i, row in enumerate(rows):
        draw_onsets(left, i, row, changed(row, verdicts))
        draw_rates(right, i, row)
    ratio_axis(left)
    left.set_yticks(range(len(rows)), [row.series for row in rows], fontsize=6.5)
    left.set(ylim=(len(rows) - 0.4, -0.6), xlabel="← earlier      onset / onset of test_acc      later →")
    most = max(row.generalising for row in rows)
    left.set_title(f"Onset ({most} generalising run{'s' if most > 1 else ''}; bar: median)")
    right.set_title(f"Alarm before that of test_acc\n({max(row.controls for row in rows)} controls)")
    right.set(xlim=(-0.06, 1.3), xticks=(0, 0.5, 1), xlabel="share of runs")
    right.text(
        1.19, 1.0, "AUROC", transform=right.get_xaxis_transform(), ha="center", va="bottom", fontsize=6
    )
    right.tick_params(axis="y", length=0)
    style.legend_below(fig, rate_handles()[: 2 if any(row.controls for row in rows) else 1])
    fig.get_layout_engine().set(rect=(0, 0.55 / fig.get_figheight(), 1, 1 - 0.55 / fig.get_figheight()))
    fig.text(0.01, 0.26 / fig.get_figheight(), CAVEAT, fontsize=5.5, color=style.GREY)
    return fig


def draw_onsets(ax, i, row, verdicts):
    ratios = [v.onset / v.jump_onset for v in verdicts]
    ax.plot([min(ratios), max(ratios)], [i, i], "-", color=style.GREY, linewidth=0.8, zorder=1)
    ax.plot(ratios, [i] * len(ratios), "o", color=style.BLUE, markersize=3.6, fillstyle="none")
    ax.plot(
        [row.onset_ratio] * 2,
        [i - 0.33, i + 0.33],
        "-",
        color=style.BLACK,
        linewidth=1.8,
        solid_capstyle="butt",
    )


def draw_rates(ax, i, row):
    if row.detection_rate is not None:
        ax.plot(row.detection_rate, i, "o", color=style.BLUE, markersize=4.5)
    if row.false_alarm_rate is not None:
        ax.plot(row.false_alarm_rate, i, "s", color=style.VERMILLION, markersize=4.5, fillstyle="none")
    score = "–" if row.auroc is None else f"{row.auroc:.2f}"
    ax.text(1.19, i, score, ha="center", va="center", fontsize=6.5)


def rate_handles():
    look = {"linestyle": "none", "markersize": 4.5}
    return [
        style.plt.Line2D(
            [], [], color=style.BLUE, marker="o", label="generalising runs (detection rate)", **look
        ),
        style.plt.Line2D(
            [],
            [],
            color=style.VERMILLION,
            marker="s",
            fillstyle="none",
            label="controls (false alarms)",
            **look,
        ),
    ]


def ratio_axis(ax):
    """Logarithmic around 1, where the series and test_acc change together; later is shaded."""
    drawn = np.concatenate([line.get_xdata() for line in ax.lines])
    low, high = min(drawn.min(), 0.8) / 1.15, max(drawn.max(), 1.25) * 1.15
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    fine = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2, 1.5, 2, 3)
    middle = (0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10)
    coarse = (0.001, 0.01, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 100)
    chosen = fine if high < 6 * low else middle if high < 30 * low else coarse
    ticks = [t for t in chosen if low <= t <= high]
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.xaxis.set_minor_locator(style.ticker.NullLocator())
    ax.axvline(1, color=style.BLACK, linewidth=1, linestyle="-.")
    ax.axvspan(1, high, color="#f0f0f0", zorder=0)


def overview(rows, verdicts):
    """Median onset ratios of the series of the whole model, over all experiments: a table with colours."""
    experiments = list(dict.fromkeys(row.experiment for row in rows))
    kept = {e: whole_model([r for r in rows if r.experiment == e], verdicts) for e in experiments}
    cells = {(row.series, row.experiment): row for e in experiments for row in kept[e]}
    names = shared_first(cells, experiments)[:ROWS]
    fig = style.plt.figure(figsize=(3.4 + 0.95 * len(experiments), 1.6 + 0.2 * max(len(names), 4)))
    fig.suptitle("Median onset over onset of test_acc")
    ax = fig.add_subplot()
    if not names:
        style.say_empty(ax, "no series changed in a run whose jump could be watched")
        return fig
    bar = fig.colorbar(draw_cells(ax, names, experiments, cells), ax=ax, label="log₂ ratio (below 0: changed first)")
    bar.outline.set_visible(False)
    ax.set_yticks(np.arange(len(names)) + 0.5, names, fontsize=6.5)
    ax.set_xticks(np.arange(len(experiments)) + 0.5, experiments, rotation=25, ha="right")
    ax.invert_yaxis()
    ax.grid(False)
    ax.tick_params(length=0)
    caption = "In brackets: AUROC against the controls. Blank: no change, or not stored."
    fig.get_layout_engine().set(rect=(0, 0.2 / fig.get_figheight(), 1, 1 - 0.2 / fig.get_figheight()))
    fig.text(0.01, 0.06 / fig.get_figheight(), caption, fontsize=6, color=style.GREY)
    return fig


def shared_first(cells, experiments):
    """Names of the series: those of most experiments first, of these the earliest."""

    def place(name):
        ratios = [cells[name, e].onset_ratio for e in experiments if (name, e) in cells]
        return -len(ratios), float(np.median(ratios))

    return sorted(dict.fromkeys(name for name, _ in cells), key=place)


def draw_cells(ax, names, experiments, cells):
    """A coloured cell with its numbers for each series (row) and experiment (column); returns the mesh."""
    ratios = np.array([[cells[n, e].onset_ratio if (n, e) in cells else np.nan for e in experiments] for n in names])
    shown = np.ma.masked_invalid(np.log2(ratios))
    limit = max(float(np.abs(shown).max()), 0.5)
    norm = TwoSlopeNorm(0, -limit, limit)
    mesh = ax.pcolormesh(shown, cmap="PuOr_r", norm=norm, edgecolors="white", linewidth=1)
    for y, x in zip(*np.nonzero(np.isfinite(ratios))):
        row = cells[names[y], experiments[x]]
        text = f"{row.onset_ratio:.2f}" + ("" if row.auroc is None else f" ({row.auroc:.2f})")
        colour = "white" if abs(shown[y, x]) > 0.6 * limit else "black"
        ax.text(x + 0.5, y + 0.5, text, ha="center", va="center", fontsize=6, color=colour)
    return mesh

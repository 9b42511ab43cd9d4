"""Which series changed first? Figures over the rows that rows.py makes: one for each experiment, one over all."""
import numpy as np
from matplotlib.colors import ListedColormap, TwoSlopeNorm

from grokscope_tools.drawing import style
from grokscope_tools.leads.tables import before_nulls, file_name, nulls_watched, number
from grokscope_tools.leads.verdicts import NULLS

ROWS = 32  # beyond so many rows the names cannot be read
LAYER_METRICS = (
    "/gop_trace",
    "/gop_stable_rank",
    "/gop_participation_ratio",
    "/gop_spectral_norm",
    "/gop_entropy_rank",
)
LIGHT = ListedColormap(style.plt.get_cmap("PuOr_r")(np.linspace(0.2, 0.8, 256)))  # black can be read on all of it
COLUMNS = (1.18, 1.48)  # of numbers beside the rates
ARROWS = {"up": " ↑", "down": " ↓", None: ""}
CAVEAT = (
    "Changes by the test of Chu, Stinchcombe and White (1996), the last one before the jump; parameters in "
    "change_point.py. A lead is no cause.\n"
    "(n/m): seen to change in only n of m runs. Bars of rates: 95 % (Wilson), over the runs in which the series and the jump "
    "could be watched. *: p (any series) ≤ 0.05.\n"
    "Same step: AUROC where the controls are read up to the same step, not the same multiple of t_mem; (n): only n count there."
)


def draw_all(rows, verdicts, folder, formats):
    """Writes lead_lag_<experiment>, lead_lag_<experiment>_layers and lead_lag_all; returns their names."""
    written = []
    for experiment in dict.fromkeys(row.experiment for row in rows):
        mine = [row for row in rows if row.experiment == experiment]
        for suffix, chosen in (("", whole_model(mine, verdicts)), ("_layers", of_layers(mine))):
            if chosen or not suffix:
                name = file_name(experiment) + suffix
                style.save_figure(experiment_figure(experiment, chosen), folder, name, formats)
                written.append(name)
    style.save_figure(overview(rows, verdicts), folder, "lead_lag_all", formats)
    return written + ["lead_lag_all"]


def whole_model(rows, verdicts):
    """Rows of the whole model that changed, of equal ones (nuclear norm = trace) only the first, and of all rows those
    with the smallest p (any), whatever they are; in the order in which they are drawn."""
    watched, found, seen = {}, [], set()
    for v in verdicts:
        if v.counts():
            look = (v.run, v.watched.changes, v.watched.rise.tobytes())
            watched.setdefault((v.experiment, v.series), []).append(look)
    for row in sorted(rows, key=is_part):
        key = tuple(watched.get((row.experiment, row.series), ()))
        drawn = row.is_surest() or (row.onset_ratio is not None and not is_part(row))
        if drawn and (row.is_null() or key not in seen):
            seen.update(() if row.is_null() else (key,))
            found.append(row)
    return sorted(found, key=place)


def is_part(row):
    """Whether the series is of a layer, or a second definition of one of the whole model."""
    return row.series.startswith(("layers/", "definitions/"))


def place(row):
    """Nulls on top, then the smallest p (any), then what leads, then what changed in more than half of the runs, then the
    rest; of these the earliest first."""
    if row.is_null():
        return (False,)
    earliest = np.inf if row.onset_ratio is None else row.onset_ratio
    return True, not row.is_surest(), row.leading != "yes", not is_usual(row), earliest


def is_usual(row):
    """Whether the series changed in more than half of the runs: medians are over those that changed."""
    return 2 * row.changed > row.generalising


def of_layers(rows):
    """Rows of layers that changed, of a few metrics, and those with the smallest p (any), below the nulls; empty without
    any."""
    layers = [
        row
        for row in rows
        if row.series.startswith("layers/") and (row.is_surest() or (row.onsets and row.series.endswith(LAYER_METRICS)))
    ]
    return layers and sorted(layers + [row for row in rows if row.is_null() and row.onsets], key=place)


def experiment_figure(experiment, rows):
    """Left: when each series changed, as a fraction of the step at which test_acc began to jump. Right: how
    often its alarm came before, how often it is false, and the AUROC. Says what is left out."""
    drawn = rows[:ROWS]
    fig = style.plt.figure(figsize=(8.2, 1.75 + 0.19 * max(len(drawn), 6)))
    fig.suptitle(f"{experiment}: what changed before the test accuracy?")
    left, right = fig.subplots(1, 2, sharey=True, width_ratios=(2.1, 1))
    if not drawn:
        style.say_empty(left, "no series changed in a run whose jump could be watched")
        style.say_empty(right, "")
        return fig
    for i, row in enumerate(drawn):
        draw_onsets(left, i, row)
        draw_rates(right, i, row)
    ratio_axis(left)
    labels = left.set_yticks(range(len(drawn)), [label_of(row) for row in drawn], fontsize=6.5)
    for tick, row in zip(labels, drawn):
        tick.label1.set_color(style.GREY if row.is_null() else style.BLACK)
    left.set(ylim=(len(drawn) - 0.4, -0.6), xlabel="← earlier      onset / onset of the jump      later →")
    most = drawn[0].generalising
    left.set_title(f"Onset ({most} generalising run{'s' if most > 1 else ''}; bar: median; ◁: then or before)")
    controls = max(row.controls for row in drawn)
    right.set_title(f"Alarm before the jump\n({controls} control{'' if controls == 1 else 's'})")
    right.set(xlim=(-0.06, 1.66), xticks=(0, 0.5, 1), xlabel="share of runs")
    for x, name in zip(COLUMNS, ("AUROC", "same\nstep")):
        right.text(x, 1.0, name, transform=right.get_xaxis_transform(), ha="center", va="bottom", fontsize=6)
    right.tick_params(axis="y", length=0)
    style.legend_below(fig, rate_handles()[: 2 if controls else 1])
    strip = 0.79 / fig.get_figheight()  # for the caption
    fig.get_layout_engine().set(rect=(0, strip, 1, 1 - strip))
    caption = "\n".join((what_is_left_out(rows), what_marks_mean(rows), CAVEAT))
    fig.text(0.01, 0.27 / fig.get_figheight(), caption, fontsize=6, color=style.GREY)
    return fig


def label_of(row):
    """Name, direction, a number where not all runs changed, and the marks."""
    count = "" if row.changed == row.generalising else f" ({row.changed}/{row.generalising})"
    return row.series + ARROWS[row.direction] + count + marks_of(row)


def marks_of(row):
    """A star where the series leads, a dagger where no other of those searched has a smaller p (any)."""
    return (" ★" if row.leading == "yes" else "") + (" †" if row.is_surest() else "")


def what_marks_mean(rows):
    surest = [row for row in rows if row.is_surest()]
    text = f"★: {before_nulls(rows)} in more than half of the runs."
    return text + (f" †: the smallest p (any series), {surest[0].auroc_p_any:.2g}, of any kind, leading or not." if surest else "")


def what_is_left_out(rows):
    series = [row for row in rows if not row.is_null()]
    drawn = min(len(rows), ROWS) - (len(rows) - len(series))
    searched = max(row.searched for row in rows)
    resolution = [row.resolution_steps for row in rows if row.resolution_steps is not None]
    text = f"{searched} series searched; drawn: {drawn} of {len(series)} different ones of this kind that changed"
    text += ", those that lead and the earliest; the others are in the table." if drawn < len(series) else "."
    if resolution:
        text += f" Resolution: two bins, {np.median(resolution):,.0f} steps."
    return text


def draw_onsets(ax, i, row):
    if not row.onsets:
        return
    ratios = np.array([ratio for ratio, _ in row.onsets])
    censored = np.array([is_censored for _, is_censored in row.onsets])
    colour = style.GREY if row.is_null() else style.BLUE
    ax.plot([min(ratios), max(ratios)], [i, i], "-", color=style.GREY, linewidth=0.8, zorder=1)
    for chosen, marker in ((~censored, "o"), (censored, "<")):
        if chosen.any():
            place = ratios[chosen], [i] * chosen.sum()
            ax.plot(*place, marker, color=colour, markersize=4, markerfacecolor="white", zorder=4)
    ax.plot([row.onset_ratio] * 2, [i - 0.36, i + 0.36], "-", color=style.BLACK, linewidth=1.8, solid_capstyle="butt")


def draw_rates(ax, i, row):
    for rate, low, high, colour, marker, fill, shift in (
        (row.detection_rate, row.detection_low, row.detection_high, style.BLUE, "o", "full", -0.14),
        (row.false_alarm_rate, row.false_alarm_low, row.false_alarm_high, style.VERMILLION, "s", "none", 0.14),
    ):
        if rate is not None:
            ax.plot([low, high], [i + shift] * 2, "-", color=colour, linewidth=0.7, alpha=0.6)
            ax.plot(rate, i + shift, marker, color=colour, markersize=3.8, fillstyle=fill)
    sure = row.auroc_p_any is not None and row.auroc_p_any <= 0.05
    fewer = "" if row.controls_same_step == row.controls else f" ({row.controls_same_step})"
    scores = number(row.auroc, ".2f") + ("*" if sure else ""), number(row.auroc_same_step, ".2f") + fewer
    for x, score in zip(COLUMNS, scores):
        ax.text(x, i, score, ha="center", va="center", fontsize=6.5)


def rate_handles():
    look = {"linestyle": "none", "markersize": 4.5}
    open_square = {"color": style.VERMILLION, "marker": "s", "fillstyle": "none", **look}
    return [
        style.plt.Line2D([], [], color=style.BLUE, marker="o", label="generalising runs (detection rate)", **look),
        style.plt.Line2D([], [], label="controls (false alarms)", **open_square),
    ]


def ratio_axis(ax):
    """Logarithmic around 1, where the series and test_acc change together; later is shaded."""
    drawn = np.concatenate([line.get_xdata() for line in ax.lines])
    low, high = min(drawn.min(), 0.8) / 1.15, max(drawn.max(), 1.25) * 1.15
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    fine = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2, 1.5, 2, 3)
    middle = (0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10)
    coarse = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 100)
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
    cells = {(row.series, row.experiment): row for e in experiments for row in kept[e] if is_usual(row) or row.is_surest()}
    names = shared_first(cells, experiments)
    count, names = len(names), names[:ROWS]
    fig = style.plt.figure(figsize=(3.9 + 0.95 * len(experiments), 1.8 + 0.2 * max(len(names), 4)))
    fig.suptitle("Median onset over onset of the jump")
    ax = fig.add_subplot()
    if not names:
        style.say_empty(ax, "no series changed in more than half of the runs whose jump could be watched")
        return fig
    mesh = draw_cells(ax, names, experiments, cells)
    bar = fig.colorbar(mesh, ax=ax, label="log₂ ratio (below 0: changed first)")
    bar.outline.set_visible(False)
    ax.set_yticks(np.arange(len(names)) + 0.5, names, fontsize=6.5)
    ax.set_xticks(np.arange(len(experiments)) + 0.5, experiments, rotation=25, ha="right")
    ax.invert_yaxis()
    ax.grid(False)
    ax.tick_params(length=0)
    caption = (
        f"★: before all {len(NULLS)} nulls{of_which_fewer(kept)} in more than half of the runs.\n"
        "†: the smallest p (any series) of the experiment, leading or not. ≤: censored onsets.\n"
        "In brackets: AUROC against the controls. Blank: changed in no more than\nhalf of the runs, or not stored."
        + (f"\nDrawn: {len(names)} of {count} series, the others are in the table." if len(names) < count else "")
    )
    strip = (0.1 + 0.1 * (1 + caption.count("\n"))) / fig.get_figheight()
    fig.get_layout_engine().set(rect=(0, strip, 1, 1 - strip))
    fig.text(0.01, 0.06 / fig.get_figheight(), caption, fontsize=6, color=style.GREY)
    return fig


def of_which_fewer(kept):
    """The experiments in which not all nulls could be watched, each with how many."""
    counts = {experiment: nulls_watched(rows) for experiment, rows in kept.items()}
    fewer = [f"{experiment}: {count}" for experiment, count in counts.items() if count < len(NULLS)]
    return f", or those that could be watched ({', '.join(fewer)})," if fewer else ""


def shared_first(cells, experiments):
    """Names of the series: the nulls, those with the smallest p (any) of an experiment, then those that lead in most
    experiments, those of most, the earliest."""

    def rank(name):
        found = [cells[name, e] for e in experiments if (name, e) in cells]
        if found[0].is_null():
            return (False,)
        leading = sum(row.leading == "yes" for row in found)
        earliest = float(np.median([row.onset_ratio for row in found if row.onsets] or [np.inf]))
        return True, not any(row.is_surest() for row in found), -leading, -len(found), earliest

    return sorted(dict.fromkeys(name for name, _ in cells), key=rank)


def draw_cells(ax, names, experiments, cells):
    """A coloured cell with its numbers for each series (row) and experiment (column); returns the mesh."""
    found = [[cells.get((name, experiment)) for experiment in experiments] for name in names]
    ratios = np.array([[row.onset_ratio if row and row.onsets else np.nan for row in rows] for rows in found])
    shown = np.ma.masked_invalid(np.log2(ratios))
    limit = max(float(np.abs(shown).max()), 0.5)
    norm = TwoSlopeNorm(0, -limit, limit)
    mesh = ax.pcolormesh(shown, cmap=LIGHT, norm=norm, edgecolors="white", linewidth=1)
    for y, rows in enumerate(found):
        for x, row in enumerate(rows):
            ax.text(x + 0.5, y + 0.5, row and cell_text(row), ha="center", va="center", fontsize=6)
    return mesh


def cell_text(row):
    onset = ("≤" if row.lead_is else "") + f"{row.onset_ratio:.2f}" if row.onsets else "–"
    return onset + ("" if row.auroc is None else f" ({row.auroc:.2f})") + marks_of(row)

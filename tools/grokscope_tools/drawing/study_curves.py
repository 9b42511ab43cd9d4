"""How do times and losses go with one key of a study? Panels of curves over it, a point for each seed.

A line goes through the medians. A time that was never reached is a triangle at the top; nothing is drawn for a member that
is not done.
"""
import numpy as np
from matplotlib import ticker

from grokscope_tools.drawing import style
from grokscope_tools.reading.study_table import NOBODY_YET, median

CURVES_IN_A_PANEL = 3  # more of them have their legend beside the figure
TIMES = {"t_mem": "$t_{\\mathrm{mem}}$", "t_gen": "$t_{\\mathrm{gen}}$"}
TIME_LOOKS = {"t_mem": style.line_style(0), "t_gen": style.line_style(1)}
LOSS_LOOKS = {"train_loss": style.line_style(0), "test_loss": style.line_style(1)}
NEVER = "▴ at the top: done, but never reached"


def curves_over(study, axes):
    """[(label, rows, look)] of the curves over the first key of `axes`: one for each value of the second, and for each
    further setting."""
    found = study.curves(list(axes)[:1])
    if len(axes) == 2:
        key, values = list(axes.items())[1]
        levels = np.unique(values)
        found = [
            (",".join(filter(None, (label, f"{key.rsplit('.', 1)[-1]} {level:g}"))), rows[values[rows] == level])
            for label, rows in study.curves(axes)
            for level in levels
        ]
        found = [(label, rows) for label, rows in found if rows.size]
    ordered = len(axes) == 2 and len(found) > len(style.COLOURS)
    looks = (style.ordered_style(i, len(found)) if ordered else style.line_style(i) for i in range(len(found)))
    return [(label, rows, look) for (label, rows), look in zip(found, looks)]


def with_curves(fig, axes, curves):
    """The figure with one legend for all its panels, where that of a panel would be too long."""
    if len(curves) > CURVES_IN_A_PANEL:
        found = {label: handle for ax in fig.axes for handle, label in zip(*ax.get_legend_handles_labels())}
        style.legend_right(fig, list(found.values()), list(found), " and ".join(list(axes)[1:]) or "members")
    return fig


def times(ax, study, key, x):
    """Both times of all members over the key."""
    ax.set_title("Times")
    start_curves(ax, key, x)
    notes = []
    for name, height in zip(TIMES, (0.93, 0.985)):
        notes += draw_times(ax, study, x, study.numbers(name), TIMES[name], TIME_LOOKS[name], height=height)
    end_curves(ax, study, notes, "optimizer step")


def time_of_curves(ax, study, key, x, curves, name):
    """One time over the key, a line for each curve."""
    ax.set_title(TIMES[name])
    start_curves(ax, key, x)
    notes = []
    for n, (label, rows, look) in enumerate(curves):
        height = 0.985 - 0.05 * (n % CURVES_IN_A_PANEL)
        notes += draw_times(ax, study, x, study.numbers(name), label, look, rows, height=height)
    end_curves(ax, study, notes, "optimizer step", curves=curves)


def delay(ax, study, key, x, curves):
    """t_gen - t_mem; what never generalised has none that ends."""
    ax.set_title("Delay, $t_{\\mathrm{gen}} - t_{\\mathrm{mem}}$")
    start_curves(ax, key, x)
    values, notes = study.numbers("delay"), []
    positive = bool((values[np.isfinite(values)] > 0).all())
    if not positive:
        ax.axhline(0, color=style.GREY, linewidth=0.8, zorder=1)
    for label, rows, look in curves:
        label = label if len(curves) > 1 else None
        notes += draw_times(ax, study, x, values, label, look, rows, positive)
    end_curves(ax, study, notes, "optimizer steps", positive, curves)


def against_inverse(ax, study, key, x, curves):
    """t_gen against 1/decay, both logarithmic, beside the straight line t_gen = c / decay."""
    ax.set_title(f"{TIMES['t_gen']} against 1 / decay")
    t_gen, notes = study.numbers("t_gen"), []
    usable = x > 0
    inverse = np.divide(1, x, out=np.full(x.size, np.nan), where=usable)
    start_curves(ax, f"1 / {key}", inverse[usable])
    for label, rows, look in curves:
        notes += draw_times(ax, study, inverse, t_gen, label if len(curves) > 1 else None, look, rows[usable[rows]])
    proportional = "∝ 1 / decay"
    for _, rows, _ in curves:
        both = rows[usable[rows] & (t_gen[rows] > 0)]
        if both.size:
            c = np.exp(np.median(np.log(t_gen[both] * x[both])))
            ends = np.array([inverse[usable].min(), inverse[usable].max()])
            line = {"color": style.BLACK, "linestyle": (0, (4, 3)), "linewidth": 0.9, "zorder": 1}
            ax.plot(ends, c * ends, label=proportional, **line)
            proportional = None
    if not usable.all():
        notes.append("decay 0 has no inverse")
    end_curves(ax, study, notes, "optimizer step", curves=curves)


def losses(ax, study, x, label):
    """Final training and test loss over x."""
    ax.set_title("L (training) and U (test)" if "norm" in label or "scale" in label else "Final losses")
    start_curves(ax, label, x)
    notes = []
    for name, look in LOSS_LOOKS.items():
        word = "training" if name == "train_loss" else "test"
        notes += draw_seeds(ax, x, np.where(study.is_done(), study.final(name), np.nan), word, look)
    end_curves(ax, study, notes, "loss at the end")


def loss_of_curves(ax, study, key, x, curves, name):
    """One of the final losses over the key, a line for each curve."""
    ax.set_title("Final training loss" if name == "train_loss" else "Final test loss")
    start_curves(ax, key, x)
    values, notes = np.where(study.is_done(), study.final(name), np.nan), []
    for label, rows, look in curves:
        notes += draw_seeds(ax, x[rows], values[rows], label, look)
    end_curves(ax, study, notes, "loss at the end", curves=curves)


def start_curves(ax, key, x):
    ax.set_xlabel(key)
    key_axis(ax, x[np.isfinite(x)])


def end_curves(ax, study, notes, label, log_y=True, curves=()):
    """The y axis, remarks, and the legend where with_curves() does not make one for all panels."""
    style.value_axis(ax, log_y)
    ax.set_ylabel(label)
    if NEVER not in notes and not has_points(ax):
        style.say_empty(ax, f"no data\n{NOBODY_YET}")
        return
    if not has_points(ax):
        ax.yaxis.set_major_locator(ticker.NullLocator())
    elif NEVER in notes:
        room_at_the_top(ax)
    style.note(ax, notes + study.remarks())
    if len(curves) <= CURVES_IN_A_PANEL:
        style.legend_above(ax)


def has_points(ax):
    return any(len(line.get_xdata()) for line in ax.lines if line.get_transform() == ax.transData)


def room_at_the_top(ax, share=0.14):
    """Leaves the upper part of the y axis to the triangles."""
    scale = ax.yaxis.get_transform()
    low, high = scale.transform(ax.get_ylim())
    limits = scale.inverted().transform([low, low + (high - low) / (1 - share)])
    ax.set_ylim(limits)
    if ax.get_yscale() == "log":
        style.decade_ticks(ax.yaxis, *limits)


def draw_times(ax, study, x, values, label, look, rows=None, log_y=True, height=0.985):
    """A point for each member, a line through the medians; triangles at the top where the time was never reached."""
    rows = np.arange(len(study)) if rows is None else rows
    never = rows[study.is_done()[rows] & np.isnan(values[rows])]
    place = np.unique(x[never])
    if place.size:
        look_of_never = {"color": look["color"], "markersize": 5, "clip_on": False, "zorder": 4}
        ax.plot(place, np.full(place.size, height), "^", transform=ax.get_xaxis_transform(), **look_of_never)
    there = np.where(np.isin(np.arange(values.size), never), np.inf, values)
    return draw_seeds(ax, x[rows], there[rows], label, look, log_y) + ([NEVER] if place.size else [])


def draw_seeds(ax, x, y, label, look, log_y=True):
    """Points, and a line through the median over the seeds at each x; an infinite median breaks it."""
    places = np.unique(x[np.isfinite(x)])
    middle = np.array([median(y[x == place]) for place in places])
    notes = style.draw_line(ax, places, np.where(np.isinf(middle), np.nan, middle), label, log_y, **look)
    if not np.isfinite(middle).any():
        ax.plot([], [], label=label, **look)  # for the legend
    counts = [np.count_nonzero(x == place) for place in places]
    if max(counts, default=0) > 1:
        shown = np.isfinite(x) & np.isfinite(y) & ((y > 0) | (not log_y))
        ax.plot(x[shown], y[shown], linestyle="none", marker=look["marker"], color=look["color"], alpha=0.4, markersize=3)
        notes.append(f"lines: medians over {max(counts)} seeds")
    return notes


def key_axis(ax, values):
    """Scales the x axis for the values of a key: logarithmic where they are positive over a decade or more (0 then at
    the left end of a short linear piece), with ticks at the values that are there."""
    values = np.unique(values)
    positive = values[values > 0]
    wide = positive.size > 1 and positive[-1] >= 10 * positive[0] * (1 - 1e-9)
    if wide and positive.size == values.size:
        ax.set_xscale("log")
        ax.set_xlim(positive[0] / 1.3, positive[-1] * 1.3)
    elif wide and values[0] == 0:
        ax.set_xscale("symlog", linthresh=positive[0], linscale=0.5)
        ax.set_xlim(-0.3 * positive[0], positive[-1] * 1.3)
    elif values.size > 1:
        margin = 0.06 * np.ptp(values)
        ax.set_xlim(values[0] - margin, values[-1] + margin)
    places = ax.xaxis.get_transform().transform(values)
    texts = [style.value_text(value) for value in values]
    shown = spaced(places, max(0.1, 0.025 * max(map(len, texts), default=0)) * (np.ptp(places) or 1))
    ax.xaxis.set_major_locator(ticker.FixedLocator(values[shown]))
    ax.xaxis.set_major_formatter(ticker.FixedFormatter([texts[i] for i in shown]))
    ax.xaxis.set_minor_locator(ticker.FixedLocator(values))
    ax.xaxis.set_minor_formatter(ticker.NullFormatter())


def spaced(places, distance):
    """Indices of ascending places that are at least `distance` apart; first and last are among them."""
    kept = []
    for i in range(len(places) - 1):
        if not kept or (places[i] - places[kept[-1]] >= distance and places[-1] - places[i] >= distance):
            kept.append(i)
    return kept + [len(places) - 1] if len(places) else kept

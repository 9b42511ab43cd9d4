"""What came of the members of a study? Figures over what was varied: times, phases, final losses.

One numeric key: curves over it, a point for each seed. Two: maps, a cell for each combination. None: a row for
each member. A time that was never reached is marked at the end of its axis, and nothing is drawn for a member that
is not done.
"""
import plot_style as style  # first: it finds a Python that has the packages

import numpy as np  # noqa: E402
from matplotlib import ticker  # noqa: E402
from matplotlib.colors import ListedColormap, LogNorm, Normalize  # noqa: E402

ROWS_PER_PAGE = 40
CURVES_IN_A_PANEL = 3  # more of them have their legend beside the figure
WRITTEN_CELLS = 150  # in more cells no number can be read
PHASES = ("#a9d8f5", style.ORANGE, style.GREEN, "#444444", style.PURPLE, style.BLUE, style.VERMILLION)  # from light to dark
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "++", "oo")
NEVER_CELL, NOT_DONE = ("////", "#e0e0e0"), ("", "#f2f2f2")  # hatching and colour
TIMES = {"t_mem": "$t_{\\mathrm{mem}}$", "t_gen": "$t_{\\mathrm{gen}}$"}
TIME_LOOKS = {"t_mem": style.line_style(0), "t_gen": style.line_style(1)}
LOSS_LOOKS = {"train_loss": style.line_style(0), "test_loss": style.line_style(1)}
NEVER = "▴ at the top: done, but never reached"


# Figures -----------------------------------------------------------------


def new_figure(study, title, width, height):
    """An empty figure with the study's name, and what of it is not done."""
    fig = style.plt.figure(figsize=(width, height))
    done, state = int(study.is_done().sum()), study.state()
    suffix = "" if done == len(study) else f" ({state}, {done} of {len(study)} members done)"
    fig.suptitle(f"{study.name}: {title}{suffix}")
    return fig


def panels_in_a_row(study, title, draws, width=3.3, height=3.1):
    fig = new_figure(study, title, max(width * len(draws), 4.2), height)
    axes = list(np.atleast_1d(fig.subplots(1, len(draws))))
    for ax, draw in zip(axes, draws):
        draw(ax)
    style.letter_panels(axes)
    return fig


def study_times(study):
    """t_mem, t_gen and the delay over what was varied."""
    axes = study.axes()
    if not axes:
        title = "when did the members memorise and generalise?"
        return dot_pages(study, title, TIMES, TIME_LOOKS, study.numbers, "step")
    key = list(axes)[0]
    curves = curves_over(study, axes)
    if len(curves) == 1:
        draws = [lambda ax: times(ax, study, key, axes[key])]
    else:
        draws = [lambda ax, name=name: time_of_curves(ax, study, key, axes[key], curves, name) for name in TIMES]
    draws.append(lambda ax: delay(ax, study, key, axes[key], curves))
    if key.rsplit(".", 1)[-1] == "weight_decay":
        draws.append(lambda ax: against_inverse(ax, study, key, axes[key], curves))
    return [with_curves(panels_in_a_row(study, "times over " + key, draws), axes, curves)]


def study_phase(study):
    """The map over two keys: phases, and the times behind them. None where fewer were varied."""
    axes = study.axes()
    if len(axes) < 2:
        return None
    phase, names = study.phases()
    draws = [lambda ax: phase_map(ax, study, axes, phase, names)]
    for name, title in (("t_gen", f"{TIMES['t_gen']} (steps)"), ("delay", "Delay, $t_{\\mathrm{gen}} - t_{\\mathrm{mem}}$ (steps)")):
        draws.append(lambda ax, name=name, title=title: number_map(ax, study, axes, study.numbers(name), title))
    return [panels_in_a_row(study, "phase diagram", draws, width=3.9, height=4.3)]


def study_losses(study):
    """Final losses over what was varied and over the norm of the weights: the L and U curves."""
    axes = study.axes()
    names = {"train_loss": "training", "test_loss": "test"}
    if not axes:
        return dot_pages(study, "final losses", names, LOSS_LOOKS, study.final, "loss at the end")
    if len(axes) == 2:
        draws = [
            lambda ax, name=name, word=word: number_map(ax, study, axes, study.final(name), f"Final {word} loss", never=None)
            for name, word in names.items()
        ]
        return [panels_in_a_row(study, "final losses", draws, width=3.9, height=4.3)]
    key, curves = list(axes)[0], curves_over(study, axes)
    if len(curves) > 1:
        draws = [lambda ax, name=name: loss_of_curves(ax, study, key, axes[key], curves, name) for name in LOSS_LOOKS]
        return [with_curves(panels_in_a_row(study, "final losses", draws), axes, curves)]
    draws = [lambda ax: losses(ax, study, axes[key], key)]
    norm = study.final("weight_norm")
    if np.unique(norm[np.isfinite(norm)]).size > 1:
        draws.append(lambda ax: losses(ax, study, norm, "norm of all parameters at the end"))
    return [panels_in_a_row(study, "final losses", draws)]


FIGURES = {figure.__name__: figure for figure in (study_times, study_phase, study_losses)}


# Curves over one key -----------------------------------------------------------------


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
    end_curves(ax, study, notes, "optimizer step")


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
    end_curves(ax, study, notes, "optimizer steps", positive)


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
    end_curves(ax, study, notes, "optimizer step")


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
    end_curves(ax, study, notes, "loss at the end")


def start_curves(ax, key, x):
    ax.set_xlabel(key)
    key_axis(ax, x[np.isfinite(x)])


def end_curves(ax, study, notes, label, log_y=True):
    style.value_axis(ax, log_y)
    ax.set_ylabel(label)
    if not ax.lines:
        style.say_empty(ax, "no data\nno member has come that far")
        return
    if NEVER in notes:
        room_at_the_top(ax)
    missing = len(study) - int(study.is_done().sum())
    style.note(ax, notes + ([f"{missing} of {len(study)} members are not done"] if missing else []))
    if len(ax.get_legend_handles_labels()[0]) <= CURVES_IN_A_PANEL + 1:
        style.legend_above(ax)


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
    counts = [np.count_nonzero(x == place) for place in places]
    if max(counts, default=0) > 1:
        shown = np.isfinite(x) & np.isfinite(y) & ((y > 0) | (not log_y))
        ax.plot(x[shown], y[shown], linestyle="none", marker=look["marker"], color=look["color"], alpha=0.4, markersize=3)
        notes.append(f"lines: medians over {max(counts)} seeds")
    return notes


def median(values):
    """The middle of those that are known, infinite ones among them; NaN without any."""
    known = np.sort(values[~np.isnan(values)])
    if not known.size:
        return np.nan
    low, high = known[(known.size - 1) // 2], known[known.size // 2]
    return high if np.isinf(high) else (low + high) / 2


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
    texts = [value_text(value) for value in values]
    shown = spaced(places, max(0.1, 0.025 * max(map(len, texts), default=0)) * (np.ptp(places) or 1))
    ax.xaxis.set_major_locator(ticker.FixedLocator(values[shown]))
    ax.xaxis.set_major_formatter(ticker.FixedFormatter([texts[i] for i in shown]))
    ax.xaxis.set_minor_locator(ticker.FixedLocator(values))
    ax.xaxis.set_minor_formatter(ticker.NullFormatter())


def value_text(value):
    """A value of a key, as short as it can be written: 0.4, 2000, 2.15e-5."""
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.5g}" if value == round(value) else f"{value:.3g}"
    digits, exponent = f"{value:.2e}".split("e")
    return f"{digits.rstrip('0').rstrip('.')}e{int(exponent)}"


def spaced(places, distance):
    """Indices of ascending places that are at least `distance` apart; first and last are among them."""
    kept = []
    for i in range(len(places) - 1):
        if not kept or (places[i] - places[kept[-1]] >= distance and places[-1] - places[i] >= distance):
            kept.append(i)
    return kept + [len(places) - 1] if len(places) else kept


# Maps over two keys -----------------------------------------------------------------


class Cells:
    """The members of every combination of two keys; `rows[j][i]` are those at the i-th x and the j-th y."""

    def __init__(self, axes):
        (self.x_key, x), (self.y_key, y) = axes.items()
        self.x, self.y = np.unique(x), np.unique(y)
        self.rows = [[np.flatnonzero((x == one) & (y == other)) for one in self.x] for other in self.y]

    def of(self, what):
        """what(rows) of every cell, [y, x]."""
        return np.array([[what(rows) for rows in line] for line in self.rows], float)

    def most(self):
        return max(rows.size for line in self.rows for rows in line)

    def frame(self, ax):
        """Axes of equally wide cells, ticks at the values."""
        ax.grid(False)
        ax.set(xlim=(-0.5, self.x.size - 0.5), ylim=(-0.5, self.y.size - 0.5), xlabel=self.x_key, ylabel=self.y_key)
        for axis, values in ((ax.xaxis, self.x), (ax.yaxis, self.y)):
            every = int(np.ceil(values.size / 14))
            shown = np.arange(0, values.size, every)
            axis.set_major_locator(ticker.FixedLocator(shown))
            axis.set_major_formatter(ticker.FixedFormatter([value_text(values[i]) for i in shown]))
            axis.set_minor_locator(ticker.NullLocator())
        if self.letters():
            ax.tick_params(axis="x", labelrotation=90)

    def letters(self):
        """Of the longest label of an x value where they stand upright; 0 where they lie."""
        longest = max(len(value_text(value)) for value in self.x)
        return longest if longest * min(self.x.size, 14) > 36 else 0

    def draw(self, ax, values, cmap, norm):
        edges = [np.arange(n + 1) - 0.5 for n in (self.x.size, self.y.size)]
        mesh = ax.pcolormesh(*edges, np.ma.masked_invalid(values), cmap=cmap, norm=norm, edgecolors="white", linewidth=0.6)
        return mesh

    def write(self, ax, values, mesh, word, look=None):
        """word(value) in every cell that has a finite one, where that can be read."""
        if self.x.size * self.y.size > WRITTEN_CELLS:
            return
        for j, i in zip(*np.nonzero(np.isfinite(values))):
            colour = readable_on(mesh.cmap(mesh.norm(values[j, i])))
            ax.text(i, j, word(values[j, i]), ha="center", va="center", fontsize=5.5, **{"color": colour, **(look or {})})

    def hatch(self, ax, chosen, hatch, face="none"):
        """Hatches the chosen cells [y, x]."""
        for j, i in zip(*np.nonzero(chosen)):
            ax.add_patch(box((i - 0.5, j - 0.5), face, hatch))

    def finish(self, ax, handles, remark):
        """What is below the map: the legend, and a remark where cells hold several members."""
        for spine in ax.spines.values():
            spine.set_visible(False)
        ax.tick_params(length=0)
        if handles:
            below = -0.17 - 0.017 * self.letters()
            ax.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, below), ncol=2, handleheight=1.1)
        if self.most() > 1:
            ax.set_title(f"{ax.get_title(loc='left')}, {remark} of {self.most()}")


def phase_map(ax, study, axes, phase, names):
    """Every cell in the colour, hatching and number of its phase; of several members the most frequent."""
    ax.set_title("Phases")
    cells, numbers, handles = Cells(axes), sorted(names), []
    cells.frame(ax)
    values = cells.of(lambda rows: most_frequent(phase[rows]))
    places = np.where(np.isfinite(values), np.searchsorted(numbers, np.nan_to_num(values, nan=numbers[0])), np.nan)
    colours = [PHASES[i % len(PHASES)] for i in range(len(numbers))]
    mesh = cells.draw(ax, places, ListedColormap(colours), Normalize(-0.5, len(numbers) - 0.5))
    for i, number in enumerate(numbers):
        hatch, count = HATCHES[i % len(HATCHES)], np.count_nonzero(phase == number)
        cells.hatch(ax, places == i, hatch)
        handles.append(box((0, 0), colours[i], hatch, f"{number} {names[number]} ({count})"))
    on_white = {"color": style.BLACK, "bbox": {"facecolor": "white", "linewidth": 0, "pad": 0.8, "alpha": 0.85}}
    cells.write(ax, values, mesh, "{:.0f}".format, on_white)
    if np.isnan(values).any():
        cells.hatch(ax, np.isnan(values), *NOT_DONE)
        handles.append(box((0, 0), NOT_DONE[1], NOT_DONE[0], "not done"))
    cells.finish(ax, handles, "the most frequent")


def number_map(ax, study, axes, numbers, title, never="never reached"):
    """Every cell in the colour of a number, on a logarithmic scale where it spans more than a factor of five."""
    ax.set_title(title)
    cells, handles = Cells(axes), []
    known = np.where(study.is_done() & np.isnan(numbers) & (never is not None), np.inf, numbers)
    values = cells.of(lambda rows: median(known[rows]))
    finite = values[np.isfinite(values)]
    if not finite.size:
        style.say_empty(ax, "no data\nno member has come that far")
        return
    cells.frame(ax)
    mesh = cells.draw(ax, np.where(np.isfinite(values), values, np.nan), style.HEAT, scale_of(finite))
    ax.figure.colorbar(mesh, ax=ax, fraction=0.05, pad=0.02)
    cells.write(ax, values, mesh, short)
    for chosen, (hatch, face), label in ((np.isinf(values), NEVER_CELL, never), (np.isnan(values), NOT_DONE, "not done")):
        if chosen.any():
            cells.hatch(ax, chosen, hatch, face)
            handles.append(box((0, 0), face, hatch, label))
    cells.finish(ax, handles, "median")


def box(corner, face, hatch, label=None):
    """A cell of a map at its corner, or one of a legend."""
    look = {"facecolor": face, "edgecolor": style.BLACK, "linewidth": 0, "hatch": hatch}
    return style.plt.Rectangle(corner, 1, 1, label=label, **look)


def scale_of(values):
    low, high = values.min(), values.max()
    if low > 0 and high > 5 * low:
        return LogNorm(low, high)
    return Normalize(low, high if high > low else low + 1)


def most_frequent(values):
    values = values[np.isfinite(values)]
    if not values.size:
        return np.nan
    kinds, counts = np.unique(values, return_counts=True)
    return kinds[counts.argmax()]


def short(value):
    """A number in a cell: "950", "3.3k", "0.4", "1e-5"."""
    if abs(value) >= 999.5:
        return f"{value / 1e3:.2g}k" if abs(value) < 99_500 else f"{value / 1e3:.0f}k"
    if abs(value) >= 9.95 or value == 0:
        return f"{value:.0f}"
    return f"{value:.2g}" if abs(value) >= 0.00995 else f"{value:.1e}".replace(".0e", "e").replace("e-0", "e-")


def readable_on(colour):
    """Black or white, whichever can be read on an (r, g, b, a) colour."""
    return style.BLACK if np.dot(colour[:3], (0.299, 0.587, 0.114)) > 0.5 else "white"


# Rows, where nothing numeric was varied -----------------------------------------------------------------


def dot_pages(study, title, names, looks, numbers, label):
    """A row for each group of seeds, a symbol for each member and number."""
    groups = list(dict.fromkeys(study.groups))
    pages = [groups[i : i + ROWS_PER_PAGE] for i in range(0, len(groups), ROWS_PER_PAGE)] or [[]]
    figures = []
    for page in pages:
        fig = new_figure(study, title, 6.8, 1.5 + 0.27 * max(len(page), 3))
        dots(fig.add_subplot(), study, page, names, looks, numbers, label)
        figures.append(fig)
    return figures


def dots(ax, study, groups, names, looks, numbers, label):
    values = {name: numbers(name) for name in names}
    everything = np.concatenate([v[np.isfinite(v)] for v in values.values()] or [np.zeros(0)])
    if not everything.size:
        style.say_empty(ax, "no data\nno member has come that far")
        return
    value_scale(ax, everything, label)
    ax.set(ylim=(len(groups) - 0.4, -0.6), yticks=range(len(groups)), yticklabels=groups)
    notes = []
    for row, group in enumerate(groups):
        members = [i for i, one in enumerate(study.groups) if one == group]
        offsets = np.linspace(-0.24, 0.24, len(members)) if len(members) > 1 else [0]
        for i, offset in zip(members, offsets):
            notes += draw_member(ax, study, i, row + offset, {name: values[name][i] for name in names}, looks, label)
    handles = [
        style.plt.Line2D([], [], linestyle="none", marker=looks[name]["marker"], color=looks[name]["color"], label=text)
        for name, text in names.items()
    ]
    ax.legend(handles=handles, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncol=len(handles), borderaxespad=0.1)
    missing = len(study) - int(study.is_done().sum())
    style.note(ax, list(dict.fromkeys(notes)) + ([f"{missing} of {len(study)} members are not done"] if missing else []))


def draw_member(ax, study, i, y, found, looks, label):
    """The numbers of one member on one height, joined; an open triangle at the right end for one never reached."""
    reached = sorted(value for value in found.values() if np.isfinite(value))
    if len(reached) == 2:
        ax.plot(reached, [y, y], "-", color="#b5b5b5", linewidth=1, zorder=1)
    notes = []
    for name, value in found.items():
        look = {"marker": looks[name]["marker"], "color": looks[name]["color"], "linestyle": "none", "markersize": 4.2}
        if np.isfinite(value):
            ax.plot([value], [y], zorder=3, **look)
        elif label == "step" and study.is_done()[i]:
            at = 0.985 if name == "t_gen" else 0.955
            look.update(marker=">", markerfacecolor="none", clip_on=False)
            ax.plot([at], [y], transform=ax.get_yaxis_transform(), **look)
            notes.append("open triangles at the right: done, but never reached")
    return notes


def value_scale(ax, values, label):
    """The x axis of the rows: logarithmic where the values span a factor of five."""
    ax.set_xlabel("optimizer step" if label == "step" else label)
    low, high = values.min(), values.max()
    if low > 0 and high > 5 * low:
        ax.set(xscale="log", xlim=(low / 1.3, high * 1.6))
        style.decade_ticks(ax.xaxis, low / 1.3, high * 1.6)
    else:
        margin = 0.08 * (high - low) or 0.1 * abs(high) or 1
        ax.set_xlim(low - margin, high + 1.5 * margin)

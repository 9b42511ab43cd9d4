"""What came of each combination of two keys of a study? Panels of maps, a cell for each: its phase, or a number.

Several seeds of a cell are its most frequent phase, or the median of its numbers. What was never reached is hatched, what is
not done left pale.
"""
import numpy as np
from matplotlib import ticker
from matplotlib.colors import ListedColormap, LogNorm, Normalize

from grokscope_tools.drawing import style
from grokscope_tools.reading.study_table import NOBODY_YET, median

WRITTEN_CELLS = 150  # in more cells no number can be read
PHASES = ("#a9d8f5", style.ORANGE, style.GREEN, "#444444", style.PURPLE, style.BLUE, style.VERMILLION)  # from light to dark
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "++", "oo")
NEVER_CELL, NOT_DONE = ("////", "#e0e0e0"), ("", "#f2f2f2")  # hatching and colour


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
        style.say_empty(ax, "no data\n" + ("no member got there" if np.isinf(values).any() else NOBODY_YET))
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
            axis.set_major_formatter(ticker.FixedFormatter([style.value_text(values[i]) for i in shown]))
            axis.set_minor_locator(ticker.NullLocator())
        if self.letters():
            ax.tick_params(axis="x", labelrotation=90)

    def letters(self):
        """Of the longest label of an x value where they stand upright; 0 where they lie."""
        longest = max(len(style.value_text(value)) for value in self.x)
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
            place = {"ha": "center", "va": "center", "fontsize": 5.5 if values.size > 60 else 7}
            ax.text(i, j, word(values[j, i]), **place, **{"color": colour, **(look or {})})

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

"""How do our figures look? Colours, line styles, axes, gaps and empty panels, for every tool that draws.

Colours are Okabe and Ito's (safe for the colour-blind) and viridis; every line also has its own
dash pattern and marker, so that a print in black and white can be read. It must know nothing of runs: it is
handed arrays.
"""
import re
import textwrap
import warnings

import matplotlib

matplotlib.use("Agg")  # no display is needed
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
from matplotlib import patheffects, ticker  # noqa: E402

from grokscope_tools.reading import thinning  # noqa: E402

BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, BLACK = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#E69F00",
    "#CC79A7",
    "#56B4E9",
    "#000000",
)
GREY = "#777777"
COLOURS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, BLACK)
DASHES = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)), (0, (3, 1, 1, 1, 1, 1)), (0, (8, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
SEQUENCE = matplotlib.colormaps["viridis"]
HEAT = "viridis"  # no grey in it: grey cells are those below the noise floor
OUTLINED = (patheffects.withStroke(linewidth=2.2, foreground=BLACK),)  # for white lines on a picture
ROUND_STEPS = (1, 2, 2.5, 5, 10)  # between ticks
MARKED_POINTS = 40  # up to so many points each carries a marker, beyond only every n-th

STYLE = {
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "figure.constrained_layout.use": True,
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "figure.titlesize": 10,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.titlelocation": "left",
    "axes.titlepad": 6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
    "lines.linewidth": 1.3,
    "lines.markersize": 3.2,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "legend.columnspacing": 1.2,
    "pdf.fonttype": 42,
    "mathtext.fontset": "dejavusans",
    "axes.formatter.useoffset": False,
}
plt.rcParams.update(STYLE)


def line_style(i):
    """Colour, dashes and marker of the i-th line of a panel; no two of the first 42 are alike."""
    return {
        "color": COLOURS[i % len(COLOURS)],
        "linestyle": DASHES[i % len(DASHES)],
        "marker": MARKERS[i % len(MARKERS)],
    }


def ordered_style(i, n):
    """The i-th of n lines that have an order (time, rank): a colour of viridis, the pale end left out."""
    return {**line_style(i), "color": SEQUENCE(0.88 * i / max(n - 1, 1))}


def draw_line(ax, x, y, label=None, log_y=False, **style):
    """Draws one line; returns notes about what cannot be shown: values without a logarithm, infinities."""
    x, y = np.asarray(x, float), np.array(y, float)
    notes = []
    hidden = (y <= 0) if log_y else np.isneginf(y)
    if hidden.any():
        # A triangle at the lower edge: there is a value, it lies below every axis.
        ax.plot(
            x[hidden],
            np.full(hidden.sum(), 0.015),
            "v",
            color=style.get("color", GREY),
            markersize=2.5,
            transform=ax.get_xaxis_transform(),
            clip_on=False,
            zorder=3,
        )
        notes.append(f"▾ {hidden.sum()} values {'at or below 0' if log_y else 'of −∞'}")
        y[hidden] = np.nan
    x, y = thinning.with_breaks(x, y)
    if np.isfinite(y).any():
        every = marked_points(ax, x, y) if x.size > MARKED_POINTS else None
        ax.plot(x, y, label=label, markevery=every, **style)
        isolated = np.isfinite(y) & ~np.isfinite(np.r_[np.nan, y[:-1]]) & ~np.isfinite(np.r_[y[1:], np.nan])
        if every is not None and isolated.any():  # a lone point has no line and may get no marker
            ax.plot(x[isolated], y[isolated], **{**style, "linestyle": "none"})
    return notes


def marked_points(ax, x, y, count=9):
    """Indices of about `count` points, evenly spaced along the x axis as it is scaled now."""
    there = np.flatnonzero(np.isfinite(y))
    position = ax.xaxis.get_transform().transform(x[there])
    wanted = np.linspace(position[0], position[-1], count)
    return sorted({int(there[np.abs(position - place).argmin()]) for place in wanted})


def say_empty(ax, why):
    """An empty panel that says why; empty_panels() finds it."""
    say(ax, why)
    ax.why_empty = why


def empty_panels(fig):
    """[(title, why)] of the panels that say_empty() was said of."""
    empty = [ax for ax in fig.axes if getattr(ax, "why_empty", None)]
    return [(re.sub(r"^\(.\) ", "", ax.get_title(loc="left")), ax.why_empty) for ax in empty]


def say(ax, text):
    """A panel that holds a text alone."""
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(ticker.NullLocator())
        axis.set_minor_locator(ticker.NullLocator())
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.text(
        0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color=GREY, fontsize=7, wrap=True
    )


def note(ax, notes):
    """Small grey remarks under the right end of the x axis, each once; they never cover data."""
    if notes:
        text = textwrap.fill("; ".join(dict.fromkeys(notes)), 70)
        ax.annotate(
            text,
            (1, 0),
            xycoords="axes fraction",
            xytext=(0, -32),
            textcoords="offset points",
            ha="right",
            va="top",
            color=GREY,
            fontsize=5.5,
        )


def step_axis(ax, steps):
    """Scales the x axis for optimizer steps: logarithmic, with step 0 at the left end of a short linear
    piece; linear where the steps span less than a factor of 20."""
    steps = np.unique(np.asarray(steps, float))
    positive = steps[steps > 0]
    if positive.size < 3 or positive[-1] < 20 * positive[0]:
        ax.xaxis.set_major_locator(
            ticker.MaxNLocator(4, integer=True, steps=ROUND_STEPS) if steps.size > 1 else ticker.FixedLocator(steps)
        )
        if steps.size == 1:
            ax.set_xlim(steps[0] - 1, steps[0] + 1)
        return
    first, last = positive[0], positive[-1]
    if steps[0] <= 0:
        ax.set_xscale("symlog", linthresh=first, linscale=0.4, subs=range(2, 10))
        ax.set_xlim(-0.12 * first, last * 1.12)
    else:
        ax.set_xscale("log")
        ax.set_xlim(first / 1.12, last * 1.12)
    decade_ticks(ax.xaxis, first, last, zero=steps[0] <= 0)


def decade_ticks(axis, low, high, zero=False):
    """At most six labelled ticks at powers of ten (at 1, 2, 5 where there are fewer than two), and 0 where
    asked for."""
    exponents = np.arange(np.ceil(np.log10(low) - 1e-9), np.floor(np.log10(high) + 1e-9) + 1)
    decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    ticks, minor = (
        10.0 ** exponents[:: int(np.ceil(len(exponents) / 6)) or 1],
        np.outer(decades, range(2, 10)).ravel(),
    )
    if len(ticks) < 2:
        ticks = np.outer(decades, (1, 2, 5)).ravel()
        ticks = ticks[(ticks >= low * (1 - 1e-9)) & (ticks <= high * (1 + 1e-9))]
    elif len(exponents) > 6:
        minor = 10.0**exponents
    axis.set_major_locator(ticker.FixedLocator(([0] if zero else []) + list(ticks)))
    axis.set_major_formatter(ticker.FixedFormatter((["0"] if zero else []) + tick_labels(ticks)))
    axis.set_minor_locator(ticker.FixedLocator(minor[(minor >= low) & (minor <= high)]))
    axis.set_minor_formatter(ticker.NullFormatter())


def tick_labels(ticks):
    """Plain numbers from 0.01 to 9999, powers of ten as soon as one of them lies outside."""
    if not len(ticks) or (min(ticks) > 0.009 and max(ticks) < 9999):
        return [f"{tick:,g}" for tick in ticks]
    split = [
        (tick / 10 ** np.floor(np.log10(tick) + 1e-9), int(np.floor(np.log10(tick) + 1e-9))) for tick in ticks
    ]
    return [
        f"$10^{{{exponent}}}$" if abs(digit - 1) < 1e-6 else f"${digit:g}\\,\\times\\,10^{{{exponent}}}$"
        for digit, exponent in split
    ]


def value_text(value):
    """A number, as short as it can be written: 0.4, 2000, 2.15e-5."""
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.5g}" if value == round(value) else f"{value:.3g}"
    digits, exponent = f"{value:.2e}".split("e")
    return f"{digits.rstrip('0').rstrip('.')}e{int(exponent)}"


def value_axis(ax, log_y):
    """Scales the y axis from what was drawn: logarithmic where asked for and the values span more than a
    factor of 5."""
    drawn = [line.get_ydata() for line in ax.lines if line.get_transform() == ax.transData]
    values = np.concatenate([np.asarray(y, float) for y in drawn]) if drawn else np.zeros(0)
    values = values[np.isfinite(values)]
    if log_y and values.size and values.min() > 0 and values.max() > 5 * values.min():
        low, high = values.min(), values.max()
        margin = (high / low) ** 0.06
        ax.set_yscale("log")
        ax.set_ylim(low / margin, high * margin)
        decade_ticks(ax.yaxis, low / margin, high * margin)
        return
    if (
        values.size and np.ptp(values) <= 1e-6 * np.abs(values).max()
    ):  # constant to rounding: do not magnify that
        margin = 0.05 * np.abs(values).max() or 1
        ax.set_ylim(values.min() - margin, values.max() + margin)
    whole = values.size and (values == np.round(values)).all()
    ax.yaxis.set_major_locator(ticker.MaxNLocator(5, integer=bool(whole), steps=ROUND_STEPS))
    formatter = ticker.ScalarFormatter(useMathText=True)
    formatter.set_powerlimits((-3, 4))
    ax.yaxis.set_major_formatter(formatter)


def legend_above(ax):
    """The legend above the data: in the line of the panel's title where both fit, else in rows below the
    title."""
    handles, labels = ax.get_legend_handles_labels()
    if not handles:
        return
    width = 1.1 * ax.figure.get_figwidth() * ax.get_position().width  # inches, about, after the layout
    needs = [0.31 + 0.05 * len(label.replace("$", "")) for label in labels]  # inches: handle, gaps, letters
    beside = 0.25 + 0.066 * len(ax.get_title(loc="left")) + sum(needs) < width
    fitting = (
        c for c in range(len(labels), 0, -1) if sum(max(column) for column in columns_of(needs, c)) < width
    )
    columns = len(labels) if beside else evened(len(labels), next(fitting, 1))
    place = (
        {"loc": "lower right", "bbox_to_anchor": (1.01, 0.985)}
        if beside
        else {"loc": "lower left", "bbox_to_anchor": (-0.02, 0.985)}
    )
    legend = ax.legend(
        handles,
        labels,
        ncol=columns,
        borderpad=0.1,
        borderaxespad=0.1,
        handlelength=2.2,
        columnspacing=0.9,
        handletextpad=0.4,
        labelspacing=0.25,
        **place,
    )
    legend.set_gid("0" if beside else str(-(-len(labels) // columns)))


def evened(entries, columns):
    """As few columns as need no more rows: six entries in 3 and 3 where four columns would fit."""
    return -(-entries // -(-entries // columns))


def columns_of(entries, count):
    """Entries in `count` columns, filled one column after the other, as a legend does."""
    return [list(column) for column in np.array_split(np.array(entries), count)]


def legend_below(fig, handles):
    """A legend in small grey type below all panels, in a strip of its own."""
    strip = 0.24 / fig.get_figheight()
    fig.get_layout_engine().set(rect=(0, strip, 1, 1 - strip))
    letters = int((fig.get_figwidth() - 2.2) / 0.05)  # beside two short entries
    for handle in handles:
        handle.set_label(textwrap.fill(handle.get_label(), letters))
    fig.legend(
        handles=handles,
        loc="lower center",
        bbox_to_anchor=(0.5, 0),
        ncol=len(handles),
        fontsize=6.5,
        labelcolor=GREY,
    )


def legend_right(fig, handles, labels, title):
    """A legend to the right of all panels: the figure grows by what it needs."""
    longest = max(len(line) for label in labels + [title] for line in label.split("\n"))
    width, extra = fig.get_figwidth(), 0.5 + 0.058 * longest
    fig.set_figwidth(width + extra)
    x, y, _, height = fig.get_layout_engine().get()["rect"]
    fig.get_layout_engine().set(rect=(x, y, width / (width + extra), height))
    fig.legend(
        handles, labels, title=title, loc="center right", bbox_to_anchor=(0.995, 0.5), title_fontsize=7
    )


def letter_panels(axes):
    """Puts (a), (b), ... before the titles, above the rows of legend_above()."""
    for letter, ax in zip("abcdefghijklmnopqrstuvwxyz", axes):
        rows = int(ax.get_legend().get_gid() or 0) if ax.get_legend() else 0
        ax.set_title(
            f"({letter}) {ax.get_title(loc='left')}",
            loc="left",
            pad=STYLE["axes.titlepad"] + rows * 1.35 * STYLE["legend.fontsize"],
        )


def save_figure(fig, folder, name, formats=("png", "pdf"), dpi=200):
    """Writes the figure as folder/name.<format>, closes it, and returns the paths."""
    paths = []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="constrained_layout not applied")
        fig.get_layout_engine().execute(fig)  # once, for all formats
    with plt.rc_context({"figure.constrained_layout.use": False}):
        fig.set_layout_engine(None)  # "none" leaves a placeholder, for whose sake each format would be drawn twice
        for extension in formats:
            path = folder / f"{name}.{extension}"
            metadata = {"CreationDate": None} if extension == "pdf" else None  # the same run gives the same bytes
            fig.savefig(path, dpi=dpi, metadata=metadata)
            paths.append(path)
    plt.close(fig)
    return paths

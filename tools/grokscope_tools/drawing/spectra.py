"""What does the whole spectrum look like? Panels of eigenvalues against their rank.

Dense data are thinned to what a screen can show, and the panel says so.
"""
import numpy as np
from matplotlib.colors import LogNorm

from grokscope_tools.drawing import panels, style
from grokscope_tools.reading import thinning

HEAT_EPOCHS, HEAT_RANKS, LINE_POINTS = 500, 300, 400  # more than these cannot be told apart on a screen


def spectrum_moments(run):
    """Moments whose spectrum exists, in metrics.h5 or gop_full.h5, in the order of training."""
    series = run.spectra()
    there = [] if series is None else np.isfinite(series.values).any(axis=1)
    tracked = [moment for moment, is_there in zip(run.tracked_moments(), there) if is_there]
    return sorted({*tracked, *run.gop_moments()}, key=lambda moment: (moment.step, moment.epoch))


def spread_moments(run, count=6):
    """Up to `count` moments with a spectrum: the ends, those nearest to t_mem and t_gen, and then always the
    one farthest from all chosen ones, on the logarithm of the step."""
    moments = spectrum_moments(run)
    if not moments:
        return []
    position = np.log10(1.0 + np.array([moment.step for moment in moments], float))
    events = [step for step in run.transition()[:2] if step is not None]
    chosen = {0, len(moments) - 1, *(int(np.abs(position - np.log10(1 + step)).argmin()) for step in events)}
    while len(chosen) < min(count, len(moments)):
        distance = np.abs(position[:, None] - position[sorted(chosen)][None, :]).min(axis=1)
        distance[sorted(chosen)] = -1
        chosen.add(int(distance.argmax()))
    return [moments[i] for i in sorted(chosen)]


def jump_moments(run):
    """(moment, label) before, at and after the jump of the test accuracy (10, 50 and 90 % of its rise) and at
    the end; first, middle and last where there is no jump."""
    tracked, there = run.tracked_moments(), set(spectrum_moments(run))
    rows = np.array([i for i, moment in enumerate(tracked) if moment in there], int)
    series = run.series("test_acc")
    curve = np.full(rows.size, np.nan) if series is None else series.values[rows]
    rise = np.ptp(curve[np.isfinite(curve)]) if np.isfinite(curve).any() else 0
    if rise > 0.2:
        progress = (curve - np.nanmin(curve)) / rise
        at = int(np.flatnonzero(progress >= 0.5)[0])
        before, after = np.flatnonzero(progress[:at] <= 0.1), at + np.flatnonzero(progress[at:] >= 0.9)
        picks = [
            (before[-1] if before.size else 0, "before"),
            (at, "at"),
            (after[0], "after"),
            (rows.size - 1, "last"),
        ]
    else:
        picks = [(0, "first"), (rows.size // 2, "middle"), (rows.size - 1, "last")] if rows.size else []
    chosen = {}
    for row, label in picks:
        chosen.setdefault(tracked[rows[row]], label)
    return sorted(chosen.items(), key=lambda pair: pair[0].step)


def spectra(ax, run, moments, labels=(), title="Spectra"):
    """Eigenvalue against rank index at `moments`, both logarithmic, and the noise floor of each as a dashed
    line."""
    ax.set_title(title)
    low, notes, count = np.inf, [], 0
    ax.set_xscale("log")
    for i, moment in enumerate(moments):
        values = run.spectrum(*moment)
        if values is None or not (values > 0).any():
            notes.append(
                f"{moment.label()}: {'no spectrum stored' if values is None else 'all eigenvalues are 0'}"
            )
            continue
        positive = np.where(values > 0, values, np.nan)
        kept = thinning.log_spaced(values.size, LINE_POINTS)
        if kept.size < values.size:
            notes.append(f"{kept.size} of {values.size} ranks drawn")
        label = moment.label() + (f" ({labels[i]})" if labels else "")
        style.draw_line(ax, kept + 1, positive[kept], label, **style.ordered_style(i, len(moments)))
        low, count = min(low, np.nanmin(positive)), max(count, values.size)
    if not count:
        style.say_empty(ax, "\n".join(["no data"] + (notes or [run.why_no_spectrum()])))
        return
    rank_axis(ax, "x", count)
    style.value_axis(ax, log_y=True)
    notes += noise_floors(ax, run, moments, low)
    ax.set_ylabel("eigenvalue")
    style.note(ax, notes)
    style.legend_above(ax)


def rank_axis(ax, which, count):
    """Makes the "x" or "y" axis logarithmic over the rank indices 1..count; on y the first rank is on top."""
    ends = (0.7, max(count, 2) + 0.5)
    if which == "x":
        ax.set(xscale="log", xlim=ends, xlabel="rank index")
        style.decade_ticks(ax.xaxis, 1, ends[1])
    else:
        ax.set(yscale="log", ylim=ends[::-1], ylabel="rank index")
        style.decade_ticks(ax.yaxis, 1, ends[1])


def noise_floors(ax, run, moments, low):
    """Dashed lines at the noise floors; a note instead where they lie three decades below all that is
    drawn."""
    floors = [(i, run.noise_floor(*moment)) for i, moment in enumerate(moments)]
    floors = [(i, floor) for i, floor in floors if floor is not None and floor > 0]
    if not floors or ax.get_yscale() != "log":
        return []
    highest = max(floor for _, floor in floors)
    if highest < low / 1e3:
        return [f"noise floor ≤ {highest:.1e}, below the axis"]
    for i, floor in floors:
        ax.axhline(
            floor, color=style.ordered_style(i, len(moments))["color"], linestyle=(0, (4, 3)), linewidth=0.8
        )
    bottom, top = ax.get_ylim()
    bottom = min(bottom, 0.5 * min(floor for _, floor in floors))
    ax.set_ylim(bottom, top)
    style.decade_ticks(ax.yaxis, bottom, top)
    return ["dashed: noise floor"]


def cumulative_share(ax, run, moments):
    """Share of the trace in the first r eigenvalues, at `moments`."""
    ax.set_title("Share of the trace")
    ax.set_xscale("log")
    count = 0
    for i, moment in enumerate(moments):
        values = run.spectrum(*moment)
        if values is None or not values.sum() > 0:
            continue
        kept = thinning.log_spaced(values.size, LINE_POINTS)
        style.draw_line(
            ax, kept + 1, (np.cumsum(values) / values.sum())[kept], **style.ordered_style(i, len(moments))
        )
        count = max(count, values.size)
    if not count:
        style.say_empty(ax, f"no data\n{run.why_no_spectrum()}")
        return
    rank_axis(ax, "x", count)
    ax.set(ylabel="cumulative share", ylim=(-0.02, 1.04))


def heat_map(ax, run, relative=False):
    """The whole spectrum over the step: the colour is the eigenvalue (over the largest one of its epoch with
    `relative`), grey is at or below the noise floor. Returns the mesh for a colour bar; None when there is
    nothing to draw."""
    ax.set_title("Shape of the spectrum" if relative else "Spectrum over training")
    series = run.spectra()
    if series is None or not (series.values > 0).any():
        style.say_empty(ax, f"no data\n{run.why_no_spectrum()}")
        return None
    style.step_axis(ax, series.step)
    ax.set_xlabel("optimizer step")
    columns, edges = heat_columns(ax, series)
    ranks = thinning.log_spaced(series.values.shape[1], HEAT_RANKS)
    values = np.vstack([series.values, np.full(series.values.shape[1], np.nan)])[columns]
    if relative:
        with np.errstate(divide="ignore", invalid="ignore"):
            values = values / np.where(values[:, :1] > 0, values[:, :1], np.nan)
    floor = run.noise_floor_ratio() * values[:, :1]
    values = values[:, ranks]
    above = values > np.maximum(floor, 0)
    low, high = (values[above].min(), values[above].max()) if above.any() else (0.1, 1)
    cells = np.ma.masked_invalid(np.where(above | np.isnan(values), values, low * 1e-3))
    rank_edges = np.r_[0.7, np.sqrt((ranks[:-1] + 1.0) * (ranks[1:] + 1.0)), ranks[-1] + 1.5]
    mesh = ax.pcolormesh(
        edges,
        rank_edges,
        cells.T,
        rasterized=True,
        norm=LogNorm(low, max(high, 2 * low)),
        cmap=style.matplotlib.colormaps[style.HEAT].with_extremes(under="#cfcfcf", bad="white"),
    )
    rank_axis(ax, "y", series.values.shape[1])
    panels.mark_transition(ax, run, color="white", zorder=3, path_effects=style.OUTLINED)
    ax.grid(False)
    drawn, there = np.count_nonzero(columns >= 0), np.count_nonzero(np.isfinite(series.values).any(axis=1))
    if drawn < there or ranks.size < series.values.shape[1]:
        style.note(ax, [f"drawn: {drawn} of {there} epochs, {ranks.size} of {series.values.shape[1]} ranks"])
    return mesh


def heat_columns(ax, series):
    """Which rows of the series become columns of the heat map (-1: a blank one, over a gap), and the edges of
    these columns in steps. Thinned evenly on the scale of the axis."""
    rows = np.flatnonzero(np.isfinite(series.values).any(axis=1))
    distance = np.diff(rows)
    gaps_before = np.r_[0, np.cumsum(distance > 1.5 * np.median(distance))] if rows.size > 1 else np.zeros(1)
    scale = ax.xaxis.get_transform()
    position = scale.transform(series.step[rows].astype(float))
    if rows.size > HEAT_EPOCHS:
        kept = np.unique(np.searchsorted(position, np.linspace(position[0], position[-1], HEAT_EPOCHS)))
        rows, gaps_before, position = rows[kept], gaps_before[kept], position[kept]
    half = np.diff(position) / 2
    ordinary = half[np.diff(gaps_before) == 0]
    width = np.median(ordinary) if ordinary.size else (0.5 if not half.size else half.min())
    columns, edges = [rows[0]], [position[0] - width]
    for i in range(1, rows.size):
        if gaps_before[i] > gaps_before[i - 1]:
            edges += [position[i - 1] + min(width, half[i - 1]), position[i] - min(width, 0.99 * half[i - 1])]
            columns += [-1, rows[i]]
        else:
            edges.append(position[i - 1] + half[i - 1])
            columns.append(rows[i])
    return np.array(columns), scale.inverted().transform(np.array(edges + [position[-1] + width]))

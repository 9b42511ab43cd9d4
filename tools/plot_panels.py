"""What does one panel of a run show? Every panel of every figure: a function that draws one question into
given axes.

visualize_gop.py arranges them into figures; other tools reuse them. A panel without data says why. Dense data
are thinned to what a screen can show, and the panel says so.
"""
import grokscope_io  # first: it finds a Python that has the packages
import plot_style as style

import numpy as np  # noqa: E402
from matplotlib.colors import LogNorm  # noqa: E402

HEAT_EPOCHS, HEAT_RANKS, LINE_POINTS = 500, 300, 400  # more than these cannot be told apart on a screen
LABELLED_LAYERS = 7


def time_panel(ax, run, title, lines, log_y=False, legend=True):
    """Draws (series or its name, label[, style]) lines against the step, with the run's transition; a missing
    or empty one is left out, and if all are, the panel says why."""
    ax.set_title(title)
    found, reasons = [], []
    for i, (series, label, *given) in enumerate(lines):
        name = series if isinstance(series, str) else label
        series = run.series(series) if isinstance(series, str) else series
        if series is None or not series.step.size:
            reasons.append(f"{name}: {'not in metrics.h5' if series is None else 'nothing tracked yet'}")
        elif not drawable(series.values, log_y).any():
            reasons.append(f"{name}: {why_not_drawable(series.values)}")
        else:
            found.append((series, label, given[0] if given else style.line_style(i)))
    if not found:
        style.say_empty(ax, "\n".join(["no data"] + reasons[:4]))
        return
    notes = []
    style.step_axis(ax, np.concatenate([series.step for series, *_ in found]))
    for series, label, look in found:
        notes += style.draw_line(ax, series.step, series.values, label, log_y, **look)
    style.value_axis(ax, log_y)
    mark_transition(ax, run)
    style.note(ax, notes)
    ax.set_xlabel("optimizer step")
    if legend:
        style.legend_above(ax)


def drawable(values, log_y):
    return np.isfinite(values) & ((values > 0) | (not log_y))


def why_not_drawable(values):
    if np.isnan(values).all():
        return "all values are NaN"
    return "no value is above 0" if np.isfinite(values).any() else "no value is finite"


def mark_transition(ax, run, **look):
    """Vertical lines at t_mem and t_gen; transition_legend() explains them."""
    transition = run.transition()
    for step, dashes in ((transition.t_mem, ":"), (transition.t_gen, "-.")):
        if step is not None:
            ax.axvline(
                step, **{"color": style.GREY, "linestyle": dashes, "linewidth": 1, "zorder": 1, **look}
            )


def transition_legend(fig, run):
    """One line below the figure: what the vertical lines mean, by which rule."""
    transition = run.transition()
    entries = []
    for step, dashes, name in ((transition.t_mem, ":", "mem"), (transition.t_gen, "-.", "gen")):
        when = "not reached" if step is None else f"step {step:,.0f}"
        entries.append((f"$t_{{\\mathrm{{{name}}}}}$: {when}", "none" if step is None else dashes))
    entries.append((f"rule: {transition.rule}", "none"))
    handles = [
        style.plt.Line2D([], [], color=style.GREY, linestyle=dashes, linewidth=1, label=label)
        for label, dashes in entries
    ]
    style.legend_below(fig, handles)


# Training -----------------------------------------------------------------

TRAIN_LOOK, TEST_LOOK = style.line_style(0), style.line_style(1)


def loss(ax, run):
    pair = [
        (run.best_series("train_loss"), "train", TRAIN_LOOK),
        (run.best_series("test_loss"), "test", TEST_LOOK),
    ]
    time_panel(ax, run, "Loss", pair, log_y=True)


def accuracy(ax, run, find=None):
    """`find` looks the series up: all evaluations (default), or run.series for the tracked epochs alone."""
    find = find or run.best_series
    pair = [(find("train_acc"), "train", TRAIN_LOOK), (find("test_acc"), "test", TEST_LOOK)]
    time_panel(ax, run, "Accuracy", pair)
    if ax.lines:
        ax.set_ylim(-0.04, 1.04)


def weight_norm(ax, run):
    """All norms that the training loop recorded (total, per layer)."""
    names = [name for name in run.names("training") if "norm" in name.rsplit("/", 1)[-1]][:6]
    lines = [(name, name.split("/", 1)[1].replace("_", " ")) for name in names]
    time_panel(
        ax, run, "Weight norm", lines or [("training/weight_norm", "weight norm")], legend=len(lines) > 1
    )


def gap(ax, run):
    """Train minus test accuracy; for a run without accuracies, test over train loss."""
    train, test = run.best_series("train_acc"), run.best_series("test_acc")
    if comparable(train, test):
        time_panel(
            ax,
            run,
            "Accuracy gap, train − test",
            [(train._replace(values=train.values - test.values), "gap")],
            legend=False,
        )
        return
    train, test = run.best_series("train_loss"), run.best_series("test_loss")
    line = (None, "train and test accuracy or loss")
    if comparable(train, test):
        with np.errstate(divide="ignore", invalid="ignore"):
            line = (train._replace(values=test.values / train.values), "ratio")
    time_panel(ax, run, "Loss gap, test / train", [line], log_y=True, legend=False)


def comparable(train, test):
    return (
        train is not None
        and test is not None
        and train.values.shape == test.values.shape
        and np.isfinite(train.values + test.values).any()
    )


# GOP metrics -----------------------------------------------------------------


def trace(ax, run):
    time_panel(ax, run, "Trace", [("gop_trace", "trace")], log_y=True, legend=False)


def norms(ax, run):
    time_panel(
        ax, run, "Norms", [("gop_frobenius_norm", "Frobenius"), ("gop_spectral_norm", "spectral")], log_y=True
    )


def effective_ranks(ax, run):
    time_panel(
        ax,
        run,
        "Effective ranks",
        [
            ("gop_stable_rank", "stable"),
            ("gop_participation_ratio", "particip."),
            ("gop_entropy_rank", "entropy"),
        ],
        log_y=True,
    )


def rank(ax, run):
    time_panel(ax, run, "Numerical rank", [("gop_rank", "rank")], legend=False)


def log_pseudo_determinant(ax, run):
    time_panel(ax, run, "Log pseudo-determinant", [("gop_log_pseudo_determinant", "log pdet")], legend=False)


def alignment(ax, run):
    time_panel(
        ax,
        run,
        "Directions",
        [("gop_mean_gradient_alignment", "alignment"), ("gop_subspace_overlap", "subspace overlap")],
    )
    if ax.lines:
        ax.set_ylim(-0.04, 1.04)


def top_eigenvalues(ax, run, count=20, legend=True):
    """The largest eigenvalues against the step."""
    values, series = run.eigenvalues_top_k(), run.series("eigenvalues_top_k") or run.series("eigenvalues")
    if values is None or not values.size:
        time_panel(ax, run, "Top eigenvalues", [("eigenvalues_top_k", "eigenvalues_top_k")])
        return
    k = min(count, values.shape[1])
    lines = [
        (series._replace(values=values[:, i]), f"$\\lambda_{{{i + 1}}}$", style.ordered_style(i, k))
        for i in range(k)
        if np.isfinite(values[:, i]).any()
    ]
    time_panel(ax, run, "Top eigenvalues", lines or [(None, "eigenvalues_top_k")], log_y=True, legend=False)
    if legend and lines:
        handles, labels = ax.get_legend_handles_labels()
        shown = sorted({*range(min(5, len(handles))), *range(4, len(handles), 5), len(handles) - 1})
        ax.legend(
            [handles[i] for i in shown],
            [labels[i] for i in shown],
            loc="center left",
            bbox_to_anchor=(1.0, 0.5),
        )


# Spectra -----------------------------------------------------------------


def spectrum_epochs(run):
    """Epochs whose spectrum exists, in metrics.h5 or gop_full.h5; ascending."""
    stored = [run.eigenvalues(), run.eigenvalues_top_k()]
    values = next((stack for stack in stored if stack is not None), None)
    tracked = (
        run.epochs_tracked() if values is None else run.epochs_tracked()[np.isfinite(values).any(axis=1)]
    )
    return np.union1d(tracked if values is not None else [], run.gop_epochs()).astype(int)


def spread_epochs(run, count=6):
    """Up to `count` epochs with a spectrum: the ends, those nearest to t_mem and t_gen, and then always the
    one farthest from all chosen ones, on the logarithm of the step."""
    epochs, tracked = spectrum_epochs(run), run.series("epoch")
    if not epochs.size:
        return []
    step_of = dict(zip(tracked.epoch.astype(int), tracked.step)) if tracked is not None else {}
    position = np.log10(1.0 + np.array([step_of.get(epoch, epoch) for epoch in epochs], float))
    events = [step for step in run.transition()[:2] if step is not None]
    chosen = {0, epochs.size - 1, *(int(np.abs(position - np.log10(1 + step)).argmin()) for step in events)}
    while len(chosen) < min(count, epochs.size):
        distance = np.abs(position[:, None] - position[sorted(chosen)][None, :]).min(axis=1)
        distance[sorted(chosen)] = -1
        chosen.add(int(distance.argmax()))
    return [int(epochs[i]) for i in sorted(chosen)]


def jump_epochs(run):
    """(epoch, label) before, at and after the jump of the test accuracy (10, 50 and 90 % of its rise) and at
    the end; first, middle and last where there is no jump."""
    tracked = run.epochs_tracked()
    rows = np.flatnonzero(np.isin(tracked, spectrum_epochs(run)))
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
        chosen.setdefault(int(tracked[rows[row]]), label)
    return sorted(chosen.items())


def log_spaced(n, limit):
    """At most `limit` of the indices 0..n-1, all where they fit, else evenly spread over log(1 + i), ends
    included."""
    if n <= limit:
        return np.arange(n)
    return np.unique(np.round(np.geomspace(1, n, limit)).astype(int)) - 1


def spectra(ax, run, epochs, labels=(), title="Spectra"):
    """Eigenvalue against rank index at `epochs`, both logarithmic, and the noise floor of each as a dashed
    line."""
    ax.set_title(title)
    low, notes, count = np.inf, [], 0
    ax.set_xscale("log")
    for i, epoch in enumerate(epochs):
        values = run.spectrum(epoch)
        if values is None or not (values > 0).any():
            notes.append(
                f"epoch {epoch}: {'no spectrum stored' if values is None else 'all eigenvalues are 0'}"
            )
            continue
        positive = np.where(values > 0, values, np.nan)
        kept = log_spaced(values.size, LINE_POINTS)
        if kept.size < values.size:
            notes.append(f"{kept.size} of {values.size} ranks drawn")
        label = f"epoch {epoch:,}" + (f" ({labels[i]})" if labels else "")
        style.draw_line(ax, kept + 1, positive[kept], label, **style.ordered_style(i, len(epochs)))
        low, count = min(low, np.nanmin(positive)), max(count, values.size)
    if not count:
        style.say_empty(ax, "\n".join(["no data"] + (notes or ["no spectrum is stored yet"])))
        return
    rank_axis(ax, "x", count)
    style.value_axis(ax, log_y=True)
    notes += noise_floors(ax, run, epochs, low)
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


def noise_floors(ax, run, epochs, low):
    """Dashed lines at the noise floors; a note instead where they lie three decades below all that is
    drawn."""
    floors = [(i, run.noise_floor(epoch)) for i, epoch in enumerate(epochs)]
    floors = [(i, floor) for i, floor in floors if floor is not None and floor > 0]
    if not floors or ax.get_yscale() != "log":
        return []
    highest = max(floor for _, floor in floors)
    if highest < low / 1e3:
        return [f"noise floor ≤ {highest:.1e}, below the axis"]
    for i, floor in floors:
        ax.axhline(
            floor, color=style.ordered_style(i, len(epochs))["color"], linestyle=(0, (4, 3)), linewidth=0.8
        )
    bottom, top = ax.get_ylim()
    bottom = min(bottom, 0.5 * min(floor for _, floor in floors))
    ax.set_ylim(bottom, top)
    style.decade_ticks(ax.yaxis, bottom, top)
    return ["dashed: noise floor"]


def cumulative_share(ax, run, epochs):
    """Share of the trace in the first r eigenvalues, at `epochs`."""
    ax.set_title("Share of the trace")
    ax.set_xscale("log")
    count = 0
    for i, epoch in enumerate(epochs):
        values = run.spectrum(epoch)
        if values is None or not values.sum() > 0:
            continue
        kept = log_spaced(values.size, LINE_POINTS)
        style.draw_line(
            ax, kept + 1, (np.cumsum(values) / values.sum())[kept], **style.ordered_style(i, len(epochs))
        )
        count = max(count, values.size)
    if not count:
        style.say_empty(ax, "no data\nno spectrum is stored yet")
        return
    rank_axis(ax, "x", count)
    ax.set(ylabel="cumulative share", ylim=(-0.02, 1.04))


def heat_map(ax, run):
    """The whole spectrum over the step: the colour is the eigenvalue, grey is at or below the noise floor.
    Returns the mesh for a colour bar; None when there is nothing to draw."""
    ax.set_title("Spectrum over training")
    series = run.series("eigenvalues") or run.series("eigenvalues_top_k")
    if series is None or series.values.ndim != 2 or not (series.values > 0).any():
        why = "not in metrics.h5" if series is None else "nothing tracked yet, or no positive value"
        style.say_empty(ax, f"no data\neigenvalues: {why}")
        return None
    style.step_axis(ax, series.step)
    ax.set_xlabel("optimizer step")
    columns, edges = heat_columns(ax, series)
    ranks = log_spaced(series.values.shape[1], HEAT_RANKS)
    values = np.vstack([series.values, np.full(series.values.shape[1], np.nan)])[columns]
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
        norm=LogNorm(low, max(high, 1.001 * low)),
        cmap=style.matplotlib.colormaps[style.HEAT].with_extremes(under="#cfcfcf", bad="white"),
    )
    rank_axis(ax, "y", series.values.shape[1])
    mark_transition(ax, run, color="white", zorder=3, path_effects=style.OUTLINED)
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


# Layers -----------------------------------------------------------------


def trace_shares(run):
    """{layer: Series of its share of the layers' summed trace}, the largest share first."""
    traces = {layer: run.series(f"layers/{layer}/gop_trace") for layer in run.layers()}
    traces = {layer: series for layer, series in traces.items() if series is not None and series.step.size}
    if not traces:
        return {}
    total = np.sum([series.values for series in traces.values()], axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = {layer: series._replace(values=series.values / total) for layer, series in traces.items()}
    largest = {
        layer: np.max(series.values, initial=0, where=np.isfinite(series.values))
        for layer, series in shares.items()
    }
    return {layer: shares[layer] for layer in sorted(shares, key=lambda layer: -largest[layer])}


def labelled_layers(run):
    """The layers that get a colour and a label: those with the largest share of the trace, in the model's
    order."""
    largest = list(trace_shares(run))[:LABELLED_LAYERS] or run.layers()[:LABELLED_LAYERS]
    return [layer for layer in run.layers() if layer in largest]


def layer_shares(ax, run):
    layer_panel(ax, run, "Share of the trace", trace_shares(run).get, log_y=False)
    if ax.lines:
        ax.set_ylim(0, None)


def layer_metric(ax, run, metric, title):
    layer_panel(
        ax, run, title, lambda layer: run.series(f"layers/{layer}/{metric}"), log_y=True, metric=metric
    )


def layer_panel(ax, run, title, find, log_y, metric="gop_trace"):
    """One line a layer; the layers without a label are thin and grey."""
    labelled = labelled_layers(run)
    thin = {"color": "#bbbbbb", "linewidth": 0.6, "linestyle": "-", "zorder": 1}
    lines = [
        (find(layer), "_", thin)
        for layer in run.layers()
        if layer not in labelled and find(layer) is not None
    ]
    lines += [
        (find(layer), layer, style.line_style(i))
        for i, layer in enumerate(labelled)
        if find(layer) is not None
    ]
    time_panel(ax, run, title, lines or [(None, f"layers/<name>/{metric}")], log_y=log_y, legend=False)


# Observables -----------------------------------------------------------------


def observable_panels(run):
    """Every dataset of /observables as a list of (title, draw), draw(ax) a function: series of one group and
    unit share a panel, at most six a panel; a matrix has its own; the scalars are listed in one."""
    families, panels, scalars = {}, [], []
    for name in run.names("observables"):
        series, label = run.series(name), name.split("/", 1)[1]
        if series is None:
            values = run.array(name)
            if np.ndim(values) == 0:
                scalars.append(f"{label} = {grokscope_io.plain(values)}")
            else:
                panels.append((label, lambda ax, values=values: draw_array(ax, values)))
        elif series.values.ndim == 1:
            families.setdefault(family_of(run, name), []).append((name, label.rsplit("/", 1)[-1]))
        else:
            panels.append((label, lambda ax, series=series: draw_columns(ax, run, series)))
    for (title, _), members in families.items():
        for first in range(0, len(members), 6):
            lines = members[first : first + 6]
            shown = lines[0][0].split("/", 1)[1] if len(members) == 1 else title
            panels.append((shown, lambda ax, lines=lines: draw_family(ax, run, lines)))
    panels.sort(key=lambda panel: grokscope_io.natural_key(panel[0]))
    if scalars:
        panels.append(("single numbers", lambda ax: style.say_empty(ax, "\n".join(scalars))))
    return panels


def family_of(run, name):
    """(title, units) of the panel that a series goes to: its group, or its name without a trailing number."""
    parts = name.split("/")[1:]
    title = "/".join(parts[:-1]) or grokscope_io.re.sub(r"[_.=-]*[0-9.]+$", "", parts[-1]) or parts[-1]
    return title, run.attrs(name).get("units", "")


def draw_family(ax, run, lines):
    values = np.concatenate([run.series(name).values for name, _ in lines])
    time_panel(ax, run, ax.get_title(loc="left"), lines, log_y=wide_range(values), legend=len(lines) > 1)


def draw_columns(ax, run, series):
    """A series of vectors: up to 12 of its components as lines, from dark (first) to light (last)."""
    if series.values.ndim > 2:
        style.say_empty(ax, f"shape {series.values.shape}: not drawn")
        return
    kept = log_spaced(series.values.shape[1], 12)
    lines = [
        (series._replace(values=series.values[:, k]), f"[{k}]", style.ordered_style(i, kept.size))
        for i, k in enumerate(kept)
    ]
    time_panel(ax, run, ax.get_title(loc="left"), lines, log_y=wide_range(series.values))
    if kept.size < series.values.shape[1]:
        style.note(ax, [f"{kept.size} of {series.values.shape[1]} components drawn"])


def draw_array(ax, values):
    """An array without a time axis: a vector against its index, a matrix as an image."""
    if values.dtype.kind not in "biuf" or values.ndim > 2 or not values.size:
        style.say_empty(ax, f"{values.dtype}, shape {values.shape}: not drawn")
    elif values.ndim == 1:
        style.draw_line(ax, np.arange(values.size), values, **style.line_style(0))
        ax.set_xlabel("index")
    else:
        image = ax.imshow(values.astype(float), cmap=style.HEAT, aspect="auto", interpolation="nearest")
        ax.figure.colorbar(image, ax=ax)
        ax.grid(False)


def wide_range(values):
    """Whether values ask for a logarithmic axis: all positive, over more than two decades."""
    values = values[np.isfinite(values)]
    return bool(values.size and values.min() > 0 and values.max() > 100 * values.min())

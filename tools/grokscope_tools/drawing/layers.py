"""Which layers carry the GOP? Panels with one line a layer."""
import numpy as np

from grokscope_tools.drawing import style
from grokscope_tools.drawing.panels import time_panel

LABELLED_LAYERS = 7


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


def labelled_layers(run, shares):
    """The layers that get a colour and a label: those with the largest of trace_shares(), in the model's order."""
    largest = list(shares)[:LABELLED_LAYERS] or run.layers()[:LABELLED_LAYERS]
    return [layer for layer in run.layers() if layer in largest]


def layer_shares(ax, run, shares):
    layer_panel(ax, run, shares, "Share of the trace", shares.get, log_y=False)
    if ax.lines:
        ax.set_ylim(0, None)


def layer_metric(ax, run, shares, metric, title):
    layer_panel(
        ax, run, shares, title, lambda layer: run.series(f"layers/{layer}/{metric}"), log_y=True, metric=metric
    )


def layer_panel(ax, run, shares, title, find, log_y, metric="gop_trace"):
    """One line a layer; the layers without a label are thin and grey."""
    labelled = labelled_layers(run, shares)
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
    time_panel(
        ax, run, title, lines or [(None, f"layers/<name>/{metric}")], log_y=log_y, legend=False
    )

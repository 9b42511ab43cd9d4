"""What did the paper itself measure? Panels of /observables, whatever their shape."""
import re

import numpy as np

from grokscope_tools.drawing import style
from grokscope_tools.drawing.panels import mark_transition, time_panel
from grokscope_tools.reading.hdf5_access import natural_key, plain

LINE_COMPONENTS = 12  # more lines than these cannot be told apart


def observable_panels(run):
    """Every dataset of /observables, and every list of /results, as a list of (title, draw), draw(ax) a
    function: series of one group and unit share a panel, at most six a panel; a matrix has its own; the scalars
    are listed in one."""
    families, panels, scalars = {}, [], []
    for name in run.names("observables"):
        series, label = run.series(name), name.split("/", 1)[1]
        if series is None:
            values = run.array(name)
            if np.ndim(values) == 0:
                scalars.append(f"{label} = {plain(values)}")
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
    panels += result_panels(run)
    panels.sort(key=lambda panel: natural_key(panel[0]))
    if scalars:
        panels.append(("single numbers", lambda ax: style.say(ax, "\n".join(scalars))))
    return panels


def result_panels(run):
    """The lists of /results: those that run along another list share a panel, against it; the others have one each."""
    lists = [name for name in run.names("results") if np.ndim(run.array(name)) == 1]
    along = {}
    for name in lists:
        axis = "results/" + run.attrs(name).get("over", "")
        if axis in lists and run.array(axis).shape == run.array(name).shape:
            along.setdefault(axis, []).append(name)
    shown = {member for axis, members in along.items() for member in (axis, *members)}
    panels = [(name, lambda ax, name=name: draw_array(ax, run.array(name))) for name in lists if name not in shown]
    return panels + [
        (members[0] if len(members) == 1 else f"results over {axis.split('/', 1)[1]}",
         lambda ax, axis=axis, members=members: draw_along(ax, run, axis, members))
        for axis, members in along.items()
    ]


def draw_along(ax, run, axis, members):
    for k, name in enumerate(members):
        style.draw_line(ax, run.array(axis), run.array(name), label=name.split("/", 1)[1], **style.line_style(k))
    ax.set_xlabel(run.attrs(axis).get("long_name", axis))
    if len(members) > 1:
        ax.legend(fontsize="small")


def family_of(run, name):
    """(title, units) of the panel that a series goes to: its group, or its name without a trailing number."""
    parts = name.split("/")[1:]
    title = "/".join(parts[:-1]) or re.sub(r"[_.=-]*[0-9.]+$", "", parts[-1]) or parts[-1]
    return title, run.attrs(name).get("units", "")


def draw_family(ax, run, lines):
    values = np.concatenate([run.series(name).values for name, _ in lines])
    title = ax.get_title(loc="left")
    time_panel(ax, run, title, lines, log_y=wide_range(values), legend=len(lines) > 1)


def draw_columns(ax, run, series):
    """A series of vectors: up to 12 components as lines, from dark (first) to light (last), more as a map."""
    if series.values.ndim > 2:
        style.say_empty(ax, f"shape {series.values.shape}: not drawn")
        return
    width = series.values.shape[1]
    if width > LINE_COMPONENTS:
        draw_map(ax, run, series)
        return
    lines = [
        (series._replace(values=series.values[:, k]), f"[{k}]", style.ordered_style(k, width))
        for k in range(width)
    ]
    time_panel(ax, run, ax.get_title(loc="left"), lines, log_y=wide_range(series.values))


def draw_map(ax, run, series):
    """All components over the step as colours; the first component is 1."""
    if len(series.step) < 2 or not np.isfinite(series.values).any():
        style.say_empty(ax, "no data\nfewer than two observations, or no finite value")
        return
    style.step_axis(ax, series.step)
    cells = np.ma.masked_invalid(series.values.T)
    rows = np.arange(1, series.values.shape[1] + 1)
    mesh = ax.pcolormesh(series.step, rows, cells, shading="nearest", cmap=style.HEAT, rasterized=True)
    ax.figure.colorbar(mesh, ax=ax)
    ax.grid(False)
    mark_transition(ax, run, color="white", zorder=3, path_effects=style.OUTLINED)
    ax.set_xlabel("optimizer step")
    ax.set_ylabel("component")


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

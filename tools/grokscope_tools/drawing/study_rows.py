"""What did each member of a study come to, where nothing numeric was varied? A panel with a row for each group of seeds."""
import numpy as np

from grokscope_tools.drawing import style
from grokscope_tools.reading.study_table import NOBODY_YET


def dots(ax, study, groups, names, looks, numbers, label):
    values = {name: numbers(name) for name in names}
    everything = np.concatenate([v[np.isfinite(v)] for v in values.values()] or [np.zeros(0)])
    if not everything.size:
        style.say_empty(ax, f"no data\n{NOBODY_YET}")
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
    style.note(ax, notes + study.remarks())


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

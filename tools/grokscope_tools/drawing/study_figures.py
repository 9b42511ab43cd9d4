"""What came of the members of a study? Figures over what was varied: times, phases, final losses.

One numeric key: curves over it (study_curves.py). Two: maps (study_maps.py), and a curve for each value of the
second. None: rows (study_rows.py). visualize_gop.py and report.py draw whatever FIGURES holds.
"""
import numpy as np

from grokscope_tools.drawing import style
from grokscope_tools.drawing.study_curves import (
    LOSS_LOOKS,
    TIME_LOOKS,
    TIMES,
    against_inverse,
    curves_over,
    delay,
    loss_of_curves,
    losses,
    time_of_curves,
    times,
    with_curves,
)
from grokscope_tools.drawing.study_maps import number_map, phase_map
from grokscope_tools.drawing.study_rows import dots

ROWS_PER_PAGE = 40


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
    for name, title in (
        ("t_gen", f"{TIMES['t_gen']} (steps)"),
        ("delay", "Delay, $t_{\\mathrm{gen}} - t_{\\mathrm{mem}}$ (steps)"),
    ):
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

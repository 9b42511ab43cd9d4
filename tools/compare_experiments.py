#!/usr/bin/env python3
"""How do runs differ? Draws any stored metric of many runs together, and tabulates when each of them
generalised.

A series of vectors is drawn by its components: "eigenvalues_top_k[2]" is one of them, "eigenvalues_top_k" the first
ones, a panel each.

Runs whose configurations differ in the seed alone are one line, with a band over the seeds. --align t_gen
puts the jump of every run at 1: what happens before, at and after it is then seen at the same place.
"""
import collections
import csv
import re
from pathlib import Path
from typing import NamedTuple

import grokscope_io  # first: it finds a Python that has the packages
from grokscope_tools.command_line.options import add_figures, add_runs, make_parser
from grokscope_tools.drawing import panels, style
from grokscope_tools.reading.settings import name_without_seed, settings_of

import numpy as np

DEFAULT_METRICS = ("test_acc", "gop_trace", "gop_spectral_norm", "gop_rank")
COMPONENTS = 4  # of a series of vectors that is named without one
LABELLED = 16  # groups beyond this number are drawn thin and grey


class Group(NamedTuple):
    """Runs that differ in their seeds alone."""

    label: str
    runs: list


def groups_of(runs):
    """The runs grouped by their settings, each group labelled by the shortest path that tells it from the
    others."""
    grouped = {}
    for run in runs:
        settings = settings_of(run)
        experiment = ((run.config() or {}).get("experiment") or {}).get("name")
        grouped.setdefault((experiment, settings) if settings else run.path, []).append(run)
    labels = grokscope_io.shortest_labels([members[0].path for members in grouped.values()])
    return [
        Group(label_of_seeds(label, len(members)), members) for label, members in zip(labels, grouped.values())
    ]


def label_of_seeds(label, count):
    """The label of the first run; for several without its seed, as in "dense,seed=0" or "09_levi+training.seed=1"."""
    return label if count == 1 else name_without_seed(label) + f" ({count} seeds)"


def metric_series(run, metric):
    """The series [T] of a metric, or of a component of one ("eigenvalues_top_k[2]"), from every evaluation where
    these are stored; None when missing or not scalar."""
    name, component = named_component(metric)
    series = run.best_series(name, None if component is None else component + 1)
    if series is None or not series.step.size or series.values.ndim != (1 if component is None else 2):
        return None
    if component is None:
        return series
    return series._replace(values=series.values[:, component]) if component < series.values.shape[1] else None


def named_component(metric):
    """("eigenvalues_top_k", 2) of "eigenvalues_top_k[2]", (metric, None) of one without brackets."""
    match = re.fullmatch(r"(.+)\[(\d+)\]", metric)
    return (match[1], int(match[2])) if match else (metric, None)


def panels_of(metric, groups):
    """What is drawn for a metric: itself, or its first components where a run has it as vectors."""
    stored = (run.best_series(metric, COMPONENTS) for group in groups for run in group.runs)
    widths = [series.values.shape[1] for series in stored if series is not None and series.values.ndim == 2]
    return [f"{metric}[{k}]" for k in range(max(widths))] if widths else [metric]


def placed_series(run, metric, align):
    """(the series as it is drawn, None), or (None, why there is none). To align, its steps are divided by t_gen."""
    series = metric_series(run, metric)
    if series is None:
        return None, f"no {metric}"
    if not panels.drawable(series.values, log_y=False).any():
        return None, panels.why_not_drawable(series.values)
    if align == "none":
        return series, None
    t_gen = run.transition().t_gen
    return (series._replace(step=series.step / t_gen), None) if t_gen else (None, "no t_gen to align at")


def placed_group(group, metric, align):
    """(the series of its runs that are drawn, remarks on the runs that are left out, and why)"""
    placed = [placed_series(run, metric, align) for run in group.runs]
    reasons = collections.Counter(why for _, why in placed if why)
    notes = [f"{group.label}: {count} of {len(placed)} left out ({why})" for why, count in reasons.items()]
    kept = [series for series, why in placed if not why]
    if len(kept) > 1 and band(kept) is None:
        return [], [*notes, f"{group.label}: its seeds have no step in common"]
    return kept, notes


def band(members):
    """(step, lowest, median, highest) over several Series, on the steps that lie in all of them: those of the
    finest, the others interpolated linearly. Each has a finite value; None where they have no step in common."""
    finite = [np.isfinite(one.values) for one in members]
    members = [one._replace(step=one.step[f], values=one.values[f]) for one, f in zip(members, finite)]
    first, last = max(one.step[0] for one in members), min(one.step[-1] for one in members)
    step = max((one.step for one in members), key=len)
    step = step[(step >= first) & (step <= last)]
    values = np.array([np.interp(step, one.step, one.values) for one in members])
    return (step, values.min(0), np.median(values, 0), values.max(0)) if step.size else None


def draw_comparison(metric, groups, align):
    """A figure of one metric over all groups, of vectors a panel for each component; the second result says why it is
    empty, None where it is not."""
    wanted = panels_of(metric, groups)
    columns = min(2, len(wanted))
    rows = -(-len(wanted) // columns)
    fig = style.plt.figure(figsize=(6.4 if columns == 1 else 4.2 * columns, 3.9 if rows == 1 else 3.2 * rows))
    axes = [fig.add_subplot(rows, columns, i + 1) for i in range(len(wanted))]
    for ax, name in zip(axes, wanted):
        draw_panel(ax, name, groups, align)
    if len(axes) > 1:
        style.letter_panels(axes)
    labels = {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels())}
    if labels:
        title = "run" if all(len(group.runs) == 1 for group in groups) else "runs (band: all seeds)"
        style.legend_right(fig, list(labels.values()), list(labels), title)
    empty = style.empty_panels(fig)
    return fig, "; ".join(empty[0][1].split("\n")[1:]) if len(empty) == len(axes) else None


def draw_panel(ax, metric, groups, align):
    """One metric, or one component, over all groups."""
    notes, found = [], []
    for i, group in enumerate(groups):
        kept, left_out = placed_group(group, metric, align)
        notes += left_out
        if kept:
            found.append((i, group, kept))
    run = groups[0].runs[0]
    name, component = named_component(metric)
    title = run.attrs(name).get("long_name") or run.attrs(f"training/{name}").get("long_name") or name
    ax.set_title(title if component is None else f"{title}, [{component}]")
    if not found:
        style.say_empty(ax, "no data\n" + "\n".join(notes[:6]))
        return
    values = np.concatenate([series.values for *_, kept in found for series in kept])
    log_y = bool((values[np.isfinite(values)] > 0).all())
    style.step_axis(ax, np.concatenate([series.step for *_, kept in found for series in kept]))
    for i, group, kept in found:
        notes += draw_group(ax, i, group, kept, log_y)
    style.value_axis(ax, log_y)
    ax.set_xlabel("optimizer step" + ("" if align == "none" else " / $t_{\\mathrm{gen}}$"))
    units = run.attrs(name).get("units", "1").replace("^2", "²")
    ax.set_ylabel(metric if units == "1" else f"{metric}  [{units}]")
    if align != "none":
        ax.axvline(1, color=style.GREY, linestyle=panels.T_GEN_DASHES, linewidth=1, zorder=1)
    style.note(ax, notes)


def draw_group(ax, i, group, kept, log_y):
    """The line of one run, or the median of several with the band that holds all of them."""
    look = style.line_style(i) if i < LABELLED else {"color": "#bbbbbb", "linewidth": 0.7, "zorder": 1}
    label = group.label if i < LABELLED else None
    if len(kept) == 1:
        return style.draw_line(ax, kept[0].step, kept[0].values, label, log_y, **look)
    step, low, middle, high = band(kept)
    ax.fill_between(step, low, high, color=look["color"], alpha=0.22, linewidth=0)
    return style.draw_line(ax, step, middle, label, log_y, **look) + notes_of_band(group, kept, step)


def notes_of_band(group, members, step):
    """Says so where the band is shorter than some of the series in it."""
    ends = [one.step[np.isfinite(one.values)][[0, -1]] for one in members]
    notes = []
    if min(first for first, _ in ends) < step[0]:
        notes.append(f"{group.label}: the band begins where its last seed does, at {step[0]:,.6g}")
    if max(last for _, last in ends) > step[-1]:
        notes.append(f"{group.label}: the band ends with its shortest seed, at {step[-1]:,.6g}")
    return notes


def transitions_table(groups):
    """A row for each run: label, path, seed, state, t_mem, t_gen, delay, ratio; empty where it did not
    happen."""
    rows = []
    for group in groups:
        for run in group.runs:
            t_mem, t_gen, rule = run.transition()
            both = t_mem is not None and t_gen is not None
            rows.append(
                {
                    "runs": group.label,
                    "path": str(run.path),
                    "seed": ((run.config() or {}).get("training") or {}).get("seed"),
                    "state": (run.status() or {}).get("state"),
                    "t_mem": t_mem,
                    "t_gen": t_gen,
                    "delay": t_gen - t_mem if both else None,
                    "ratio": t_gen / t_mem if both and t_mem else None,
                    "rule": rule,
                }
            )
    return rows


def write_table(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({k: "" if v is None else v for k, v in row.items()} for row in rows)


def print_table(rows):
    print(f"{'run':44} {'seed':>5} {'t_mem':>9} {'t_gen':>9} {'delay':>9} {'ratio':>6}")
    for row in rows:
        steps = " ".join(
            f"{'-' if row[k] is None else format(row[k], ',.0f'):>9}" for k in ("t_mem", "t_gen", "delay")
        )
        ratio = "-" if row["ratio"] is None else f"{row['ratio']:.2f}"
        print(
            f"{row['runs'][-44:]:44} {row['seed'] if row['seed'] is not None else '-':>5} {steps} {ratio:>6}"
        )


def parse_arguments(argv):
    parser = make_parser(
        __doc__,
        "Writes <metric>_comparison.png and .pdf (a / in a metric's name becomes a dot) and "
        "transitions.csv. Exit codes: 0 drawn, 2 wrong usage, no run there or a metric of which no run has a value, "
        "3 unreadable files or an unwritable folder.",
    )
    add_runs(parser, "--experiments", required=True)
    parser.add_argument(
        "--metrics",
        nargs="+",
        default=list(DEFAULT_METRICS),
        metavar="M",
        help="datasets of metrics.h5, or components of one: eigenvalues_top_k[0] (default: " + " ".join(DEFAULT_METRICS) + ")",
    )
    parser.add_argument(
        "--align", choices=("t_gen", "none"), default="none", help="divide steps by t_gen (default: none)"
    )
    add_figures(parser, Path("comparison_plots"))
    return parser.parse_args(argv)


def main(argv=None):
    arguments = parse_arguments(argv)
    groups = groups_of(grokscope_io.open_runs(arguments.experiments))
    missing = {}
    with grokscope_io.writing_to(arguments.save_dir) as folder:
        for metric in arguments.metrics:
            fig, why = draw_comparison(metric, groups, arguments.align)
            missing |= {metric: why} if why else {}
            name = metric.replace("/", ".") + "_comparison"
            style.save_figure(fig, folder, name, arguments.formats)
            print(f"{folder / name}  ({', '.join(arguments.formats)})", flush=True)
        rows = transitions_table(groups)
        write_table(folder / "transitions.csv", rows)
    print_table(rows)
    if missing:
        told = ", ".join(f"{metric} ({why})" for metric, why in missing.items())
        raise grokscope_io.ToolError(f"nothing to draw of {told}, see `h5ls -r {groups[0].runs[0].path}/metrics.h5`")
    return 0


if __name__ == "__main__":
    grokscope_io.run_tool(main)

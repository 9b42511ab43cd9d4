#!/usr/bin/env python3
"""Did the spectrum know first? For each stored series: when did it change, relative to the jump in test
accuracy?

Method, with parameters that were fixed on invented series and are the same for all (change_point.py has
the formulas):

- Runs. A run that memorised and generalised (t_mem and t_gen in /events) counts as generalising, one that
  memorised only as a control. Left out are runs that never memorised; undecided ones (not finished, or their
  test accuracy went more than half of the way from its value at t_mem to 1, but not to t_gen); and those with
  too short a delay (it had gone more than a quarter of that way, or to t_gen, when the baseline ended at about
  1.8 t_mem): there the end of the jump would be taken for its beginning. Runs of one experiment are pooled over
  their settings: give seeds of one setting, and controls that differ from it in one thing (less data, no weight
  decay).
- Change. Each series is watched from t_mem on: every bin of the step is predicted by a straight line in
  log10(step) through all earlier ones, and the summed errors raise an alarm at a fixed boundary. The onset is
  where the change began, the alarm where an observer who sees nothing later could have known.
- Jump. The same procedure on test_acc, read at the steps at which the series was measured: neither has the
  finer clock. A series that was measured too rarely to see the jump begin after its baseline is left out.
- Lead = onset of test_acc minus onset of the series, in steps; positive when the series changed first. Given
  as the median and range over the generalising runs; also as the ratio of the two onsets.
- Detection rate: share of the generalising runs in which the alarm of the series came before that of
  test_acc.
- False alarms: share of the controls with an alarm in a stretch of training as long as that which the
  generalising runs give the series: from t_mem to t_mem times the median ratio (alarm of test_acc) / t_mem.
  A control that ends before is not counted.
- AUROC: the largest score (1 is the alarm) before the alarm of test_acc in the generalising runs, against the
  largest score in that stretch of the controls. 0.5 is chance. Free of the boundary.

What it shows: the order of changes, at the resolution of the tracked epochs (a lead below two tracking
intervals is none), and whether a change tells runs that will generalise from runs that will not. What it does
not show: that a change causes the jump; a change before or right after t_mem (the first 8 bins, up to 1.8
t_mem, are the baseline); anything about an experiment without controls; and, with several hundred series and
few runs, that the best of them is better than luck: choose series on one experiment and judge them on
another.
"""
import csv
import fnmatch
from pathlib import Path
from typing import NamedTuple, Optional

import grokscope_io  # first: it finds a Python that has the packages

import change_point  # noqa: E402
import numpy as np  # noqa: E402
import tool_options  # noqa: E402

REFERENCE = "test_acc"
GENERALISING, CONTROL = "generalising", "control"
HALF_WAY, EARLY = 0.5, 0.25  # of the way of the test accuracy from its value at t_mem to 1
SKIPPED = (
    "*eigenvalues",
    "checks/*",
    "timing/*",
    "results/*",
    "parameters/*",
    "definitions/mean/*",
    "*noise_floor",
    "*train_acc",
)
COMPONENTS = 3  # of a series of vectors, so many of the first ones are watched, each on its own


class Verdict(NamedTuple):
    """One series in one run, in steps; None: it did not happen, or could not be seen."""

    experiment: str
    run: str
    kind: str  # GENERALISING or CONTROL
    series: str
    t_mem: float
    t_gen: Optional[float]
    jump_onset: Optional[float]
    jump_alarm: Optional[float]
    onset: Optional[float]
    alarm: Optional[float]
    watched: Optional[change_point.Monitored]


class Row(NamedTuple):
    """One series over all runs of one experiment; None where no run can say."""

    experiment: str
    series: str
    generalising: int  # runs in which both the series and the jump could be watched
    changed: int  # of these, runs in which the series changed at all
    lead_median: Optional[float]
    lead_min: Optional[float]
    lead_max: Optional[float]
    onset_ratio: Optional[float]  # median of onset / onset of test_acc: below 1 the series is first
    alarm_lead_median: Optional[float]
    warned: int
    detection_rate: Optional[float]
    controls: int
    false_alarms: int
    false_alarm_rate: Optional[float]
    auroc: Optional[float]


def experiment_of(run):
    """The experiment's name, by which runs are pooled."""
    configured = ((run.config() or {}).get("experiment") or {}).get("name")
    return str(run.attrs().get("experiment") or configured or run.name)


def kind_of(run):
    """What the run counts as: GENERALISING, CONTROL, or the reason why it is left out."""
    transition, reference = run.transition(), run.best_series(REFERENCE)
    if transition.t_mem is None:
        return "left out: it never memorised, or has no accuracies"
    if reference is None:
        return f"left out: it has no {REFERENCE}"
    step, way = way_from(reference, transition.t_mem)
    if step.size <= change_point.BASELINE:
        return "left out: it ended too soon after t_mem"
    if transition.t_gen is None:
        state = (run.status() or {}).get("state", "done")
        if state != "done":
            return f"left out: undecided, the run is {state}"
        highest = np.nanmax(reference.values)
        return f"left out: undecided, its {REFERENCE} rose to {highest:.2f}" if way.max() > HALF_WAY else CONTROL
    if began_early(reference, transition):
        ended = step[change_point.BASELINE - 1]
        return f"left out: too short a delay, the jump began before the baseline ended (step {ended:,.0f})"
    return GENERALISING


def way_from(reference, t_mem):
    """(step, way [bins]) of the test accuracy: 0 at t_mem, 1 when every answer is right."""
    step, values = change_point.binned(reference.step, reference.values, t_mem)
    return step, (values - values[:1]) / np.maximum(1 - values[:1], 1e-9)


def began_early(reference, transition):
    """Whether the jump began in what would be the baseline: its end would be taken for its beginning."""
    step, way = way_from(reference, transition.t_mem)
    ended = change_point.BASELINE - 1
    return step.size > ended and bool(transition.t_gen <= step[ended] or way[ended] > EARLY)


def scalar_series(run, patterns):
    """(name, Series [T], units) of every series that takes part, vectors by their first components."""
    for name in run.names():
        if name.rsplit("/", 1)[-1] == REFERENCE or any(fnmatch.fnmatch(name, pattern) for pattern in SKIPPED):
            continue
        if not any(fnmatch.fnmatch(name, pattern) for pattern in patterns):
            continue
        for label, series in run.scalar_series(name, COMPONENTS):
            yield label, series, run.attrs(name).get("units", "1")


def sampled_at(reference, step):
    """The reference as it was last known at the steps of another series."""
    there = np.isfinite(reference.values)
    known, values = reference.step[there], reference.values[there]
    at = np.searchsorted(known, step, side="right") - 1
    found = np.where(at >= 0, values[np.maximum(at, 0)], np.nan) if known.size else np.full(len(step), np.nan)
    return grokscope_io.Series(step, step, found)


def watched_jump(reference, transition):
    """Monitored of the test accuracy; None where the jump cannot be dated."""
    if transition.t_gen is not None and began_early(reference, transition):
        return None
    return change_point.watch(reference, transition.t_mem)


def judge(run, patterns=("*",)):
    """Verdicts on all series of a run; empty when it is left out."""
    transition, reference, kind = run.transition(), run.best_series(REFERENCE), kind_of(run)
    if kind not in (GENERALISING, CONTROL):
        return []
    jumps, verdicts = {}, []
    for name, series, units in scalar_series(run, patterns):
        there = np.isfinite(series.values)
        series = series._replace(
            epoch=series.epoch[there], step=series.step[there], values=series.values[there]
        )
        clock = series.step.tobytes()
        if clock not in jumps:
            jumps[clock] = watched_jump(sampled_at(reference, series.step), transition)
        jump, watched = jumps[clock], change_point.watch(series, transition.t_mem, units)
        verdicts.append(
            Verdict(
                experiment_of(run),
                str(run.path),
                kind,
                name,
                transition.t_mem,
                transition.t_gen,
                jump and jump.onset,
                jump and jump.alarm,
                watched and watched.onset,
                watched and watched.alarm,
                watched,
            )
        )
    return verdicts


def tabulate(verdicts):
    """One Row for each experiment and series, in the order of the verdicts."""
    grouped = {}
    for verdict in verdicts:
        grouped.setdefault((verdict.experiment, verdict.series), []).append(verdict)
    return [row_of(*key, group) for key, group in grouped.items()]


def row_of(experiment, series, verdicts):
    runs = [
        v for v in verdicts if v.kind == GENERALISING and v.jump_alarm is not None and v.watched is not None
    ]
    changed = [v for v in runs if v.onset is not None]
    leads = [v.jump_onset - v.onset for v in changed]
    warned = sum(v.alarm < v.jump_alarm for v in changed)
    scores = [v.watched.score_before(v.jump_alarm) for v in runs]
    stretch = median([v.jump_alarm / max(v.t_mem, 1) for v in runs])
    control_scores = [] if stretch is None else scores_of_controls(verdicts, stretch)
    false_alarms = sum(score >= 1 for score in control_scores)
    return Row(
        experiment,
        series,
        len(runs),
        len(changed),
        median(leads),
        min(leads, default=None),
        max(leads, default=None),
        median([v.onset / v.jump_onset for v in changed]),
        median([v.jump_alarm - v.alarm for v in changed]),
        warned,
        share(warned, len(runs)),
        len(control_scores),
        false_alarms,
        share(false_alarms, len(control_scores)),
        change_point.auroc([score for score in scores if score is not None], control_scores),
    )


def scores_of_controls(verdicts, stretch):
    """The largest score of each control from t_mem to stretch x t_mem; those that end before are left out."""
    found = []
    for v in verdicts:
        end = stretch * max(v.t_mem, 1)
        if v.kind == CONTROL and v.watched is not None and v.watched.covers(end):
            found.append(v.watched.score_before(end))
    return [score for score in found if score is not None]


def median(values):
    return float(np.median(values)) if len(values) else None


def share(count, of):
    return count / of if of else None


def write_csv(path, rows):
    """A table of named tuples; None becomes an empty field."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(field for field in rows[0]._fields if field != "watched")
        for row in rows:
            values = row._asdict()
            values.pop("watched", None)
            writer.writerow(
                "" if v is None else f"{v:.6g}" if isinstance(v, float) else v for v in values.values()
            )


def describe_runs(runs):
    """Says which run counts as what; returns the runs that take part."""
    used = []
    for run in runs:
        transition = run.transition()
        kind = kind_of(run)
        steps = ", ".join(
            f"{name} {'never' if step is None else format(step, ',.0f')}"
            for name, step in zip(("t_mem", "t_gen"), transition[:2])
        )
        print(f"{run.path}: {experiment_of(run)}, {kind} ({steps})")
        if kind in (GENERALISING, CONTROL):
            used.append(run)
    return used


def print_leaders(rows, count=10):
    """For each experiment, the earliest series and those that tell its runs from its controls best, as text
    tables."""
    for experiment in dict.fromkeys(row.experiment for row in rows):
        mine = [row for row in rows if row.experiment == experiment and row.onset_ratio is not None]
        if not mine:
            print(f"\n{experiment}: no series changed in a run whose jump could be watched")
            continue
        print(f"\n{experiment}: the earliest of {len(mine)} series that changed")
        print_rows(sorted(mine, key=lambda row: row.onset_ratio)[:count])
        specific = [row for row in mine if row.controls and (row.detection_rate or 0) > row.false_alarm_rate]
        specific.sort(key=lambda row: (row.false_alarm_rate - row.detection_rate, -row.auroc))
        if specific:
            print(f"\n{experiment}: of the {len(specific)} that warn more often than they warn falsely, the best")
            print_rows(specific[:count])
        elif any(row.controls for row in mine):
            print("none of them warns more often in these runs than in the controls")
        else:
            print("no controls: how often such a change is a false alarm is unknown")


def print_rows(rows):
    print(f"{'series':44} {'lead (steps)':>13} {'range':>19} {'warned':>7} {'false':>7} {'AUROC':>6}")
    for row in rows:
        spread = f"{row.lead_min:,.0f} .. {row.lead_max:,.0f}"
        warned, false = f"{row.warned}/{row.generalising}", f"{row.false_alarms}/{row.controls}"
        score = "-" if row.auroc is None else f"{row.auroc:.2f}"
        print(f"{row.series[:44]:44} {row.lead_median:13,.0f} {spread:>19} {warned:>7} {false:>7} {score:>6}")


def parse_arguments(argv):
    parser = tool_options.make_parser(
        __doc__,
        "Writes lead_lag.csv (a row for each experiment and series), lead_lag_runs.csv (a row for "
        "each run and series), a figure for each experiment and lead_lag_all over all. Exit codes: 0 done, "
        "2 wrong usage or no run to judge, 3 unreadable files or an unwritable folder.",
    )
    tool_options.add_runs(parser)
    parser.add_argument(
        "--series", nargs="+", default=["*"], metavar="GLOB", help="names in metrics.h5 (default: all)"
    )
    tool_options.add_figures(parser, Path("lead_lag"))
    return parser.parse_args(argv)


def main(argv=None):
    arguments = parse_arguments(argv)
    import plot_lead_lag  # matplotlib takes a second that --help need not wait for

    runs = describe_runs(grokscope_io.open_runs(arguments.runs))
    verdicts = []
    for run in runs:
        with run:
            verdicts += judge(run, arguments.series)
    if not verdicts:
        raise grokscope_io.ToolError(
            "no series can be judged (no run memorised, or --series matches nothing), give runs that "
            "trained until t_mem at least, and see `h5ls -r metrics.h5` for the names"
        )
    rows = tabulate(verdicts)
    with grokscope_io.writing_to(arguments.save_dir) as folder:
        write_csv(folder / "lead_lag.csv", rows)
        write_csv(folder / "lead_lag_runs.csv", verdicts)
        written = plot_lead_lag.draw_all(rows, verdicts, folder, arguments.formats)
    print_leaders(rows)
    print(f"\nwritten to {arguments.save_dir}: lead_lag.csv, lead_lag_runs.csv, {', '.join(written)}")
    return 0


if __name__ == "__main__":
    grokscope_io.run_tool(main)

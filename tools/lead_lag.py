#!/usr/bin/env python3
"""Did the spectrum know first? For each stored series: when did it change, relative to the jump in test
accuracy?

Method, with parameters that were fixed on invented series and are the same for all (change_point.py has
the formulas):

- Runs. A run that memorised and generalised (t_mem and t_gen in /events) counts as generalising, one that
  memorised, is done and did not generalise as a control. Left out are runs that never memorised; undecided ones
  (not done, or their test accuracy went more than half of the way from its value at t_mem to 1, or to 0.8, but
  not to t_gen); and those with too short a delay (the jump begins before the baseline, which ends at about 1.8
  t_mem, and two bins more). Runs are compared within one study, else within one experiment. Generalising runs
  whose settings differ in more than seeds are tabulated apart, against the same controls; these should differ
  from them in one thing (less data, no weight decay), and their false alarms are also given kind by kind.
- Jump. The rise of test_acc that leads to t_gen: going back from there to where it stood still, the first rise that the
  test below finds on the way; what the accuracy did before it stood still does not count. It is read at the steps at
  which the series was measured: neither has the finer clock. A series that was measured too rarely to see the
  jump begin after its baseline is left out.
- Changes. Each series is watched from t_mem on: every bin of the step is predicted by a straight line in
  log10(step) through all earlier ones, and the summed errors raise an alarm at a fixed boundary, upwards or
  downwards. The onset is where the change began, the alarm where an observer who sees nothing later could have
  known. After an alarm the watch starts again, so that later changes are seen too. Whether a series is compared as
  it is or as log10 is decided once for all runs of an experiment, from their baselines.
- Direction of a series: that in which more of the generalising runs change before the jump. Everything
  below counts changes in this direction only, in runs and controls alike. Where a series moves at random, this
  choice flatters its detection rate against its false alarms (the table has those of either direction, too);
  p, below, allows for it.
- Lead, the one primary statistic: onset of the jump minus onset of the last change that came before it, in steps.
  "Before" means two bins at least, each of which holds a value (two tracking intervals, or 13 % of the step,
  whichever is longer); a lead of fewer is 0. Where none came before, it is that of the first change, 0 or negative.
  Median and range are over the runs that changed, whose number is given. An onset at the end of a baseline is
  censored ("<="): the change began then or before, the lead is at least (">=") so long.
- Nulls. The test accuracy itself takes part under three names: as it is, and as 100 test_acc and 1 - test_acc with
  units of their own, so that they are compared as logarithms (or, where 0 in a baseline, in units of their median),
  as such a series would be. They tell what a lead, a warning or an AUROC is worth that is owed to the method or to
  the way of writing. A series is called leading where it precedes all three by two bins, each at its own steps, in
  more than half of the generalising runs (all of them, not those that changed).
- Detection rate: share of the generalising runs with an alarm two bins before the onset of the jump. False alarms:
  share of the controls with an alarm in a stretch of training as long: from t_mem to t_mem times the median
  ratio of these ends. A control that ends before, or whose own test accuracy raised an alarm by then, is not counted.
  Intervals are Wilson's, 95 %.
- AUROC: the largest score (1 is the alarm) up to two bins before the jump in the generalising runs, against the largest
  score in that stretch of the controls; below 0.25 they count as equal. 0.5 is chance. p is the share of all ways to
  call as many of the runs generalising that give as high an AUROC, in either direction; p (any), the share of those
  that give one as high to any of the series searched.

What it shows: the order of changes, at the stated resolution, and whether a change tells runs that will generalise
from runs that will not. What it does not show: that a change causes the jump; a change before or right after
t_mem (in the baseline); anything about an experiment without controls; and, with several hundred series and few runs,
that the best of them is better than luck unless p (any) says so: choose series on one experiment and judge them on
another.
"""
import csv
import fnmatch
import re
from pathlib import Path
from typing import NamedTuple, Optional

import grokscope_io  # first: it finds a Python that has the packages

import change_point  # noqa: E402
import numpy as np  # noqa: E402
import tool_options  # noqa: E402
from change_point import BASELINE, RESOLUTION  # noqa: E402

REFERENCE = "test_acc"
GENERALISING, CONTROL = "generalising", "control"
HALF_WAY = 0.5  # of the way of the test accuracy from its value at t_mem to 1
HIGH = 0.8  # a test accuracy that no control reaches
SKIPPED = (  # unless --series names them
    REFERENCE,
    f"*/{REFERENCE}",
    "*eigenvalues",
    "checks/*",
    "timing/*",
    "results/*",
    "parameters/*",
    "definitions/mean/*",
    "*noise_floor",
    "*train_acc",
)
COMPONENTS = 3  # of a series of vectors, so many of the first ones are watched, each on its own; all where it is named
SHARE = change_point.Scale("share", change_point.SMALLEST_NOISE)


class Null(NamedTuple):
    """The test accuracy under another name."""

    name: str
    units: str
    sign: int  # the direction in which it jumps
    values: object  # of the accuracy


NULLS = (
    Null("null: test_acc", "1", 1, lambda accuracy: accuracy),
    Null("null: 100 test_acc", "%", 1, lambda accuracy: 100 * accuracy),
    Null("null: 1 - test_acc", "error", -1, lambda accuracy: 1 - accuracy),
)
SIGN_OF_NULL = {null.name: null.sign for null in NULLS}


class Sample(NamedTuple):
    """One series of one run, in bins from t_mem on."""

    units: str
    clock: bytes  # the steps at which it was measured
    step: np.ndarray
    values: np.ndarray


class Verdict(NamedTuple):
    """One series in one run."""

    experiment: str
    run: str
    kind: str  # GENERALISING or CONTROL
    member: str  # name of the settings
    series: str
    t_mem: float
    t_gen: Optional[float]
    scale: Optional[str]
    jump: Optional[int]  # the bin in which the jump began; None where that cannot be seen
    null_lead: int  # bins by which the earliest of the nulls came before the jump, at the steps of this series
    until: float  # the step from which a control is none, because its test accuracy raised an alarm
    watched: Optional[change_point.Monitored]

    def counts(self):
        """Whether a generalising run can say when this series changed relative to the jump."""
        return self.kind == GENERALISING and self.jump is not None and self.watched is not None

    def before(self, sign):
        """The changes in the direction `sign` that came before the jump."""
        return [c for c in self.watched.changes if c.sign == sign and self.jump - c.onset >= RESOLUTION]

    def chosen(self, sign):
        """The last change in the direction `sign` that came before the jump, else the first one at all; None
        without any."""
        mine = [c for c in self.watched.changes if c.sign == sign]
        return (self.before(sign)[-1:] + mine[:1] + [None])[0]

    def lead(self, change):
        """(bins, steps) from the onset of the change to that of the jump; 0 below the resolution."""
        bins = self.jump - change.onset
        steps = self.watched.step[self.jump] - self.watched.step[change.onset]
        return (bins, float(steps)) if abs(bins) >= RESOLUTION else (0, 0.0)

    def ratio(self, change):
        return float(self.watched.step[change.onset] / self.watched.step[self.jump])

    def leads_nulls(self, sign):
        change = self.chosen(sign)
        return change is not None and self.lead(change)[0] >= self.null_lead + RESOLUTION

    def window(self):
        """The bins before the jump: the last ends RESOLUTION bins before its onset."""
        return self.jump - RESOLUTION + 1

    def stretch(self):
        """The end of the window over t_mem."""
        return float(self.watched.step[self.jump - RESOLUTION] / max(self.t_mem, 1))


class Row(NamedTuple):
    """One series over all runs of one experiment; None where no run can say."""

    experiment: str
    series: str
    searched: int  # series of this experiment that were watched, the nulls not counted
    scale: Optional[str]
    direction: Optional[str]  # up or down
    generalising: int  # runs in which both the series and the jump could be watched
    changed: int  # of these, runs in which the series changed at all in its direction
    censored: int  # of these, runs in which it began to change in a baseline: "<="
    before: int  # runs in which it came before the jump by the resolution at least
    before_nulls: int  # runs in which it came before all nulls, too
    leading: Optional[str]  # yes: before all nulls in more than half of the generalising runs
    lead_is: str  # ">=": the median is a lower bound, because of censored onsets
    lead_median: Optional[float]
    lead_min: Optional[float]
    lead_max: Optional[float]
    onset_ratio: Optional[float]  # median of onset / onset of the jump: below 1 the series is first
    resolution_steps: Optional[float]  # RESOLUTION bins before the onset of the jump, median
    first_lead_median: Optional[float]  # of the first change after t_mem, in either direction
    alarm_lead_median: Optional[float]  # onset of the jump minus alarm of the change
    warned: int
    detection_rate: Optional[float]
    detection_low: Optional[float]
    detection_high: Optional[float]
    controls: int
    false_alarms: int
    false_alarm_rate: Optional[float]
    false_alarm_low: Optional[float]
    false_alarm_high: Optional[float]
    false_alarms_by_kind: str
    false_alarms_either: int  # controls with an alarm in either direction
    auroc: Optional[float]
    pairs: int  # of a run and a control that were compared
    auroc_p: Optional[float]
    auroc_p_any: Optional[float]
    onsets: tuple  # (ratio, censored) of each run that changed
    scores: dict  # (rise, fall) of each run and control that was compared

    def sign(self):
        return {"up": 1, "down": -1}.get(self.direction)

    def is_null(self):
        return self.series in SIGN_OF_NULL


class RunRow(NamedTuple):
    """One series in one run, in steps, for lead_lag_runs.csv."""

    experiment: str
    run: str
    kind: str
    member: str
    series: str
    scale: Optional[str]
    direction: Optional[str]
    t_mem: float
    t_gen: Optional[float]
    jump_onset: Optional[float]
    onset_is: str  # "<=": censored
    onset: Optional[float]  # of the change that counts; in a control, of the first in that direction
    alarm: Optional[float]
    lead: Optional[float]
    score: Optional[float]  # the largest in the window that is compared
    changes: str  # all of them: direction, onset, alarm


# Which runs, and how they are compared ---------------------------------------------------------------------


def experiment_of(run):
    """The experiment's name, by which runs are pooled."""
    configured = ((run.config() or {}).get("experiment") or {}).get("name")
    return str(run.attrs().get("experiment") or configured or run.name)


def study_of(run):
    """The folder of the study that the run is a member of; None for a run of its own."""
    folder = run.path.resolve().parent
    return folder.parent if folder.name == "members" else None


def kind_of(run):
    """What the run counts as: GENERALISING, CONTROL, or the reason why it is left out."""
    transition, reference = run.transition(), run.best_series(REFERENCE)
    if transition.t_mem is None:
        return "left out: it never memorised, or has no accuracies"
    if reference is None:
        return f"left out: it has no {REFERENCE}"
    step, accuracy = change_point.binned(reference.step, reference.values, transition.t_mem)
    if step.size <= BASELINE:
        return "left out: it ended too soon after t_mem"
    if transition.t_gen is None:
        state = (run.status() or {}).get("state", "not known to be done (it has no STATUS)")
        if state != "done":
            return f"left out: undecided, the run is {state}"
        highest = np.nanmax(reference.values)
        way = (accuracy.max() - accuracy[0]) / max(1 - accuracy[0], 1e-9)
        undecided = way > HALF_WAY or accuracy.max() >= HIGH
        return f"left out: undecided, its {REFERENCE} rose to {highest:.2f}" if undecided else CONTROL
    jump = change_point.jump_bin(step, accuracy, transition.t_gen)
    if jump is None:
        return f"left out: its {REFERENCE} ends before t_gen"
    if jump < BASELINE + RESOLUTION:
        ended = step[BASELINE - 1]
        return (
            f"left out: too short a delay, the jump began before the baseline ended (step {ended:,.0f}) "
            f"or within {RESOLUTION} bins of its end"
        )
    return GENERALISING


def pools_of(runs):
    """{name: runs} that are compared with one another: those of one study, else of one experiment."""
    pools = {}
    for run in runs:
        pools.setdefault((experiment_of(run), study_of(run)), []).append(run)
    known = [experiment for experiment, _ in pools]
    names = [
        experiment + (f" ({study.name if study else 'runs'})" if known.count(experiment) > 1 else "")
        for experiment, study in pools
    ]
    return dict(zip(distinct(names), pools.values()))


def members_of(runs):
    """The name of each run's settings, seeds left out: that of the study's member, else of its folder."""
    from compare_experiments import settings_of  # it imports matplotlib, which --help need not wait for

    settings = [settings_of(run) for run in runs]
    first = {key: runs[settings.index(key)] for key in settings}
    names = [re.sub(r"[,+]?(training\.)?seed=\d+", "", run.name) or run.name for run in first.values()]
    named = dict(zip(first, distinct(names)))
    return [named[key] if key else "settings unknown" for key in settings]


def distinct(names):
    """The names, those that were there before numbered."""
    return [name + (f" #{names[: i + 1].count(name)}" if name in names[:i] else "") for i, name in enumerate(names)]


# Reading and judging ---------------------------------------------------------------------------------------


def scalar_series(run, patterns):
    """(name, Series [T], units) of every series that takes part, vectors by their components."""
    named = [pattern for pattern in patterns if pattern != "*"]
    for name in run.names():
        whole = any(fnmatch.fnmatch(name, pattern) for pattern in named)
        parts = [pattern for pattern in named if pattern.startswith(name + "[")]
        usual = "*" in patterns and not any(fnmatch.fnmatch(name, pattern) for pattern in SKIPPED)
        if not (whole or parts or usual):
            continue
        for k, (label, series) in enumerate(run.scalar_series(name, None if whole or parts else COMPONENTS)):
            if whole or label in parts or (usual and k < COMPONENTS):
                yield label, series, run.attrs(name).get("units", "1")


def sampled_at(reference, step):
    """The reference as it was last known at the steps of another series."""
    there = np.isfinite(reference.values)
    known, values = reference.step[there], reference.values[there]
    at = np.searchsorted(known, step, side="right") - 1
    found = np.where(at >= 0, values[np.maximum(at, 0)], np.nan) if known.size else np.full(len(step), np.nan)
    return grokscope_io.Series(step, step, found)


def read(run, patterns):
    """({name: Sample}, {clock: (step, test accuracy) in bins}) of a run."""
    t_mem, reference = run.transition().t_mem, run.best_series(REFERENCE)
    samples, clocks = {}, {}
    for name, series, units in scalar_series(run, patterns):
        there = np.isfinite(series.values)
        step = series.step[there]
        clock = step.tobytes()
        samples[name] = Sample(units, clock, *change_point.binned(step, series.values[there], t_mem))
        if clock not in clocks:
            clocks[clock] = change_point.binned(step, sampled_at(reference, step).values, t_mem)
    return samples, clocks


def judge(run, patterns=("*",)):
    """Verdicts on all series of a run that is judged alone; empty when it is left out."""
    return judge_all([run], patterns)


def judge_all(runs, patterns=("*",)):
    """Verdicts on all series of all runs that are not left out, one experiment after the other."""
    kinds = {run.path: kind_of(run) for run in runs}
    verdicts = []
    for name, pool in pools_of([run for run in runs if kinds[run.path] in (GENERALISING, CONTROL)]).items():
        mine = judge_pool(name, pool, [kinds[run.path] for run in pool], patterns)
        settings = list(dict.fromkeys(v.member for v in mine if v.kind == GENERALISING))
        if len(settings) < 2:
            verdicts += mine
            continue
        for member in settings:
            kept = (v for v in mine if v.kind == CONTROL or v.member == member)
            verdicts += [v._replace(experiment=f"{name}: {member}") for v in kept]
    return verdicts


def judge_pool(experiment, runs, kinds, patterns):
    """Verdicts on all series of runs that are compared with one another."""
    members, tables = members_of(runs), []
    for run in runs:
        with run:  # its file is closed when all is read
            tables.append((run.path, run.transition(), *read(run, patterns)))
    scales = scales_of([samples for *_, samples, _ in tables])
    accuracies = [accuracy for *_, clocks in tables for _, accuracy in clocks.values()]
    null_scales = {n.name: change_point.scale_of([n.values(a) for a in accuracies], n.units) for n in NULLS}
    verdicts = []
    for (path, transition, samples, clocks), kind, member in zip(tables, kinds, members):
        start = Verdict(experiment, str(path), kind, member, "", *transition[:2], None, None, 0, np.inf, None)
        seen = {clock: at_clock(start, *bins, null_scales) for clock, bins in clocks.items()}
        verdicts += seen[clock_of_nulls(seen, samples)] if samples else []
        for name, sample in samples.items():
            watched = change_point.watch(sample.step, sample.values, scales[name])
            scale = scales[name] and scales[name].name
            verdicts.append(seen[sample.clock][0]._replace(series=name, scale=scale, watched=watched))
    return verdicts


def scales_of(tables):
    """{name: Scale or None} of each series, from its baselines in all runs."""
    names = dict.fromkeys(name for samples in tables for name in samples)
    found = {name: [samples[name] for samples in tables if name in samples] for name in names}
    return {name: change_point.scale_of([s.values for s in mine], mine[0].units) for name, mine in found.items()}


def clock_of_nulls(seen, samples):
    """The clock at which the nulls are tabulated: of those at which the jump is seen, that of most series."""
    used = [sample.clock for sample in samples.values()]
    return max(seen, key=lambda clock: (seen[clock][0].counts(), bool(seen[clock][0].watched), used.count(clock)))


def at_clock(start, step, accuracy, scales):
    """Verdicts on the nulls at the steps of a series: what the test accuracy did, as it is seen there."""
    jump, until = None, np.inf
    if start.t_gen is not None:
        jump = change_point.jump_bin(step, accuracy, start.t_gen)
        jump = jump if jump is not None and jump >= BASELINE + RESOLUTION else None
    else:
        watched = change_point.watch(step, accuracy, SHARE)
        alarms = [step[change.alarm] for change in (watched.changes if watched else ()) if change.sign > 0]
        until = min(alarms, default=np.inf)
    found = []
    for null in NULLS:
        scale = scales[null.name]
        watched = change_point.watch(step, null.values(accuracy), scale)
        found.append(
            start._replace(
                series=null.name, scale=scale and scale.name, jump=jump, until=float(until), watched=watched
            )
        )
    leads = [v.jump - v.before(SIGN_OF_NULL[v.series])[-1].onset for v in found if is_before(v)]
    return [v._replace(null_lead=max(leads, default=0)) for v in found]


def is_before(null):
    """Whether a null comes before the jump, in its direction."""
    return null.counts() and bool(null.before(SIGN_OF_NULL[null.series]))


# Tables ----------------------------------------------------------------------------------------------------


def tabulate(verdicts):
    """One Row for each experiment and series, in the order of the verdicts."""
    grouped = {}
    for verdict in verdicts:
        grouped.setdefault(verdict.experiment, {}).setdefault(verdict.series, []).append(verdict)
    rows = []
    for experiment, series in grouped.items():
        searched = sum(name not in SIGN_OF_NULL and any(v.watched for v in vs) for name, vs in series.items())
        rows += with_chances([row_of(experiment, name, searched, vs) for name, vs in series.items()], series)
    return rows


def row_of(experiment, series, searched, verdicts):
    runs = [v for v in verdicts if v.counts()]
    sign = SIGN_OF_NULL.get(series) or direction_of(runs)
    pairs = [(v, v.chosen(sign)) for v in runs]
    pairs = [(v, change) for v, change in pairs if change is not None]
    leads = [v.lead(change)[1] for v, change in pairs]
    longest = [np.inf if change.censored else lead for (_, change), lead in zip(pairs, leads)]
    first = [v.lead(v.watched.changes[0])[1] for v in runs if v.watched.changes]
    stretch = median([v.stretch() for v in runs])
    controls = [] if stretch is None else comparable_controls(verdicts, stretch)
    alarms = [v.watched.alarms(sign, bins) for v, bins in controls]
    before_nulls = sum(v.leads_nulls(sign) for v in runs)
    warned = sum(v.watched.alarms(sign, v.window()) for v in runs)
    windows = [(v, v.window()) for v in runs] + controls
    scores = {v.run: (v.watched.score(1, bins), v.watched.score(-1, bins)) for v, bins in windows}
    side = 0 if sign == 1 else 1
    return Row(
        experiment,
        series,
        searched,
        next((v.scale for v in verdicts if v.scale), None),
        {1: "up", -1: "down"}.get(sign if pairs or series in SIGN_OF_NULL else None),
        len(runs),
        len(pairs),
        sum(change.censored for _, change in pairs),
        sum(bool(v.before(sign)) for v in runs),
        before_nulls,
        ("yes" if 2 * before_nulls > len(runs) else "no") if runs else None,
        ">=" if pairs and median(longest) != median(leads) else "",
        median(leads),
        min(leads, default=None),
        max(leads, default=None),
        median([v.ratio(change) for v, change in pairs]),
        median([v.watched.step[v.jump] - v.watched.step[v.jump - RESOLUTION] for v in runs]),
        median(first),
        median([v.watched.step[v.jump] - v.watched.step[change.alarm] for v, change in pairs]),
        warned,
        share(warned, len(runs)),
        *change_point.wilson(warned, len(runs)),
        len(controls),
        sum(alarms),
        share(sum(alarms), len(controls)),
        *change_point.wilson(sum(alarms), len(controls)),
        by_kind([v.member for v, _ in controls], alarms),
        sum(v.watched.alarms(1, bins) or v.watched.alarms(-1, bins) for v, bins in controls),
        change_point.auroc([scores[v.run][side] for v in runs], [scores[v.run][side] for v, _ in controls]),
        len(runs) * len(controls),
        None,
        None,
        tuple((v.ratio(change), change.censored) for v, change in pairs),
        scores if runs and controls else {},
    )


def direction_of(runs):
    """The direction (1 or -1) in which more of the runs change before the jump, else change at all, else lean."""

    def weight(sign):
        before, changed = (sum(map(bool, found)) for found in zip(*[(v.before(sign), v.chosen(sign)) for v in runs]))
        return before, changed, sum(min(v.watched.score(sign, v.window()), 1) for v in runs)

    return max((1, -1), key=weight) if runs else None


def comparable_controls(verdicts, stretch):
    """(verdict, bins from t_mem to stretch x t_mem) of each control; left out are those that end before, and those
    whose own test accuracy raised an alarm by then."""
    found = []
    for v in verdicts:
        end = stretch * max(v.t_mem, 1)
        if v.kind == CONTROL and v.watched is not None and v.watched.covers(end) and v.until > end:
            bins = v.watched.bins_until(end)
            found += [(v, bins)] if bins > BASELINE else []
    return found


def by_kind(members, alarms):
    """False alarms of each kind of control, as text: "less_data 3/5; no_decay 0/2"."""
    kinds = dict.fromkeys(members)
    counts = {kind: [alarm for member, alarm in zip(members, alarms) if member == kind] for kind in kinds}
    return "; ".join(f"{kind} {sum(found)}/{len(found)}" for kind, found in counts.items())


def with_chances(rows, verdicts_of):
    """The rows of one experiment, with the chances of their AUROCs among all rows but the nulls."""
    judged = [row for row in rows if row.auroc is not None and not row.is_null()]
    if not judged:
        return rows
    kinds = {v.run: v.kind == GENERALISING for verdicts in verdicts_of.values() for v in verdicts}
    scores = np.full((2, len(judged), len(kinds)), np.nan)
    for s, row in enumerate(judged):
        for r, run in enumerate(kinds):
            scores[:, s, r] = row.scores.get(run, (np.nan, np.nan))
    observed = np.array([row.auroc for row in judged])
    chances = change_point.chance_of_auroc(scores, list(kinds.values()), observed)
    found = {row.series: tuple(map(float, pair)) for row, *pair in zip(judged, *chances)}
    fields = ("auroc_p", "auroc_p_any")
    return [row._replace(**dict(zip(fields, found.get(row.series, (None, None))))) for row in rows]


def tabulate_runs(rows, verdicts):
    """A RunRow for each verdict."""
    of = {(row.experiment, row.series): row for row in rows}
    return [run_row(of[v.experiment, v.series], v) for v in verdicts]


def run_row(row, v):
    sign, changes = row.sign(), v.watched.changes if v.watched else ()
    change = v.chosen(sign) if v.counts() else next((c for c in changes if c.sign == sign), None)
    step = v.watched and v.watched.step
    texts = [
        f"{'up' if c.sign > 0 else 'down'} {'<=' if c.censored else ''}{step[c.onset]:.0f} alarm {step[c.alarm]:.0f}"
        for c in changes
    ]
    return RunRow(
        v.experiment,
        v.run,
        v.kind,
        v.member,
        v.series,
        v.scale,
        row.direction,
        v.t_mem,
        v.t_gen,
        float(step[v.jump]) if v.counts() else None,
        "<=" if change and change.censored else "",
        float(step[change.onset]) if change else None,
        float(step[change.alarm]) if change else None,
        v.lead(change)[1] if change and v.counts() else None,
        (row.scores.get(v.run) or (None, None))[0 if sign == 1 else 1],
        "; ".join(texts),
    )


def median(values):
    return float(np.median(values)) if len(values) else None


def share(count, of):
    return count / of if of else None


def write_csv(path, rows):
    """A table of named tuples; None becomes an empty field, a step keeps all its digits."""
    fields = [field for field in rows[0]._fields if field not in ("onsets", "scores")]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(fields)
        writer.writerows([as_text(getattr(row, field)) for field in fields] for row in rows)


def as_text(value):
    if value is None:
        return ""
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def write_tables(folder, rows, verdicts):
    """Writes lead_lag.csv, lead_lag_<experiment>.csv, lead_lag_runs.csv and lead_lag_all.csv; returns their names."""
    from plot_lead_lag import file_name  # it imports matplotlib, too

    names = ["lead_lag.csv", "lead_lag_runs.csv", "lead_lag_all.csv"]
    write_csv(folder / names[0], rows)
    write_csv(folder / names[1], tabulate_runs(rows, verdicts))
    write_overview(folder / names[2], rows)
    for experiment in dict.fromkeys(row.experiment for row in rows):
        names.append(file_name(experiment) + ".csv")
        write_csv(folder / names[-1], [row for row in rows if row.experiment == experiment])
    return names


def write_overview(path, rows):
    """A row for each series, the same columns for each experiment; the series of most experiments first."""
    columns = ("direction", "generalising", "before_nulls", "leading", "lead_is", "lead_median", "onset_ratio")
    columns += ("detection_rate", "false_alarm_rate", "auroc", "auroc_p_any")
    experiments = list(dict.fromkeys(row.experiment for row in rows))
    cells = {(row.series, row.experiment): row for row in rows}
    series = dict.fromkeys(row.series for row in rows)
    present = {name: sum((name, e) in cells for e in experiments) for name in series}
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["series"] + [f"{e}: {column}" for e in experiments for column in columns])
        for name in sorted(series, key=lambda name: (name not in SIGN_OF_NULL, -present[name])):
            found = [cells.get((name, e)) for e in experiments]
            values = [as_text(getattr(row, column, None)) for row in found for column in columns]
            writer.writerow([name] + values)


# What is printed -------------------------------------------------------------------------------------------


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


def print_leaders(rows, verdicts, count=10):
    """For each experiment, the nulls, the earliest series and those that tell its runs from its controls best, as
    text tables."""
    for experiment in dict.fromkeys(row.experiment for row in rows):
        mine = [row for row in rows if row.experiment == experiment]
        print(f"\n{describe_experiment(mine[0], [v for v in verdicts if v.experiment == experiment])}")
        nulls = [row for row in mine if row.is_null()]
        changed = [row for row in mine if row.onset_ratio is not None and not row.is_null()]
        print("\nnulls: the test accuracy itself under other names; what they show, any series may show")
        print_rows(nulls)
        leading = sorted((row for row in changed if row.leading == "yes"), key=lambda row: row.onset_ratio)
        print(
            f"\n{len(changed)} of {mine[0].searched} series changed in a run whose jump could be watched; "
            f"{len(leading)} lead, by more than the nulls in more than half of the runs"
            + (f"; the {min(count, len(leading))} earliest:" if leading else "")
        )
        print_rows(leading[:count])
        if not any(row.controls for row in mine):
            print("no controls that can be compared: how often such a change is a false alarm is unknown")
            continue
        bound = max([excess(row) for row in nulls], default=0.0)
        specific = sorted((row for row in changed if excess(row) > max(bound, 0)), key=excess, reverse=True)
        print(
            f"\n{len(specific)} warn more often than they warn falsely, and by more than the nulls"
            + (f"; the {min(count, len(specific))} best:" if specific else "")
        )
        print_rows(specific[:count])


def describe_experiment(row, verdicts):
    """One line: how many runs of which settings, how many series, and the resolution."""
    counts = {}
    for run, kind, member in dict.fromkeys((v.run, v.kind, v.member) for v in verdicts):
        counts.setdefault(kind, {}).setdefault(member, []).append(run)
    texts = [
        f"{sum(map(len, counts.get(kind, {}).values()))} {kind}"
        + (f" ({', '.join(f'{m} {len(runs)}' for m, runs in counts[kind].items())})" if kind in counts else "")
        for kind in (GENERALISING, CONTROL)
    ]
    closest = "" if row.resolution_steps is None else f" (about {row.resolution_steps:,.0f} steps at the jump)"
    return (
        f"{row.experiment}: {', '.join(texts)}; {row.searched} series searched; "
        f"leads of fewer than {RESOLUTION} bins{closest} count as 0"
    )


def excess(row):
    """Detection rate minus false-alarm rate; -1 where either is unknown."""
    known = row.detection_rate is not None and row.false_alarm_rate is not None
    return row.detection_rate - row.false_alarm_rate if known else -1.0


def print_rows(rows):
    if not rows:
        return
    print(
        f"{'series':44} {'':4} {'changed':>7} {'lead (steps)':>13} {'range':>19} {'>nulls':>6} {'warned':>6} "
        f"{'false':>6} {'AUROC':>5} {'p':>6} {'p (any)':>7}"
    )
    for row in rows:
        lead = "-" if row.lead_median is None else f"{row.lead_is}{row.lead_median:,.0f}"
        spread = "-" if row.lead_min is None else f"{row.lead_min:,.0f} .. {row.lead_max:,.0f}"
        counts = [f"{n}/{row.generalising}" for n in (row.changed, row.before_nulls, row.warned)]
        chances = [number(row.auroc, ".2f"), number(row.auroc_p, ".3f"), number(row.auroc_p_any, ".3f")]
        print(
            f"{row.series[-44:]:44} {row.direction or '-':4} {counts[0]:>7} {lead:>13} {spread:>19} {counts[1]:>6} "
            f"{counts[2]:>6} {f'{row.false_alarms}/{row.controls}':>6} {chances[0]:>5} {chances[1]:>6} {chances[2]:>7}"
        )


def number(value, form):
    return "-" if value is None else format(value, form)


def parse_arguments(argv):
    parser = tool_options.make_parser(
        __doc__,
        "Writes for each experiment a table and a figure, lead_lag_<experiment>.csv, .png, .pdf (and a figure of its "
        "layers), and over all lead_lag_all.csv, .png, .pdf, lead_lag.csv (all rows of all experiments) and "
        "lead_lag_runs.csv (a row for each run and series). Exit codes: 0 done, "
        "2 wrong usage or no run to judge, 3 unreadable files or an unwritable folder.",
    )
    tool_options.add_runs(parser)
    parser.add_argument(
        "--series",
        nargs="+",
        default=["*"],
        metavar="GLOB",
        help="names in metrics.h5 (default: all but accuracies, checks and copies); what is named takes part in any "
        "case, vectors with all their components, or one: 'eigenvalues_top_k[7]'",
    )
    tool_options.add_figures(parser, Path("lead_lag"))
    return parser.parse_args(argv)


def main(argv=None):
    arguments = parse_arguments(argv)
    import plot_lead_lag  # matplotlib takes a second that --help need not wait for

    runs = describe_runs(grokscope_io.open_runs(arguments.runs))
    verdicts = judge_all(runs, arguments.series)
    if not verdicts:
        raise grokscope_io.ToolError(
            "no series can be judged (no run memorised, or --series matches nothing), give runs that "
            "trained until t_mem at least, and see `h5ls -r metrics.h5` for the names"
        )
    rows = tabulate(verdicts)
    with grokscope_io.writing_to(arguments.save_dir) as folder:
        written = write_tables(folder, rows, verdicts)
        written += plot_lead_lag.draw_all(rows, verdicts, folder, arguments.formats)
    print_leaders(rows, verdicts)
    print(f"\nwritten to {arguments.save_dir}: {', '.join(written)}")
    return 0


if __name__ == "__main__":
    grokscope_io.run_tool(main)

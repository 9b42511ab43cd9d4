"""When did each series of each run change, relative to the jump in test accuracy?

- The jump is read at the steps at which the series was measured: neither has the finer clock. A series that was
  measured too rarely to see the jump begin after its baseline says nothing.
- "Before" the jump means RESOLUTION bins at least, each of which holds a value (two tracking intervals, or two bins of
  the step, whichever is longer); a lead of fewer is 0. An onset at the end of a baseline is censored: the change began
  then or before, the lead is at least so long.
- How a series is compared (as it is, as log10, ...) is decided once for all runs that are compared.
- The test accuracy itself takes part under three names, the nulls: as it is, and as 100 test_acc and 1 - test_acc with
  units of their own, so that they are compared as logarithms (or, where 0 in a baseline, in units of their median), as
  such a series would be. They tell what a lead is worth that is owed to the method or to the way of writing. One whose
  median over the baselines is 0 cannot be watched: "before all nulls" means all that can be.
"""
import fnmatch
from typing import Callable, NamedTuple, Optional

import numpy as np

from grokscope_tools.leads import change_point
from grokscope_tools.leads.change_point import RESOLUTION
from grokscope_tools.leads.runs import CONTROL, GENERALISING, REFERENCE, can_be_dated, kind_of, members_of, pools_of

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


class Null(NamedTuple):
    """The test accuracy under another name."""

    name: str
    units: str
    sign: int  # the direction in which it jumps
    values: Callable  # of the accuracy


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
    t_mem: float
    t_gen: Optional[float]
    # Of the test accuracy, at the steps of the series:
    jump: Optional[int] = None  # the bin in which the jump began; None where that cannot be seen
    nulls: int = 0  # so many of them could be watched
    null_lead: int = 0  # bins by which the earliest of these came before the jump
    moved: float = np.inf  # the step at which its first rise raised an alarm: from then on a control is none
    # Of the series:
    series: str = ""
    scale: Optional[str] = None
    watched: Optional[change_point.Monitored] = None

    def counts(self):
        """Whether a generalising run can say when this series changed relative to the jump."""
        return self.kind == GENERALISING and self.jump is not None and self.watched is not None

    def changes(self, sign):
        """The changes in the direction `sign`."""
        return [change for change in self.watched.changes if change.sign == sign]

    def before(self, sign):
        """Those that came before the jump."""
        return [change for change in self.changes(sign) if self.jump - change.onset >= RESOLUTION]

    def chosen(self, sign):
        """The last of those that came before the jump, else the first one at all; None without any."""
        before = self.before(sign)
        return before[-1] if before else next(iter(self.changes(sign)), None)

    def lead(self, change):
        """Steps from the onset of the change to that of the jump; 0 below the resolution."""
        together = abs(self.jump - change.onset) < RESOLUTION
        return 0.0 if together else float(self.watched.step[self.jump] - self.watched.step[change.onset])

    def ratio(self, change):
        return float(self.watched.step[change.onset] / self.watched.step[self.jump])

    def leads_nulls(self, sign):
        change = self.chosen(sign)
        return change is not None and self.jump - change.onset >= self.null_lead + RESOLUTION

    def window(self):
        """The bins before the jump: the last ends RESOLUTION bins before its onset."""
        return self.jump - RESOLUTION + 1

    def stretch(self):
        """The end of the window over t_mem."""
        return float(self.watched.step[self.jump - RESOLUTION] / max(self.t_mem, 1))


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
    if not any(samples for *_, samples, _ in tables):
        return []
    scales = scales_of([samples for *_, samples, _ in tables])
    accuracies = [accuracy for *_, clocks in tables for _, accuracy in clocks.values()]
    null_scales = {n.name: change_point.scale_of([n.values(a) for a in accuracies], n.units) for n in NULLS}
    verdicts = []
    for (path, transition, samples, clocks), kind, member in zip(tables, kinds, members):
        start = Verdict(experiment, str(path), kind, member, *transition[:2])
        seen = {clock: at_clock(start, *bins, null_scales) for clock, bins in clocks.items()}
        verdicts += seen[clock_of_nulls(seen, samples)] if samples else unseen(start)
        for name, sample in samples.items():
            verdicts.append(with_series(seen[sample.clock][0], name, sample.step, sample.values, scales[name]))
    return verdicts


def with_series(verdict, name, step, values, scale):
    """The verdict with another series in it."""
    found = change_point.watch(step, values, scale)
    return verdict._replace(series=name, scale=scale and scale.name, watched=found)


# The series of a run ---------------------------------------------------------------------------------------


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
            clocks[clock] = change_point.binned(step, sampled_at(reference, step), t_mem)
    return samples, clocks


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
    """The values of the reference as they were last known at the steps of another series."""
    there = np.isfinite(reference.values)
    known, values = reference.step[there], np.r_[np.nan, reference.values[there]]
    return values[np.searchsorted(known, step, side="right")]


def scales_of(tables):
    """{name: Scale or None} of each series, from its baselines in all runs."""
    names = dict.fromkeys(name for samples in tables for name in samples)
    found = {name: [samples[name] for samples in tables if name in samples] for name in names}
    return {name: change_point.scale_of([s.values for s in mine], mine[0].units) for name, mine in found.items()}


# The test accuracy -----------------------------------------------------------------------------------------


def at_clock(start, step, accuracy, scales):
    """Verdicts on the nulls at the steps of a series: what the test accuracy did, as it is seen there."""
    jump = None if start.t_gen is None else change_point.jump_bin(step, accuracy, start.t_gen)
    start = start._replace(jump=jump if can_be_dated(jump) else None)
    nulls = [with_series(start, null.name, step, null.values(accuracy), scales[null.name]) for null in NULLS]
    leads = [v.jump - c.onset for v, null in zip(nulls, NULLS) if v.counts() for c in v.before(null.sign)[-1:]]
    rises = nulls[0].changes(1) if nulls[0].watched else []
    moved = float(step[rises[0].alarm]) if rises else np.inf
    watched = sum(v.watched is not None for v in nulls)
    return [v._replace(nulls=watched, null_lead=max(leads, default=0), moved=moved) for v in nulls]


def unseen(start):
    """Verdicts on the nulls of a run that has none of the series: it is compared all the same, and nothing leads in it."""
    return [start._replace(series=null.name) for null in NULLS]


def clock_of_nulls(seen, samples):
    """The clock at which the nulls are tabulated: of those at which the jump is seen, that of most series."""
    used = [sample.clock for sample in samples.values()]
    return max(seen, key=lambda clock: (seen[clock][0].counts(), bool(seen[clock][0].watched), used.count(clock)))

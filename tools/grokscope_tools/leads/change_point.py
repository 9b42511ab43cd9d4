"""When did a series change, how often, which way, and when could an observer have known? A sequential test with
fixed parameters.

The method is that of Chu, Stinchcombe and White (1996, Econometrica 64, 1045), fed with the recursive
residuals of Brown, Durbin and Evans (1975, J. R. Stat. Soc. B 37, 149):

1. The clock starts at `start` (the step of memorisation) and runs in log10(step). Values are put into
   BINS_PER_DECADE bins a decade, the median of each bin at the last step in it, so that runs of any length
   and any tracking interval are judged alike. "Bins" are from here on those that hold a value.
2. The scale is one for all runs that are compared, and chosen from their baselines (the first BASELINE bins)
   alone: "share", the value itself, where it has no unit and lies in [0, 1]; "log", log10(value), where all are
   positive; else "linear", the value itself. What comes after the baseline cannot change it: in "log" a value
   of at most LOWEST times the median of the baseline is put there.
3. Each bin is predicted from all earlier bins by a straight line in log10(step), fitted by least squares. w_t
   is the error of that prediction over the standard deviation that it would have under noise of size 1.
4. The noise sigma is the root mean square of w_t in the baseline, and at least SMALLEST_NOISE (in decades, in
   units of the share, or of the median of all baselines): changes below a few per cent do not count.
5. Q_n = sum of w_t / sigma after the baseline. The alarm is the first n with |Q_n| >= B_n, where B_n =
   sqrt((BASELINE + n) (BOUNDARY + log(1 + n / BASELINE))); its sign says whether the series left the line
   upwards or downwards. It uses nothing that came later.
6. The onset is the kink of the line, bent once, that fits the values up to the alarm best (least squares; the
   kink lies at a bin from the last one of the baseline on): where the change began, as known at the alarm. A
   kink at the end of the baseline is censored: the change began there or before.
7. After an alarm the watch starts again, with a baseline of BASELINE bins from the onset on, or of the last ones
   up to the alarm where there are more; at most MOST_CHANGES changes are found. All watches run on to the end, and
   the score of a bin is the largest Q / B among them (for falls: -Q / B).

BOUNDARY is Chu, Stinchcombe and White's 7.78 for known noise, raised to 9.2 by simulation, because sigma
comes from the few bins of the baseline: white noise about any straight line then raises an alarm within 100
bins with probability 0.05. Training curves are smooth, not white noise: how often the alarm is false is
measured on control runs.

The jump of the test accuracy (jump_bin) is the rise that leads to t_gen. From the last bin below half-way (between
the accuracy at the start and at t_gen) one goes back until the accuracy, less SLOW_RISE a decade, lies
STANDSTILL above its lowest: what it did before it stood still for so long is not the jump. The onset is that of the
first rise that the test above finds on this way, so that a copy of the test accuracy changes exactly then; where
it finds none, the bin at which that difference is lowest.
"""
from typing import NamedTuple

import numpy as np

BINS_PER_DECADE = 32
BASELINE = 8
SMALLEST_NOISE = 0.02
BOUNDARY = 9.2
LOWEST = 1e-12
MOST_CHANGES = 4
RESOLUTION = 2  # bins, each of which holds a value: what is closer together counts as together
SLOW_RISE = 0.32  # of accuracy a decade (0.01 a bin): slower is no jump
STANDSTILL = 0.1  # of accuracy: the way back ends after ten bins without a rise, or a fall by so much
CALM = 0.25  # a score that white noise reaches in half of all watches: differences below it are none


class Scale(NamedTuple):
    """How the values of a series are compared, in all runs alike."""

    name: str  # share, log or linear
    noise: float  # the smallest that counts


class Change(NamedTuple):
    """Counted in bins."""

    onset: int
    alarm: int
    sign: int  # 1: it left its line upwards, -1: downwards
    censored: bool  # it began at the onset or before


class Monitored(NamedTuple):
    """One series under watch: bin i ends at `step[i]`; `rise[i]` and `fall[i]` are scores (1 is the alarm)."""

    step: np.ndarray
    rise: np.ndarray
    fall: np.ndarray
    changes: tuple

    def covers(self, end):
        """Whether the series was watched up to the bin that holds the step `end`."""
        return bool(self.step[-1] * 10 ** (1 / BINS_PER_DECADE) >= end)

    def bins_until(self, end):
        """How many bins end at the step `end` or before."""
        return int(np.searchsorted(self.step, end * (1 + 1e-9), side="right"))

    def score(self, sign, bins):
        """The largest score in the direction `sign` in the first `bins` bins; None when none was watched there."""
        watched = (self.rise if sign > 0 else self.fall)[BASELINE:bins]
        return float(watched.max()) if watched.size else None

    def alarms(self, sign, bins):
        """Whether there was an alarm in the direction `sign` in the first `bins` bins."""
        return any(change.sign == sign and change.alarm < bins for change in self.changes)


def binned(step, values, start):
    """(last step, median of the finite values) of each occupied bin from `start` (at least 1) on."""
    start = max(float(start), 1.0)
    kept = (step >= start) & np.isfinite(values)
    step, values = np.asarray(step, float)[kept], values[kept]
    bins = np.floor(BINS_PER_DECADE * np.log10(step / start) + 1e-9).astype(int)
    first = np.flatnonzero(np.diff(bins, prepend=-1))  # of each bin
    count = np.diff(first, append=bins.size)
    ordered = values[np.lexsort((values, bins))]
    medians = 0.5 * (ordered[first + (count - 1) // 2] + ordered[first + count // 2])
    return step[first + count - 1], medians


def scale_of(values_of_runs, units="1"):
    """The Scale of one series, from the baselines of its bins in all runs; None when it was nowhere watched, or when it
    is neither a share nor positive and its median over the baselines is 0: then nothing says which changes are small."""
    found = [values[:BASELINE] for values in values_of_runs if values.size > BASELINE]
    if not found:
        return None
    values = np.concatenate(found)
    if units == "1" and values.min() >= 0 and values.max() <= 1:
        return Scale("share", SMALLEST_NOISE)
    if values.min() > 0:
        return Scale("log", SMALLEST_NOISE)
    noise = SMALLEST_NOISE * float(np.median(np.abs(values)))
    return Scale("linear", noise) if noise > 0 else None


def transformed(values, scale):
    """The values as they are compared."""
    if scale.name != "log":
        return values
    return np.log10(np.maximum(values, LOWEST * np.median(values[:BASELINE])))


def watch(step, values, scale):
    """Monitored of the bins of a series; None when there are too few to watch one of them, or no scale."""
    if scale is None or step.size <= BASELINE:
        return None
    x, y = np.log10(step), transformed(values, scale)
    scores, changes, start = np.zeros((2, step.size)), [], 0
    while len(changes) < MOST_CHANGES and step.size - start > BASELINE:
        score = score_from(x[start:], y[start:], scale.noise)
        np.maximum(scores[:, start:], (score, -score), out=scores[:, start:])
        crossed = np.flatnonzero(np.abs(score) >= 1)
        if not crossed.size:
            break
        alarm, first = start + int(crossed[0]), start + BASELINE - 1
        onset = start + kink(x[start : alarm + 1], y[start : alarm + 1])
        changes.append(Change(onset, alarm, int(np.sign(score[crossed[0]])), onset == first))
        start = max(onset, alarm - BASELINE + 1)
    return Monitored(step, *scores, tuple(changes))


def score_from(x, y, smallest_noise):
    """Q / B at each bin; 0 in the baseline."""
    w = prediction_errors(x, y)
    sigma = max(np.sqrt(np.mean(w[2:BASELINE] ** 2)), smallest_noise)
    q = np.cumsum(np.where(np.arange(w.size) >= BASELINE, w, 0.0)) / sigma
    watched = np.maximum(np.arange(1, w.size + 1) - BASELINE, 0)
    return q / np.sqrt((BASELINE + watched) * (BOUNDARY + np.log1p(watched / BASELINE)))


def prediction_errors(x, y):
    """Recursive residuals of a straight line [T]: the first two are 0."""
    count = np.arange(x.size)  # points before each one
    x, y = x - x[0], y - y[0]  # sums of squares do not lose digits
    before = [np.r_[0.0, np.cumsum(sums)[:-1]] for sums in (x, y, x * x, x * y)]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_x, mean_y = before[0] / count, before[1] / count
        spread = before[2] - count * mean_x**2
        slope = (before[3] - count * mean_x * mean_y) / spread
        error = y - mean_y - slope * (x - mean_x)
        w = error / np.sqrt(1 + 1 / count + (x - mean_x) ** 2 / spread)
    w[:2] = 0.0
    return w


def kink(x, y):
    """Index of the kink of the bent line that fits y best; from the last bin of the baseline to the one
    before the end."""
    line, _ = np.linalg.qr(np.stack([np.ones_like(x), x - x[0]], axis=1))
    bends = np.maximum(x[:, None] - x[None, BASELINE - 1 : -1], 0)
    bends, y = bends - line @ (line.T @ bends), y - line @ (line.T @ y)
    explained = (y @ bends) ** 2 / np.sum(bends**2, axis=0)  # of the squares that a straight line leaves
    return BASELINE - 1 + int(np.argmax(explained))


def jump_bin(step, accuracy, t_gen):
    """The bin at which the rise of the test accuracy to t_gen began; None where the bins end before t_gen."""
    last = int(np.searchsorted(step, t_gen))
    if last >= step.size:
        return None
    below = np.flatnonzero(accuracy[: last + 1] < 0.5 * (accuracy[0] + accuracy[last]))
    half_way = onset = first = int(below[-1]) if below.size else 0
    tilted = accuracy - SLOW_RISE * np.log10(step)
    while first > 0 and tilted[first - 1] <= tilted[onset] + STANDSTILL:
        first -= 1
        if tilted[first] < tilted[onset]:
            onset = first
    own = watch(step, accuracy, Scale("share", SMALLEST_NOISE))
    rises = [change.onset for change in own.changes if change.sign > 0] if own else []
    return min([at for at in rises if first <= at <= half_way], default=onset)

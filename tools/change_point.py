"""When did a series change, and when could an observer have known? A sequential test with fixed parameters.

The method is that of Chu, Stinchcombe and White (1996, Econometrica 64, 1045), fed with the recursive
residuals of Brown, Durbin and Evans (1975, J. R. Stat. Soc. B 37, 149):

1. The clock starts at `start` (the step of memorisation) and runs in log10(step). Values are put into
   BINS_PER_DECADE bins a decade, the median of each bin at the last step in it, so that runs of any length
   and any tracking interval are judged alike.
2. Values are taken as log10(x) where all of them are positive, as they are where they are dimensionless and
   lie in [0, 1] (accuracies, shares) or where any is not positive. This choice alone looks at the whole
   series.
3. Each bin is predicted from all earlier bins by a straight line in log10(step), fitted by least squares. w_t
   is the error of that prediction over the standard deviation that it would have under noise of size 1.
4. The noise sigma is the root mean square of w_t over the first BASELINE bins, and at least SMALLEST_NOISE
   (in decades, in units of the share, or of the median of the baseline): changes below a few per cent do not
   count.
5. Q_n = sum of w_t / sigma after the baseline. The alarm is the first n with |Q_n| >= B_n, where B_n =
   sqrt((BASELINE + n) (BOUNDARY + log(1 + n / BASELINE))). It uses nothing that came later.
6. The onset is the kink of the line, bent once, that fits the values up to the alarm best (least squares; the
   kink lies at a bin from the last one of the baseline on): where the change began, as known at the alarm.

BOUNDARY is Chu, Stinchcombe and White's 7.78 for known noise, raised to 9.2 by simulation, because sigma
comes from the few bins of the baseline: white noise about any straight line then raises an alarm within 100
bins with probability 0.05. Training curves are smooth, not white noise: how often the alarm is false is
measured on control runs.
"""
from typing import NamedTuple, Optional

import grokscope_io  # first: it finds a Python that has the packages

import numpy as np  # noqa: E402

BINS_PER_DECADE = 32
BASELINE = 8
SMALLEST_NOISE = 0.02
BOUNDARY = 9.2


class Monitored(NamedTuple):
    """One series under watch: bin i ends at `step[i]`, `score[i]` is |Q| / B there (0 in the baseline)."""

    step: np.ndarray
    score: np.ndarray
    onset: Optional[float]  # the step at which the first change began; None without an alarm
    alarm: Optional[float]  # the first step at which it was known; None when the boundary was never crossed

    def covers(self, end):
        """Whether the series was watched up to the bin that holds the step `end`."""
        return bool(self.step[-1] * 10 ** (1 / BINS_PER_DECADE) >= end)

    def score_before(self, end):
        """The largest score at steps below `end`; None when no bin was watched there."""
        watched = self.score[BASELINE:][self.step[BASELINE:] < end]
        return float(watched.max()) if watched.size else None


def watch(series, start, units="1"):
    """Monitored of a grokscope_io.Series [T] from the step `start` on; None when there are too few bins to
    watch one of them."""
    step, values = binned(series.step, series.values, start)
    if step.size <= BASELINE:
        return None
    y, noise = transformed(values, units)
    w = prediction_errors(np.log10(step), y)
    sigma = max(np.sqrt(np.mean(w[2:BASELINE] ** 2)), noise)
    q = np.cumsum(np.where(np.arange(w.size) >= BASELINE, w, 0.0)) / (sigma or 1.0)
    watched = np.maximum(np.arange(1, w.size + 1) - BASELINE, 0)
    boundary = np.sqrt((BASELINE + watched) * (BOUNDARY + np.log1p(watched / BASELINE)))
    score = np.abs(q) / boundary
    crossed = np.flatnonzero(score >= 1)
    if not crossed.size:
        return Monitored(step, score, None, None)
    alarm = int(crossed[0])
    onset = kink(np.log10(step[: alarm + 1]), y[: alarm + 1])
    return Monitored(step, score, float(step[onset]), float(step[alarm]))


def binned(step, values, start):
    """(last step, median of the finite values) of each occupied bin from `start` (at least 1) on."""
    start = max(float(start), 1.0)
    kept = (step >= start) & np.isfinite(values)
    step, values = np.asarray(step, float)[kept], values[kept]
    bins = np.floor(BINS_PER_DECADE * np.log10(step / start) + 1e-9).astype(int)
    edges = np.flatnonzero(np.diff(bins)) + 1
    groups = zip(np.split(step, edges), np.split(values, edges))
    pairs = [(s[-1], np.median(v)) for s, v in groups if s.size]
    return tuple(np.array(pairs).reshape(-1, 2).T)


def transformed(values, units):
    """(the values as they are compared, the smallest noise that counts in them)."""
    if units == "1" and values.min() >= 0 and values.max() <= 1:
        return values, SMALLEST_NOISE
    if values.min() > 0:
        return np.log10(values), SMALLEST_NOISE
    return values, SMALLEST_NOISE * float(np.median(np.abs(values[:BASELINE])))


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
    ones, residuals = np.ones_like(x), []
    for k in range(BASELINE - 1, x.size - 1):
        design = np.stack([ones, x - x[k], np.maximum(x - x[k], 0)], axis=1)
        fitted = design @ np.linalg.lstsq(design, y, rcond=None)[0]
        residuals.append(float(((y - fitted) ** 2).sum()))
    return BASELINE - 1 + int(np.argmin(residuals))


def auroc(positive, negative):
    """The probability that a score of `positive` exceeds one of `negative`, ties counted half (Mann-Whitney);
    None where either is empty."""
    positive, negative = np.asarray(positive, float), np.asarray(negative, float)
    if not positive.size or not negative.size:
        return None
    difference = positive[:, None] - negative[None, :]
    return float(np.mean((difference > 0) + 0.5 * (difference == 0)))

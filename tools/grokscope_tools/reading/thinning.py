"""Which points of a long series are shown where a screen cannot show all of them?"""
import numpy as np


def log_spaced(n, limit):
    """At most `limit` of the indices 0..n-1, all where they fit, else evenly spread over log(1 + i), ends
    included."""
    if n <= limit:
        return np.arange(n)
    return np.unique(np.round(np.geomspace(1, n, limit)).astype(int)) - 1


def spread(steps, limit):
    """Indices of at most `limit` moments, all where they fit, else those nearest to even places on
    log(1 + step), ends included; as many places as give `limit` different moments."""
    steps = np.asarray(steps, float)
    if steps.size <= limit:
        return np.arange(steps.size)
    position, places = np.log1p(steps - steps[0]), limit
    chosen = nearest(position, places)
    while places < 1000 * limit:  # equal steps would never fill up
        places = places + places // 8 + 1
        more = nearest(position, places)
        if more.size > limit:
            break
        chosen = more
    return chosen


def nearest(position, places):
    """Indices of the ascending positions nearest to each of the evenly spread places, each once."""
    wanted = np.linspace(position[0], position[-1], places)
    right = np.clip(np.searchsorted(position, wanted), 1, position.size - 1)
    return np.unique(right - (wanted - position[right - 1] <= position[right] - wanted))


def with_breaks(x, y):
    """x and y without the missing points. A NaN is put where a stretch is missing, so that no line crosses a
    gap; values that exist at every k-th point only (their usual distance is k) are connected."""
    valid = np.flatnonzero(np.isfinite(y))
    x, y = np.asarray(x, float)[valid], np.asarray(y, float)[valid]
    if valid.size < 2:
        return x, y
    distance = np.diff(valid)
    breaks = np.flatnonzero(distance > 1.5 * np.median(distance)) + 1
    # At the middle of the gap: a place for a point that is none.
    return np.insert(x, breaks, (x[breaks - 1] + x[breaks]) / 2), np.insert(y, breaks, np.nan)


def reduced(x, y, limit):
    """(x, y) of at most `limit` points of a line, gaps as with_breaks() marks them. Of each stretch of log(1 + x) the
    first, the smallest and the largest value are kept, of a gap its edges and the NaN between them. Where that would
    leave nothing else, the narrowest gaps are closed."""
    x, y = with_breaks(x, y)
    if x.size <= limit:
        return x, y
    place = np.log1p(x - x[0])
    gaps = np.flatnonzero(np.isnan(y))
    widest = gaps[np.argsort(place[gaps - 1] - place[gaps + 1], kind="stable")][: limit // 6]
    always = np.r_[0, x.size - 1, widest - 1, widest, widest + 1]
    bins = max(1, (limit - np.unique(always).size) // 3)
    kept = np.unique(np.r_[always, extremes(place, y, bins)])
    for _ in range(3):  # in many stretches first, smallest and largest are one point: there is room for more stretches
        bins = bins * limit // max(1, kept.size)
        more = np.unique(np.r_[always, extremes(place, y, bins)])
        if more.size > limit:
            break
        kept = more
    return x[kept], y[kept]


def extremes(place, y, bins):
    """Indices of the first, the smallest and the largest value in each of the bins, evenly over `place`."""
    there = np.flatnonzero(np.isfinite(y))
    number = np.minimum((place[there] / (place[-1] or 1) * bins).astype(int), bins - 1)
    order = np.lexsort((y[there], number))
    starts = np.r_[0, np.flatnonzero(np.diff(number)) + 1]  # the bins ascend, so they begin at the same places in `order`
    ends = np.r_[starts[1:], there.size] - 1
    return there[np.r_[starts, order[starts], order[ends]]]

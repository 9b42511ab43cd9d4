"""Which points of a long series are shown where a screen cannot show all of them?"""
import grokscope_io  # noqa: F401 (first: it finds a Python that has the packages)

import numpy as np  # noqa: E402


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


def with_extremes(step, values, limit):
    """Indices of at most about `limit` points: of each stretch of log(1 + step), the first, the smallest and
    the largest value. A gap keeps its edges and one missing point, so that no line crosses it."""
    if step.size <= limit:
        return np.arange(step.size)
    place = np.log1p(np.asarray(step, float) - step.min())
    bins = np.minimum((place / (place[-1] or 1) * (limit // 4)).astype(int), limit // 4 - 1)
    edges = np.r_[0, np.flatnonzero(np.diff(bins)) + 1, step.size]
    kept = {0, step.size - 1}
    for first, end in zip(edges[:-1], edges[1:]):
        finite = first + np.flatnonzero(np.isfinite(values[first:end]))
        kept.add(int(first))
        if finite.size:
            kept |= {int(finite[values[finite].argmin()]), int(finite[values[finite].argmax()])}
    return np.array(sorted(kept))

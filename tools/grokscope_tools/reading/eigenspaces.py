"""Which leading eigenspaces does a run hold, and how far do they overlap?

Vectors come from what is stored: eigenvectors_top_k of the run or of one of its analyses, else the leading ones of the
stored matrix or of its factors. At P = 226,816 ten vectors of sixty moments are 1 GB: they are read in blocks of rows,
and no two spaces are ever whole in memory. Where all would take longer than some seconds, fewer moments are
compared, evenly over the logarithm of the step, and the note says so.
"""
import collections.abc
import functools
from typing import Callable, NamedTuple

import numpy as np

from grokscope_tools.reading import thinning
from grokscope_tools.reading.moments import Moment
from grokscope_tools.reading.run import Run
from grokscope_tools.reading.run_gops import AFFORDABLE

MOMENTS = 60  # that are compared, at most
TOP_K = 10
NUMBERS_READ = 5e8  # 4 GB
NUMBERS_KEPT = 6e7  # of vectors that are found here, not stored: 480 MB
NUMBERS_AT_ONCE = 4_000_000  # of a block of rows: 32 MB
# Why nothing can be compared, the first line by itself.
NO_VECTORS = "fewer than two moments have stored eigenvectors"
TOO_LARGE = "the vectors of {} moments are too large\nto be compared in seconds"
BELOW_FLOOR = "{} of {} spectra lie at or below the noise floor\n(two with vectors above it are compared)"


class Space(NamedTuple):
    """An orthonormal basis V [P, k] that is not read yet."""

    size: int
    width: int
    read: Callable  # read(first, end): rows of V


class Eigenspaces(collections.abc.Mapping):
    """{step: V [P, k]}, read when asked for; `found` is how many moments have vectors, `missing` why there are fewer than the
    two that can be compared (None where there are two)."""

    def __init__(self, spaces, found, missing=None):
        self.spaces_, self.found, self.missing = spaces, found, missing

    def __getitem__(self, step):
        space = self.spaces_[step]
        return space.read(0, space.size)

    def __iter__(self):
        return iter(self.spaces_)

    def __len__(self):
        return len(self.spaces_)

    def widths(self):
        return [space.width for space in self.spaces_.values()]

    def blocks(self):
        """Blocks of rows of all bases side by side, [rows, sum of k]."""
        spaces = list(self.spaces_.values())
        rows = max(1, NUMBERS_AT_ONCE // max(1, sum(self.widths())))
        for first in range(0, spaces[0].size, rows):
            yield np.hstack([space.read(first, min(first + rows, spaces[0].size)) for space in spaces])


class Candidate(NamedTuple):
    """A moment that has vectors, and multiplications that it takes to find them (0: they are stored)."""

    source: Run
    moment: Moment
    size: int
    cost: float


def sources(run):
    """The run itself, then its analyses: whatever may hold eigenvectors."""
    return [run] + [Run(folder) for folder in sorted((run.path / "analysis").glob("*"))]


def candidates(run):
    """{step: Candidate} in the order of training."""
    found = {}
    for source in sources(run):
        for moment in source.gop_moments():
            cost = None if moment.step in found else source.cost_of_eigenvectors(*moment)
            if cost is not None:
                shape = source.gop_shape(moment.epoch, "eigenvectors_top_k", step=moment.step)
                size = shape[0] if shape else source.gop_size(moment.epoch, step=moment.step)
                found[moment.step] = Candidate(source, moment, size, cost)
    return dict(sorted(found.items()))


def eigenspaces(run):
    """Eigenspaces of at most MOMENTS moments; only vectors whose eigenvalue lies above the noise floor."""
    found = candidates(run)
    steps, limit = list(found), min(MOMENTS, len(found))
    chosen = thinned(steps, limit)
    while limit > 1 and not affordable([found[step] for step in chosen]):
        limit -= 1
        chosen = thinned(steps, limit)
    if len(chosen) == 1 < len(found):
        return Eigenspaces({}, len(found), TOO_LARGE.format(len(found)))
    spaces = {step: space_of(found[step]) for step in chosen}
    spaces = {step: space for step, space in spaces.items() if space.width}
    missing = None
    if len(spaces) < 2:
        missing = NO_VECTORS if len(found) < 2 else BELOW_FLOOR.format(len(chosen) - len(spaces), len(chosen))
    return Eigenspaces(spaces, len(found), missing)


def thinned(steps, limit):
    return [steps[i] for i in thinning.spread(steps, limit)] if limit else []


def affordable(chosen):
    size, count = chosen[0].size, len(chosen)
    products = sum(candidate.cost for candidate in chosen) + size * (count * TOP_K) ** 2 / 2
    kept = size * TOP_K * sum(candidate.cost > 0 for candidate in chosen)
    return products <= AFFORDABLE and kept <= NUMBERS_KEPT and size * TOP_K * count <= NUMBERS_READ


def space_of(candidate):
    """The Space of a candidate: its stored vectors, or those that it takes to be found, once."""
    source, (epoch, step) = candidate.source, candidate.moment
    floor = source.noise_floor(epoch, step) or 0.0
    if candidate.cost:
        values, vectors = source.eigenvectors(epoch, TOP_K, step)
        vectors = vectors[:, values[: vectors.shape[1]] > floor]
        return Space(candidate.size, vectors.shape[1], lambda first, end: vectors[first:end])
    first_row = source.gop_array(epoch, "eigenvectors_top_k", selection=np.s_[:1, :TOP_K], step=step)[0]
    values = source.gop_array(epoch, "eigenvalues", step=step)
    there = np.isfinite(first_row)  # padding is NaN from top to bottom
    if values is not None:
        there[values.size :] = False
        there[: values.size] &= values[: there.size] > floor
    columns = np.flatnonzero(there)
    return Space(candidate.size, columns.size, functools.partial(stored_rows, source, candidate.moment, columns))


def stored_rows(source, moment, columns, first, end):
    """Rows first..end-1 of those columns of the stored vectors."""
    part = np.s_[first:end, :TOP_K]
    rows = source.gop_array(moment.epoch, "eigenvectors_top_k", selection=part, step=moment.step)
    return rows[:, columns].astype(float)


def overlaps(spaces):
    """[n, n]: |V_i^T V_j|_F^2 / min(k_i, k_j) of Eigenspaces or of any {step: V}, 1 on the diagonal."""
    if not isinstance(spaces, Eigenspaces):
        in_memory = {s: Space(*v.shape, lambda first, end, v=v: v[first:end]) for s, v in spaces.items()}
        spaces = Eigenspaces(in_memory, len(in_memory))
    widths = np.array(spaces.widths())
    products = sum(block.T @ block for block in spaces.blocks())
    starts = np.r_[0, np.cumsum(widths)[:-1]]
    shared = np.add.reduceat(np.add.reduceat(products**2, starts, axis=0), starts, axis=1)
    found = shared / np.minimum.outer(widths, widths)
    np.fill_diagonal(found, 1)
    return found

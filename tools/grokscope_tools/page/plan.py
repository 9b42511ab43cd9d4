"""Which series of all runs does the page hold, and how many points of each?

Series are reduced to what a screen can show; of very many runs only the more important ones are taken. A Plan is made for all
runs together, and gives the numbers of one.
"""
import re
from collections import Counter
from typing import NamedTuple

import numpy as np

from grokscope_tools.reading import thinning
from grokscope_tools.reading.hdf5_access import natural_key

TOTAL_POINTS = 450_000  # on the whole page: about 8 MB
POINTS, FEWEST_POINTS = 800, 60  # of a series on the page; fewer where there are many series
COMPONENTS = 10  # of a series of vectors, the first ones
SPECTRUM_EPOCHS, SPECTRUM_RANKS, SPECTRUM_NUMBERS = 200, 150, 240_000  # of one run, of one run, of all
MANY_RUNS = 12  # beyond, of a configuration only what differs from the first is shown, and launches are cut short
SKIPPED = re.compile(r"(^|/)eigenvalues$|^(provenance|parameters|events|results|definitions/mean)/|^tracked_ids$")
# What stays where not all series fit: the first pattern that matches is the class, the earlier the more important.
CLASSES = (
    re.compile(r"(training/)?(train|test)_(loss|acc)|training/.*"),
    re.compile(r"gop_.*"),
    re.compile(r"observables/.*"),
    re.compile(r"eigenvalues_top_k"),
    re.compile(r"layers/.*/gop_(trace|stable_rank|participation_ratio|spectral_norm|entropy_rank)"),
    re.compile(r"layers/.*/gop_.*"),
    re.compile(r".*"),
)


class Economy(NamedTuple):
    """What is saved so that the page stays below its size."""

    share: int = 1  # one in so many of TOTAL_POINTS
    pictures: bool = True  # of the studies
    provenance: bool = True


# In this order. Without pictures there may be room again for all points.
ECONOMIES = (
    *(Economy(share) for share in (1, 2, 4, 8)),
    *(Economy(share, pictures=False) for share in (1, 8)),
    Economy(8, pictures=False, provenance=False),
)


class Plan(NamedTuple):
    """How much of all runs the page holds."""

    economy: Economy
    points: int  # of a series
    kept: frozenset  # names of series
    left_out: list  # those that do not fit
    epochs: int  # of a spectrum
    ranks: int
    many: bool  # runs

    def words(self, longest):
        """What was reduced, for the reader of the page; `longest` is the most points that a series has."""
        parts = []
        if longest > self.points:
            parts.append(
                f"Series of more than {self.points} points are reduced to about {self.points}; extremes and gaps are kept."
            )
        if self.left_out:
            groups = Counter(name.split("/")[0] if "/" in name else name for name in self.left_out)
            listed = ", ".join(f"{count} of {group}" for group, count in groups.most_common(6))
            parts.append(
                f"{len(self.left_out)} of {len(self.left_out) + len(self.kept)} series would make the page too large and are "
                f"left out ({listed}): a report of fewer runs has them."
            )
        if self.epochs < SPECTRUM_EPOCHS:
            parts.append(f"Spectra: at most {self.epochs} moments and {self.ranks} ranks of each run.")
        if not self.economy.pictures:
            parts.append("Figures of studies would make the page too large and are left out: visualize_gop.py draws them.")
        if not self.economy.provenance:
            parts.append("So are configurations and launches: config.json and /provenance of metrics.h5 in the run directories hold them.")
        return " ".join(parts)


def plan_of(runs, economy):
    """The Plan for [(name, Run)] with that economy."""
    curves, total_points = Counter(), TOTAL_POINTS // economy.share
    for _, run in runs:
        with run:
            for name, shape in run.shapes().items():
                if len(shape) in (1, 2) and not SKIPPED.search(name):
                    curves[name] += min(COMPONENTS, shape[1]) if len(shape) == 2 else 1
    names, total, kept = sorted(curves, key=lambda name: (class_of(name), natural_key(name))), 0, []
    for name in names:
        if total + curves[name] > max(1, total_points // FEWEST_POINTS):
            break
        total += curves[name]
        kept.append(name)
    share = min(1, SPECTRUM_NUMBERS / max(1, len(runs)) / (SPECTRUM_EPOCHS * SPECTRUM_RANKS)) ** 0.5
    return Plan(
        economy,
        int(np.clip(total_points // max(total, 1), FEWEST_POINTS, POINTS)),
        frozenset(kept),
        names[len(kept) :],
        max(8, int(SPECTRUM_EPOCHS * share)),
        max(8, int(SPECTRUM_RANKS * share)),
        len(runs) > MANY_RUNS,
    )


def class_of(name):
    return next(i for i, pattern in enumerate(CLASSES) if pattern.fullmatch(name))


def series_data(run, plan):
    """({name: {x, y, n}}, {name: {long_name, units, definition}}, names of series without a finite value, which are left
    out of the first two) for the page."""
    found, about, empty = {}, {}, []
    for name in run.names():
        for label, series in run.scalar_series(name, COMPONENTS) if name in plan.kept else []:
            if not np.isfinite(series.values).any():
                empty.append(label)
                continue
            x, y = thinning.reduced(series.step, series.values, plan.points)
            found[label] = {"x": [int(step) for step in x], "y": numbers(y), "n": int(np.isfinite(series.values).sum())}
            attributes = run.attrs(name)
            about[label] = {key: attributes[key] for key in ("long_name", "units", "definition") if attributes.get(key)}
    return found, about, empty


def spectrum_data(run, plan):
    """The whole spectrum over training, reduced; None when none is stored."""
    series = run.spectra()
    if series is None or series.values.ndim != 2:
        return None
    rows = np.flatnonzero(np.isfinite(series.values).any(axis=1))
    if not rows.size:
        return None
    rows = rows[thinning.spread(series.step[rows], plan.epochs)]
    ranks = thinning.log_spaced(series.values.shape[1], plan.ranks)
    values = series.values[np.ix_(rows, ranks)]
    return {
        "steps": [int(step) for step in series.step[rows]],
        "ranks": [int(rank) + 1 for rank in ranks],
        "values": [numbers(row) for row in values],
        "note": f"{rows.size} of {series.step.size} moments, {ranks.size} of {series.values.shape[1]} ranks",
    }


def number(value):
    """A value as JSON: five digits, null where it is not finite."""
    return float(f"{value:.5g}") if np.isfinite(value) else None


def numbers(values):
    return [number(value) for value in values]

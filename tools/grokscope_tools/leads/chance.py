"""How well do scores tell runs that generalise from controls, how often would luck do as well, and how sure is a rate?

Scores are those of change_point.py; up to CALM they count as equal.
"""
import itertools
import math

import numpy as np

from grokscope_tools.leads.change_point import CALM

PERMUTATIONS = 2000  # at random, where all would be more
Z_95 = 1.959964


def auroc(positive, negative):
    """The probability that a score of `positive` exceeds one of `negative`, ties counted half (Mann-Whitney), scores
    up to CALM being equal; None where either is empty."""
    positive, negative = np.maximum(positive, CALM), np.maximum(negative, CALM)
    if not positive.size or not negative.size:
        return None
    difference = positive[:, None] - negative[None, :]
    return float(np.mean((difference > 0) + 0.5 * (difference == 0)))


def chance_of_auroc(scores, labels, observed):
    """(how often labels at random give each series an AUROC as large, how often they give one as large to any of the
    series), in either direction. `scores` [2, S, R] are those of rises and falls (NaN: not watched), `labels` [R] say
    which runs generalise, `observed` [S] are the AUROCs (NaN: none)."""
    there = np.isfinite(scores[0])
    ranks = np.array([[midranks(np.maximum(row, CALM)) for row in rows] for rows in scores])
    drawn = relabelled(np.asarray(labels, bool)).astype(float)  # [draws, R]
    positive = drawn @ there.T  # [draws, S]
    pairs = positive * (there.sum(1) - positive)
    with np.errstate(divide="ignore", invalid="ignore"):
        areas = np.stack([(drawn @ rank.T - positive * (positive + 1) / 2) / pairs for rank in ranks])
    largest = np.where(pairs > 0, areas, 0.5).max(0)
    alone = np.mean(largest >= observed[None, :] - 1e-9, axis=0)
    anywhere = np.mean(largest.max(1)[:, None] >= observed[None, :] - 1e-9, axis=0)
    return tuple(np.where(np.isfinite(observed), p, np.nan) for p in (alone, anywhere))


def midranks(values):
    """Ranks from 1 on, those of equal values their mean; 0 for NaN."""
    ranks, there = np.zeros(values.size), np.isfinite(values)
    _, group, count = np.unique(values[there], return_inverse=True, return_counts=True)
    ranks[there] = (np.cumsum(count) - (count - 1) / 2)[group]
    return ranks


def relabelled(labels):
    """All ways [draws, R] to give as many runs the label; PERMUTATIONS of them at random (and the one at hand) where
    there are more."""
    chosen, count = int(labels.sum()), labels.size
    if math.comb(count, chosen) <= PERMUTATIONS:
        found = np.zeros((math.comb(count, chosen), count), bool)
        for row, places in zip(found, itertools.combinations(range(count), chosen)):
            row[list(places)] = True
        return found
    rng = np.random.default_rng(0)
    return np.stack([labels] + [rng.permutation(labels) for _ in range(PERMUTATIONS)])


def wilson(count, of):
    """The interval (low, high) of Wilson (1927) that holds a rate with a confidence of 95 %; None for no trials."""
    if not of:
        return None, None
    rate, z2 = count / of, Z_95**2 / of
    middle, half = rate + z2 / 2, Z_95 * math.sqrt(rate * (1 - rate) / of + z2 / (4 * of))
    return max((middle - half) / (1 + z2), 0.0), min((middle + half) / (1 + z2), 1.0)

"""Are AUROCs, their chances and the intervals of rates what they are said to be?"""
import itertools
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "tools"))

from grokscope_tools.leads import chance  # noqa: E402: it finds a Python that has the packages

import numpy as np  # noqa: E402


class ChanceTest(unittest.TestCase):
    def test_auroc_counts_pairs(self):
        self.assertEqual(chance.auroc([2, 3], [0, 1]), 1)
        self.assertEqual(chance.auroc([0, 1], [2, 3]), 0)
        self.assertEqual(chance.auroc([1, 2], [1, 0]), 0.875)
        self.assertEqual(chance.auroc([1], [1]), 0.5)
        self.assertIsNone(chance.auroc([], [1]))

    def test_differences_among_calm_scores_are_none(self):
        self.assertEqual(chance.auroc([0.2, 0.1], [0.0, 0.01]), 0.5)

    def test_chance_is_that_of_all_relabellings(self):
        rng = np.random.default_rng(2)
        scores = rng.random((2, 5, 7)) * 2
        scores[:, 1, 3] = np.nan
        labels = np.arange(7) < 3
        observed = [chance.auroc(*(s[np.isfinite(s) & on] for on in (labels, ~labels))) for s in scores[0]]
        reached = []
        for chosen in itertools.combinations(range(7), 3):
            on = np.isin(np.arange(7), chosen)
            areas = [
                max(chance.auroc(s[k][np.isfinite(s[k]) & on], s[k][np.isfinite(s[k]) & ~on]) for s in scores)
                for k in range(5)
            ]
            reached.append(areas)
        alone, anywhere = chance.chance_of_auroc(scores, labels, np.array(observed))
        np.testing.assert_allclose(alone, np.mean(np.array(reached) >= observed, axis=0))
        np.testing.assert_allclose(anywhere, [np.mean(np.max(reached, 1) >= one) for one in observed])

    def test_the_best_of_many_series_is_no_surprise(self):
        rng = np.random.default_rng(4)
        scores = rng.random((2, 200, 9)) * 2
        labels = np.arange(9) < 4
        observed = np.array([chance.auroc(s[labels], s[~labels]) for s in scores[0]])
        alone, anywhere = chance.chance_of_auroc(scores, labels, observed)
        best = observed.argmax()
        self.assertLess(alone[best], 0.05)
        self.assertGreater(anywhere[best], 0.3)

    def test_many_relabellings_are_drawn_at_random(self):
        labels = np.arange(30) < 15
        drawn = chance.relabelled(labels)
        self.assertEqual(drawn.shape, (chance.PERMUTATIONS + 1, 30))
        self.assertTrue((drawn.sum(1) == 15).all())
        np.testing.assert_array_equal(drawn[0], labels)  # p is never 0

    def test_ranks_of_equal_values_are_their_mean(self):
        np.testing.assert_array_equal(
            chance.midranks(np.array([3.0, 1, np.nan, 3, 2])), [3.5, 1, 0, 3.5, 2]
        )

    def test_intervals_are_wilsons(self):
        for count, of, low, high in ((0, 5, 0, 0.4345), (5, 5, 0.5655, 1), (5, 10, 0.2366, 0.7634)):
            np.testing.assert_allclose(chance.wilson(count, of), (low, high), atol=1e-4)
        self.assertEqual(chance.wilson(0, 0), (None, None))


if __name__ == "__main__":
    unittest.main()

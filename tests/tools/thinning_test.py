"""Are the points that are kept evenly spread, and are ends and extremes among them?"""
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import thinning  # first: it finds a Python that has the packages

import numpy as np  # noqa: E402


class ThinningTest(unittest.TestCase):
    def test_what_fits_is_kept_whole(self):
        for n in (0, 1, 2, 10):
            np.testing.assert_array_equal(thinning.log_spaced(n, 10), np.arange(n))
            np.testing.assert_array_equal(thinning.spread(np.arange(n) ** 2, 10), np.arange(n))

    def test_moments_are_spread_evenly_over_the_logarithm_of_the_step(self):
        steps = np.arange(0, 40_001, 20)
        chosen = thinning.spread(steps, 100)
        self.assertTrue(90 <= chosen.size <= 100, chosen.size)
        self.assertEqual((chosen[0], chosen[-1]), (0, 2000))
        late = np.log1p(steps[chosen[chosen > 100]])  # there the tracked steps lie closer than the places
        self.assertLess(np.diff(late).max(), 2.2 * np.diff(late).min())

    def test_a_schedule_that_is_logarithmic_already_loses_every_other_moment(self):
        steps = np.unique(np.round(np.geomspace(100, 30_000, 150)))
        chosen = thinning.spread(steps, 75)
        self.assertTrue(65 <= chosen.size <= 75, chosen.size)
        self.assertLessEqual(np.diff(chosen).max(), 4)

    def test_equal_steps_do_not_hang(self):
        chosen = thinning.spread(np.r_[np.zeros(5), 1], 3)
        self.assertEqual((chosen[0], chosen[-1]), (0, 5))

    def test_long_series_keep_their_extremes(self):
        steps = np.arange(50_000)
        values = np.sin(steps / 50.0)
        values[31_234], values[77], values[40_000] = 9.0, -7.0, np.nan
        kept = thinning.with_extremes(steps, values, 800)
        self.assertLessEqual(kept.size, 800)
        self.assertTrue({0, 77, 31_234, 49_999} <= set(kept.tolist()))
        np.testing.assert_array_equal(thinning.with_extremes(steps[:700], values[:700], 800), np.arange(700))


if __name__ == "__main__":
    unittest.main()

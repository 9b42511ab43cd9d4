"""Are the points that are kept evenly spread, and are ends and extremes among them?"""
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from grokscope_tools.reading import thinning  # first: it finds a Python that has the packages

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
        values[31_234], values[77] = 9.0, -7.0
        x, y = thinning.reduced(steps, values, 800)
        self.assertTrue(700 < x.size <= 800, x.size)
        self.assertTrue({0, 77, 31_234, 49_999} <= set(x.tolist()))
        np.testing.assert_array_equal(y, values[x.astype(int)])
        np.testing.assert_array_equal(thinning.reduced(steps[:700], values[:700], 800), (steps[:700], values[:700]))

    def test_a_gap_stays_a_gap_however_few_points_are_left(self):
        """Short and long ones, early and late, within one stretch and over many."""
        steps = np.arange(50_000)
        values = np.cos(steps / 300.0)
        gaps = [(100, 140), (9000, 9002), (20_000, 20_500), (30_000, 45_000)]
        for first, end in gaps:
            values[first:end] = np.nan
        for limit in (60, 800):
            x, y = thinning.reduced(steps, values, limit)
            self.assertLessEqual(x.size, limit)
            breaks = np.flatnonzero(np.isnan(y))
            self.assertEqual([(x[i - 1] + 1, x[i + 1]) for i in breaks], gaps)
            self.assertTrue((np.diff(x) > 0).all())

    def test_values_at_every_third_step_have_no_gaps_but_theirs(self):
        steps, values = np.arange(900), np.full(900, np.nan)
        values[::3] = 1.0
        self.assertFalse(np.isnan(thinning.reduced(steps, values, 800)[1]).any())
        values[300:330] = np.nan
        x, y = thinning.reduced(steps, values, 800)
        (at,) = np.flatnonzero(np.isnan(y))
        self.assertEqual((x[at - 1], x[at + 1]), (297, 330))

    def test_more_gaps_than_points_keep_the_widest(self):
        steps, values = np.arange(10_000), np.ones(10_000)
        values[::10] = np.nan
        values[5000:6000] = np.nan
        x, y = thinning.reduced(steps, values, 60)
        self.assertLessEqual(x.size, 60)
        self.assertTrue(any(x[i - 1] < 5001 and x[i + 1] > 5999 for i in np.flatnonzero(np.isnan(y))))

    def test_little_is_nothing_to_reduce(self):
        for values in ([], [np.nan], [1.0], [np.nan, 2.0]):
            x, y = thinning.reduced(np.arange(len(values)), np.array(values), 60)
            self.assertEqual(x.size, np.isfinite(values).sum())


if __name__ == "__main__":
    unittest.main()

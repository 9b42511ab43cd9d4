"""Does the change-point find changes where they are, stay silent where there are none, use nothing that comes later,
and date the jump of the test accuracy?"""
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent.parent / "tools"), str(HERE)]

from grokscope_tools.leads import change_point  # noqa: E402: it finds a Python that has the packages
from grokscope_tools.leads.change_point import RESOLUTION, Scale  # noqa: E402

import numpy as np  # noqa: E402

T_MEM = 100.0
STEPS = np.arange(0, 20001, 20)
LOG, SHARE = Scale("log", 0.02), Scale("share", 0.02)


def bent(at, slope, noise=0.01, seed=0, steps=STEPS):
    """log10 of the series falls as log10(step), and after `at` by `slope` more a decade."""
    x = np.log10(np.maximum(steps, 1.0))
    rng = np.random.default_rng(seed)
    return 10 ** (
        2 - 0.8 * x - slope * np.maximum(x - np.log10(at), 0) + noise * rng.standard_normal(steps.size)
    )


def accuracy(centre, steps=STEPS, seed=0, width=0.04, low=0.1):
    """Rises from `low` to 1 around `centre`; 4 x width is the decades from a tenth to nine tenths of the way."""
    x = np.log10(np.maximum(steps, 1.0) / centre)
    return (
        low + (1 - low) / (1 + np.exp(-x / width)) + 0.002 * np.random.default_rng(seed).random(steps.size) - 0.002
    )


def watched(values, scale=LOG, steps=STEPS):
    return change_point.watch(*change_point.binned(steps, np.asarray(values, float), T_MEM), scale)


def even_bins(count):
    """One step in each of so many bins."""
    return T_MEM * 10 ** ((np.arange(count) + 0.5) / change_point.BINS_PER_DECADE)


class ChangePointTest(unittest.TestCase):
    def test_a_bend_is_found_where_it_is(self):
        for at in (600, 2000, 7000):
            for slope in (2.0, -2.0):
                found = watched(bent(at, slope))
                first = found.changes[0]
                self.assertLess(abs(np.log10(found.step[first.onset] / at)), 0.06, (at, slope))
                self.assertGreater(first.alarm, first.onset)
                self.assertLess(np.log10(found.step[first.alarm] / at), 0.3)
                self.assertEqual((first.sign, first.censored), (-np.sign(slope), False))

    def test_the_alarm_uses_nothing_that_comes_later(self):
        values = bent(2000, 2.0)
        whole = watched(values)
        until = STEPS <= whole.step[whole.changes[0].alarm]
        part = watched(values[until], steps=STEPS[until])
        self.assertEqual(part.changes[0], whole.changes[0])
        np.testing.assert_array_equal(part.rise, whole.rise[: part.rise.size])
        np.testing.assert_array_equal(part.fall, whole.fall[: part.fall.size])

    def test_the_scale_uses_nothing_that_comes_after_the_baseline(self):
        """A late exact 0, or a late value above 1, changes no earlier alarm."""
        for units, late, name in (("loss", 0.0, "log"), ("1", 7.0, "share")):
            values = bent(2000, 2.0) if name == "log" else accuracy(2000)
            spoilt = np.where(STEPS > 15000, late, values)
            found = []
            for one in (values, spoilt):
                step, bins = change_point.binned(STEPS, one, T_MEM)
                scale = change_point.scale_of([bins], units)
                self.assertEqual(scale.name, name)
                found.append(change_point.watch(step, bins, scale))
            early = found[0].step < 15000
            self.assertGreater(len(found[0].changes), 0)
            self.assertEqual(found[0].changes[0], found[1].changes[0])
            np.testing.assert_array_equal(found[0].rise[early], found[1].rise[early])
            np.testing.assert_array_equal(found[0].fall[early], found[1].fall[early])
            self.assertTrue(np.isfinite(found[1].rise).all() and np.isfinite(found[1].fall).all())

    def test_all_runs_are_compared_alike(self):
        def scale(units, *runs):
            return change_point.scale_of([np.array(run + run[-1:] * (12 - len(run))) for run in runs], units)

        self.assertEqual(scale("1", [0.1, 0.9], [0.0, 1.0]), SHARE)
        self.assertEqual(scale("1", [0.1, 0.9], [1.5, 1.0]), LOG)
        self.assertEqual(scale("loss", [0.1, 0.9], [0.5]), LOG)
        self.assertEqual(scale("loss", [-100.0], [50.0]), Scale("linear", 0.02 * 75))
        self.assertEqual(scale("loss", [3.0], [0.0, 2.0]).name, "linear")
        self.assertIsNone(scale("loss", [0.0]))
        self.assertIsNone(scale("loss", [0.0], [0.0], [2.0]))  # its median is 0
        self.assertIsNone(change_point.scale_of([np.ones(8)]))  # too short to be watched

    def test_false_alarms_on_white_noise_are_as_promised(self):
        """One bin a value and 100 watched bins: the case for which the boundary was found."""
        steps = even_bins(108)
        runs, alarms = 1500, 0
        for seed in range(runs):
            y = 3 - 2 * np.log10(steps) + 0.3 * np.random.default_rng(seed).standard_normal(steps.size)
            alarms += bool(watched(10**y, steps=steps).changes)
        self.assertTrue(0.035 < alarms / runs < 0.065, alarms / runs)

    def test_calm_is_what_white_noise_reaches_in_half_of_all_watches(self):
        steps = even_bins(68)
        noise = [0.5 + 0.02 * np.random.default_rng(seed).standard_normal(68) for seed in range(300)]
        highest = [watched(values, SHARE, steps).score(1, 68) for values in noise]
        self.assertLess(abs(np.median(highest) - change_point.CALM), 0.05)

    def test_no_alarm_without_change(self):
        for values, scale in (
            (bent(1e9, 0, noise=0), LOG),  # a straight line
            (np.full(STEPS.size, 0.5), SHARE),  # constant
            (np.zeros(STEPS.size), SHARE),
            (np.full(STEPS.size, -3.0), Scale("linear", 0.06)),
            (bent(2000, 0.05), LOG),  # a change below what counts
        ):
            found = watched(values, scale)
            self.assertEqual(found.changes, ())
            for score in (found.rise, found.fall):
                self.assertTrue((score < 1).all() and np.isfinite(score).all())

    def test_later_changes_are_found_with_their_directions(self):
        """It falls faster from 400 on, and rises from 3,000 on: the first hides the second from a single watch."""
        x = np.log10(np.maximum(STEPS, 1.0))
        rise = 6 * np.maximum(x - np.log10(3000), 0)
        found = watched(bent(400, 2.0) * 10**rise)
        self.assertEqual([change.sign for change in found.changes[:2]], [-1, 1])
        for change, at in zip(found.changes, (400, 3000)):
            self.assertLess(abs(np.log10(found.step[change.onset] / at)), 0.07)
        self.assertLessEqual(len(found.changes), change_point.MOST_CHANGES)
        before = int(np.searchsorted(found.step, 2900))
        self.assertTrue(found.alarms(-1, before) and not found.alarms(1, before))
        self.assertTrue(found.alarms(1, found.step.size))
        self.assertGreater(found.score(1, found.step.size), 1)
        self.assertLess(found.score(1, before), 1)
        self.assertIsNone(found.score(1, change_point.BASELINE))

    def test_many_changes_end_somewhere(self):
        steps = even_bins(300)
        zigzag = 3 + np.abs((np.arange(300) % 40) - 20.0)
        self.assertEqual(len(watched(zigzag, steps=steps).changes), change_point.MOST_CHANGES)

    def test_the_watch_starts_again_at_the_onset_or_a_baseline_before_the_alarm(self):
        steps = even_bins(300)
        zigzag = 3 + np.abs((np.arange(300) % 40) - 20.0)
        changes = watched(zigzag, steps=steps).changes
        self.assertEqual(len(changes), 4)  # three restarts
        for last, found in zip(changes, changes[1:]):
            start = max(last.onset, last.alarm - 7)
            again = change_point.watch(steps[start:], zigzag[start:], LOG).changes[0]
            self.assertEqual((again.onset + start, again.alarm + start), (found.onset, found.alarm))

    def test_a_change_that_began_in_the_baseline_is_censored(self):
        steps = even_bins(60)
        found = watched(bent(130, 3.0, steps=steps), steps=steps)
        self.assertEqual((found.changes[0].onset, found.changes[0].censored), (change_point.BASELINE - 1, True))

    def test_prediction_errors_are_those_of_refitted_lines(self):
        rng = np.random.default_rng(3)
        x, y = np.sort(rng.random(30)), rng.standard_normal(30)
        w = change_point.prediction_errors(x, y)
        for t in (2, 7, 29):
            design = np.c_[np.ones(t), x[:t]]
            inverse = np.linalg.inv(design.T @ design)
            at = np.array([1, x[t]])
            expected = (y[t] - at @ inverse @ design.T @ y[:t]) / np.sqrt(1 + at @ inverse @ at)
            self.assertAlmostEqual(w[t], expected, places=9)

    def test_the_kink_is_that_of_refitted_lines(self):
        rng = np.random.default_rng(5)
        for n in (10, 25, 60):
            x, y = np.sort(rng.random(n)), rng.standard_normal(n).cumsum()
            squares = []
            for k in range(change_point.BASELINE - 1, n - 1):
                design = np.c_[np.ones(n), x, np.maximum(x - x[k], 0)]
                squares.append(np.sum((y - design @ np.linalg.lstsq(design, y, rcond=None)[0]) ** 2))
            self.assertEqual(change_point.kink(x, y), change_point.BASELINE - 1 + np.argmin(squares))

    def test_bins_are_medians_at_the_last_step(self):
        step, values = change_point.binned(
            np.array([50, 100, 104, 106, 300]), np.array([9.0, 1, 5, 2, np.nan]), 100
        )
        np.testing.assert_array_equal(step, [106])
        np.testing.assert_array_equal(values, [2])

    def test_too_short_and_empty_series(self):
        self.assertIsNone(watched(STEPS * np.nan))
        self.assertIsNone(watched(np.ones(8), steps=100 * 2 ** np.arange(8)))
        self.assertIsNone(watched([], steps=np.zeros(0)))
        self.assertIsNone(watched(bent(600, 2.0), None))


class JumpTest(unittest.TestCase):
    """The jump lies around step 6,000."""

    def jump(self, values, noise=0.002, seed=0):
        """(step of the onset, leads of a copy's own rises in bins, its score before)."""
        values = np.clip(values + noise * np.random.default_rng(seed).standard_normal(values.size), 0, 1)
        step, bins = change_point.binned(STEPS, values, T_MEM)
        at = change_point.jump_bin(step, bins, step[np.flatnonzero(bins >= 0.9)[0]])
        copy = change_point.watch(step, bins, SHARE)
        rises = [at - change.onset for change in copy.changes if change.sign > 0]
        return step[at], [lead for lead in rises if lead >= RESOLUTION], copy.score(1, at - RESOLUTION + 1)

    def test_sharp_and_slow_jumps_are_dated_where_the_accuracy_leaves_its_level(self):
        for width in (0.01, 0.04, 0.08, 0.12, 0.2):
            for seed in range(5):
                onset, leads, score = self.jump(accuracy(6000, width=width), seed=seed)
                reached = 0.1 + 0.9 / (1 + (6000 / onset) ** (1 / (width * np.log(10))))
                self.assertLess(reached, 0.2, (width, seed))
                self.assertGreater(np.log10(onset), np.log10(6000) - 5 * width - 0.1)
                self.assertEqual(leads, [])  # a copy of it does not come before it
                self.assertLess(score, change_point.CALM)  # and says nothing before it

    def test_what_happens_before_the_accuracy_stands_still_is_not_the_jump(self):
        x = np.log10(np.maximum(STEPS, 1.0) / T_MEM)
        jump, rest = accuracy(6000), 1 - accuracy(6000, low=0.0)
        for name, values in (
            ("slow rise to .3", jump + 0.2 * np.clip(x / 1.6, 0, 1) * rest),
            ("step to .4 at 600", jump + 0.3 * accuracy(600, low=0.0, width=0.02) * rest),
            ("dip at 500", accuracy(6000, low=0.3) - 0.25 * np.exp(-(((x - 0.7) / 0.06) ** 2))),
            ("fall from .4", jump + 0.3 * np.exp(-np.maximum(x, 0) / 0.2)),
            ("creeps up to t_gen after it", jump - 0.1 * accuracy(6000, low=0.0) + 0.1 * (STEPS / 20000)),
        ):
            onset, *_ = self.jump(values)
            self.assertTrue(3400 < onset < 5200, (name, onset))

    def test_a_run_that_ends_before_t_gen_has_no_jump(self):
        step, bins = change_point.binned(STEPS, accuracy(6000), T_MEM)
        self.assertIsNone(change_point.jump_bin(step, bins, 1e6))
        self.assertEqual(change_point.jump_bin(step, bins, 50), 0)


if __name__ == "__main__":
    unittest.main()

"""Does the change-point find changes where they are, stay silent where there are none, and count leads with
the right sign?"""
import contextlib
import csv
import io
import json
import sys
import tempfile
import unittest
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOOLS = HERE.parent.parent / "tools"
sys.path[:0] = [str(TOOLS), str(HERE)]

import change_point  # noqa: E402
import grokscope_io  # noqa: E402
import h5py  # noqa: E402
import lead_lag  # noqa: E402
import numpy as np  # noqa: E402
import plot_lead_lag  # noqa: E402
import plot_style  # noqa: E402
from synthetic_run import write_table  # noqa: E402

T_MEM = 100.0
STEPS = np.arange(0, 20001, 20)


def series(values, steps=STEPS):
    return grokscope_io.Series(steps, steps, np.asarray(values, float))


def bent(at, slope, noise=0.01, seed=0, steps=STEPS):
    """log10 of the series falls as log10(step), and after `at` by `slope` more a decade."""
    x = np.log10(np.maximum(steps, 1.0))
    rng = np.random.default_rng(seed)
    return 10 ** (
        2 - 0.8 * x - slope * np.maximum(x - np.log10(at), 0) + noise * rng.standard_normal(steps.size)
    )


def accuracy(centre, steps=STEPS, seed=0):
    """Rises from 0.1 to 1 around `centre`."""
    x = np.log10(np.maximum(steps, 1.0) / centre)
    return (
        0.1 + 0.9 / (1 + np.exp(-x / 0.04)) + 0.002 * np.random.default_rng(seed).random(steps.size) - 0.002
    )


def write_run(folder, name, columns, t_gen, t_mem=T_MEM, steps=STEPS):
    folder = folder / name
    folder.mkdir(parents=True)
    with h5py.File(folder / "metrics.h5", "w") as file:
        file.attrs["experiment"] = np.bytes_("invented")
        write_table(file, steps, steps, columns)
        for event, step in (("t_mem_step", t_mem), ("t_gen_step", t_gen)):
            file[f"events/{event}"] = np.nan if step is None else float(step)
    return folder


class ChangePointTest(unittest.TestCase):
    def test_a_bend_is_found_where_it_is(self):
        for at in (600, 2000, 7000):
            for slope in (2.0, -2.0):
                found = change_point.watch(series(bent(at, slope)), T_MEM, "loss")
                self.assertLess(abs(np.log10(found.onset / at)), 0.06, (at, slope))
                self.assertGreater(found.alarm, found.onset)
                self.assertLess(np.log10(found.alarm / at), 0.3)

    def test_the_alarm_uses_nothing_that_comes_later(self):
        values = bent(2000, 2.0)
        whole = change_point.watch(series(values), T_MEM, "loss")
        until = STEPS <= whole.alarm
        part = change_point.watch(series(values[until], STEPS[until]), T_MEM, "loss")
        self.assertEqual((part.onset, part.alarm), (whole.onset, whole.alarm))
        np.testing.assert_array_equal(part.score, whole.score[: part.score.size])

    def test_false_alarms_on_white_noise_are_as_promised(self):
        """One bin a value and 100 watched bins: the case for which the boundary was found."""
        steps = T_MEM * 10 ** ((np.arange(108) + 0.5) / change_point.BINS_PER_DECADE)
        runs, alarms = 1500, 0
        for seed in range(runs):
            y = 3 - 2 * np.log10(steps) + 0.3 * np.random.default_rng(seed).standard_normal(steps.size)
            alarms += change_point.watch(series(10**y, steps), T_MEM, "loss").alarm is not None
        self.assertTrue(0.035 < alarms / runs < 0.065, alarms / runs)

    def test_no_alarm_without_change(self):
        for values, units in (
            (bent(1e9, 0, noise=0), "loss"),  # a straight line
            (np.full(STEPS.size, 0.5), "1"),  # constant
            (np.zeros(STEPS.size), "1"),
            (np.full(STEPS.size, -3.0), "1"),
            (bent(2000, 0.05), "loss"),  # a change below what counts
        ):
            found = change_point.watch(series(values), T_MEM, units)
            self.assertIsNone(found.alarm)
            self.assertTrue((found.score < 1).all() and np.isfinite(found.score).all())

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

    def test_bins_are_medians_at_the_last_step(self):
        step, values = change_point.binned(
            np.array([50, 100, 104, 106, 300]), np.array([9.0, 1, 5, 2, np.nan]), 100
        )
        np.testing.assert_array_equal(step, [106])
        np.testing.assert_array_equal(values, [2])

    def test_too_short_and_empty_series(self):
        self.assertIsNone(change_point.watch(series(STEPS * np.nan), T_MEM))
        self.assertIsNone(change_point.watch(series(np.ones(8), 100 * 2 ** np.arange(8)), T_MEM))
        self.assertIsNone(change_point.watch(series([], np.zeros(0)), T_MEM))

    def test_how_values_are_compared(self):
        share, _ = change_point.transformed(np.array([0.1, 0.9]), "1")
        trace, _ = change_point.transformed(np.array([0.1, 0.001]), "loss^2/parameter^2")
        signed, noise = change_point.transformed(np.array([-100.0, 50.0, -100.0]), "1")
        np.testing.assert_array_equal(share, [0.1, 0.9])
        np.testing.assert_allclose(trace, [-1, -3])
        self.assertEqual((signed[1], noise), (50.0, 2.0))

    def test_auroc_counts_pairs(self):
        self.assertEqual(change_point.auroc([2, 3], [0, 1]), 1)
        self.assertEqual(change_point.auroc([0, 1], [2, 3]), 0)
        self.assertEqual(change_point.auroc([1, 2], [1, 0]), 0.875)
        self.assertEqual(change_point.auroc([1], [1]), 0.5)
        self.assertIsNone(change_point.auroc([], [1]))


class LeadLagTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        self.addCleanup(plot_style.plt.close, "all")

    def write_experiment(self):
        """Three runs that generalise around step 6,000: one series bends at 1,500, one at 10,000, one never.
        Three controls, which generalise never, and in which nothing bends."""
        for seed in range(3):
            columns = {
                "test_acc": accuracy(6000, seed=seed),
                "early": bent(1500, 2.0, seed=seed),
                "late": bent(10000, 6.0, seed=seed + 10),
                "never": bent(1e9, 0, seed=seed + 20),
                "layers/embed/gop_trace": bent(1500, -2.0, seed=seed + 30),
            }
            write_run(self.folder, f"grok{seed}", columns, 7000)
            columns["test_acc"] = accuracy(1e9, seed=seed)
            for name in ("early", "late", "layers/embed/gop_trace"):
                columns[name] = bent(1e9, 0, seed=seed + 40)
            write_run(self.folder, f"control{seed}", columns, None)

    def run_tool(self, *arguments):
        out = io.StringIO()
        with contextlib.redirect_stdout(out), warnings.catch_warnings():
            warnings.simplefilter("error")
            code = lead_lag.main(list(map(str, arguments)))
        return code, out.getvalue()

    def table(self):
        with (self.folder / "out/lead_lag.csv").open(newline="") as file:
            return {row["series"]: row for row in csv.DictReader(file)}

    def test_known_leads_and_lags(self):
        self.write_experiment()
        code, out = self.run_tool(self.folder, "--save_dir", self.folder / "out", "--formats", "png")
        self.assertEqual(code, 0)
        rows = self.table()
        onset_of_jump = 6000 * 10**-0.16  # where the logistic curve has left its level
        self.assertLess(abs(float(rows["early"]["lead_median"]) - (onset_of_jump - 1500)), 700)
        self.assertLess(abs(float(rows["early"]["onset_ratio"]) - 1500 / onset_of_jump), 0.08)
        self.assertLess(float(rows["late"]["lead_median"]), -3000)
        self.assertEqual(rows["never"]["lead_median"], "")
        self.assertEqual(
            [rows["early"][k] for k in ("generalising", "warned", "detection_rate")], ["3", "3", "1"]
        )
        self.assertEqual([rows["late"][k] for k in ("generalising", "changed", "warned")], ["3", "3", "0"])
        self.assertEqual([rows["early"][k] for k in ("controls", "false_alarms", "auroc")], ["3", "0", "1"])
        self.assertEqual(rows["never"]["changed"], "0")
        self.assertNotIn("test_acc", rows)
        self.assertLess(float(rows["early"]["lead_min"]), float(rows["early"]["lead_max"]) + 1e-9)
        self.assertIn("early", out.split("the earliest of")[1])
        names = sorted(path.name for path in (self.folder / "out").glob("*.png"))
        self.assertEqual(names, ["lead_lag_all.png", "lead_lag_invented.png", "lead_lag_invented_layers.png"])

    def test_false_alarms_are_counted_on_controls(self):
        for seed in range(2):
            columns = {"test_acc": accuracy(6000, seed=seed), "drifts": bent(1500, 2.0, seed=seed)}
            write_run(self.folder, f"grok{seed}", columns, 7000)
            columns = {"test_acc": accuracy(1e9, seed=seed), "drifts": bent(1500, 2.0, seed=seed + 2)}
            write_run(self.folder, f"control{seed}", columns, None)
        self.run_tool(self.folder, "--save_dir", self.folder / "out", "--formats", "png")
        row = self.table()["drifts"]
        self.assertEqual(
            [row[k] for k in ("warned", "detection_rate", "false_alarms", "false_alarm_rate")],
            ["2", "1", "2", "1"],
        )
        self.assertNotEqual(row["auroc"], "1")

    def test_a_change_beyond_the_stretch_is_no_false_alarm(self):
        write_run(self.folder, "grok", {"test_acc": accuracy(2000), "x": bent(1e9, 0)}, 2500)
        write_run(self.folder, "control", {"test_acc": accuracy(1e9), "x": bent(9000, 6.0)}, None)
        self.run_tool(self.folder, "--save_dir", self.folder / "out", "--formats", "png")
        self.assertEqual(self.table()["x"]["false_alarms"], "0")

    def test_a_control_that_ends_too_early_does_not_count(self):
        write_run(self.folder, "grok", {"test_acc": accuracy(6000), "x": bent(1500, 2.0)}, 7000)
        columns = {"test_acc": accuracy(1e9), "x": bent(1e9, 0)}
        write_run(self.folder, "long", columns, None)
        short = {name: values[:150] for name, values in columns.items()}  # until step 2,980
        write_run(self.folder, "short", short, None, steps=STEPS[:150])
        self.run_tool(self.folder, "--save_dir", self.folder / "out", "--formats", "png")
        self.assertEqual(self.table()["x"]["controls"], "1")

    def test_a_run_that_was_cut_on_its_way_up_is_no_control(self):
        half_way = np.minimum(accuracy(6000), 0.9)
        write_run(self.folder, "grok", {"test_acc": accuracy(6000), "x": bent(1500, 2.0)}, 7000)
        write_run(self.folder, "cut", {"test_acc": half_way, "x": bent(1500, 2.0)}, None)
        for name, state in (("control", "done"), ("stopped", "checkpointed")):
            columns = {"test_acc": np.minimum(half_way, 0.3), "x": bent(1e9, 0)}
            (write_run(self.folder, name, columns, None) / "STATUS").write_text(json.dumps({"state": state}))
        _, out = self.run_tool(self.folder, "--save_dir", self.folder / "out", "--formats", "png")
        self.assertIn("cut: invented, left out: undecided, its test_acc rose to 0.90", out)
        self.assertIn("stopped: invented, left out: undecided, the run is checkpointed", out)
        row = self.table()["x"]
        self.assertEqual([row[k] for k in ("generalising", "controls", "false_alarms")], ["1", "1", "0"])
        self.assertIn("that warn more often than they warn falsely", out)

    def test_a_jump_that_begins_in_the_baseline_cannot_be_dated(self):
        for name, centre, t_gen in (("short", 150, 190), ("over", 110, 130), ("long", 6000, 7000)):
            write_run(self.folder, name, {"test_acc": accuracy(centre), "x": bent(1500, 2.0)}, t_gen)
        _, out = self.run_tool(self.folder, "--save_dir", self.folder / "out", "--formats", "png")
        for name in ("short", "over"):
            self.assertRegex(out, f"{name}: invented, left out: too short a delay, .*baseline ended \\(step 240\\)")
        self.assertEqual(self.table()["x"]["generalising"], "1")

    def test_the_jump_is_read_on_the_clock_of_the_series(self):
        reference = series([0.0, 1.0, 2.0], np.array([0, 10, 20]))
        np.testing.assert_array_equal(
            lead_lag.sampled_at(reference, np.array([-1, 0, 9, 10, 25])).values, [np.nan, 0, 0, 1, 2]
        )

    def test_series_and_runs_that_take_part(self):
        columns = {
            "test_acc": accuracy(6000),
            "train_acc": accuracy(50),
            "eigenvalues_top_k": bent(1500, 2.0)[:, None] / np.arange(1, 6),
            "eigenvalues": bent(1500, 2.0)[:, None] / np.arange(1, 9),
            "checks/residual": np.ones(STEPS.size),
            "gone": np.full(STEPS.size, np.nan),
        }
        write_run(self.folder, "grok", columns, 7000)
        write_run(self.folder, "never_memorised", columns, None, t_mem=None)
        code, out = self.run_tool(self.folder, "--save_dir", self.folder / "out", "--formats", "png")
        self.assertEqual(code, 0)
        self.assertEqual(list(self.table()), [f"eigenvalues_top_k[{k}]" for k in range(3)] + ["gone"])
        self.assertIn("never_memorised: invented, left out", out)
        self.assertIn("no controls", out)

    def test_nothing_to_judge_is_a_user_error(self):
        write_run(self.folder, "run", {"test_acc": accuracy(6000), "x": bent(1500, 2.0)}, None, t_mem=None)
        with self.assertRaisesRegex(grokscope_io.ToolError, "no series can be judged"):
            self.run_tool(self.folder, "--save_dir", self.folder / "out")

    def test_equal_series_are_drawn_once(self):
        values = bent(1500, 2.0)
        write_run(self.folder, "grok", {"test_acc": accuracy(6000), "trace": values, "nuclear": values}, 7000)
        with grokscope_io.open_run(self.folder / "grok") as run:
            verdicts = lead_lag.judge(run)
        self.assertEqual(len(plot_lead_lag.whole_model(lead_lag.tabulate(verdicts), verdicts)), 1)


if __name__ == "__main__":
    unittest.main()

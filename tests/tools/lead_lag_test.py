"""Does lead_lag.py count leads with the right sign, only where they are ones, and only against runs that can say?"""
import csv
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOOLS = HERE.parent.parent / "tools"
sys.path[:0] = [str(TOOLS), str(HERE)]

import grokscope_io  # noqa: E402
import h5py  # noqa: E402
import lead_lag  # noqa: E402
import numpy as np  # noqa: E402
from change_point_test import STEPS, T_MEM, accuracy, bent  # noqa: E402
from grokscope_tools.leads import figures, verdicts as judging  # noqa: E402
from grokscope_tools.leads.change_point import RESOLUTION  # noqa: E402
from grokscope_tools.leads.rows import tabulate  # noqa: E402
from grokscope_tools.leads.verdicts import judge_all  # noqa: E402
from lead_lag_case import ERROR, EXACT, NEVER, PERCENT, Case, series, settings, write_run  # noqa: E402
from synthetic_run import write_table  # noqa: E402


class LeadLagTest(Case):
    def test_known_leads_and_lags(self):
        self.write_experiment()
        out = self.judged()
        rows = self.table()
        onset_of_jump = 6000 * 10**-0.1  # where the logistic curve has left its level
        self.assertLess(abs(float(rows["early"]["lead_median"]) - (onset_of_jump - 1500)), 700)
        self.assertLess(abs(float(rows["early"]["onset_ratio"]) - 1500 / onset_of_jump), 0.08)
        self.assertLess(float(rows["late"]["lead_median"]), -3000)
        self.assertEqual(self.fields("never", "changed", "lead_median", "leading"), ["0", "", "no"])
        self.assertEqual(self.fields("early", "generalising", "warned", "detection_rate"), ["3", "3", "1"])
        self.assertEqual(self.fields("early", "direction", "leading", "scale"), ["down", "yes", "log"])
        self.assertEqual(self.fields("layers/embed/gop_trace", "direction"), ["up"])
        self.assertEqual(self.fields("late", "generalising", "changed", "warned"), ["3", "3", "0"])
        self.assertEqual(self.fields("early", "controls", "false_alarms", "auroc", "pairs"), ["3", "0", "1", "9"])
        self.assertAlmostEqual(float(rows["early"]["auroc_p"]), 1 / 20)
        self.assertEqual(self.fields("early", "searched"), ["4"])
        low, high = map(float, self.fields("early", "detection_low", "detection_high"))
        self.assertTrue(0.4 < low < 0.5 and high == 1)
        self.assertNotIn("test_acc", rows)
        self.assertLess(float(rows["early"]["lead_min"]), float(rows["early"]["lead_max"]) + 1e-9)
        self.assertEqual(self.fields("early", "watched", "nulls", "before_nulls"), ["3", "3", "3"])
        told = "2 lead, before all nulls that could be watched (3 of 3) in more than half of the 3 generalising runs"
        self.assertIn("early", out.split(told)[1])
        self.assertNotIn("not watched", out)
        self.assertIn("4 series searched", out)
        names = sorted(path.name for path in (self.folder / "out").iterdir())
        tables = ["lead_lag.csv", "lead_lag_all.csv", "lead_lag_invented.csv", "lead_lag_runs.csv"]
        figures = ["lead_lag_all.png", "lead_lag_invented.png", "lead_lag_invented_layers.png"]
        self.assertEqual(names, sorted(tables + figures))

    def test_false_alarms_are_counted_on_controls(self):
        for seed in range(2):
            columns = {"test_acc": accuracy(6000, seed=seed), "drifts": bent(1500, 2.0, seed=seed)}
            write_run(self.folder, f"grok{seed}", columns, 7000)
            columns = {"test_acc": accuracy(NEVER, seed=seed), "drifts": bent(1500, 2.0, seed=seed + 2)}
            write_run(self.folder, f"control{seed}", columns, None)
        self.judged()
        self.assertEqual(
            self.fields("drifts", "warned", "detection_rate", "false_alarms", "false_alarm_rate"),
            ["2", "1", "2", "1"],
        )
        self.assertNotEqual(self.table()["drifts"]["auroc"], "1")

    def test_a_change_beyond_the_stretch_is_no_false_alarm(self):
        write_run(self.folder, "grok", {"test_acc": accuracy(2000), "x": bent(NEVER, 0)}, 2500)
        write_run(self.folder, "control", {"test_acc": accuracy(NEVER), "x": bent(9000, 6.0)}, None)
        self.judged()
        self.assertEqual(self.fields("x", "controls", "false_alarms"), ["1", "0"])

    def test_a_rise_in_the_runs_is_no_fall_in_the_controls(self):
        for seed in range(3):
            columns = {"test_acc": accuracy(6000, seed=seed), "x": bent(1500, -2.0, seed=seed)}
            write_run(self.folder, f"grok{seed}", columns, 7000)
            columns = {"test_acc": accuracy(NEVER, seed=seed), "x": bent(1500, 2.0, seed=seed)}
            write_run(self.folder, f"control{seed}", columns, None)
        self.judged()
        self.assertEqual(
            self.fields("x", "direction", "warned", "controls", "false_alarms", "auroc"), ["up", "3", "3", "0", "1"]
        )

    def test_where_no_run_changed_it_is_said_which_direction_counts(self):
        write_run(self.folder, "grok", {"test_acc": accuracy(6000), "x": bent(1500, 0.05, noise=0)}, 7000)
        write_run(self.folder, "control", {"test_acc": accuracy(NEVER), "x": bent(1500, 2.0)}, None)
        self.judged()
        self.assertEqual(self.fields("x", "changed", "direction", "false_alarms", "auroc"), ["0", "down", "1", "0"])
        runs = {row["kind"]: row for row in self.rows("lead_lag_runs") if row["series"] == "x"}
        self.assertLess(float(runs["generalising"]["score"]), 1)
        self.assertGreater(float(runs["control"]["score"]), 1)
        self.assertLess(float(runs["control"]["onset"]), 2000)

    def test_a_bend_after_memorising_does_not_hide_a_later_one(self):
        """In all runs it falls faster from 300 on; in those that generalise it rises from 2,000 on."""
        rise = 10 ** (4 * np.maximum(np.log10(np.maximum(STEPS, 1) / 2000), 0))
        for seed in range(3):
            x = bent(300, 2.0, seed=seed)
            write_run(self.folder, f"grok{seed}", {"test_acc": accuracy(6000, seed=seed), "x": x * rise}, 7000)
            write_run(self.folder, f"control{seed}", {"test_acc": accuracy(NEVER, seed=seed), "x": x}, None)
        self.judged()
        self.assertEqual(
            self.fields("x", "direction", "warned", "false_alarms", "auroc", "leading"), ["up", "3", "0", "1", "yes"]
        )
        lead, first = map(float, self.fields("x", "lead_median", "first_lead_median"))
        self.assertLess(abs(lead - (4700 - 2000)), 500)  # of the last change before the jump
        self.assertGreater(first, 3500)
        rows = self.rows("lead_lag_runs")
        changes = next(row["changes"] for row in rows if (row["series"], row["kind"]) == ("x", "generalising"))
        self.assertRegex(changes, r"^down .* alarm .*; up .* alarm ")

    def test_the_lead_is_that_of_the_last_change_before_the_jump(self):
        x = bent(400, 2.0) * 10 ** (-4 * np.maximum(np.log10(np.maximum(STEPS, 1) / 2000), 0))
        write_run(self.folder, "grok", {"test_acc": accuracy(6000), "x": x}, 7000)
        self.judged()
        lead, first = map(float, self.fields("x", "lead_median", "first_lead_median"))
        self.assertLess(abs(lead - (4700 - 2000)), 500)
        self.assertLess(abs(first - (4700 - 400)), 500)

    def test_a_lead_below_the_resolution_counts_as_none(self):
        """The steps are 14 % apart, so that each has a bin of its own and two bins are two tracking intervals."""
        steps = np.unique((100 * 10 ** (np.arange(0, 42) / 17)).astype(int))
        for name, at, expected in (("close", 4400, "0"), ("far", 1500, "1")):
            columns = {"test_acc": accuracy(6000, steps, width=0.02), "x": bent(at, 9.0, steps=steps)}
            write_run(self.folder / name, "grok", columns, 7000, steps=steps)
            self.run_tool(self.folder / name, "--save_dir", self.folder / "out", "--formats", "png")
            self.assertEqual(self.fields("x", "changed", "before"), ["1", expected], name)
        self.assertGreater(float(self.table()["x"]["resolution_steps"]), 1000)
        with grokscope_io.open_run(self.folder / "close/grok") as run:
            verdict = next(v for v in judge_all([run]) if v.series == "x")
        change = verdict.watched.changes[0]
        self.assertLess(abs(verdict.jump - change.onset), RESOLUTION)
        self.assertEqual(verdict.lead(change), 0)

    def test_a_change_in_the_baseline_is_marked(self):
        steps = np.unique((100 * 10 ** (np.arange(0, 300) / 100)).astype(int))
        columns = {"test_acc": accuracy(6000, steps), "x": bent(140, 3.0, steps=steps, noise=0.003)}
        write_run(self.folder, "grok", columns, 7000, steps=steps)
        out = self.judged()
        self.assertEqual(self.fields("x", "changed", "censored", "lead_is"), ["1", "1", ">="])
        row = next(row for row in self.rows("lead_lag_runs") if row["series"] == "x")
        self.assertEqual(row["onset_is"], "<=")
        self.assertIn(f">={float(row['lead']):,.0f}", out)
        with grokscope_io.open_run(self.folder / "grok") as run:
            verdicts = judge_all([run])
        shown = figures.whole_model(tabulate(verdicts), verdicts)
        left = figures.experiment_figure("invented", shown).axes[0]
        self.assertIn("<", [line.get_marker() for line in left.lines])

    def test_steps_keep_all_their_digits(self):
        steps = STEPS * 1000003  # no step has fewer than seven digits
        columns = {"test_acc": accuracy(6000 * 1000003, steps), "x": 1e6 * bent(1500 * 1000003, 2.0, steps=steps)}
        write_run(self.folder, "grok", columns, 7000 * 1000003, t_mem=T_MEM * 1000003, steps=steps)
        self.judged()
        row = next(row for row in self.rows("lead_lag_runs") if row["series"] == "x")
        for name in ("jump_onset", "onset", "alarm"):
            self.assertGreater(float(row[name]), 1e6)
            self.assertIn(float(row[name]), steps)
        self.assertEqual(float(row["lead"]), float(row["jump_onset"]) - float(row["onset"]))
        self.assertEqual(float(self.table()["x"]["lead_median"]), float(row["lead"]))

    def test_the_jump_is_read_on_the_clock_of_the_series(self):
        reference = series([0.0, 1.0, 2.0], np.array([0, 10, 20]))
        np.testing.assert_array_equal(
            judging.sampled_at(reference, np.array([-1, 0, 9, 10, 25])), [np.nan, 0, 0, 1, 2]
        )


class NullTest(Case):
    def test_a_copy_of_the_test_accuracy_says_nothing(self):
        for width in (0.03, 0.15):
            folder = self.folder / f"width{width}"
            for seed in range(4):
                for name, centre, t_gen in (("grok", 6000, 7500), ("control", NEVER, None)):
                    noise = 0.01 * np.random.default_rng(seed).standard_normal(STEPS.size)
                    columns = {"test_acc": accuracy(centre, seed=seed, width=width) + noise}
                    columns["copy"] = columns["test_acc"]
                    write_run(folder, f"{name}{seed}", columns, t_gen)
            self.run_tool(folder, "--save_dir", self.folder / "out", "--formats", "png")
            for name in (EXACT, "copy"):
                self.assertEqual(self.fields(name, "generalising", "changed", "warned", "before"), ["4", "4", "0", "0"])
                self.assertEqual(self.fields(name, "lead_min", "lead_max"), ["0", "0"])
                self.assertEqual(self.fields(name, "leading", "scale"), ["no", "share"])
                self.assertEqual(self.fields(name, "controls", "false_alarms"), ["4", "0"])
                self.assertLess(abs(float(self.table()[name]["auroc"]) - 0.5), 0.15)

    def test_what_leads_by_the_logarithm_alone_does_not_lead(self):
        """The accuracy grows from .001 by a constant factor: its logarithm leaves its level long before itself."""
        growing = np.minimum(0.001 * np.maximum(STEPS / 1000, 1) ** 4, 1.0)
        columns = {
            "test_acc": growing,
            "percent": 100 * growing + 2.0,  # dimensionless and above 1: compared as a logarithm
            "in_log": 3e4 * growing,
            "early": bent(400, 2.0),
        }
        write_run(self.folder, "grok", columns, 5700)
        self.judged()
        self.assertGreater(float(self.table()[PERCENT]["lead_median"]), 500)
        self.assertGreater(float(self.table()["in_log"]["lead_median"]), 500)
        self.assertEqual(self.fields("in_log", "scale", "leading", "before", "before_nulls"), ["log", "no", "1", "0"])
        self.assertEqual(self.fields(PERCENT, "direction", "leading"), ["up", "no"])
        self.assertEqual(self.fields(ERROR, "direction", "leading"), ["down", "no"])
        self.assertEqual(self.fields("early", "leading", "before_nulls"), ["yes", "1"])

    def test_nulls_are_tabulated_at_steps_that_show_the_jump(self):
        """Most series were measured too rarely."""
        rare = {name: bent(1500, 2.0)[::200] for name in "xyz"}
        folder = write_run(self.folder, "grok", rare, 7000, steps=STEPS[::200])
        with h5py.File(folder / "metrics.h5", "a") as file:
            write_table(file.create_group("training"), STEPS, STEPS, {"test_acc": accuracy(6000), "w": bent(1500, 2.0)})
        self.judged()
        self.assertEqual([self.fields(name, "watched")[0] for name in (EXACT, "training/w", "x")], ["1", "1", "0"])

    def test_it_is_said_how_many_nulls_could_be_watched(self):
        """The accuracy is exactly 0 in the baseline: in units of its median 100 test_acc has none."""
        rising = np.where(STEPS < 1000, 0.0, np.maximum(accuracy(6000, low=0.0), 0))
        write_run(self.folder, "grok", {"test_acc": rising, "x": bent(1500, 2.0)}, 7000)
        out = self.judged()
        self.assertEqual(self.fields("x", "nulls", "before_nulls", "leading"), ["2", "1", "yes"])
        self.assertEqual(self.fields(PERCENT, "generalising", "watched", "changed"), ["1", "0", "0"])
        self.assertIn(f"not watched, since its median over the baselines is 0: {PERCENT}", out)
        self.assertIn("1 lead, before all nulls that could be watched (2 of 3) in more than half", out)
        with grokscope_io.open_run(self.folder / "grok") as run:
            verdicts = judge_all([run])
        rows = tabulate(verdicts)
        drawn = figures.experiment_figure("invented", figures.whole_model(rows, verdicts))
        for fig, told in ((drawn, "watched (2 of 3)"), (figures.overview(rows, verdicts), "watched (invented: 2)")):
            self.assertIn(told, "\n".join(text.get_text() for text in fig.texts))

    def test_nulls_are_shown_first_and_not_searched(self):
        self.write_experiment()
        out = self.judged()
        self.assertEqual(list(self.table())[:3], [EXACT, PERCENT, ERROR])
        self.assertEqual(self.rows("lead_lag_all")[0]["series"], EXACT)
        self.assertLess(out.index("nulls: "), out.index(PERCENT))
        self.assertEqual({row["searched"] for row in self.rows()}, {"4"})


class ControlTest(Case):
    def test_a_control_that_ends_too_early_does_not_count(self):
        write_run(self.folder, "grok", {"test_acc": accuracy(6000), "x": bent(1500, 2.0)}, 7000)
        columns = {"test_acc": accuracy(NEVER), "x": bent(NEVER, 0)}
        write_run(self.folder, "long", columns, None)
        short = {name: values[:150] for name, values in columns.items()}  # until step 2,980
        write_run(self.folder, "short", short, None, steps=STEPS[:150])
        self.judged()
        self.assertEqual(self.fields("x", "controls"), ["1"])

    def test_a_control_whose_own_accuracy_moved_does_not_count(self):
        """From its alarm on; what is to be compared lies before step 4,000."""
        write_run(self.folder, "grok", {"test_acc": accuracy(6000), "x": bent(1500, 2.0)}, 7000)
        for name, centre in (("moves_early", 1500), ("moves_late", 12000)):
            columns = {"test_acc": 0.1 + 0.3 * accuracy(centre, low=0.0), "x": bent(NEVER, 0)}
            write_run(self.folder, name, columns, None)
        self.judged()
        self.assertEqual(self.fields("x", "controls", "false_alarms"), ["1", "0"])

    def test_a_control_whose_own_accuracy_falls_counts(self):
        write_run(self.folder, "grok", {"test_acc": accuracy(6000), "x": bent(1500, 2.0)}, 7000)
        falling = 0.5 - 0.3 * np.maximum(np.log10(np.maximum(STEPS, 1) / 1500), 0)
        write_run(self.folder, "falls", {"test_acc": falling, "x": bent(NEVER, 0)}, None)
        self.judged()
        self.assertEqual(self.fields("x", "controls", "false_alarms"), ["1", "0"])
        runs = {row["run"]: row for row in self.rows("lead_lag_runs") if row["series"] == EXACT}
        self.assertRegex(runs[str(self.folder / "falls")]["changes"], "^down .* alarm ")

    def test_a_shorter_stretch_is_told_from_a_change(self):
        """All fall at 1,800, the controls further; but these memorised sooner, and are read to 2,000 only."""
        for seed in range(3):
            columns = {"test_acc": accuracy(6000, seed=seed), "x": bent(1800, 2.0, seed=seed)}
            write_run(self.folder, f"grok{seed}", columns, 7000)
            columns = {"test_acc": accuracy(NEVER, seed=seed), "x": bent(1800, 4.0, seed=seed)}
            write_run(self.folder, f"control{seed}", columns, None, t_mem=T_MEM / 2)
        out = self.judged()
        found = self.fields("x", "warned", "controls", "false_alarms", "auroc", "controls_same_step", "auroc_same_step")
        self.assertEqual(found, ["3", "3", "0", "1", "3", "0"])
        self.assertRegex(out, r"same step \(n\)\n(.*\n)*?x .* 0\.00 \(3\)\n")

    def test_runs_that_are_no_controls(self):
        half_way = np.minimum(accuracy(6000), 0.9)
        write_run(self.folder, "grok", {"test_acc": accuracy(6000), "x": bent(1500, 2.0)}, 7000)
        write_run(self.folder, "cut", {"test_acc": half_way, "x": bent(1500, 2.0)}, None)
        high = {"test_acc": 0.85 + 0 * half_way, "x": bent(1500, 2.0)}
        write_run(self.folder, "high", high, None)
        for name, state in (("control", "done"), ("stopped", "checkpointed"), ("unknown", None)):
            columns = {"test_acc": accuracy(NEVER), "x": bent(NEVER, 0)}
            write_run(self.folder, name, columns, None, state=state)
        out = self.judged()
        self.assertIn("cut: invented, left out: undecided, its test_acc rose to 0.90", out)
        self.assertIn("high: invented, left out: undecided, its test_acc rose to 0.85", out)
        self.assertIn("stopped: invented, left out: undecided, the run is checkpointed", out)
        self.assertIn("unknown: invented, left out: undecided, the run is not known to be done", out)
        self.assertEqual(self.fields("x", "generalising", "controls", "false_alarms"), ["1", "1", "0"])
        self.assertIn("1 warn more often than they warn falsely", out)

    def test_false_alarms_are_shown_for_each_kind_of_control(self):
        members = self.folder / "study/members"
        for seed in range(2):
            columns = {"test_acc": accuracy(6000, seed=seed), "x": bent(1500, 2.0, seed=seed)}
            write_run(members, f"generalises,seed={seed}", columns, 7000, settings=settings(0.5, seed))
            columns = {"test_acc": accuracy(NEVER, seed=seed), "x": bent(1500, 2.0, seed=seed + 2)}
            write_run(members, f"less_data,seed={seed}", columns, None, settings=settings(0.2, seed))
            columns = {"test_acc": accuracy(NEVER, seed=seed), "x": bent(NEVER, 0, seed=seed + 4)}
            write_run(members, f"no_decay,seed={seed}", columns, None, settings=settings(0.5, seed, decay=0))
        out = self.judged()
        self.assertEqual(self.fields("x", "false_alarms", "controls"), ["2", "4"])
        self.assertEqual(self.fields("x", "false_alarms_by_kind"), ["less_data 2/2; no_decay 0/2"])
        self.assertIn("2 generalising (generalises 2), 4 control (less_data 2, no_decay 2); 1 series searched", out)

    def test_a_jump_that_begins_in_the_baseline_cannot_be_dated(self):
        for name, centre, t_gen in (("short", 150, 190), ("over", 110, 130), ("long", 6000, 7000)):
            write_run(self.folder, name, {"test_acc": accuracy(centre), "x": bent(1500, 2.0)}, t_gen)
        out = self.judged()
        for name in ("short", "over"):
            self.assertRegex(out, f"{name}: invented, left out: too short a delay, .*baseline ended \\(step 240\\)")
        self.assertEqual(self.fields("x", "generalising"), ["1"])


if __name__ == "__main__":
    unittest.main()

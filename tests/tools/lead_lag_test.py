"""Does lead_lag.py count leads with the right sign, only where they are ones, and only against runs that can say?"""
import contextlib
import csv
import io
import json
import sys
import tempfile
import unittest
import warnings
from pathlib import Path
from unittest import mock

HERE = Path(__file__).resolve().parent
TOOLS = HERE.parent.parent / "tools"
sys.path[:0] = [str(TOOLS), str(HERE)]

import grokscope_io  # noqa: E402
import h5py  # noqa: E402
import lead_lag  # noqa: E402
import numpy as np  # noqa: E402
from change_point_test import STEPS, T_MEM, accuracy, bent  # noqa: E402
from grokscope_tools.drawing import style  # noqa: E402
from grokscope_tools.leads import figures, verdicts as judging  # noqa: E402
from grokscope_tools.leads.change_point import RESOLUTION  # noqa: E402
from grokscope_tools.leads.rows import tabulate  # noqa: E402
from grokscope_tools.leads.verdicts import judge_all  # noqa: E402
from synthetic_run import write_table  # noqa: E402

NEVER = 1e9
EXACT, PERCENT, ERROR = (null.name for null in judging.NULLS)


def series(values, steps=STEPS):
    return grokscope_io.Series(steps, steps, np.asarray(values, float))


def write_run(folder, name, columns, t_gen, t_mem=T_MEM, steps=STEPS, state="done", settings=None):
    """A run directory; no STATUS where `state` is None, no config.json where `settings` is None."""
    folder = folder / name
    folder.mkdir(parents=True)
    with h5py.File(folder / "metrics.h5", "w") as file:
        file.attrs["experiment"] = np.bytes_("invented")
        write_table(file, steps, steps, columns)
        for event, step in (("t_mem_step", t_mem), ("t_gen_step", t_gen)):
            file[f"events/{event}"] = np.nan if step is None else float(step)
    if state:
        (folder / "STATUS").write_text(json.dumps({"state": state}))
    if settings is not None:
        (folder / "config.json").write_text(json.dumps(settings))
    return folder


class Case(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        self.addCleanup(style.plt.close, "all")

    def run_tool(self, *arguments):
        out = io.StringIO()
        with contextlib.redirect_stdout(out), warnings.catch_warnings():
            warnings.simplefilter("error")
            code = lead_lag.main(list(map(str, arguments)))
        return code, out.getvalue()

    def judged(self, *arguments):
        """What the tool prints about all runs written so far."""
        code, out = self.run_tool(
            self.folder, "--save_dir", self.folder / "out", "--formats", "png", *arguments
        )
        self.assertEqual(code, 0)
        return out

    def rows(self, name="lead_lag"):
        with (self.folder / f"out/{name}.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    def table(self):
        return {row["series"]: row for row in self.rows()}

    def fields(self, series, *names):
        return [self.table()[series][name] for name in names]

    def write_experiment(self):
        """Three runs that generalise around step 6,000: one series bends at 1,500, one at 10,000, one never.
        Three controls, which generalise never, and in which nothing bends."""
        for seed in range(3):
            columns = {
                "test_acc": accuracy(6000, seed=seed),
                "early": bent(1500, 2.0, seed=seed),
                "late": bent(10000, 6.0, seed=seed + 10),
                "never": bent(NEVER, 0, seed=seed + 20),
                "layers/embed/gop_trace": bent(1500, -2.0, seed=seed + 30),
            }
            write_run(self.folder, f"grok{seed}", columns, 7000)
            columns["test_acc"] = accuracy(NEVER, seed=seed)
            for name in ("early", "late", "layers/embed/gop_trace"):
                columns[name] = bent(NEVER, 0, seed=seed + 40)
            write_run(self.folder, f"control{seed}", columns, None)


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


def settings(fraction, seed, decay=1):
    return {
        "experiment": {"name": "invented"},
        "data": {"train_fraction": fraction},
        "training": {"seed": seed, "weight_decay": decay},
    }


class ComparedRunsTest(Case):
    def write_generalising(self, with_x, without):
        for i in range(with_x + without):
            columns = {"test_acc": accuracy(6000, seed=i), "y": bent(NEVER, 0, seed=i)}
            if i < with_x:
                columns["x"] = bent(1500, 2.0, seed=i)
            write_run(self.folder, f"grok{i}", columns, 7000)

    def test_leading_is_a_share_of_all_generalising_runs(self):
        """It leads in two of the two runs that have it, of five."""
        self.write_generalising(2, 3)
        for asked in ("*", "x"):  # with x alone three of the runs have nothing to be watched
            out = self.judged("--series", asked)
            found = self.fields("x", "generalising", "watched", "changed", "before_nulls", "leading", "detection_rate")
            self.assertEqual(found, ["5", "2", "2", "2", "no", "1"])
            self.assertIn("5 generalising", out)
            self.assertIn("0 lead, before all nulls", out)
            self.assertRegex(out, r"null: test_acc +up +\d/5")
        runs = grokscope_io.open_runs([str(self.folder)])
        row = next(row for row in tabulate(judge_all(runs)) if row.series == "x")
        self.assertEqual(figures.label_of(row), "x ↓ (2/5)")
        self.assertFalse(figures.is_usual(row))

    def test_more_than_half_of_all_generalising_runs_is_enough(self):
        self.write_generalising(3, 2)
        self.judged()
        self.assertEqual(self.fields("x", "generalising", "watched", "before_nulls", "leading"), ["5", "3", "3", "yes"])

    def test_a_series_measured_too_rarely_in_most_runs_does_not_lead(self):
        self.write_generalising(2, 0)
        for i in range(3):
            folder = write_run(self.folder, f"rare{i}", {"x": bent(1500, 2.0)[::200]}, 7000, steps=STEPS[::200])
            with h5py.File(folder / "metrics.h5", "a") as file:
                write_table(file.create_group("training"), STEPS, STEPS, {"test_acc": accuracy(6000)})
        self.judged()
        found = self.fields("x", "generalising", "watched", "before_nulls", "leading")
        self.assertEqual(found, ["5", "2", "2", "no"])

    def test_the_package_needs_no_command(self):
        self.write_generalising(1, 0)
        with mock.patch.dict(sys.modules, {"compare_experiments": None}):
            self.assertIn("1 generalising", self.judged())

    def test_runs_of_different_settings_are_not_pooled(self):
        members = self.folder / "study/members"
        for seed in range(2):
            for fraction in (0.3, 0.5):
                columns = {"test_acc": accuracy(6000, seed=seed), "x": bent(1500, 2.0, seed=seed)}
                name = f"fraction={fraction},seed={seed}"
                write_run(members, name, columns, 7000, settings=settings(fraction, seed))
        columns = {"test_acc": accuracy(NEVER), "x": bent(NEVER, 0)}
        write_run(members, "less_data,seed=0", columns, None, settings=settings(0.1, 0))
        self.judged()
        rows = [row for row in self.rows() if row["series"] == "x"]
        self.assertEqual(
            [(row["experiment"], row["generalising"], row["controls"]) for row in rows],
            [("invented: fraction=0.3", "2", "1"), ("invented: fraction=0.5", "2", "1")],
        )

    def test_several_experiments_in_one_call(self):
        """Two studies of one experiment are compared each with its own controls; a third has no run to judge."""
        for study, at in (("first", 1500), ("second", NEVER)):
            members = self.folder / study / "members"
            for seed in range(2):
                columns = {"test_acc": accuracy(6000, seed=seed), "x": bent(1500, 2.0, seed=seed)}
                write_run(members, f"generalises,seed={seed}", columns, 7000, settings=settings(0.5, seed))
                columns = {"test_acc": accuracy(NEVER, seed=seed), "x": bent(at, 2.0, seed=seed)}
                write_run(members, f"less_data,seed={seed}", columns, None, settings=settings(0.2, seed))
        write_run(self.folder / "third/members", "early,seed=0", {"test_acc": accuracy(6000)}, None, t_mem=None)
        self.judged()
        names = {path.name for path in (self.folder / "out").iterdir()}
        for name in ("lead_lag_invented_first_", "lead_lag_invented_second_", "lead_lag_all"):
            self.assertLessEqual({name + ".csv", name + ".png"}, names)
        self.assertEqual([row["false_alarms"] for row in self.rows() if row["series"] == "x"], ["2", "0"])
        self.assertEqual({row["experiment"] for row in self.rows("lead_lag_invented_first_")}, {"invented (first)"})
        overview = {row["series"]: row for row in self.rows("lead_lag_all")}
        self.assertEqual(overview["x"]["invented (second): false_alarm_rate"], "0")

    def test_one_scale_for_all_runs(self):
        """A control whose series starts at exactly 0 takes the logarithm from all others, too."""
        for name, factor, centre, t_gen in (("grok", 1.0, 6000, 7000), ("control", 0.0, NEVER, None)):
            x = factor * bent(1500, 2.0)
            columns = {"test_acc": accuracy(centre), "x": 3 + x, "y": 5 * x}
            write_run(self.folder, name, columns, t_gen)
        self.judged()
        scales = {(row["series"], row["scale"]) for row in self.rows("lead_lag_runs") if row["series"] in "xy"}
        self.assertEqual(scales, {("x", "log"), ("y", "linear")})

    def test_series_and_runs_that_take_part(self):
        columns = {
            "test_acc": accuracy(6000),
            "train_acc": accuracy(50),
            "eigenvalues_top_k": bent(1500, 2.0)[:, None] / np.arange(1, 6),
            "eigenvalues": bent(1500, 2.0)[:, None] / np.arange(1, 9),
            "checks/residual": np.ones(STEPS.size),
            "definitions/mean/gop_trace": bent(1500, 2.0),
            "gone": np.full(STEPS.size, np.nan),
        }
        write_run(self.folder, "grok", columns, 7000)
        write_run(self.folder, "never_memorised", columns, None, t_mem=None)
        out = self.judged()
        components = [f"eigenvalues_top_k[{k}]" for k in range(5)]
        self.assertEqual(list(self.table())[3:], components[:3] + ["gone"])
        self.assertIn("never_memorised: invented, left out", out)
        self.assertIn("no controls", out)
        for asked, found in (
            (["train_acc", "checks/*"], ["checks/residual", "train_acc"]),
            (["test_acc"], ["test_acc"]),
            (["eigenvalues_top_k"], components),
            (["eigenvalues_top_k[4]"], components[4:]),
            (["definitions/*", "eigenvalues_top_k[3]"], ["definitions/mean/gop_trace", components[3]]),
            (["*", "eigenvalues_top_k[4]"], components[:3] + components[4:] + ["gone"]),
        ):
            self.judged("--series", *asked)
            self.assertEqual(list(self.table())[3:], found)

    def test_nothing_to_judge_is_a_user_error(self):
        columns = {"test_acc": accuracy(6000), "x": bent(1500, 2.0)}
        write_run(self.folder, "run", columns, None, t_mem=None)
        self.assert_refused("no series can be judged \\(1 left out: it never memorised, or has no accuracies\\), give other")
        write_run(self.folder, "early", {**columns, "test_acc": accuracy(150)}, 190)
        write_run(self.folder, "cut", {**columns, "test_acc": np.minimum(accuracy(6000), 0.9)}, None)
        write_run(self.folder, "running", columns, None, state="running")
        write_run(self.folder, "running_too", columns, None, state="running")
        for reason in (
            "1 left out: too short a delay, the jump began before the baseline ended \\(step 240\\)",
            "1 left out: undecided, its test_acc rose to 0.90",
            "\\(2 left out: undecided, the run is running; ",  # the commonest first
        ):
            self.assert_refused(reason)
        write_run(self.folder, "grok", columns, 7000)
        self.assert_refused("\\(no run has one that --series nothing at_all names\\)", "--series", "nothing", "at_all")

    def assert_refused(self, message, *arguments):
        with self.assertRaisesRegex(grokscope_io.ToolError, message):
            self.run_tool(self.folder, "--save_dir", self.folder / "out", *arguments)

    def test_controls_alone_have_a_table_and_a_figure(self):
        write_run(self.folder, "control", {"test_acc": accuracy(NEVER), "x": bent(1500, 2.0)}, None)
        out = self.judged()
        self.assertIn("0 generalising, 1 control", out)
        self.assertEqual(self.fields("x", "generalising", "controls", "leading"), ["0", "0", ""])
        self.assertTrue((self.folder / "out/lead_lag_all.png").exists())


class SmallestChanceTest(Case):
    """The series that tells runs from controls best neither leads nor changes, and is of a layer that is not drawn."""

    BEST = "layers/embed/gop_logdet_regularised"

    def setUp(self):
        super().setUp()
        for seed in range(3):
            leading = {f"x{i:02d}": bent(500 + 20 * i, 2.0, seed=seed + i) for i in range(40)}
            for name, centre, t_gen, fall in (("grok", 6000, 7000, 0.06), ("control", NEVER, None, 0)):
                best = bent(NEVER, 0, noise=0) * 10 ** (-fall * (STEPS > 2500))
                columns = {"test_acc": accuracy(centre, seed=seed), self.BEST: best, **leading}
                write_run(self.folder, f"{name}{seed}", columns, t_gen)

    def test_it_is_printed_and_tabulated(self):
        out = self.judged()
        self.assertEqual(self.fields(self.BEST, "changed", "leading", "auroc"), ["0", "no", "1"])
        self.assertEqual([row["series"] for row in self.rows() if row["smallest_p_any"] == "yes"], [self.BEST])
        p_any = float(self.table()[self.BEST]["auroc_p_any"])
        self.assertEqual(p_any, min(float(row["auroc_p_any"]) for row in self.rows() if row["auroc_p_any"]))
        printed = out.split("have a p (any) below 1, leading or not; the ")[1].splitlines()
        self.assertRegex(printed[2], rf"^{self.BEST} +down +0/3 +- +- +0/3 +0/3 +0/3 +1\.00 +0\.050 +{p_any:.3f}")

    def test_it_is_drawn(self):
        verdicts = judge_all(grokscope_io.open_runs([str(self.folder)]))
        rows = tabulate(verdicts)
        shown = figures.whole_model(rows, verdicts)
        label = self.BEST + " ↓ (0/3) †"
        self.assertEqual(figures.label_of(shown[3]), label)  # below the nulls
        fig = figures.experiment_figure("invented", shown)
        self.assertIn(label, [tick.get_text() for tick in fig.axes[0].get_yticklabels()])
        self.assertIn("†: the smallest p (any series), 0.05, of any kind", "\n".join(t.get_text() for t in fig.texts))
        self.assertEqual([row.series for row in figures.of_layers(rows)][3:], [self.BEST])
        ax = figures.overview(rows, verdicts).axes[0]
        self.assertEqual(ax.get_yticklabels()[3].get_text(), self.BEST)
        self.assertIn("– (1.00) †", [text.get_text() for text in ax.texts])


class FigureTest(Case):
    def figure_of(self, columns):
        write_run(self.folder, "grok", {"test_acc": accuracy(6000), **columns}, 7000)
        with grokscope_io.open_run(self.folder / "grok") as run:
            verdicts = judge_all([run])
        rows = tabulate(verdicts)
        shown = figures.whole_model(rows, verdicts)
        return rows, shown, figures.experiment_figure("invented", shown), verdicts

    def test_equal_series_are_drawn_once(self):
        values = bent(1500, 2.0)
        _, shown, *_ = self.figure_of({"trace": values, "nuclear": values})
        self.assertEqual([row.series for row in shown if not row.is_null()], ["nuclear"])

    def test_figures_say_what_is_left_out(self):
        columns = {f"x{i:02d}": bent(500 + 20 * i, 2.0, seed=i) for i in range(40)}
        rows, shown, fig, verdicts = self.figure_of(columns)
        self.assertEqual(len(shown), 43)
        text = "\n".join(text.get_text() for text in fig.texts)
        self.assertIn("40 series searched; drawn: 29 of 40 different ones", text)
        self.assertIn("the others are in the table", text)
        self.assertRegex(text, r"Resolution: two bins, \d+ steps")
        overview = figures.overview(rows, verdicts)
        self.assertIn("Drawn: 32 of 43", "\n".join(text.get_text() for text in overview.texts))


if __name__ == "__main__":
    unittest.main()

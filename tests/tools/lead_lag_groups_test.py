"""Which runs does lead_lag.py compare with which, what may be luck among all series, and what do its figures show of that?"""
import csv
import sys
import unittest
from pathlib import Path
from unittest import mock

HERE = Path(__file__).resolve().parent
TOOLS = HERE.parent.parent / "tools"
sys.path[:0] = [str(TOOLS), str(HERE)]

import grokscope_io  # noqa: E402
import h5py  # noqa: E402
import numpy as np  # noqa: E402
from change_point_test import STEPS, accuracy, bent  # noqa: E402
from grokscope_tools.leads import figures  # noqa: E402
from grokscope_tools.leads.rows import tabulate  # noqa: E402
from grokscope_tools.leads.verdicts import judge_all  # noqa: E402
from lead_lag_case import NEVER, Case, series, settings, write_run  # noqa: E402
from synthetic_run import write_table  # noqa: E402


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

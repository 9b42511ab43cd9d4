"""Are runs grouped by what they share, aligned at their jumps, and tabulated with the right steps?"""
import contextlib
import csv
import io
import json
import unittest

from figure_case import FolderCase, call  # first: it finds the tools

import compare_experiments as compare
import grokscope_io
import h5py
import numpy as np
from synthetic_run import Shape, make_run


class Case(FolderCase):
    def setUp(self):
        super().setUp()
        self.known = {}

    def write(self, name, seed=0, settings=(), **shape):
        """A run whose configuration has this seed and these settings."""
        self.known[name] = make_run(self.folder / name, Shape(seed=seed, with_gop=False, **shape))
        config = {
            "experiment": {"name": "synthetic"},
            "training": {"seed": seed, "lr": 0.1, **dict(settings)},
        }
        (self.folder / name / "config.json").write_text(json.dumps(config))

    def groups(self, *names):
        return compare.groups_of(grokscope_io.open_runs([str(self.folder / name) for name in names]))

    def run_tool(self, *arguments):
        """Exit code, and what the tool printed or said on stderr."""
        code, out, err = call(compare.main, *arguments)
        return code, out + err

    def line(self, fig, label):
        found = [line for line in fig.axes[0].lines if line.get_label() == label]
        self.assertEqual(len(found), 1, [line.get_label() for line in fig.axes[0].lines])
        return found[0]


class GroupTest(Case):
    def test_runs_that_differ_in_seeds_alone_are_one_group(self):
        self.write("a", 0)
        self.write("b", 1)
        self.write("c", 2, {"lr": 0.2}.items())
        groups = self.groups("a", "b", "c")
        self.assertEqual([[run.name for run in group.runs] for group in groups], [["a", "b"], ["c"]])
        self.assertEqual([group.label for group in groups], ["a (2 seeds)", "c"])

    def test_runs_without_a_configuration_stay_apart(self):
        for name in ("a", "b"):
            self.write(name)
            (self.folder / name / "config.json").unlink()
        self.assertEqual(len(self.groups("a", "b")), 2)

    def test_labels_are_as_short_as_they_can_be(self):
        labels = grokscope_io.shortest_labels
        self.assertEqual(labels(["/x/quick/a", "/x/full/a"]), ["quick/a", "full/a"])
        self.assertEqual(labels(["/x/a", "/x/b"]), ["a", "b"])

    def test_the_label_of_several_seeds_names_none(self):
        self.assertEqual(compare.label_of_seeds("dense,seed=0", 3), "dense (3 seeds)")
        self.assertEqual(compare.label_of_seeds("09_levi+lr=0.1+training.seed=1", 2), "09_levi+lr=0.1 (2 seeds)")
        self.assertEqual(compare.label_of_seeds("dense,seed=0", 1), "dense,seed=0")

    def test_the_band_holds_every_seed(self):
        one = grokscope_io.Series(np.arange(5), np.arange(5), np.array([0.0, 1, 2, 3, 4]))
        two = grokscope_io.Series(np.arange(1, 8, 2), np.arange(1, 8, 2), np.array([10.0, 30, np.nan, 70]))
        step, low, middle, high = compare.band([one, two])
        np.testing.assert_array_equal(step, [1, 2, 3, 4])
        np.testing.assert_array_equal(low, [1, 2, 3, 4])
        np.testing.assert_array_equal(high, [10, 20, 30, 40])
        np.testing.assert_array_equal(middle, [5.5, 11, 16.5, 22])
        self.assertIsNone(compare.band([one, two._replace(step=two.step + 9)]))


class FigureTest(Case):
    def test_lines_are_the_series(self):
        self.write("a", 0)
        self.write("b", 1, {"lr": 0.2}.items(), t_gen=400)
        fig, why = compare.draw_comparison("gop_trace", self.groups("a", "b"), "none")
        self.assertIsNone(why)
        for name in ("a", "b"):
            line = self.line(fig, name)
            np.testing.assert_array_equal(line.get_xdata(), self.known[name]["epoch"])
            np.testing.assert_array_equal(line.get_ydata(), self.known[name]["gop_trace"])

    def test_aligned_at_the_jump(self):
        self.write("a", 0)
        self.write("never", 1, {"lr": 0.2}.items(), t_gen=1e7)
        groups = self.groups("a", "never")
        t_gen = groups[0].runs[0].transition().t_gen
        fig, _ = compare.draw_comparison("test_acc", groups, "t_gen")
        line = self.line(fig, "a")
        np.testing.assert_allclose(line.get_xdata(), self.known["a"]["training/step"] / t_gen)
        first_right = np.argmax(line.get_ydata() >= 0.95)
        self.assertEqual(line.get_xdata()[first_right], 1)
        notes = " ".join(text.get_text().replace("\n", " ") for text in fig.axes[0].texts)
        self.assertIn("never: 1 of 1 left out (no t_gen to align at)", notes)

    def test_seeds_have_a_band_and_their_median(self):
        for seed in range(3):
            self.write(f"s{seed}", seed)
        fig, _ = compare.draw_comparison("gop_trace", self.groups("s0", "s1", "s2"), "none")
        values = np.array([self.known[f"s{seed}"]["gop_trace"] for seed in range(3)])
        np.testing.assert_allclose(self.line(fig, "s0 (3 seeds)").get_ydata(), np.median(values, axis=0))
        edges = fig.axes[0].collections[0].get_paths()[0].vertices
        at = edges[np.isclose(edges[:, 0], 400)][:, 1]
        np.testing.assert_allclose([at.min(), at.max()], [values[:, 20].min(), values[:, 20].max()])


    def test_a_component_of_vectors(self):
        self.write("a", 0)
        fig, why = compare.draw_comparison("eigenvalues_top_k[2]", self.groups("a"), "none")
        self.assertIsNone(why)
        np.testing.assert_array_equal(self.line(fig, "a").get_ydata(), self.known["a"]["eigenvalues_top_k"][:, 2])
        for missing in ("eigenvalues_top_k[99]", "gop_trace[0]", "nothing[0]"):
            why = compare.draw_comparison(missing, self.groups("a"), "none")[1]
            self.assertEqual(why, f"a: 1 of 1 left out (no {missing})")

    def test_vectors_are_drawn_by_their_first_components(self):
        self.write("a", 0)
        self.write("b", 1, {"lr": 0.2}.items())
        fig, why = compare.draw_comparison("eigenvalues_top_k", self.groups("a", "b"), "none")
        self.assertIsNone(why)
        self.assertEqual(len(fig.axes), compare.COMPONENTS)
        for k, ax in enumerate(fig.axes):
            lines = {line.get_label(): line.get_ydata() for line in ax.lines}
            for name in ("a", "b"):
                np.testing.assert_array_equal(lines[name], self.known[name]["eigenvalues_top_k"][:, k])
            self.assertIn(f"[{k}]", ax.get_title(loc="left"))
        self.assertEqual(len(fig.legends), 1)

    def test_it_says_where_a_band_ends_with_its_shortest_seed(self):
        self.write("s0", 0)
        self.write("s1", 1, tracked=40)
        fig, _ = compare.draw_comparison("gop_trace", self.groups("s0", "s1"), "none")
        notes = " ".join(text.get_text().replace("\n", " ") for text in fig.axes[0].texts)
        self.assertIn("s0 (2 seeds): the band ends with its shortest seed, at 780", notes)
        self.assertEqual(self.line(fig, "s0 (2 seeds)").get_xdata()[-1], 780)
        fig, _ = compare.draw_comparison("test_acc", self.groups("s0"), "none")
        self.assertEqual([text.get_text() for text in fig.axes[0].texts], [])

    def test_it_says_which_seeds_have_no_value(self):
        for seed in range(3):
            self.write(f"s{seed}", seed, gap=(0, 60) if seed == 2 else ())
        fig, why = compare.draw_comparison("gop_trace", self.groups("s0", "s1", "s2"), "none")
        self.assertIsNone(why)
        notes = " ".join(text.get_text().replace("\n", " ") for text in fig.axes[0].texts)
        self.assertIn("s0 (3 seeds): 1 of 3 left out (all values are NaN)", notes)
        both = [self.known[name]["gop_trace"] for name in ("s0", "s1")]
        np.testing.assert_allclose(self.line(fig, "s0 (3 seeds)").get_ydata(), np.median(both, axis=0))

    def test_seeds_without_a_common_step_are_no_data(self):
        for seed in range(2):
            self.write(f"s{seed}", seed, gap=(30, 60) if seed else (0, 30))
        fig, why = compare.draw_comparison("gop_trace", self.groups("s0", "s1"), "none")
        self.assertEqual(why, "s0 (2 seeds): its seeds have no step in common")
        self.assertIn(why, fig.axes[0].texts[0].get_text())


class ToolTest(Case):
    def test_files_and_table(self):
        self.write("a", 0)
        self.write("b", 1, {"lr": 0.2}.items(), t_gen=1e7)
        out = self.folder / "out"
        code, text = self.run_tool("--experiments", self.folder, "--save_dir", out, "--formats", "png")
        self.assertEqual(code, 0)
        names = sorted(path.name for path in out.iterdir())
        self.assertEqual(
            names, sorted([f"{m}_comparison.png" for m in compare.DEFAULT_METRICS] + ["transitions.csv"])
        )
        with (out / "transitions.csv").open(newline="") as file:
            rows = {row["runs"]: row for row in csv.DictReader(file)}
        steps, known = self.known["a"]["training/step"], self.known["a"]
        t_mem, t_gen = (
            float(steps[np.argmax(known[f"training/{split}_acc"] >= level)])
            for split, level in (("train", 0.99), ("test", 0.95))
        )
        self.assertEqual((float(rows["a"]["t_mem"]), float(rows["a"]["t_gen"])), (t_mem, t_gen))
        self.assertEqual(float(rows["a"]["delay"]), t_gen - t_mem)
        self.assertAlmostEqual(float(rows["a"]["ratio"]), t_gen / t_mem)
        self.assertEqual((rows["b"]["t_gen"], rows["b"]["delay"]), ("", ""))
        self.assertIn(f"{t_gen:,.0f}", text)

    def test_metrics_of_layers_and_missing_ones(self):
        self.write("a")
        out = self.folder / "out"
        arguments = ["--experiments", self.folder / "a", "--save_dir", out, "--formats", "png", "--metrics"]
        self.assertEqual(self.run_tool(*arguments, "layers/embed/gop_trace")[0], 0)
        self.assertTrue((out / "layers.embed.gop_trace_comparison.png").exists())
        self.assertEqual(self.run_tool(*arguments, "eigenvalues_top_k", "eigenvalues_top_k[1]")[0], 0)
        for name in ("eigenvalues_top_k", "eigenvalues_top_k[1]"):
            self.assertTrue((out / f"{name}_comparison.png").exists(), name)
        code, text = self.run_tool(*arguments, "gop_of_tomorrow", "gop_trace")
        self.assertEqual(code, 2)
        self.assertIn("nothing to draw of gop_of_tomorrow (a: 1 of 1 left out (no gop_of_tomorrow)), see `h5ls", text)

    def test_a_metric_without_a_value_is_missing(self):
        self.write("a", gap=(0, 60))
        out = self.folder / "out"
        arguments = ["--experiments", self.folder / "a", "--save_dir", out, "--formats", "png", "--metrics"]
        code, text = self.run_tool(*arguments, "gop_trace", "training/test_acc", "gop_log_determinant")
        self.assertEqual(code, 2)
        self.assertIn("nothing to draw of gop_trace (a: 1 of 1 left out (all values are NaN)), gop_log_determinant (a: 1", text)
        self.assertTrue((out / "gop_trace_comparison.png").exists() and (out / "transitions.csv").exists())
        with h5py.File(self.folder / "a/metrics.h5", "a") as file:
            file["gop_log_determinant"][:] = -np.inf
        self.assertIn("(no value is finite)", self.run_tool(*arguments, "gop_log_determinant")[1])

    def test_awkward_runs(self):
        for name, shape in (
            ("one", dict(tracked=1)),
            ("nan", dict(tracked=9, gap=(0, 9))),
            ("none", dict(tracked=0, with_groups=False)),
        ):
            self.write(name, settings={"name": name}.items(), **shape)
        out = self.folder / "out"
        code, _ = self.run_tool(
            "--experiments", self.folder, "--save_dir", out, "--formats", "png", "--metrics", "gop_rank"
        )
        self.assertEqual(code, 0)

    def test_no_run_is_a_user_error(self):
        code, text = self.run_tool("--experiments", self.folder / "nowhere")
        self.assertEqual(code, 2)
        self.assertIn("holds no run", text)

    def test_help_says_what_is_drawn_by_default(self):
        out = io.StringIO()
        with contextlib.redirect_stdout(out), self.assertRaises(SystemExit):
            compare.main(["--help"])
        self.assertIn("(default: " + " ".join(compare.DEFAULT_METRICS) + ")", " ".join(out.getvalue().split()))


if __name__ == "__main__":
    unittest.main()

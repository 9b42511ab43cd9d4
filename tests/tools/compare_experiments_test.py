"""Are runs grouped by what they share, aligned at their jumps, and tabulated with the right steps?"""
import contextlib
import csv
import io
import json
import unittest
import warnings

from figure_case import FolderCase  # first: it finds the tools

import compare_experiments as compare
import grokscope_io
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
        out = io.StringIO()
        with contextlib.redirect_stdout(out), warnings.catch_warnings():
            warnings.simplefilter("error")
            code = compare.main([str(argument) for argument in arguments])
        return code, out.getvalue()

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
        self.assertIsNone(compare.band([one._replace(values=np.full(5, np.nan))]))


class FigureTest(Case):
    def test_lines_are_the_series(self):
        self.write("a", 0)
        self.write("b", 1, {"lr": 0.2}.items(), t_gen=400)
        fig, found = compare.draw_comparison("gop_trace", self.groups("a", "b"), "none")
        self.assertTrue(found)
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
        fig, found = compare.draw_comparison("eigenvalues_top_k[2]", self.groups("a"), "none")
        self.assertTrue(found)
        np.testing.assert_array_equal(self.line(fig, "a").get_ydata(), self.known["a"]["eigenvalues_top_k"][:, 2])
        for missing in ("eigenvalues_top_k[99]", "gop_trace[0]", "nothing[0]"):
            self.assertFalse(compare.draw_comparison(missing, self.groups("a"), "none")[1], missing)

    def test_vectors_are_drawn_by_their_first_components(self):
        self.write("a", 0)
        self.write("b", 1, {"lr": 0.2}.items())
        fig, found = compare.draw_comparison("eigenvalues_top_k", self.groups("a", "b"), "none")
        self.assertTrue(found)
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
        with self.assertRaisesRegex(grokscope_io.ToolError, "no run has gop_of_tomorrow"):
            self.run_tool(*arguments, "gop_of_tomorrow")

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
        with self.assertRaisesRegex(grokscope_io.ToolError, "holds no run"):
            self.run_tool("--experiments", self.folder / "nowhere")


if __name__ == "__main__":
    unittest.main()

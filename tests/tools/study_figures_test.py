"""Do the figures of a study show what its members came to, over what was varied?"""
import unittest

from figure_case import FolderCase, call  # first: it finds the tools, and they a Python that has the packages

import numpy as np  # noqa: E402
import synthetic_study as synthetic  # noqa: E402
import visualize_gop  # noqa: E402
from grokscope_tools.drawing import study_figures, study_maps as maps, style  # noqa: E402
from grokscope_tools.reading.run_files import recently_used  # noqa: E402
from grokscope_tools.reading.study_table import Study, is_study, median  # noqa: E402
from synthetic_study import member  # noqa: E402

NEVER = np.nan


class Case(FolderCase):
    def study(self, members, grid=None, state="done"):
        synthetic.make_study(self.folder / "study", members, grid, state)
        return Study(self.folder / "study")

    def draw(self, *arguments):
        """Exit code of the tool, and what it said on stderr."""
        code, _, err = call(visualize_gop.main, "--results_dir", self.folder / "study", "--formats", "png", "--dpi", "50", *arguments)
        return code, err

    def written(self):
        return sorted(path.name for path in (self.folder / "study/plots").iterdir())

    def panel(self, fig, title):
        (found,) = (ax for ax in fig.axes if title in ax.get_title(loc="left"))
        return found

    def line(self, ax, label):
        (found,) = (line for line in ax.lines if line.get_label() == label)
        return found

    def triangles(self, ax):
        """x of the marks at the upper edge."""
        marks = [line for line in ax.lines if line.get_marker() == "^" and line.get_transform() != ax.transData]
        return sorted(float(x) for line in marks for x in line.get_xdata())

    def texts(self, ax):
        return " ".join(text.get_text().replace("\n", " ") for text in ax.texts)


class TableTest(Case):
    """What was varied is found without knowing any paper."""

    def test_a_grid_of_one_key(self):
        study = self.study([member(f"init_scale={a:g}", overrides={"model.init_scale": a}) for a in (0.1, 1, 8)], ["model.init_scale"])
        self.assertTrue(is_study(study.path))
        self.assertEqual(list(study.axes()), ["model.init_scale"])
        np.testing.assert_array_equal(study.axes()["model.init_scale"], [0.1, 1, 8])
        self.assertEqual([label for label, _ in study.curves(study.axes())], [""])

    def test_named_members_that_vary_one_number(self):
        """The base's own value is said by no override; the steps that go with a value are no second key."""
        synthetic.decay_study(self.folder / "study")
        study = Study(self.folder / "study")
        self.assertEqual(list(study.axes()), ["training.weight_decay"])
        np.testing.assert_array_equal(study.axes()["training.weight_decay"], np.repeat([0.03, 0.1, 0.3, 1], 3))

    def test_a_grid_of_members_and_seeds_is_a_curve_for_each_member(self):
        members = [
            member(f"{label},n_train={n}", seed, overrides={"data.n_train": n, "training.optimizer": label})
            for label in ("adam", "sgd")
            for n in (100, 200)
            for seed in (0, 1)
        ]
        study = self.study(members, ["data.n_train"])
        curves = [(label, rows.tolist()) for label, rows in study.curves(study.axes())]
        self.assertEqual(curves, [("adam", [0, 1, 2, 3]), ("sgd", [4, 5, 6, 7])])
        (fig,) = study_figures.study_losses(study)
        self.assertEqual([ax.get_title(loc="left")[4:] for ax in fig.axes], ["Final training loss", "Final test loss"])
        self.assertEqual(self.line(fig.axes[1], "sgd").get_xdata().tolist(), [100, 200])

    def test_members_that_differ_in_more_than_numbers_are_rows(self):
        members = [member("dense"), member("ticket", overrides={"training.init_from": "{run: x}", "training.epochs": 5})]
        members.append(member("critical", overrides={"training.weight_decay": 0, "training.init_from": "{run: x, keep: 0.19}"}))
        self.assertEqual(self.study(members).axes(), {})

    def test_two_values_without_a_grid_are_rows(self):
        base = {"training.weight_decay": 5}
        overrides = {"decay": {}, "none": {"training.weight_decay": 0}}
        members = [member(name, seed, overrides=overrides[name], config=base) for name in overrides for seed in (0, 1)]
        self.assertEqual(self.study(members).axes(), {})

    def test_phases_are_those_of_the_results_or_follow_from_the_times(self):
        members = [member(f"a={i}", overrides={"x.a": i}, results={"phase": i}) for i in (1, 2, 3, 4)]
        members[3]["status"] = "running"
        phases, names = self.study(members).phases()
        np.testing.assert_array_equal(phases, [1, 2, 3, np.nan])
        self.assertEqual(names, {1: "comprehension", 2: "grokking", 3: "memorisation", 4: "confusion"})
        synthetic.make_study(self.folder / "other", [member("a"), member("b", t_gen=NEVER), member("c", t_mem=NEVER, t_gen=NEVER)])
        phases, names = Study(self.folder / "other").phases()
        self.assertEqual([names[phase] for phase in phases], ["generalised", "memorised only", "neither"])

    def test_final_losses_are_the_last_values_or_results(self):
        study = self.study([member("a", losses=(1e-3, 0.5)), member("b", losses=(1e-2, np.nan), results={"final_train_loss": 7})])
        np.testing.assert_array_equal(study.final("test_loss"), [0.5, 2])  # NaN is no value: the one before
        np.testing.assert_array_equal(study.final("train_loss"), [np.nan, 7])

    def test_files_of_members_are_closed(self):
        study = self.study([member(f"m{i}") for i in range(40)])
        study.final("train_loss")
        self.assertEqual(len(recently_used), 0)


class CurveTest(Case):
    def test_times_delay_and_the_inverse_of_a_decay(self):
        synthetic.decay_study(self.folder / "study")
        (fig,) = study_figures.study_times(Study(self.folder / "study"))
        times, delay, inverse = fig.axes
        np.testing.assert_array_equal(self.line(times, study_figures.TIMES["t_mem"]).get_ydata(), [100] * 4)
        x, y = self.line(times, study_figures.TIMES["t_gen"]).get_data()
        np.testing.assert_allclose(x, [0.1, 0.3, 1])
        np.testing.assert_allclose(y, [10_000, 1000 / 0.3, 1000])
        self.assertEqual(self.triangles(times), [0.03])
        self.assertEqual((times.get_xscale(), times.get_yscale()), ("log", "log"))
        self.assertEqual([label.get_text() for label in times.get_xticklabels()], ["0.03", "0.1", "0.3", "1"])
        self.assertIn("never reached", self.texts(times))
        self.assertIn("medians over 3 seeds", self.texts(times))
        points = [line for line in times.lines if line.get_linestyle() == "None"]
        seeds = next(line for line in points if (line.get_color(), line.get_marker()) == (style.VERMILLION, "s"))
        self.assertEqual(len(seeds.get_xdata()), 9)
        self.assertEqual(self.triangles(delay), [0.03])
        line = self.line(inverse, "∝ 1 / decay")
        np.testing.assert_allclose(line.get_ydata() / line.get_xdata(), 1000)
        self.assertEqual(inverse.get_xlabel(), "1 / training.weight_decay")
        drawn = [line.get_ydata() for line in times.lines if line.get_transform() == times.transData]
        self.assertLess(max(map(np.nanmax, drawn)), 0.9 * times.get_ylim()[1])

    def test_a_decay_of_zero_has_no_inverse(self):
        key = "training.weight_decay"
        study = self.study([member(f"weight_decay={d}", t_gen=500 / (d or 0.1), overrides={key: d}) for d in (0, 1, 5)], [key])
        (fig,) = study_figures.study_times(study)
        inverse = self.panel(fig, "1 / decay")
        np.testing.assert_allclose(sorted(inverse.lines[0].get_xdata()), [0.2, 1])
        self.assertIn("decay 0 has no inverse", self.texts(inverse))

    def test_keys_that_are_no_decay_have_no_inverse(self):
        study = self.study([member(f"n_train={n}", overrides={"data.n_train": n}) for n in (1111, 1250, 2000)], ["data.n_train"])
        (fig,) = study_figures.study_times(study)
        self.assertEqual(len(fig.axes), 2)
        self.assertEqual(fig.axes[0].get_xscale(), "linear")
        self.assertEqual([label.get_text() for label in fig.axes[0].get_xticklabels()], ["1111", "1250", "2000"])

    def test_l_and_u_curves(self):
        found = {0.1: (0.1, 0.11), 1: (1e-4, 0.02), 8: (2e-4, 4)}
        members = [
            member(f"init_scale={a:g}", overrides={"model.init_scale": a}, losses=losses, norm=12 * a)
            for a, losses in found.items()
        ]
        (fig,) = study_figures.study_losses(self.study(members, ["model.init_scale"]))
        by_scale, by_norm = fig.axes
        np.testing.assert_array_equal(self.line(by_scale, "training").get_ydata(), [0.1, 1e-4, 2e-4])
        np.testing.assert_array_equal(self.line(by_scale, "test").get_ydata(), [0.11, 0.02, 4])
        np.testing.assert_allclose(self.line(by_norm, "test").get_xdata(), [1.2, 12, 96])
        self.assertEqual((by_scale.get_xscale(), by_norm.get_xscale(), by_norm.get_yscale()), ("log",) * 3)

    def test_a_median_with_a_seed_that_never_got_there(self):
        self.assertEqual(median(np.array([3.0, np.inf, 5])), 5)
        self.assertEqual(median(np.array([3.0, np.inf])), np.inf)
        self.assertEqual(median(np.array([3.0, np.nan, 5])), 4)
        self.assertTrue(np.isnan(median(np.array([np.nan]))))

    def test_members_that_are_not_done_are_neither_points_nor_never(self):
        members = [member(f"a={a}", t_gen=1000.0 * a, overrides={"x.a": a}) for a in (1, 2, 3)]
        members[2].update(status="pending", t_mem=NEVER, t_gen=NEVER)
        (fig,) = study_figures.study_times(self.study(members, ["x.a"], "running"))
        self.assertEqual(self.triangles(fig.axes[0]), [])
        self.assertIn("1 of 3 members are not done", self.texts(fig.axes[0]))
        self.assertIn("(running, 2 of 3 members done)", fig._suptitle.get_text())

    def test_where_nobody_generalised_only_the_triangles_are_left(self):
        members = [
            member(f"a={a},b={b}", t_gen=NEVER, overrides={"x.a": a, "x.b": b}) for a in (1, 2, 3) for b in (1, 2, 3, 4)
        ]
        study = self.study(members, ["x.a", "x.b"])
        (fig,) = study_figures.study_times(study)
        t_gen = fig.axes[1]
        self.assertEqual(self.triangles(t_gen), [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3])
        self.assertEqual(list(t_gen.get_yticks()), [])
        names = [text.get_text() for text in fig.legends[0].get_texts()]
        self.assertEqual(names, ["b 1", "b 2", "b 3", "b 4"])
        (fig,) = study_figures.study_phase(study)
        self.assertIn("no member got there", self.texts(fig.axes[1]))

    def test_tick_labels(self):
        for value, text in ((0, "0"), (0.4, "0.4"), (2000, "2000"), (2.15e-5, "2.15e-5"), (1e-4, "1e-4"), (1111, "1111")):
            self.assertEqual(style.value_text(value), text)
        for value, text in ((0, "0"), (743, "743"), (9100, "9.1k"), (19_000, "19k"), (0.031, "0.031"), (3.2e-5, "3.2e-5")):
            self.assertEqual(maps.short(value), text)


class MapTest(Case):
    def setUp(self):
        super().setUp()
        synthetic.phase_grid(self.folder / "study")

    def cells(self, ax):
        return ax.collections[0].get_array().reshape(11, 10)

    def test_every_cell_has_its_phase(self):
        study = Study(self.folder / "study")
        (fig,) = study_figures.study_phase(study)
        ax = self.panel(fig, "Phases")
        phase = study.numbers("results/phase").reshape(10, 11).T  # the last key varies fastest
        places = self.cells(ax)
        np.testing.assert_array_equal(places.filled(-1) + 1, np.nan_to_num(phase))
        self.assertEqual((ax.get_xlabel(), ax.get_ylabel()), ("training.lr", "training.weight_decay"))
        self.assertEqual([label.get_text() for label in ax.get_xticklabels()][:3], ["1e-5", "2.15e-5", "4.64e-5"])
        labels = [text.get_text() for text in ax.get_legend().get_texts()]
        names = ("comprehension", "grokking", "memorisation", "confusion")
        counted = [f"{n} {name} ({np.sum(phase == n)})" for n, name in enumerate(names, 1)]
        self.assertEqual(labels, counted + ["not done"])
        written = {(round(t.get_position()[0]), round(t.get_position()[1])): t.get_text() for t in ax.texts}
        self.assertEqual((written[0, 0], written[9, 0], len(written)), ("1", "3", 109))
        self.assertEqual({patch.get_hatch() for patch in ax.patches}, set(maps.HATCHES[:4]))

    def test_times_have_a_scale_and_what_never_came_is_hatched(self):
        study = Study(self.folder / "study")
        (fig,) = study_figures.study_phase(study)
        ax = fig.axes[1]
        t_gen = study.numbers("t_gen").reshape(10, 11).T
        np.testing.assert_array_equal(self.cells(ax).filled(np.nan), t_gen)
        self.assertEqual(type(ax.collections[0].norm).__name__, "LogNorm")
        hatched = {(patch.get_x() + 0.5, patch.get_y() + 0.5) for patch in ax.patches if patch.get_hatch() == "////"}
        self.assertEqual(len(hatched), np.isnan(t_gen).sum() - 1)
        self.assertNotIn((9.0, 10.0), hatched)  # that one is not done

    def test_the_most_frequent_of_several_seeds(self):
        self.assertEqual(maps.most_frequent(np.array([2.0, 3, 3, np.nan])), 3)
        self.assertTrue(np.isnan(maps.most_frequent(np.array([np.nan]))))
        members = [
            member(f"a={a},b={b}", seed, t_gen=1000.0 * (seed + 1), overrides={"x.a": a, "x.b": b}, results={"phase": 1 + (seed > 0)})
            for a in (1, 2)
            for b in (1, 2)
            for seed in (0, 1, 2)
        ]
        synthetic.make_study(self.folder / "seeds", members, ["x.a", "x.b"])
        (fig,) = study_figures.study_phase(Study(self.folder / "seeds"))
        self.assertIn("the most frequent of 3", fig.axes[0].get_title(loc="left"))
        np.testing.assert_array_equal(fig.axes[0].collections[0].get_array().ravel(), [1] * 4)
        np.testing.assert_array_equal(fig.axes[1].collections[0].get_array().ravel(), [2000] * 4)

    def test_colours_differ_in_grey(self):
        from matplotlib.colors import to_rgb

        greys = sorted(np.dot(to_rgb(colour), (0.299, 0.587, 0.114)) for colour in maps.PHASES[:4])
        self.assertGreater(np.diff(greys).min(), 0.03)

    def test_the_tool_writes_the_three_figures(self):
        code, err = self.draw()
        self.assertEqual(code, 0, err)
        self.assertEqual(self.written(), ["study_losses.png", "study_phase.png", "study_times.png"])


class RowsTest(Case):
    def test_a_row_for_each_group_and_a_symbol_for_each_seed(self):
        members = [member("dense", seed, 100 + seed, 5000 + 100 * seed) for seed in (0, 1, 2)] + [member("random", 0, 200, NEVER)]
        (fig,) = study_figures.study_times(self.study(members))
        (ax,) = fig.axes
        self.assertEqual([label.get_text() for label in ax.get_yticklabels()], ["dense", "random"])
        dots = [(line.get_xdata()[0], line.get_ydata()[0]) for line in ax.lines if line.get_marker() == "s"]
        self.assertEqual(sorted(x for x, _ in dots), [5000, 5100, 5200])
        self.assertEqual(len({y for _, y in dots}), 3)
        never = [line for line in ax.lines if line.get_marker() == ">"]
        self.assertEqual([line.get_ydata()[0] for line in never], [1])
        self.assertIn("never reached", self.texts(ax))

    def test_many_members_fill_pages(self):
        self.study([member(f"m{i}") for i in range(95)])
        code, err = self.draw()
        self.assertEqual(code, 0, err)
        pages = [f"study_{kind}{page}.png" for kind in ("times", "losses") for page in ("", "_2", "_3")]
        self.assertEqual(self.written(), sorted(pages))

    def test_a_study_that_has_not_come_far(self):
        members = [member(f"a={a}", t_mem=NEVER, t_gen=NEVER, status="pending", overrides={"x.a": a}) for a in (1, 2)]
        self.study(members, ["x.a"], "running")
        code, err = self.draw()
        self.assertEqual(code, 2)
        self.assertIn("no member has come that far", err)

    def test_figures_of_the_other_kind_are_named(self):
        self.study([member("a"), member("b")])
        code, err = self.draw("--figures", "layers")
        self.assertEqual(code, 2)
        self.assertIn("layers: no figure of a study (which has study_times, study_phase, study_losses)", err)
        code, err = self.draw("--figures", "study_phase", "study_times")
        self.assertEqual(code, 0)
        self.assertIn("study_phase needs two numeric keys, this study varies no numeric key", err)


if __name__ == "__main__":
    unittest.main()

"""Do the panels show what the run directory holds, from any run, however incomplete?"""
import unittest
from unittest import mock

from figure_case import Case  # first: it finds the tools, and they a Python that has the packages

import grokscope_io  # noqa: E402
import h5py  # noqa: E402
import numpy as np  # noqa: E402
from grokscope_io import Moment  # noqa: E402
from grokscope_tools.drawing import layers, observables, panels, run_figures, spectra, style, subspace  # noqa: E402
from grokscope_tools.reading import eigenspaces  # noqa: E402
from synthetic_run import Shape, add_series, make_run  # noqa: E402


class PanelTest(Case):
    def test_lines_are_the_series(self):
        run = self.run_of(with_gop=False)
        for draw_panel, label, name in (
            (panels.loss, "test", "training/test_loss"),
            (panels.trace, "trace", "gop_trace"),
            (panels.accuracy, "train", "training/train_acc"),
            (panels.norms, "spectral", "gop_spectral_norm"),
            (panels.effective_ranks, "entropy", "gop_entropy_rank"),
        ):
            line = self.line(self.panel(draw_panel, run), label)
            np.testing.assert_array_equal(line.get_ydata(), self.known[name], err_msg=name)
            axis = "training/step" if name.startswith("training/") else "epoch"
            np.testing.assert_array_equal(line.get_xdata(), self.known[axis], err_msg=name)

    def test_step_zero_is_on_the_axis(self):
        ax = self.panel(panels.loss, self.run_of(with_gop=False))
        self.assertEqual(ax.get_xscale(), "symlog")
        self.assertLess(ax.get_xlim()[0], 0)
        self.assertEqual(
            [label.get_text() for label in ax.get_xticklabels()], ["0", "1", "10", "100", "1,000"]
        )
        places = ax.transData.transform([(0, 1), (1, 1), (10, 1), (100, 1)])[:, 0]
        self.assertTrue((np.diff(places) > 5).all())
        self.assertAlmostEqual(places[3] - places[2], places[2] - places[1], places=6)

    def test_transition_lines_lie_at_the_events(self):
        run = self.run_of(with_gop=False)
        ax = self.panel(panels.accuracy, run)
        vertical = sorted(line.get_xdata()[0] for line in ax.lines if line.get_transform() != ax.transData)
        known = self.known
        expected = [
            known["training/step"][np.argmax(known["training/train_acc"] >= 0.99)],
            known["training/step"][np.argmax(known["training/test_acc"] >= 0.95)],
        ]
        self.assertEqual(vertical, [float(step) for step in expected])
        fig = run_figures.training_curves(run, [])[0]
        legend = " ".join(text.get_text() for text in fig.legends[0].get_texts())
        self.assertIn("rule: first step with train_acc >= 0.99, test_acc >= 0.95", legend)
        self.assertIn(f"step {expected[1]:,}", legend)

    def test_gap_is_train_minus_test(self):
        line = self.line(self.panel(panels.gap, self.run_of(with_gop=False)), "gap")
        np.testing.assert_array_equal(
            line.get_ydata(), self.known["training/train_acc"] - self.known["training/test_acc"]
        )

    def test_no_line_crosses_a_gap(self):
        line = self.line(self.panel(panels.trace, self.run_of(with_gop=False, gap=(20, 35))), "trace")
        x, y = line.get_xdata(), line.get_ydata()
        self.assertEqual(np.isnan(y).sum(), 1)
        at = int(np.flatnonzero(np.isnan(y))[0])
        self.assertEqual((x[at - 1], x[at + 1]), (380, 700))

    def test_values_at_every_third_epoch_are_connected(self):
        run = self.run_of(with_gop=False)
        ax = style.plt.figure().add_subplot()
        layers.layer_metric(ax, run, layers.trace_shares(run), "gop_stable_rank", "Stable rank")
        x, y = self.line(ax, "embed").get_data()
        np.testing.assert_array_equal(x, np.arange(0, 1200, 60))
        self.assertTrue(np.isfinite(y).all())

    def test_zeros_on_a_logarithmic_axis_are_marked_and_counted(self):
        run = self.run_of(with_gop=False)
        with h5py.File(self.folder / "metrics.h5", "a") as file:
            file["gop_trace"][10:14] = 0
        run.refresh()
        ax = self.panel(panels.trace, run)
        self.assertIn("4 values at or below 0", self.texts(ax))
        triangles = [line for line in ax.lines if line.get_marker() == "v"]
        np.testing.assert_array_equal(triangles[0].get_xdata(), [200, 220, 240, 260])
        self.assertGreater(ax.get_ylim()[0], 0)

    def test_an_empty_panel_says_why(self):
        run = self.run_of(tracked=3, with_groups=False, with_gop=False, gap=(0, 3))
        self.assertIn(
            "training/weight_norm: not in metrics.h5", self.texts(self.panel(panels.weight_norm, run))
        )
        self.assertIn("gop_trace: all values are NaN", self.texts(self.panel(panels.trace, run)))
        for ax in (self.panel(spectra.spectra, run, []), self.panel(spectra.heat_map, run)):
            self.assertIn("every eigenvalue is NaN", self.texts(ax))
        empty = self.folder.parent / "empty"
        make_run(empty, Shape(tracked=0, with_groups=False, with_gop=False))
        with grokscope_io.open_run(empty) as other:
            self.assertIn("gop_trace: nothing tracked yet", self.texts(self.panel(panels.trace, other)))
            self.assertIn("nothing is tracked yet, the run is done", self.texts(self.panel(spectra.heat_map, other)))

    def test_top_eigenvalues(self):
        ax = self.panel(panels.top_eigenvalues, self.run_of(with_gop=False))
        for i in range(8):
            np.testing.assert_array_equal(
                self.line(ax, f"$\\lambda_{{{i + 1}}}$").get_ydata(), self.known["eigenvalues_top_k"][:, i]
            )

    def test_spectra_and_noise_floor(self):
        run = self.run_of(eigenvalues=40)
        with h5py.File(self.folder / ".segments/600-600.h5", "a") as file:
            file["gop_full/epoch_600"].attrs["noise_floor"] = 1e-3
        ax = self.panel(spectra.spectra, run, [Moment(600, 600)])
        x, y = self.line(ax, "epoch 600").get_data()
        known = self.known["eigenvalues"][30]
        np.testing.assert_array_equal(x, np.arange(1, np.count_nonzero(known > 0) + 1))
        np.testing.assert_array_equal(y, known[known > 0])
        floors = [line.get_ydata()[0] for line in ax.lines if line.get_transform() != ax.transData]
        self.assertEqual(floors, [1e-3])
        self.assertLess(ax.get_ylim()[0], 1e-3)

    def test_cumulative_share(self):
        ax = style.plt.figure().add_subplot()
        spectra.cumulative_share(ax, self.run_of(with_gop=False), [Moment(40, 40)])
        values = self.known["eigenvalues"][2]
        np.testing.assert_allclose(ax.lines[0].get_ydata(), np.cumsum(values) / values.sum(), rtol=1e-14)

    def test_epochs_around_the_jump(self):
        run = self.run_of(with_gop=False)
        labels = {label: moment.epoch for moment, label in spectra.jump_moments(run)}
        accuracy = dict(zip(self.known["epoch"], (self.known["test_acc"] - 0.03) / 0.97))
        self.assertLessEqual(accuracy[labels["before"]], 0.1)
        self.assertGreater(accuracy[labels["before"] + 20], 0.1)
        self.assertGreaterEqual(accuracy[labels["at"]], 0.5)
        self.assertLess(accuracy[labels["at"] - 20], 0.5)
        self.assertGreaterEqual(accuracy[labels["after"]], 0.9)
        self.assertEqual(labels["last"], 1180)

    def test_without_a_jump_first_middle_and_last(self):
        run = self.run_of(tracked=9, t_gen=1e6, with_gop=False)
        self.assertEqual(
            spectra.jump_moments(run), [((0, 0), "first"), ((80, 80), "middle"), ((160, 160), "last")]
        )

    def test_moments_within_an_epoch_are_told_apart(self):
        """48 steps an epoch, tracked every 20: the spectrum drawn is that of the step, and the label says which."""
        run = self.run_of(tracked=12, steps_per_epoch=48, gop_epochs=(0, 60, 80, 220))
        moments = spectra.spectrum_moments(run)
        self.assertEqual([moment.step for moment in moments], list(range(0, 240, 20)))
        ax = self.panel(spectra.spectra, run, moments[3:5])
        for step in (60, 80):
            known = self.known["eigenvalues"][step // 20]
            np.testing.assert_array_equal(self.line(ax, f"epoch 1, step {step}").get_ydata(), known[known > 0])
        self.assertEqual(spectra.jump_moments(run)[-1], ((4, 220), "last"))
        self.assertEqual(spectra.spread_moments(run)[-1], (4, 220))
        self.assertEqual(list(eigenspaces.eigenspaces(run)), [0, 60, 80, 220])

    def test_spread_moments_keep_ends_and_transition(self):
        run = self.run_of()
        chosen = [moment.epoch for moment in spectra.spread_moments(run)]
        self.assertEqual(len(chosen), 6)
        transition = run.transition()
        for step in (0, 1180, transition.t_mem, transition.t_gen):
            self.assertLessEqual(min(abs(epoch - step) for epoch in chosen), 10)

    def test_trace_shares_sum_to_one(self):
        shares = layers.trace_shares(self.run_of(with_gop=False))
        self.assertEqual(list(shares)[0], "unembed")  # the largest first
        np.testing.assert_allclose(sum(series.values for series in shares.values()), 1, rtol=1e-14)
        np.testing.assert_allclose(shares["embed"].values[0], 0.1, rtol=1e-6)

    def test_few_layers_are_labelled_the_others_grey(self):
        run = self.run_of(with_gop=False)
        with h5py.File(self.folder / "metrics.h5", "a") as file:
            for i in range(9):
                add_series(file, f"layers/extra.{i}/gop_trace", np.full(60, 1e-9))
        run.refresh()
        self.assertEqual(len(run.layers()), 13)
        ax = self.panel(layers.layer_shares, run, layers.trace_shares(run))
        self.assertEqual(len(ax.lines) - 2, 13)  # two are the transition
        self.assertEqual(len(ax.get_legend_handles_labels()[1]), layers.LABELLED_LAYERS)

    def test_observables_are_all_shown_and_grouped(self):
        run = self.run_of(with_gop=False)
        with h5py.File(self.folder / "metrics.h5", "a") as file:
            file["observables/phase_grid"] = np.eye(3)
            for i in range(8):
                add_series(file, f"observables/neuron_{i}", np.ones(len(file["observables/step"])))
            file["results/key_frequencies"] = np.array([14.0, 35.0])
            file["results/tau"] = 3.0  # a number of the report, not a figure
        run.refresh()
        titles = [title for title, _ in observables.observable_panels(run)]
        self.assertEqual(
            titles,
            [
                "fourier",
                "head_norms",
                "local_complexity",
                "neuron",
                "neuron",
                "phase_grid",
                "results/key_frequencies",
                "robustness",
                "single numbers",
            ],
        )
        axes = [style.plt.figure().add_subplot() for _ in titles]
        for ax, (title, draw_panel) in zip(axes, observables.observable_panels(run)):
            draw_panel(ax)
        np.testing.assert_array_equal(
            self.line(axes[0], "excluded_loss").get_ydata(), self.known["observables/fourier/excluded_loss"]
        )
        np.testing.assert_array_equal(
            self.line(axes[1], "[2]").get_ydata(), self.known["observables/head_norms"][:, 2]
        )
        np.testing.assert_array_equal(axes[5].images[0].get_array(), np.eye(3))
        np.testing.assert_array_equal(axes[6].lines[0].get_ydata(), [14, 35])
        self.assertIn("marchenko_pastur_edge = 2.25", self.texts(axes[8]))

    def test_lists_are_drawn_against_the_list_that_they_run_along(self):
        run = self.run_of(with_gop=False)
        lists = {"nu": [0.5, 1, 2], "law": [3, 2, 1], "measured": [3.1, 1.9, 1], "lonely": [7, 8], "short": [1, 2]}
        with h5py.File(self.folder / "metrics.h5", "a") as file:
            for name, values in lists.items():
                file[f"results/{name}"] = np.array(values, float)
            for name in ("law", "measured", "short"):  # the last has not the length of its axis
                file[f"results/{name}"].attrs["over"] = np.bytes_("nu")
            file["results/nu"].attrs["long_name"] = np.bytes_("eigenvalue")
        run.refresh()
        panels = dict(observables.result_panels(run))
        self.assertEqual(sorted(panels), ["results over nu", "results/lonely", "results/short"])
        ax = style.plt.figure().add_subplot()
        panels["results over nu"](ax)
        for name in ("law", "measured"):
            np.testing.assert_array_equal(self.line(ax, name).get_xydata(), np.c_[lists["nu"], lists[name]])
        self.assertEqual(ax.get_xlabel(), "eigenvalue")

    def test_wide_vectors_are_a_map(self):
        run = self.run_of(with_gop=False)
        with h5py.File(self.folder / "metrics.h5", "a") as file:
            count = len(file["observables/step"])
            norms = np.outer(np.arange(count), np.r_[np.zeros(13), 1, np.zeros(42)])
            norms[3] = np.nan
            add_series(file, "observables/fourier_norm_W_E", norms)
        run.refresh()
        draw = dict(observables.observable_panels(run))["fourier_norm_W_E"]
        ax = style.plt.figure().add_subplot()
        draw(ax)
        mesh = ax.collections[0]
        cells = np.ma.masked_invalid(norms.T)
        np.testing.assert_array_equal(mesh.get_array().reshape(cells.shape).filled(-1), cells.filled(-1))
        self.assertEqual(ax.get_ylabel(), "component")
        edges = mesh.get_coordinates()[:, 0, 1]
        self.assertTrue(edges[13] < 14 < edges[14])  # component 14 is the bright one


class HeatMapTest(Case):
    def cells(self, run):
        """(axes, mesh, cell values [ranks, columns])"""
        ax = style.plt.figure().add_subplot()
        mesh = spectra.heat_map(ax, run)
        return ax, mesh, mesh.get_array().reshape(mesh.get_coordinates().shape[0] - 1, -1)

    def test_cells_are_the_eigenvalues_under_their_steps(self):
        run = self.run_of(with_gop=False)
        _, mesh, cells = self.cells(run)
        known = self.known["eigenvalues"].T
        positive = known > 0
        np.testing.assert_array_equal(cells[positive], known[positive])
        self.assertTrue((cells[~positive] < mesh.norm.vmin).all())  # drawn grey
        edges = mesh.get_coordinates()[0, :, 0]
        self.assertTrue((edges[:-1] < self.known["epoch"]).all() and (self.known["epoch"] < edges[1:]).all())
        rank_edges = mesh.get_coordinates()[:, 0, 1]
        ranks = np.arange(1, 31)
        self.assertTrue((rank_edges[:-1] < ranks).all() and (ranks < rank_edges[1:]).all())

    def test_the_shape_is_relative_to_the_largest_eigenvalue(self):
        run = self.run_of(with_gop=False)
        ax = style.plt.figure().add_subplot()
        mesh = spectra.heat_map(ax, run, relative=True)
        cells = mesh.get_array().reshape(30, -1)
        known = (self.known["eigenvalues"] / self.known["eigenvalues"][:, :1]).T
        np.testing.assert_allclose(cells[known > 0], known[known > 0], rtol=1e-14)
        self.assertTrue((cells[0] == 1).all())

    def test_values_below_the_noise_floor_are_grey(self):
        run = self.run_of()
        with h5py.File(self.folder / ".segments/0-0.h5", "a") as file:
            group = file["gop_full/epoch_0"]
            group.attrs["noise_floor"] = 0.05 * group["eigenvalues"][0]
        _, mesh, cells = self.cells(run)
        known = self.known["eigenvalues"].T
        np.testing.assert_array_equal(cells < mesh.norm.vmin, known <= 0.05 * known[:1])

    def test_moments_with_the_top_k_alone_are_listed_and_drawn(self):
        """As after a run whose settings changed: all eigenvalues of the later moments, the largest of the first ten."""
        run = self.run_of(tracked=20, with_gop=False)
        with h5py.File(self.folder / "metrics.h5", "a") as file:
            file["eigenvalues"][:10] = np.nan
        run.refresh()
        self.assertEqual([moment.step for moment in spectra.spectrum_moments(run)], list(range(0, 400, 20)))
        _, _, cells = self.cells(run)
        for column, width in ((3, 8), (15, 27)):
            known = self.known["eigenvalues"][column, :width]
            np.testing.assert_array_equal(cells[:width, column], known)
            self.assertEqual(np.ma.getmaskarray(cells)[:, column].sum(), 22 if width == 8 else 0)
            np.testing.assert_array_equal(run.spectrum(column * 20)[:width], known)

    def test_a_gap_stays_blank(self):
        _, mesh, cells = self.cells(self.run_of(with_gop=False, gap=(20, 35)))
        blank = np.ma.getmaskarray(cells).all(axis=0)
        self.assertEqual(blank.sum(), 1)
        at = int(np.flatnonzero(blank)[0])
        left, right = mesh.get_coordinates()[0, at : at + 2, 0]
        self.assertTrue(380 < left < 420 and 660 < right < 700, (left, right))

    def test_large_spectra_are_thinned_and_it_says_so(self):
        run = self.run_of(tracked=700, every=3, eigenvalues=900, with_gop=False, with_groups=False)
        ax, _, cells = self.cells(run)
        self.assertLessEqual(cells.shape[0], spectra.HEAT_RANKS)
        self.assertLessEqual(cells.shape[1], spectra.HEAT_EPOCHS)
        self.assertGreater(cells.shape[1], 100)
        self.assertIn(f"drawn: {cells.shape[1]} of 700 epochs, {cells.shape[0]} of 900 ranks", self.texts(ax))
        self.assertEqual(cells[0, -1], self.known["eigenvalues"][-1, 0])  # the newest epoch is always there
        self.assertEqual(cells[0, 0], self.known["eigenvalues"][0, 0])


class SubspaceTest(Case):
    """Eigenspaces that turn by a known angle: the overlap is the square of its cosine."""

    ANGLE = 0.4

    def store(self, epochs, k=3):
        for i, epoch in enumerate(epochs):
            vectors = np.zeros((108, k))
            for j in range(k):
                vectors[j, j], vectors[50 + j, j] = np.cos(self.ANGLE * i), np.sin(self.ANGLE * i)
            with h5py.File(self.folder / f".segments/{epoch}-{epoch}.h5", "a") as file:
                file[f"gop_full/epoch_{epoch}/eigenvectors_top_k"] = vectors

    def test_the_overlap_is_the_squared_cosine(self):
        run = self.run_of(gop_epochs=(0, 200, 600, 1180))
        self.store((0, 200, 600, 1180))
        spaces = eigenspaces.eigenspaces(run)
        turned = self.ANGLE * np.abs(np.arange(4)[:, None] - np.arange(4)[None, :])
        np.testing.assert_allclose(eigenspaces.overlaps(spaces), np.cos(turned) ** 2, atol=1e-14)
        ax = style.plt.figure().add_subplot()
        rotation = subspace.Rotation(spaces)
        image = subspace.overlap_matrix(ax, run, rotation)
        np.testing.assert_allclose(image.get_array(), np.cos(turned) ** 2, atol=1e-14)
        self.assertEqual([label.get_text() for label in ax.get_xticklabels()], ["0", "200", "600", "1,180"])
        self.assertIn("4 moments, k = 3", self.texts(ax))
        ax = style.plt.figure().add_subplot()
        subspace.overlap_with(ax, run, rotation)
        np.testing.assert_allclose(self.line(ax, "first").get_ydata(), np.cos(turned[0]) ** 2, atol=1e-14)
        np.testing.assert_allclose(self.line(ax, "last").get_ydata(), np.cos(turned[3]) ** 2, atol=1e-14)

    def test_a_smaller_space_inside_a_larger_one_overlaps_fully(self):
        big = np.eye(6)[:, :4]
        self.assertEqual(eigenspaces.overlaps({0: big, 1: big[:, 1:3]})[0, 1], 1)
        self.assertEqual(eigenspaces.overlaps({0: big, 1: np.eye(6)[:, 3:]})[0, 1], 1 / 3)

    def test_without_vectors_a_small_dense_gop_is_diagonalised(self):
        run = self.run_of()
        spaces = eigenspaces.eigenspaces(run)
        self.assertEqual(list(spaces), [0, 600, 1180])
        right = np.linalg.svd(self.known["gradients"][600])[2]
        shared = np.sum((right[:10] @ spaces[600]) ** 2) / 10
        self.assertAlmostEqual(shared, 1, places=10)

    def test_vectors_below_the_noise_floor_are_refused(self):
        run = self.run_of()
        self.store((0,))
        with h5py.File(self.folder / ".segments/0-0.h5", "a") as file:
            group = file["gop_full/epoch_0"]
            group.attrs["noise_floor"] = 0.5 * (group["eigenvalues"][0] + group["eigenvalues"][1])
        self.assertEqual(eigenspaces.eigenspaces(run)[0].shape, (108, 1))

    def test_vectors_of_an_analysis_are_used(self):
        run = self.run_of(with_gop=False)
        make_run(self.folder / "analysis/vectors", Shape())
        self.assertEqual(list(eigenspaces.eigenspaces(run)), [0, 600, 1180])

    def test_spaces_are_read_in_blocks_of_rows(self):
        run = self.run_of(gop_epochs=(0, 200, 600, 1180))
        self.store((0, 200, 600, 1180))
        spaces = eigenspaces.eigenspaces(run)
        at_once = eigenspaces.overlaps(spaces)
        read, gop_array = [], grokscope_io.Run.gop_array

        def noting(self, epoch, name, layer=None, selection=(), step=None):
            values = gop_array(self, epoch, name, layer, selection, step)
            read.append(len(values))
            return values

        with mock.patch.object(eigenspaces, "NUMBERS_AT_ONCE", 12 * 10), mock.patch.object(grokscope_io.Run, "gop_array", noting):
            np.testing.assert_allclose(eigenspaces.overlaps(spaces), at_once, atol=1e-14)
        self.assertEqual((max(read), len(read)), (10, 4 * 11))  # 108 rows, ten at a time

    def test_padding_and_widths(self):
        run = self.run_of(gop_epochs=(0, 600))
        self.store((0, 600))
        with h5py.File(self.folder / ".segments/600-600.h5", "a") as file:
            file["gop_full/epoch_600/eigenvectors_top_k"][:, 2] = np.nan  # N was two
        spaces = eigenspaces.eigenspaces(run)
        self.assertEqual(spaces.widths(), [3, 2])
        self.assertAlmostEqual(eigenspaces.overlaps(spaces)[0, 1], np.cos(self.ANGLE) ** 2, places=12)
        self.assertIn("k = 2 to 3", subspace.Rotation(spaces).note)

    def test_where_all_would_take_too_long_fewer_are_compared_and_it_says_so(self):
        epochs = tuple(range(0, 1200, 60))
        run = self.run_of(gop_epochs=epochs)
        self.store(epochs)
        with mock.patch.object(eigenspaces, "AFFORDABLE", 108 * 80**2 / 2):  # eight moments of ten vectors
            spaces = eigenspaces.eigenspaces(run)
        self.assertEqual((len(spaces), spaces.found), (8, 20))
        steps = list(spaces)
        self.assertEqual((steps[0], steps[-1]), (0, 1140))
        self.assertIn("8 moments, k = 3 (of 20 stored", subspace.Rotation(spaces).note)
        with mock.patch.object(eigenspaces, "NUMBERS_READ", 108):
            rotation = subspace.Rotation(eigenspaces.eigenspaces(run))
        self.assertIn("the vectors of 20 moments are too large", rotation.missing)

    def test_where_the_spectra_are_rounding_the_panel_says_so(self):
        """However few they are, and not that their vectors were not stored, or too large."""
        for epochs, zero, why in (
            ((0, 200, 600), (0, 200, 600), "3 of 3 spectra lie at or below the noise floor"),
            ((0, 600), (600,), "1 of 2 spectra lie at or below the noise floor"),
        ):
            self.folder = self.folder.parent / str(len(epochs))
            run = self.run_of(gop_epochs=epochs)
            self.store(epochs)
            for epoch in zero:
                with h5py.File(self.folder / f".segments/{epoch}-{epoch}.h5", "a") as file:
                    file[f"gop_full/epoch_{epoch}/eigenvalues"][:] = 0
            spaces = eigenspaces.eigenspaces(run)
            self.assertEqual((len(spaces), spaces.found), (len(epochs) - len(zero), len(epochs)))
            self.assertIn(why, subspace.Rotation(spaces).missing)

    def test_two_moments_may_be_too_large_as_well(self):
        run = self.run_of(gop_epochs=(0, 600))
        with mock.patch.object(eigenspaces, "AFFORDABLE", 1e6):
            rotation = subspace.Rotation(eigenspaces.eigenspaces(run))
        self.assertIn("the vectors of 2 moments are too large", rotation.missing)

    def test_the_cost_of_vectors_that_must_be_found_is_bounded_in_all(self):
        run = self.run_of(gop_epochs=tuple(range(0, 1200, 60)))  # dense, no vectors
        one = 9.0 * 108**3 + 108 * 10**2
        with mock.patch.object(eigenspaces, "AFFORDABLE", 6.5 * one):
            spaces = eigenspaces.eigenspaces(run)
        self.assertEqual((len(spaces), spaces.found), (6, 20))

    def test_without_any_the_panel_says_how_to_get_them(self):
        run = self.run_of(with_gop=False)
        ax = style.plt.figure().add_subplot()
        rotation = subspace.Rotation(eigenspaces.eigenspaces(run))
        self.assertIsNone(subspace.overlap_matrix(ax, run, rotation))
        self.assertIn("gop_tracking.store_eigenvectors=true", self.texts(ax))


class StyleTest(unittest.TestCase):
    def test_no_two_lines_look_alike_in_black_and_white(self):
        looks = [(str(style.line_style(i)["linestyle"]), style.line_style(i)["marker"]) for i in range(42)]
        self.assertEqual(len(set(looks)), 42)

    def test_tick_labels(self):
        self.assertEqual(style.tick_labels([0.01, 1, 100]), ["0.01", "1", "100"])
        self.assertEqual(style.tick_labels([1.0, 1e4]), ["$10^{0}$", "$10^{4}$"])
        self.assertEqual(
            style.tick_labels([2e-5, 5e-5]), ["$2\\,\\times\\,10^{-5}$", "$5\\,\\times\\,10^{-5}$"]
        )

    def test_at_most_seven_labels_and_at_least_two(self):
        for low, high in (
            (1, 1e30),
            (3e-9, 2),
            (1.3, 8),
            (40, 400),
            (2e-17, 3e-16),
            (0.9, 1.3e5),
            (110, 190),
        ):
            ax = style.plt.figure().add_subplot()
            ax.set_yscale("log")
            ax.set_ylim(low, high)
            style.decade_ticks(ax.yaxis, low, high)
            shown = [tick for tick in ax.yaxis.get_majorticklocs() if low <= tick <= high]
            self.assertLessEqual(len(shown), 7, (low, high))
            self.assertGreaterEqual(len(shown), 2 if high / low > 5 else 0, (low, high))
            style.plt.close("all")


if __name__ == "__main__":
    unittest.main()

"""Does a finished run leave the files that users' scripts rely on?

Names, types, shapes, attributes and identities of everything in the run directory, against the published contract and
against numpy's eigenvalues of the stored matrices.
"""
import json
import shutil

import h5py
import numpy as np

import tiny_run
from tiny_run import IMAGES, LINEAR, POLYNOMIALS, TRANSFORMER, ProgramTest, contents, status_of, variant, write_images

SERIES = """train_loss test_loss train_acc test_acc gop_trace gop_frobenius_norm gop_spectral_norm gop_nuclear_norm gop_rank
    gop_condition_number gop_determinant gop_log_determinant gop_log_pseudo_determinant gop_singular gop_eigenvalue_max
    gop_eigenvalue_min gop_eigenvalue_mean gop_eigenvalue_std gop_top_k_cumulative_variance gop_stable_rank
    gop_participation_ratio gop_entropy_rank gop_mean_gradient_norm gop_mean_gradient_alignment gop_subspace_overlap
    gop_logdet_regularised gop_rank_curve eigenvalues_top_k eigenvalues""".split()
FILES = {"config.yaml", "config.json", "input.yaml", "STATUS", "log.txt", "metrics.csv", "metrics.h5", "gop_full.h5",
         "gop_layers.h5", "data.h5", "checkpoints", ".segments"}
GROUP_ATTRIBUTES = {"epoch", "step", "definition", "normalisation", "n_examples", "solver", "path", "noise_floor"}
TRACKING = {"layer_spectra": 1, "covariance_spectra": 1, "definitions": ["second_moment", "covariance", "mean"]}
STORAGE = {"store_full_gop": True, "store_layer_gops": True, "gop_schedule": {"every": 10}}


class FinishedRun:
    """What holds for every experiment; the concrete classes below name one each."""

    content = None
    storage = STORAGE
    observables = ()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_ = cls.train("run", variant(cls.configuration(), gop_tracking=TRACKING, storage=cls.storage))
        cls.metrics = h5py.File(cls.run_ / "metrics.h5", "r")
        cls.full = h5py.File(cls.run_ / "gop_full.h5", "r")
        cls.layers = h5py.File(cls.run_ / "gop_layers.h5", "r")
        cls.tracked = cls.metrics["epoch"][:]
        cls.count = int(cls.metrics["parameters/size"][:].sum())

    @classmethod
    def tearDownClass(cls):
        for file in (cls.metrics, cls.full, cls.layers):
            file.close()
        super().tearDownClass()

    @classmethod
    def configuration(cls):
        return cls.content

    def epochs(self):
        last, frequency = self.configuration()["training"]["epochs"], self.configuration()["gop_tracking"]["frequency"]
        return list(range(0, last + 1, frequency))

    def layer_names(self):
        return [name.decode() for name in dict.fromkeys(self.metrics["parameters/layer"][:])]

    def test_every_file_is_there_and_nothing_temporary(self):
        names = {path.name for path in self.run_.iterdir()}
        self.assertEqual(FILES - names, set())
        self.assertEqual([p for p in self.run_.rglob("*.tmp")], [])
        status = status_of(self.run_)
        self.assertEqual((status["state"], status["exit_code"]), ("done", 0))

    def test_tracked_epochs_are_those_of_the_schedule(self):
        self.assertEqual(list(self.tracked), self.epochs())
        examples = self.full["epoch_0"].attrs["n_examples"]
        batch = self.configuration()["training"].get("batch_size", examples)
        self.assertEqual(list(self.metrics["step"][:]), [e * -(-examples // batch) for e in self.epochs()])

    def test_every_series_has_its_length_and_its_description(self):
        for name in SERIES:
            with self.subTest(name):
                self.assertIn(name, self.metrics)
                dataset = self.metrics[name]
                self.assertEqual(dataset.shape[0], len(self.tracked))
                self.assertEqual(dataset.dtype, np.float64)
                for attribute in ("long_name", "units", "definition"):
                    self.assertTrue(dataset.attrs[attribute], attribute)
                np.testing.assert_array_equal(dataset.dims[0]["epoch"][:], self.tracked)
                self.assertTrue(np.isfinite(dataset[:]).any() or name == "gop_log_determinant", "no value at all")

    def test_every_dataset_says_what_it_is(self):
        """In every file of the run; links lead to datasets that are visited in their own files."""
        found = []

        def visit(name, item):
            if isinstance(item, h5py.Dataset):
                found.append(name)
                for attribute in ("long_name", "units", "definition"):
                    self.assertTrue(item.attrs.get(attribute, b"").strip(), f"{item.file.filename}:{name}@{attribute}")

        for path in sorted(self.run_.rglob("*.h5")):
            with h5py.File(path, "r") as file:
                file.visititems(visit)
        for name in ("parameters/offset", "events/t_gen_step", "timing/gop_s", "timing/epoch", "train/inputs", "rng/step",
                     "commit/hash"):
            self.assertIn(name, found)

    def test_series_obey_their_definitions(self):
        m, p = self.metrics, self.count
        values = m["eigenvalues"][:]
        examples = self.full["epoch_0"].attrs["n_examples"]
        self.assertEqual(values.shape[1], min(p, examples))
        self.assertEqual(m["eigenvalues_top_k"].shape[1], 4)
        np.testing.assert_array_equal(m["eigenvalues_top_k"][:], values[:, :4])
        np.testing.assert_allclose(m["gop_trace"][:], values.sum(axis=1), rtol=1e-12)
        np.testing.assert_allclose(m["gop_frobenius_norm"][:], np.linalg.norm(values, axis=1), rtol=1e-12)
        np.testing.assert_array_equal(m["gop_spectral_norm"][:], values[:, 0])
        np.testing.assert_allclose(m["gop_eigenvalue_mean"][:], values.sum(axis=1) / p, rtol=1e-12)
        np.testing.assert_allclose(m["gop_stable_rank"][:], values.sum(axis=1) / values[:, 0], rtol=1e-12)
        rank = (values > 1e-6 * values[:, :1]).sum(axis=1)
        np.testing.assert_array_equal(m["gop_rank"][:], rank)
        kept = [row[:r] for row, r in zip(values, rank)]
        np.testing.assert_allclose(m["gop_condition_number"][:], [row[0] / row[-1] for row in kept], rtol=1e-12)
        np.testing.assert_allclose(m["gop_log_pseudo_determinant"][:], [np.log(row).sum() for row in kept], rtol=1e-10)
        if p > examples:
            self.assertTrue(np.all(m["gop_singular"][:] == 1))
            self.assertTrue(np.all(np.isneginf(m["gop_log_determinant"][:])))
            self.assertTrue(np.all(m["gop_eigenvalue_min"][:] == 0))
        overlap = m["gop_subspace_overlap"][:]
        self.assertTrue(np.isnan(overlap[0]))
        self.assertTrue(np.all((overlap[1:] >= 0) & (overlap[1:] <= 1 + 1e-12)))

    def test_groups_are_there(self):
        training = self.metrics["training"]
        for name in ("epoch", "step", "train_loss", "test_loss", "train_acc", "test_acc", "weight_norm"):
            self.assertEqual(training[name].shape, training["epoch"].shape, name)
        self.assertEqual(training["step"][-1], self.metrics["step"][-1])
        for name in self.layer_names():
            for series in ("gop_trace", "gop_rank", "gop_spectral_norm"):
                self.assertEqual(self.metrics[f"layers/{name}/{series}"].shape, self.tracked.shape, name)
        for other in ("covariance", "mean"):
            self.assertTrue(np.isfinite(self.metrics[f"definitions/{other}/gop_trace"][:]).all(), other)
        self.assertTrue(np.all(self.metrics["definitions/mean/gop_rank"][:] == 1))
        for name in ("trace_residual", "norm_residual", "eigenpair_residual", "mean_gradient_residual"):
            residual = self.metrics[f"checks/{name}"][:]
            self.assertEqual(residual.shape, self.tracked.shape, name)
            self.assertTrue(np.all(np.abs(residual) < 1e-10), f"{name}: {residual}")
        self.assertEqual(self.metrics["timing/gop_s"].shape, self.tracked.shape)
        for name in ("t_mem_step", "t_gen_step", "t_mem_epoch", "t_gen_epoch", "rule"):
            self.assertIn(name, self.metrics["events"].attrs)
        for name in ("git_commit", "versions", "arguments", "hosts", "environment", "ranks"):
            self.assertIn(name, self.metrics["provenance/launch_0"].attrs)
        for name in self.observables:
            self.assertTrue(np.isfinite(self.metrics[f"observables/{name}"][:]).all(), name)

    def test_traces_of_layers_sum_to_that_of_the_whole(self):
        traces = sum(self.metrics[f"layers/{name}/gop_trace"][:] for name in self.layer_names())
        np.testing.assert_allclose(traces, self.metrics["gop_trace"][:], rtol=1e-11)

    def test_training_and_tracked_series_agree(self):
        rows = np.isin(self.metrics["training/step"][:], self.metrics["step"][:])
        for name in ("train_loss", "test_loss", "train_acc", "test_acc"):
            np.testing.assert_array_equal(self.metrics[f"training/{name}"][:][rows], self.metrics[name][:], name)

    def test_csv_is_the_training_table(self):
        with open(self.run_ / "metrics.csv") as file:
            names = file.readline().strip().split(",")
            rows = np.array([[float(x) for x in line.split(",")] for line in file])
        self.assertEqual(len(rows), len(self.metrics["training/step"]))
        for name, column in zip(names, rows.T):
            np.testing.assert_array_equal(column, self.metrics[f"training/{name}"][:], name)

    def test_spectra_descend_and_name_their_origin(self):
        for index, epoch in enumerate(self.tracked):
            group = self.full[f"epoch_{epoch}"]
            values = group["eigenvalues"][:]
            self.assertEqual(values.dtype, np.float64)
            self.assertTrue(np.all(np.diff(values) <= 0), epoch)
            np.testing.assert_array_equal(values, self.metrics["eigenvalues"][index])
            self.assertEqual(GROUP_ATTRIBUTES - set(group.attrs), set())
            self.assertEqual(group.attrs["epoch"], epoch)
            self.assertEqual(group.attrs["definition"], b"second_moment")
            examples = group.attrs["n_examples"]
            k = group["eigenvectors_gram_top_k"].shape[1]
            self.assertEqual(group["eigenvectors_gram_top_k"].shape, (examples, k))
            self.assertTrue(1 <= k <= 4)

    def test_parameters_tile_the_flat_vector(self):
        parameters = self.metrics["parameters"]
        sizes, offsets = parameters["size"][:], parameters["offset"][:]
        np.testing.assert_array_equal(offsets, np.concatenate([[0], np.cumsum(sizes)[:-1]]))
        last = self.run_ / "checkpoints" / f"epoch_{self.tracked[-1]}.h5"
        with h5py.File(last, "r") as checkpoint:
            for name, size, shape in zip(parameters["name"][:], sizes, parameters["shape"][:]):
                value = checkpoint["parameters"][name.decode()]
                self.assertEqual(value.size, size)
                self.assertEqual(list(value.shape), [n for n in shape if n > 0])
            flat = np.concatenate([checkpoint["parameters"][name.decode()][:].ravel() for name in parameters["name"][:]])
        self.assertAlmostEqual(np.linalg.norm(flat) / self.metrics["training/weight_norm"][-1], 1, places=12)

    def test_data_is_what_was_trained_on(self):
        with h5py.File(self.run_ / "data.h5", "r") as data:
            train, test = (set(data[f"{split}/ids"][:].tolist()) for split in ("train", "test"))
            for split in ("train", "test"):
                n = data[f"{split}/ids"].shape[0]
                self.assertEqual(len(data[f"{split}/inputs"]), n)
                self.assertEqual(len(data[f"{split}/targets"]), n)
        self.assertEqual(train & test, set())
        self.assertEqual(self.full["epoch_0"].attrs["n_examples"], len(train))

    def test_resolved_configuration_is_complete(self):
        config = json.loads((self.run_ / "config.json").read_text())
        for section, keys in self.configuration().items():
            for key, value in keys.items():
                self.assertEqual(config[section][key], value, f"{section}.{key}")
        self.assertEqual(json.loads((self.run_ / "input.yaml").read_text())["experiment"], self.configuration()["experiment"])


class RunWithMatrices(FinishedRun):
    """What holds where the dense matrices are stored."""

    def test_stored_matrices_have_the_stored_eigenvalues(self):
        stored = [e for e in self.tracked if e % 10 == 0]
        self.assertGreater(len(stored), 1)
        for epoch in stored:
            self.check_matrix(self.full[f"epoch_{epoch}"], self.count)
            for name in self.layer_names():
                size = int(self.metrics["parameters/size"][:][self.metrics["parameters/layer"][:] == name.encode()].sum())
                self.check_matrix(self.layers[f"epoch_{epoch}/{name}"], size)
        for epoch in set(self.tracked) - set(stored):
            self.assertNotIn("gop", self.full[f"epoch_{epoch}"])

    def check_matrix(self, group, size):
        gop, values = group["gop"][:], group["eigenvalues"][:]
        self.assertEqual(gop.shape, (size, size))
        np.testing.assert_allclose(gop, gop.T, rtol=0, atol=1e-15 * np.abs(gop).max())
        found = np.linalg.eigvalsh(gop)[::-1]
        np.testing.assert_allclose(found[:len(values)], values, rtol=0, atol=1e-10 * values[0])
        np.testing.assert_allclose(found[len(values):], 0, rtol=0, atol=1e-10 * values[0])

    def test_layer_blocks_are_blocks_of_the_whole(self):
        last = f"epoch_{self.tracked[-1]}"
        whole = self.full[last]["gop"][:]
        parameters = self.metrics["parameters"]
        for name in self.layer_names():
            mine = parameters["layer"][:] == name.encode()
            begin = parameters["offset"][:][mine].min()
            block = self.layers[f"{last}/{name}/gop"][:]
            np.testing.assert_allclose(block, whole[begin:begin + len(block), begin:begin + len(block)], rtol=1e-12,
                                       atol=1e-14 * np.abs(whole).max())
            self.assertIn("gop_trace", self.layers[f"{last}/{name}"].attrs)
            self.assertEqual(self.layers[f"{last}/{name}/eigenvalues_top_k"].shape, (4,))


class LinearRunTest(RunWithMatrices, ProgramTest):
    content = LINEAR

    def test_resolved_configuration_runs_again(self):
        target = self.folder / "again"
        again = self.call("run", self.run_ / "config.yaml", f"storage.output_dir={target}", "--verbosity", "quiet")
        self.assertEqual(again.code, 0, again.err)
        self.assert_same_runs(self.run_, target)

    def test_the_ids_of_a_tracked_subset(self):
        run = self.train("subset", variant(LINEAR, gop_tracking={"examples": 10}))
        with h5py.File(run / "metrics.h5", "r") as metrics, h5py.File(run / "data.h5", "r") as data:
            ids = metrics["tracked_ids"][:]
            self.assertEqual(ids.shape, (10,))
            self.assertEqual(len(set(ids) & set(data["train/ids"][:])), 10)
        self.train("subset", variant(LINEAR, gop_tracking={"examples": 10}))  # a finished run, started again
        with h5py.File(run / "metrics.h5", "r") as metrics:
            np.testing.assert_array_equal(metrics["tracked_ids"][:], ids)

    def test_a_moved_run_still_opens(self):
        moved = self.folder / "elsewhere" / "moved"
        shutil.copytree(self.run_, moved)
        hidden = self.folder / "hidden"
        self.run_.rename(hidden)
        try:
            for view in tiny_run.VIEWS:
                self.assertEqual(contents(moved / view), contents(hidden / view), view)
            with h5py.File(moved / "gop_full.h5", "r") as file:
                self.assertEqual(file["epoch_40"]["gop"][:].shape, (20, 20))
        finally:
            hidden.rename(self.run_)

    def test_the_published_snippet_works(self):
        with h5py.File(self.run_ / "gop_full.h5") as f:
            gop, eigenvalues = f["epoch_40"]["gop"][:], f["epoch_40"]["eigenvalues"][:]
        self.assertEqual((gop.shape, eigenvalues.shape), ((20, 20), (20,)))

    def test_the_gop_is_that_of_the_data(self):
        """C = (1/N) sum_i (2 r_i)^2 x_i x_i^T for the squared error of one output."""
        with h5py.File(self.run_ / "data.h5", "r") as data, \
                h5py.File(self.run_ / "checkpoints" / "epoch_40.h5", "r") as checkpoint:
            x, y = data["train/inputs"][:], data["train/targets"][:]
            weight = next(iter(checkpoint["parameters"].values()))[:]
        r = 2 * (x @ weight.reshape(20, 1) - y)
        expected = (x * r).T @ (x * r) / len(x)
        np.testing.assert_allclose(self.full["epoch_40/gop"][:], expected, rtol=0, atol=1e-12 * np.abs(expected).max())


class TransformerRunTest(RunWithMatrices, ProgramTest):
    content = TRANSFORMER

    def test_the_published_snippet_works(self):
        with h5py.File(self.run_ / "metrics.h5") as f:
            test_acc, gop_trace, top = f["test_acc"][:], f["gop_trace"][:], f["eigenvalues_top_k"][:]
        self.assertEqual((test_acc.shape, gop_trace.shape, top.shape), ((5,), (5,), (5, 4)))


class PolynomialsRunTest(RunWithMatrices, ProgramTest):
    content = POLYNOMIALS
    observables = ("ipr",)


class ImagesRunTest(FinishedRun, ProgramTest):
    """Minibatches: tracking needs a pass of its own. Matrices of 4,800 parameters squared are not kept."""

    storage = {}

    @classmethod
    def configuration(cls):
        return variant(IMAGES, data={"dir": str(write_images(cls.folder / "images"))})


if __name__ == "__main__":
    tiny_run.main()

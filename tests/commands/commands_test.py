"""Do the commands beside `run` say, plan and measure what they promise?

`analyze` measures stored checkpoints again, on any rank count: it must find what training wrote.
"""
import re
import sys
from pathlib import Path

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "run"))
import tiny_run  # noqa: E402 (the path must be set first)
from tiny_run import (  # noqa: E402
    LINEAR, POLYNOMIALS, TRANSFORMER, ProgramTest, contents, read_series, variant)

EXPERIMENTS = ("01_power_grok", "02_liu_effective", "03_nanda_progress", "04_wang_implicit", "05_liu_omnigrok",
               "07_thilak_slingshot", "08_doshi_polynomials", "09_levi_linear")
REPOSITORY = Path(__file__).resolve().parents[2]
KEYS = ("experiment.name", "data.d_in", "model.init_scale", "training.lr", "gop_tracking.definitions",
        "storage.store_full_gop", "computational_limits.max_gop_size_gb", "expected")


class WordsTest(ProgramTest):
    def say(self, *arguments):
        finished = self.call(*arguments)
        self.assertEqual((finished.code, finished.err), (0, ""), arguments)
        return finished.out

    def test_list_names_every_experiment_with_its_title(self):
        lines = self.say("list").splitlines()
        for name in EXPERIMENTS:
            self.assertTrue(any(re.match(rf"{name} +\w.*\w", line) for line in lines), name)

    def test_every_key_of_every_experiment_has_a_meaning(self):
        for name in EXPERIMENTS:
            text = self.say("describe", name)
            self.assertIn("Claim: ", text)
            self.assertIn("Source: ", text)
            rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| `")]
            self.assertGreater(len(rows), 50, name)
            for row in rows:
                self.assertTrue(row[-1].strip(), f"{name}: {row} has no meaning")
                self.assertTrue(row[1].strip(), f"{name}: {row} has no type")

    def test_describe_names_the_keys_that_configurations_use(self):
        text = self.say("describe", "09_levi_linear")
        for key in KEYS:
            self.assertIn(key.rpartition(".")[2], text, key)

    def test_describe_suggests_the_nearest(self):
        finished = self.call("describe", "09_levi_liner")
        self.assertEqual(finished.code, 2)
        self.assertIn("did you mean 09_levi_linear?", finished.err)

    def test_version_names_the_libraries(self):
        text = self.say("version")
        for pattern in (r"grokscope \d+\.\d+", r"LibTorch \d+\.\d+", r"HDF5 1\.\d+", r"MPI Open MPI v?\d", r"BLAS \S+",
                        r"ELPA \d{4}\.\d+", r"ScaLAPACK (\d+\.\d+|unknown)", r"commit ([0-9a-f]{40}(, with changes)?|unknown)\n"):
            self.assertRegex(text, pattern)

    def test_a_run_names_the_commit_of_the_program(self):
        commit = re.search(r"commit ([0-9a-f]+|unknown)", self.say("version"))[1]
        run = self.train("commit", variant(LINEAR, training={"epochs": 2}))
        with h5py.File(run / "metrics.h5", "r") as file:
            facts = file["provenance/launch_0"].attrs
            self.assertEqual(facts["git_commit"], commit.encode())
            if "git_tree" in facts:
                self.assertIn(b"not what was built", facts["git_tree"])

    def test_help_names_commands_and_exit_codes(self):
        text = self.say("--help")
        for word in ("run", "check", "analyze", "reproduce", "list", "describe", "version", "75"):
            self.assertIn(word, text)
        self.assertIn("--max-time", self.say("run", "--help"))


class UnforeseenTest(ProgramTest):
    """What nobody has foreseen ends with one line and a code, never with SIGABRT."""

    def check(self, code, words, *arguments):
        finished = self.call(*arguments)
        self.assertEqual(finished.code, code, finished.err)
        self.assertIn(words, finished.err)
        self.assertTrue(finished.err.startswith("grokscope: "), finished.err)
        self.assertEqual(finished.err.count("\n"), 1, finished.err)

    def test_memory_that_is_not_there(self):
        config = self.write_config("huge", LINEAR)
        self.check(1, "out of memory", "check", config, "data.n_train=1000000000000", "--no-calibration")

    def test_a_path_that_the_file_system_refuses(self):
        config = self.write_config("refused", LINEAR)
        self.check(3, "File name too long", "check", config, f"storage.output_dir={300 * 'a'}")


class CheckTest(ProgramTest):
    def test_every_configuration_of_the_repository_has_a_plan(self):
        checked = 0
        for config in sorted(REPOSITORY.glob("configs/**/*.yaml")):
            if config.name == "reproduce.yaml":
                continue  # a list of configurations
            for ranks in (1, 2, 31) if checked == 0 else (2,):
                finished = self.call("check", config, "--ranks", ranks, "--no-calibration")
                if finished.code == 3:  # its images are not in the repository: it says how to get them
                    self.assertIn("tools/fetch_data.py", finished.err, config.name)
                    continue
                with self.subTest(config=config.name, ranks=ranks):
                    self.assertEqual((finished.code, finished.err), (0, ""))
                    for word in ("full GOP", "eigensolver", "memory per rank", "on disk", "run directory"):
                        self.assertIn(word, finished.out)
                checked += 1
        self.assertGreater(checked, 0)
        self.assertFalse((self.folder / "results").exists(), "check has made a directory")

    def test_the_plan_counts(self):
        config = self.write_config("counted", variant(LINEAR, training={"batch_size": 7, "epochs": 12}))
        text = self.call("check", config).out
        self.assertIn("P = 20", text)
        self.assertIn("30 examples at 4 moments", text)  # epochs 0, 5, 10 and the last
        self.assertIn("60 steps of 7 examples (12 epochs)", text)
        self.assertNotIn("warning", text)

    def test_the_plan_is_what_the_run_does(self):
        config = self.write_config("planned", TRANSFORMER)
        plan = self.call("check", config).out
        self.train("planned", TRANSFORMER)
        with h5py.File(self.folder / "planned" / "metrics.h5", "r") as file:
            self.assertIn(f"P = {file['parameters/size'][:].sum()}", plan)
            self.assertIn(f"at {len(file['epoch'])} moments", plan)
            for layer in set(file["parameters/layer"][:]):
                self.assertIn(f" {layer.decode()} ", plan)

    def check(self, config, *arguments):
        finished = self.call("check", config, *arguments)
        self.assertEqual(finished.code, 0, finished.err)
        return finished.out

    def test_the_estimate_of_time(self):
        config = self.write_config("timed", TRANSFORMER)
        measured = self.check(config)
        self.assertIn("measured here in", measured)
        plain = self.check(config, "--no-calibration", "--ranks", "1:1024", "--latency-us", "5", "--bandwidth-gbs", "12.5")
        self.assertIn("reference machine, nothing measured", plain)
        self.assertIn("network 5.0 us, 12.5 GB/s", plain)
        self.assertEqual(plain, self.check(config, "--no-calibration", "--ranks", "1:1024", "--latency-us", "5",
                                           "--bandwidth-gbs", "12.5"), "without a measurement the plan repeats")
        rows = [line.split() for line in plain.splitlines() if re.match(r" +\d+ +(gram|dense) ", line)]
        self.assertEqual([int(row[0]) for row in rows], [2**k for k in range(11)])
        self.assertEqual([row[-1] == "extrapolated" for row in rows], [False, False] + 9 * [True])
        for wrong in ("0", "1:", "many"):
            self.assertEqual(self.call("check", config, "--ranks", wrong).code, 2)

    def test_every_storage_policy_has_its_price(self):
        plan = self.check(self.write_config("priced", TRANSFORMER), "--no-calibration")
        for words in ("metrics only", "factors", "full matrix, dense", "layers' matrices, dense"):
            self.assertIn(words, plan)

    def test_factors_of_paper_03_are_thousands_of_times_smaller(self):
        plan = self.check(REPOSITORY / "configs/03_nanda_progress.yaml", "--no-calibration", "storage.float_precision=float32")

        def each_moment(policy):
            number, unit = re.search(rf"{policy} +([\d.]+) ([kMG]B)", plan).groups()
            return float(number) * {"kB": 1e3, "MB": 1e6, "GB": 1e9}[unit]

        self.assertLess(each_moment("factors"), 60e6)
        self.assertGreater(each_moment("full matrix, dense"), 3000 * each_moment("factors"))

    def test_the_size_limit(self):
        dense = {"store_full_gop": True}
        config = self.write_config("large", variant(LINEAR, storage=dense))
        refused = self.call("check", config, "computational_limits.max_gop_size_gb=1e-6")
        self.assertEqual(refused.code, 2)
        self.assertIn("max_gop_size_gb", refused.err)
        # 20 x 20 numbers of 8 bytes are 3.2e-6 GB.
        self.assertEqual(self.call("check", config, "computational_limits.max_gop_size_gb=3.3e-6").code, 0)
        self.assertEqual(self.call("check", config, "computational_limits.max_gop_size_gb=3.1e-6").code, 2)
        tiles = variant(POLYNOMIALS, storage={**dense, "layout": "lower"})
        self.assertIn("matrices lower", self.check(self.write_config("tiles", tiles)))
        factors = self.write_config("factors", variant(LINEAR, storage={"store_full_gop": "factors"}))
        refused = self.call("check", factors, "computational_limits.max_gop_size_gb=1e-9")
        self.assertEqual(refused.code, 2)
        self.assertIn("matrices and factors", refused.err)
        refused = self.call("run", factors, "computational_limits.max_gop_size_gb=1e-9")
        self.assertEqual(refused.code, 2, "a run is refused before it trains")
        warned = self.call("check", config, "computational_limits.warn_if_exceeds_gb=1e-6")
        self.assertEqual(warned.code, 0)
        self.assertIn("warning", warned.out)


class AnalyzeTest(ProgramTest):
    """Checkpoints are kept at some of the tracked epochs; analysis of those must repeat the numbers of training."""

    def analyze(self, run, name, *arguments, ranks=1):
        finished = self.call("analyze", run, *arguments, "--name", name, "--verbosity", "quiet", ranks=ranks)
        self.assertEqual(finished.code, 0, finished.err)
        return run / "analysis" / name

    def assert_same_numbers(self, run, found, tolerance):
        """Compares every GOP series at the analysed epochs; 0 means bitwise."""
        with h5py.File(run / "metrics.h5", "r") as a, h5py.File(found / "metrics.h5", "r") as b:
            rows = np.isin(a["epoch"][:], b["epoch"][:])
            self.assertGreater(rows.sum(), 1)
            self.assertEqual(rows.sum(), len(b["epoch"]))
            names = [name for name in a if name.startswith("gop_") or name.startswith("eigenvalues")]
            names += [f"layers/{layer}/{name}" for layer in a["layers"] for name in a[f"layers/{layer}"]
                      if name.startswith("gop_")]
            compared = 0
            for name in names:
                if name == "gop_subspace_overlap":  # with the previous tracked epoch: another one here
                    continue
                expected, value = a[name][:][rows], b[name][:]
                if tolerance == 0:
                    self.assertEqual(expected.tobytes(), value.tobytes(), name)
                elif name in ("gop_trace", "gop_frobenius_norm", "gop_spectral_norm", "eigenvalues", "eigenvalues_top_k"):
                    scale = np.abs(expected).max(axis=-1, keepdims=True) if expected.ndim > 1 else np.abs(expected)
                    self.assertTrue(np.all(np.abs(expected - value) <= tolerance * scale), name)
                elif name.endswith("gop_trace"):
                    np.testing.assert_allclose(value, expected, rtol=tolerance, err_msg=name)
                elif name.endswith("gop_rank"):
                    np.testing.assert_array_equal(value, expected, err_msg=name)
                compared += 1
            self.assertGreater(compared, 30)

    def test_own_pass_is_repeated_bit_by_bit(self):
        content = variant(POLYNOMIALS, training={"batch_size": 7, "epochs": 20}, gop_tracking={"layer_spectra": 1},
                          computational_limits={"checkpoint_frequency": 10})
        run = self.train("batches", content)
        self.assert_same_numbers(run, self.analyze(run, "one"), 0)
        for ranks in (2, 3):
            self.assert_same_numbers(run, self.analyze(run, f"ranks_{ranks}", ranks=ranks), 1e-12)

    def test_shared_pass_is_repeated_to_rounding(self):
        run = self.train("full", variant(LINEAR, gop_tracking={"layer_spectra": 1}), ranks=2)
        for ranks in (1, 2):
            self.assert_same_numbers(run, self.analyze(run, f"ranks_{ranks}", ranks=ranks), 1e-12)

    def test_chosen_epochs_and_other_definitions(self):
        run = self.train("chosen", LINEAR)
        before = {view: contents(run / view) for view in tiny_run.VIEWS}
        found = self.analyze(run, "mean", "gop_tracking.definitions=[mean]", "--epochs", "40")
        with h5py.File(found / "gop_full.h5", "r") as file:
            self.assertEqual([name for name in file if name.startswith("epoch_")], ["epoch_40"])
            self.assertEqual(file["epoch_40"].attrs["definition"], b"mean")
        norm, = read_series(run, "gop_mean_gradient_norm")
        trace, rank = read_series(found, "gop_trace", "gop_rank")
        np.testing.assert_allclose(trace, norm[-1:] ** 2, rtol=1e-12)
        np.testing.assert_array_equal(rank, [1])
        covariance = self.analyze(run, "covariance", "gop_tracking.definitions=[covariance]", "--epochs", "40")
        second, = read_series(run, "gop_trace")
        np.testing.assert_allclose(read_series(covariance, "gop_trace")[0], second[-1:] - norm[-1:] ** 2, rtol=1e-12)
        self.assertEqual(before, {view: contents(run / view) for view in tiny_run.VIEWS}, "analysis changed the run")

    def test_overrides_may_follow_the_epochs(self):
        run = self.train("ordered", LINEAR)
        found = self.analyze(run, "ordered", "--epochs", "40", "gop_tracking.top_k_eigen=2")
        epoch, top = read_series(found, "epoch", "eigenvalues_top_k")
        self.assertEqual(epoch.tolist(), [40])
        self.assertEqual(top.shape[1], 2)

    def test_files_say_what_those_of_the_run_say(self):
        run = self.train("described", variant(TRANSFORMER, gop_tracking={"examples": 6},
                                              computational_limits={"checkpoint_epochs": [10, 20]}))
        found = self.analyze(run, "again")
        for view in tiny_run.VIEWS:
            with h5py.File(run / view, "r") as a, h5py.File(found / view, "r") as b:
                for name in ("experiment", "loss_reduction", "normalisation"):
                    self.assertEqual(a.attrs[name], b.attrs[name], f"{view} {name}")
        with h5py.File(run / "metrics.h5", "r") as a, h5py.File(found / "metrics.h5", "r") as b:
            np.testing.assert_array_equal(a["tracked_ids"][:], b["tracked_ids"][:])
            self.assertEqual(b["observables/epoch"][:].tolist(), [10, 20, 40])
            rows = np.isin(a["observables/epoch"][:], b["observables/epoch"][:])
            self.assertEqual(set(a["observables"]), set(b["observables"]))
            for name in b["observables"]:
                np.testing.assert_allclose(b[f"observables/{name}"][:], a[f"observables/{name}"][:][rows], rtol=1e-12, err_msg=name)
        self.analyze(run, "again")  # nothing is left to measure, and nothing gets lost
        with h5py.File(found / "metrics.h5", "r") as file:
            self.assertIn("tracked_ids", file)
            self.assertEqual(file["epoch"][:].tolist(), [10, 20, 40])

    def test_results_are_never_silently_destroyed(self):
        run = self.train("several", variant(LINEAR, computational_limits={"checkpoint_epochs": [10, 20]}))
        first = run / "analysis" / "gop"
        self.assertEqual(self.call("analyze", run).code, 0)
        before = {view: contents(first / view) for view in tiny_run.VIEWS}
        others = {("--epochs", "40,10"): "gop+epochs=10,40", ("gop_tracking.definitions=[covariance]",): "gop+definitions=covariance",
                  ("storage.store_full_gop=true",): "gop+store_full_gop=true"}
        for arguments, name in others.items():
            finished = self.call("analyze", run, *arguments)
            self.assertEqual(finished.code, 0, finished.err)
            self.assertTrue((run / "analysis" / name / "metrics.h5").exists(), list((run / "analysis").iterdir()))
        for override in ("gop_tracking.definitions=[covariance]", "storage.store_full_gop=true"):
            refused = self.call("analyze", run, override, "--name", "gop")
            self.assertEqual(refused.code, 2, refused.err)
            for words in (override.partition("=")[0], "--name", "--fresh"):
                self.assertIn(words, refused.err)
        self.assertEqual(before, {view: contents(first / view) for view in tiny_run.VIEWS})
        self.analyze(run, "gop", "gop_tracking.definitions=[covariance]", "--fresh")
        with h5py.File(first / "gop_full.h5", "r") as file:
            self.assertEqual(file["epoch_40"].attrs["definition"], b"covariance")

    def test_a_stopped_analysis_is_taken_up(self):
        run = self.train("stopped", variant(LINEAR, computational_limits={"checkpoint_epochs": [10, 20]}))
        for ranks in (1, 2):
            name = f"ranks_{ranks}"
            stopped = self.call("analyze", run, "--name", name, "--max-time", "0", ranks=ranks)
            self.assertEqual(stopped.code, 75, stopped.err)
            self.assertIn("0 of 3 checkpoints are measured", stopped.out)
            self.assertEqual(tiny_run.status_of(run / "analysis" / name)["state"], "checkpointed")
            found = self.analyze(run, name, ranks=ranks)
            self.assertEqual(read_series(found, "epoch")[0].tolist(), [10, 20, 40])
            again = self.call("analyze", run, "--name", name, ranks=ranks)
            self.assertEqual(again.code, 0, again.err)
            self.assertIn("3 of 3 checkpoints are measured", again.out)
            self.assertNotIn("measured epoch", again.out)

    def test_what_is_stored_has_its_limit(self):
        run = self.train("limited", LINEAR)
        refused = self.call("analyze", run, "storage.store_full_gop=true", "computational_limits.max_gop_size_gb=1e-6", ranks=2)
        self.assertEqual(refused.code, 2, refused.err)
        self.assertIn("max_gop_size_gb", refused.err)
        self.assertFalse((run / "analysis").exists())

    def test_a_run_that_was_not_tracked(self):
        run = self.train("untracked", variant(LINEAR, gop_tracking={"enabled": False}))
        with h5py.File(self.analyze(run, "gop") / "metrics.h5", "r") as file:
            self.assertTrue(np.isfinite(file["gop_trace"][:]).all())

    def test_what_is_not_a_run(self):
        finished = self.call("analyze", self.folder / "nowhere")
        self.assertEqual(finished.code, 2)
        self.assertIn("not a run directory", finished.err)

    def test_an_epoch_that_was_not_kept(self):
        run = self.train("kept", LINEAR)
        for epochs in ("39", "39,40"):
            finished = self.call("analyze", run, "--epochs", epochs, ranks=2)
            self.assertEqual(finished.code, 2, finished.err)
            self.assertIn("no checkpoint of epoch 39 ", finished.err)
            self.assertEqual(finished.err.count("grokscope: "), 1, finished.err)
        self.assertFalse((run / "analysis").exists())


if __name__ == "__main__":
    tiny_run.main()

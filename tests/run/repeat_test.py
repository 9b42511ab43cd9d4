"""Does the same configuration give the same bits, whatever is observed, and the same numbers on any rank count?"""
import h5py
import numpy as np

import tiny_run
from tiny_run import IMAGES, LINEAR, POLYNOMIALS, TRANSFORMER, ProgramTest, contents, read_series, variant, write_images

TRAINING = ("training/step", "training/train_loss", "training/test_loss", "training/train_acc", "training/test_acc",
            "training/weight_norm")
# Everything that rounding may change in proportion only; ranks, flags and what is left of cancelled sums may not.
PROPORTIONAL = ("gop_trace", "gop_frobenius_norm", "gop_spectral_norm", "gop_mean_gradient_norm", "gop_stable_rank",
                "eigenvalues_top_k", "training/train_loss", "training/test_loss", "training/weight_norm")


class SameConfigurationTest(ProgramTest):
    def check_twice(self, name, content, ranks):
        self.assert_same_runs(self.train(f"{name}_1", content, ranks=ranks), self.train(f"{name}_2", content, ranks=ranks))

    def test_linear_on_one_rank(self):
        self.check_twice("linear", LINEAR, 1)

    def test_transformer_on_two_ranks(self):
        self.check_twice("transformer", TRANSFORMER, 2)

    def test_minibatches_in_single_precision_on_three_ranks(self):
        content = variant(POLYNOMIALS, training={"batch_size": 7, "dtype": "float32", "epochs": 20})
        self.check_twice("polynomials", content, 3)

    def test_another_seed_gives_another_run(self):
        a = self.train("seed_0", LINEAR)
        b = self.train("seed_1", variant(LINEAR, training={"seed": 1}))
        self.assertNotEqual(contents(a / "metrics.h5")["/train_loss"], contents(b / "metrics.h5")["/train_loss"])


class ObserverTest(ProgramTest):
    """Tracking only looks on: the training series keep their bits without it, and with more or less of it."""

    def check_observed(self, name, content, ranks=1):
        changes = {"as_is": {}, "off": {"enabled": False}, "every": {"frequency": 1}, "rare": {"frequency": 7},
                   "subset": {"examples": 5, "frequency": 3},
                   "hindsight": {"schedule": {"kind": "adaptive", "base": 9, "dense": 2, "threshold": 1e-9,
                                              "lookback": 3}}}
        runs = {key: self.train(f"{name}_{key}", variant(content, gop_tracking=change), ranks=ranks)
                for key, change in changes.items()}
        expected = read_series(runs["as_is"], *TRAINING)
        for key, run in runs.items():
            for series, a, b in zip(TRAINING, expected, read_series(run, *TRAINING)):
                self.assertEqual(a.tobytes(), b.tobytes(), f"{series} with tracking '{key}'")
        counts = {key: len(read_series(run, "epoch")[0]) for key, run in runs.items() if key != "off"}
        self.assertEqual(counts["every"], content["training"]["epochs"] + 1)
        self.assertLess(counts["rare"], counts["every"])
        self.assertEqual(read_series(runs["subset"], "eigenvalues")[0].shape[1], 5)
        with h5py.File(runs["off"] / "metrics.h5", "r") as file:
            self.assertNotIn("gop_trace", file)

    def test_full_batches_share_the_training_pass(self):
        self.check_observed("full", variant(LINEAR, training={"epochs": 20}))

    def test_minibatches_in_single_precision(self):
        training = {"epochs": 12, "batch_size": 7, "dtype": "float32", "log_interval": 1}
        self.check_observed("batches", variant(TRANSFORMER, training=training))


class RankCountTest(ProgramTest):
    def check_counts(self, name, content):
        runs = [self.train(f"{name}_{ranks}", content, ranks=ranks) for ranks in (1, 2, 3)]
        steps = read_series(runs[0], "training/step")[0]
        self.assertGreater(steps[-1], 39)
        for other in runs[1:]:
            for series, a, b in zip(PROPORTIONAL, read_series(runs[0], *PROPORTIONAL), read_series(other, *PROPORTIONAL)):
                scale = np.maximum(np.abs(a), np.abs(a).max(axis=-1, keepdims=True) if a.ndim > 1 else 0)
                self.assertTrue(np.all(np.abs(a - b) <= 1e-9 * scale), f"{series} of {other.name}")
            for series in ("epoch", "step", "gop_rank", "training/train_acc", "training/test_acc"):
                np.testing.assert_allclose(*(read_series(run, series)[0] for run in (runs[0], other)), rtol=1e-9)

    def test_sgd_full_batch(self):
        self.check_counts("sgd", variant(LINEAR, training={"momentum": 0.9}))

    def test_adam_minibatches(self):
        content = variant(IMAGES, data={"dir": str(write_images(self.folder / "images"))})
        self.check_counts("adam", content)

    def test_adamw_full_batch(self):
        self.check_counts("adamw", TRANSFORMER)

    def test_sgd_minibatches_smaller_than_the_ranks(self):
        content = variant(POLYNOMIALS, training={"optimizer": "sgd", "lr": 0.05, "weight_decay": 0.01, "batch_size": 2,
                                                 "epochs": 5})
        self.check_counts("tiny_batches", content)


if __name__ == "__main__":
    tiny_run.main()

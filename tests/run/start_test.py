"""Does a run with training.init_from start where it says, and do masked entries stay exactly zero?

The oracle is numpy on the checkpoints and data.h5: an outsider who knows the paper's procedure and none of our code.
"""
import shutil

import h5py
import numpy as np

import tiny_run
from tiny_run import IMAGES, LINEAR, POLYNOMIALS, SLINGSHOT, ProgramTest, contents, read_series, status_of, variant, write_images

DENSE = variant(POLYNOMIALS, computational_limits={"checkpoint_epochs": [10, 20]})


def parameters_in(path, group="parameters"):
    with h5py.File(path, "r") as file:
        return {name: value[()] for name, value in file[group].items()}


def checkpoints_of(run):
    return sorted((run / "checkpoints").glob("epoch_*.h5"))


def last_checkpoint(run):
    return max(checkpoints_of(run), key=lambda path: int(path.stem.split("_")[1]))


def magnitude_mask(parameters, keep):
    """The paper's: all but the int((1 - keep) n) smallest, all parameters together. Magnitudes here are distinct."""
    flat = np.sort(np.concatenate([np.abs(value).ravel() for value in parameters.values()]))
    dropped = int(round((1 - keep) * flat.size, 6))
    threshold = flat[dropped - 1] if dropped > 0 else -1
    return {name: (np.abs(value) > threshold).astype(np.uint8) for name, value in parameters.items()}


class StartTest(ProgramTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.dense = cls.train("dense", DENSE)
        cls.untrained = cls.train("untrained", variant(DENSE, training={"epochs": 0}))

    def ticket(self, name, ranks=1, **init_from):
        init_from.setdefault("run", str(self.dense))
        return self.train(name, variant(DENSE, training={"init_from": init_from}), ranks=ranks)

    def assert_start(self, run, expected):
        found = parameters_in(run / "data.h5", "start/parameters")
        self.assertEqual(found.keys(), expected.keys())
        for name, value in expected.items():
            np.testing.assert_array_equal(found[name], value, name)

    def test_a_ticket_is_the_masked_initialisation(self):
        run = self.ticket("ticket", ranks=2, epoch=0, mask={"epoch": "last", "keep": 0.4})
        mask = magnitude_mask(parameters_in(last_checkpoint(self.dense)), 0.4)
        found = parameters_in(run / "data.h5", "start/mask")
        for name, expected in mask.items():
            np.testing.assert_array_equal(found[name], expected, name)
        initial = parameters_in(self.untrained / "checkpoints" / "epoch_0.h5")
        self.assert_start(run, {name: initial[name] * mask[name] for name in mask})
        for path in checkpoints_of(run):
            state = parameters_in(path)
            moments = [parameters_in(path, f"optimizer/{kind}") for kind in ("exp_avg", "exp_avg_sq")]
            for name in mask:
                dropped = mask[name] == 0
                for values in (state, *moments):
                    self.assertTrue(np.all(values[name][dropped] == 0), f"{path.name} {name}")
                self.assertTrue(np.all(state[name][~dropped] != 0), f"{path.name} {name}")
        self.assertGreater(sum(np.sum(value == 0) for value in mask.values()), 20)

    def test_the_first_row_is_that_of_a_hand_made_start(self):
        run = self.ticket("warm", epoch=20)
        self.assert_start(run, parameters_in(self.dense / "checkpoints" / "epoch_20.h5"))
        with h5py.File(run / "metrics.h5") as file, h5py.File(self.dense / "metrics.h5") as dense:
            self.assertEqual(file["training/train_loss"][0], dense["training/train_loss"][2])
            self.assertEqual(file["training/step"][0], 0)

    def test_gradient_descent_goes_on_as_if_it_had_not_stopped(self):
        # Plain sgd has no state beside the parameters: twenty epochs from epoch 20 are the last twenty of forty.
        whole = self.train("whole", variant(LINEAR, computational_limits={"checkpoint_epochs": [20]}), ranks=2)
        half = self.train("half", variant(LINEAR, training={"epochs": 20, "init_from": {"run": str(whole), "epoch": 20}}),
                          ranks=2)
        expected = parameters_in(last_checkpoint(whole))
        for name, value in parameters_in(last_checkpoint(half)).items():
            np.testing.assert_array_equal(value, expected[name])
        with h5py.File(half / "metrics.h5") as file:  # the closed form is that of this start, not of the initialisation
            for split in ("train", "test"):
                self.assertLess(file[f"results/final_{split}_loss_relative_error"][()], 1e-9)

    def test_what_is_said_of_the_start_is_said_of_this_one(self):
        images = variant(IMAGES, data={"dir": str(write_images(self.folder / "images"))})
        for name, content, observable, at_start in (("slingshot", SLINGSHOT, "distance_from_init", 0),
                                                    ("omnigrok", images, "weight_norm_ratio", 1)):
            before = self.train(f"{name}_before", content)
            after = self.train(f"{name}_after", variant(content, training={"init_from": {"run": str(before), "epoch": "last"}}))
            self.assertEqual(self.call("analyze", after, "--name", "again").code, 0)
            [step, found] = read_series(after, "observables/step", f"observables/{observable}")
            self.assertAlmostEqual(found[0], at_start, 12)
            self.assertGreater(abs(found[-1] - at_start), 1e-6)
            [steps, again] = read_series(after / "analysis" / "again", "observables/step", f"observables/{observable}")
            np.testing.assert_allclose(again, found[np.searchsorted(step, steps)], rtol=1e-9)

    def test_the_first_epoch_after_an_event(self):
        # In minibatches: the event falls within an epoch, and theta at its beginning has not generalised yet.
        content = variant(DENSE, training={"seed": 3, "lr": 0.02, "batch_size": 5, "log_interval": 1,
                                           "log_unit": "step"})
        scout = self.train("scout", content)
        with h5py.File(scout / "metrics.h5") as file:
            steps, accuracy = file["training/step"][()], file["training/test_acc"][()]
        records = [k for k in range(6, len(steps)) if accuracy[k] > accuracy[:k].max() and steps[k] % 5 != 0]
        content["training"]["generalised_at"] = float(accuracy[records[0]])
        early = self.train("early", content)
        with h5py.File(early / "metrics.h5") as file:
            step, epoch = int(file["events/t_gen_step"][()]), int(file["events/t_gen_epoch"][()])
        self.assertTrue(0 < epoch < 40 and step > 5 * epoch, (step, epoch))
        run = self.train("from_event", variant(content, training={"init_from": {"run": str(early), "epoch": "t_gen"}}))
        self.assert_start(run, parameters_in(early / "checkpoints" / f"epoch_{epoch + 1}.h5"))

    def test_an_event_at_the_very_start(self):
        early = self.train("at_once", variant(DENSE, training={"generalised_at": 0.0}))
        run = self.ticket("from_the_start", run=str(early), epoch="t_gen")
        self.assert_start(run, parameters_in(self.untrained / "checkpoints" / "epoch_0.h5"))

    def test_a_random_mask_keeps_as_many_in_each_parameter(self):
        run = self.ticket("random", epoch=0, mask={"keep": 0.4, "kind": "random", "scope": "parameter"})
        expected = magnitude_mask(parameters_in(last_checkpoint(self.dense)), 0.4)
        found = parameters_in(run / "data.h5", "start/mask")
        self.assertEqual({k: v.sum() for k, v in found.items()}, {k: v.sum() for k, v in expected.items()})
        self.assertTrue(any(np.any(found[name] != expected[name]) for name in found))

    def test_a_scaled_start_has_the_norm_of_the_ticket(self):
        run = self.ticket("scaled", epoch=0, mask={"keep": 0.4, "match_norm": "l2"})
        mask = parameters_in(run / "data.h5", "start/matched_mask")
        initial = parameters_in(self.untrained / "checkpoints" / "epoch_0.h5")
        start = parameters_in(run / "data.h5", "start/parameters")
        norm = lambda values: np.sqrt(sum(np.sum(v ** 2) for v in values))
        self.assertAlmostEqual(norm(start.values()), norm(initial[name] * mask[name] for name in mask), places=12)
        final = parameters_in(last_checkpoint(run))
        self.assertTrue(all(np.all(value != 0) for value in final.values()), "a scaled start is not masked")

    def test_resume_does_not_need_the_other_run(self):
        source = self.train("source", DENSE)
        start = {"run": str(source), "epoch": 0, "mask": {"keep": 0.4}}
        whole = self.train("resume_whole", variant(DENSE, training={"init_from": start}))
        config = self.write_config("resume_stopped", variant(DENSE, training={"init_from": start}))
        self.assertEqual(self.call("run", config, "--max-time", "0.001").code, 75)
        shutil.rmtree(source)
        self.assertEqual(self.call("run", config).code, 0)
        self.assert_same_runs(whole, self.folder / "resume_stopped")
        self.assertEqual(contents(whole / "data.h5"), contents(self.folder / "resume_stopped" / "data.h5"))

    def test_starts_that_cannot_be(self):
        unfinished = self.write_config("unfinished", DENSE)
        self.assertEqual(self.call("run", unfinished, "--max-time", "0.001").code, 75)
        wide = self.train("wide", variant(DENSE, model={"width": 8}))
        for name, start, text in (
                ("lost", {"run": "nowhere/at_all"}, "nowhere/at_all is not a run directory"),
                ("no_epoch", {"run": str(self.dense), "epoch": 7}, "it has those of epochs 10, 20, 40"),
                ("no_event", {"run": str(self.dense), "epoch": "t_gen"}, "has not generalised"),
                ("not_ended", {"run": str(self.folder / "unfinished")}, "has not ended"),
                ("other_model", {"run": str(wide)}, "U_1 is 7 x 8 there and 7 x 6 here"),
                ("outside", {"run": "member:dense"}, "only a study has members"),
                ("no_parameter", {"run": str(self.dense), "mask": {"parameters": ["U_9"]}}, "no parameter 'U_9'"),
                ("typing", {"run": str(self.dense), "mask": {"kep": 0.3}}, "did you mean training.init_from.mask.keep?")):
            config = self.write_config(name, variant(DENSE, training={"init_from": start}))
            for ranks in (1, 2):
                with self.subTest(name, ranks=ranks):
                    finished = self.call("run", config, "--verbosity", "quiet", ranks=ranks)
                    self.assertEqual(finished.code, 2, finished.err)
                    self.assertIn(text, finished.err)
                    self.assertEqual(finished.err.count("grokscope: "), 1, finished.err)

    def test_an_ended_run_is_done(self):
        self.assertEqual(status_of(self.dense)["state"], "done")


if __name__ == "__main__":
    tiny_run.main()

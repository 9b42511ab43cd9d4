"""Are observables with a schedule and a memory of their own measured when they should be, and do they survive a stop?

Paper 06 has costly ones, and compares with an early state of the model; paper 10 compares with its previous observation.
"""
import h5py
import numpy as np

import tiny_run
from resume_test import StoppedRun
from tiny_run import ProgramTest, read_series, variant, write_images

STEPS = [0, 3, 10, 17, 24, 40]
ATTACKED = {
    "experiment": {"name": "06_humayun_deep"},
    "data": {"n_train": 40, "n_test": 60},
    "model": {"hidden": [12, 10]},
    "training": {"steps": 50, "batch_size": 10, "optimizer": "adamw", "lr": 0.003, "dtype": "float64", "log_interval": 10,
                 "log_unit": "step"},
    "observables": {"schedule": {"kind": "list", "unit": "step", "at": STEPS},
                    "robustness": {"images": 60, "strong_images": 60, "long_pgd_steps": 20, "margin_steps": 10,
                                   "transfer_from_step": 12},
                    "local_complexity": {"points": 30, "radii": [0.05, 0.5]}},
    "gop_tracking": {"frequency": 5, "top_k_eigen": 4},
    "computational_limits": {"checkpoint_frequency": 2},
}
TICKETS = {
    "experiment": {"name": "10_minegishi_tickets"},
    "data": {"p": 7},
    "model": {"d_model": 9, "d_mlp": 6},
    "training": {"epochs": 400, "optimizer": "adamw", "lr": 0.01, "weight_decay": 1, "betas": [0.9, 0.98],
                 "loss_dtype": "float64", "log_interval": 5, "memorised_at": 0.9},
    "observables": {"schedule": {"kind": "every", "every": 30}},
    "gop_tracking": {"frequency": 100, "top_k_eigen": 4},
    "computational_limits": {"checkpoint_frequency": 40},
}


def attacked(cls):
    return variant(ATTACKED, data={"dir": str(write_images(cls.folder / "images"))})


def observables_of(run):
    """{name: series} of /observables, axes left out."""
    with h5py.File(run / "metrics.h5", "r") as file:
        return {name: values[:] for name, values in file["observables"].items() if name not in ("epoch", "step")}


class ScheduleTest(ProgramTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_ = cls.train("attacked", attacked(cls))

    def test_observations_are_those_of_the_schedule_and_the_last(self):
        step, epoch, evaluated = read_series(self.run_, "observables/step", "observables/epoch", "training/step")
        self.assertEqual(list(step), [*STEPS, 50])
        self.assertEqual(list(epoch), [s // 4 for s in step])
        self.assertEqual(list(evaluated), sorted({*range(0, 51, 10), *STEPS, 50}))

    def test_series_are_complete_once_they_can_be(self):
        series = observables_of(self.run_)
        self.assertEqual(len(series), 2 + 6 + 4 + 4 + 6)
        for name, values in series.items():
            begin = 4 if name.startswith("transfer") else 0  # the model of step 17 is the first early one
            self.assertTrue(np.isfinite(values[begin:]).all() and np.isnan(values[:begin]).all(), name)
        for radius in ("0.03", "0.06", "0.1", "0.2"):
            self.assertTrue((series[f"worst_case_accuracy_{radius}"] <= series["attacked_clean_accuracy"]).all())

    def test_results_are_made_of_observables(self):
        complexity, = read_series(self.run_, "observables/local_complexity_test_0.5")
        end, = read_series(self.run_, "results/local_complexity_test_0.5_end")
        self.assertEqual(end, complexity[-1])

    def test_observing_changes_nothing(self):
        rarely = {"schedule": {"kind": "list", "unit": "step", "at": [0]}}
        other = self.train("rarely", variant(attacked(self), observables=rarely))
        (a_step, a), (b_step, b) = (read_series(run, "training/step", "training/train_loss") for run in (self.run_, other))
        self.assertEqual(a[np.isin(a_step, b_step)].tobytes(), b.tobytes())

    def test_the_number_of_ranks_does_not_matter(self):
        reference = observables_of(self.run_)
        for ranks in (2, 3):
            found = observables_of(self.train(f"on_{ranks}", attacked(self), ranks=ranks))
            for name, values in reference.items():
                self.assertEqual(values[0].tobytes(), found[name][0].tobytes(), f"{name} on {ranks} ranks, the same weights")
                np.testing.assert_allclose(found[name], values, rtol=1e-6, atol=0.04, err_msg=name)

    def test_an_adaptive_schedule_is_refused(self):
        config = self.write_config("adaptive", variant(attacked(self), observables={"schedule": {"kind": "adaptive"}}))
        finished = self.call("run", config)
        self.assertEqual(finished.code, 2)
        self.assertIn("observables.schedule.kind: adaptive", finished.err)


class ResumeTest(StoppedRun):
    def check(self, name, content, ranks, stops):
        reference = self.train(f"{name}_whole", content, ranks=ranks)
        config = self.write_config(f"{name}_stopped", content)
        for _ in range(stops):
            self.stop_by_user_signal(config, ranks, more_rows=2)
        self.finish(config, ranks)
        self.assert_as_uninterrupted(reference, config)
        return reference

    def test_the_early_model_survives(self):
        self.check("attacked", attacked(self), 2, 3)

    def test_the_previous_mask_survives(self):
        run = self.check("tickets", TICKETS, 1, 3)
        distance, = read_series(run, "observables/mask_distance")
        self.assertTrue(np.isnan(distance[0]) and (distance[1:] > 0).any() and (distance[1:] < 1).all())


if __name__ == "__main__":
    tiny_run.main()

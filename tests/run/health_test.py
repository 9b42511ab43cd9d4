"""Does a run that cannot go on stop while it still can, and say why?

A rank that falls silent (it is frozen), memory and disk that come to their end (limits that no machine meets), and what a
resumed run says of settings and places that have changed.
"""
import os
import signal
import time

import h5py
import tiny_run
from tiny_run import LINEAR, ProgramTest, children_of, rows_of, send_if_alive, status_of, variant, wait_for_rows

ENVIRONMENT = 3
LONG = variant(LINEAR, training={"epochs": 100000}, gop_tracking={"frequency": 10000},
               computational_limits={"checkpoint_frequency": 20})


class SilenceTest(ProgramTest):
    def freeze_a_rank(self, which):
        """Returns (host's words, run directory) of a run on two ranks of which one is frozen in its middle."""
        config = self.write_config(f"silent_{which}", variant(LONG, computational_limits={"max_silence_s": 3}))
        run = config.with_suffix("")
        process = self.start("run", config, "--verbosity", "quiet", ranks=2)
        wait_for_rows(run, 20, process)
        os.kill(children_of(process.pid)[which], signal.SIGSTOP)
        finished = self.wait(process)
        self.assertEqual(finished.code, ENVIRONMENT, finished.err[-2000:])
        self.assertIn(f"rank {1 - which} on {os.uname().nodename} has been silent for ", finished.err)
        self.assertNotIn(f"rank {which} on ", finished.err)
        self.assertIn(" at train/", finished.err)
        status = status_of(run)
        self.assertEqual((status["state"], status["exit_code"]), ("failed", ENVIRONMENT))
        self.assertIn("max_silence_s", status["reason"])
        return config

    def test_the_root_waits_for_a_frozen_rank(self):
        self.freeze_a_rank(1)

    def test_a_rank_waits_for_a_frozen_root(self):
        config = self.freeze_a_rank(0)
        again = self.call("run", config, "training.epochs=100000", "--max-time", "0.01s", "--verbosity", "quiet", ranks=2)
        self.assertEqual(again.code, 75, again.err)  # nobody holds the directory any more

    def test_a_run_that_is_only_slow(self):
        """Frozen as a whole, for longer than the limit: a batch system may suspend jobs."""
        config = self.write_config("suspended", variant(LONG, training={"epochs": 2000}, computational_limits={"max_silence_s": 1}))
        process = self.start("run", config, "--verbosity", "quiet")
        wait_for_rows(config.with_suffix(""), 20, process)
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(2.5)
        send_if_alive(process.pid, signal.SIGCONT)
        self.assertEqual(self.wait(process).code, 0)


class ShortageTest(ProgramTest):
    def stop_for_want(self, name, ranks, *texts, **sections):
        """The run stops by itself, with a commit; without the limit the same run goes on from there."""
        config = self.write_config(name, variant(LINEAR, **sections))
        finished = self.call("run", config, "--verbosity", "quiet", ranks=ranks)
        self.assertEqual(finished.code, ENVIRONMENT, finished)
        for text in texts:
            self.assertIn(text, finished.err)
        self.assertEqual(finished.err.count("grokscope: "), 1, finished.err)
        run = config.with_suffix("")
        status = status_of(run)
        self.assertEqual((status["state"], status["exit_code"]), ("failed", ENVIRONMENT))
        self.assertLess(status["step"], status["total_steps"])
        with h5py.File(run / "metrics.h5") as file:
            committed = int(file.attrs["committed_step"])
        self.assertTrue((run / "checkpoints" / f"epoch_{committed}.h5").exists())
        return config, committed

    def go_on(self, config, ranks, override):
        again = self.call("run", config, override, ranks=ranks)
        self.assertEqual(again.code, 0, again.err)
        self.assertIn("changed since the last launch, without an effect on results: " + override.split("=")[0], again.out)
        self.assert_same_runs(self.train(f"reference_{ranks}", LINEAR, ranks=ranks), config.with_suffix(""))

    def test_memory(self):
        for ranks in (1, 2):
            config, committed = self.stop_for_want(f"memory_{ranks}", ranks, "memory left", "keep_free_memory_gb",
                                                   computational_limits={"keep_free_memory_gb": 1e6})
            self.assertEqual(committed, 0)
            self.go_on(config, ranks, "computational_limits.keep_free_memory_gb=0")

    def test_the_end_of_the_disk(self):
        config = self.write_config("disk", variant(LINEAR, computational_limits={"keep_free_disk_gb": 1e9}))
        finished = self.call("run", config, "--verbosity", "quiet")
        self.assertEqual(finished.code, ENVIRONMENT, finished)
        self.assertIn("keep_free_disk_gb", finished.err)
        self.assertEqual(list((config.with_suffix("") / "checkpoints").iterdir()), [])
        self.go_on(config, 1, "computational_limits.keep_free_disk_gb=0")

    def test_a_budget(self):
        """Enough for some commits, and not for all."""
        run = self.train("reference_2", LINEAR, ranks=2)
        taken = sum(path.stat().st_size for path in run.rglob("*") if path.is_file())
        config, committed = self.stop_for_want(
            "budget", 2, "disk_budget_gb", "keep_checkpoints", storage={"disk_budget_gb": 0.9 * taken / 1e9},
            computational_limits={"checkpoint_frequency": 10, "checkpoint_epochs": list(range(1, 40))})
        self.assertGreater(committed, 0)
        self.go_on(config, 2, "storage.disk_budget_gb=0")

    def test_a_matrix_that_is_still_to_come(self):
        """The run takes most of its bytes at its end, which no commit before has shown: the plan knows."""
        sections = {"data": {"d_in": 500}, "computational_limits": {"checkpoint_frequency": 10, "checkpoint_epochs": [10, 20, 30]}}
        storage = {"store_full_gop": True, "gop_schedule": {"kind": "list", "at": [40]}}
        run = self.train("late", variant(LINEAR, storage=storage, **sections))
        taken = sum(path.stat().st_size for path in run.rglob("*") if path.is_file())
        with h5py.File(run / "gop_full.h5") as file:
            stored = [name for name in file if name.startswith("epoch_") and "gop" in file[name]]
            self.assertEqual(stored, ["epoch_40"])
            matrix = file["epoch_40/gop"].nbytes
        _, committed = self.stop_for_want("too_late", 1, "disk_budget_gb", storage={
            **storage, "disk_budget_gb": (taken - matrix / 2) / 1e9}, **sections)
        self.assertLessEqual(committed, 10)


class ChangeTest(ProgramTest):
    def stopped(self, name, ranks=1):
        config = self.write_config(name, variant(LINEAR, training={"epochs": 400}))
        finished = self.call("run", config, "--verbosity", "quiet", "--max-time", "0.001s", ranks=ranks)
        self.assertEqual(finished.code, 75, finished.err)
        return config

    def test_another_rank_count_goes_on_to_rounding(self):
        config = self.stopped("ranks", ranks=1)
        again = self.call("run", config, ranks=2)
        self.assertEqual(again.code, 0, again.err)
        self.assertIn("resuming elsewhere, exact only to rounding from here on: ranks 1 -> 2", again.out + again.err)
        self.assertNotIn("cpu ", (again.out + again.err).partition("rounding")[2].splitlines()[0])

    def test_the_same_place_says_nothing(self):
        again = self.call("run", self.stopped("same"))
        self.assertEqual(again.code, 0, again.err)
        self.assertNotIn("exact only", again.out + again.err)
        self.assertNotIn("changed since", again.out + again.err)

    def test_a_refused_change_says_which_others_are_safe(self):
        config = self.stopped("changed")
        again = self.call("run", config, "training.lr=0.02", "storage.keep_checkpoints=3")
        self.assertEqual(again.code, 2, again.err)
        self.assertIn("training.lr 0.01 -> 0.02", again.err)
        self.assertIn("safe to go on with, but for these: storage.keep_checkpoints 0 -> 3", again.err)


class RetentionTest(ProgramTest):
    def test_checkpoints_that_stay(self):
        content = variant(LINEAR, training={"epochs": 100},
                          storage={"keep_checkpoints": 2, "keep_every": 40},
                          computational_limits={"checkpoint_epochs": [10, 20, 30, 40, 50, 60, 70, 80, 90]})
        run = self.train("named", content)
        self.assertEqual(self.epochs(run), list(range(10, 101, 10)))  # what is named is kept
        # Every epoch that another run may start from is named; here nothing but what the clock lets pass.
        config = self.write_config("clock", variant(content, computational_limits={"checkpoint_frequency": 1, "checkpoint_epochs": [30]}))
        finished = self.call("run", config, "--verbosity", "quiet")
        self.assertEqual(finished.code, 0, finished.err)
        epochs = self.epochs(config.with_suffix(""))
        self.assertEqual([e for e in epochs if e % 40 and e != 30][-1:], [100])
        self.assertIn(30, epochs)
        self.assertLessEqual(len([e for e in epochs if e % 40 and e != 30]), 2)

    @staticmethod
    def epochs(run):
        return sorted(int(path.stem.split("_")[1]) for path in (run / "checkpoints").glob("*.h5"))


if __name__ == "__main__":
    tiny_run.main()

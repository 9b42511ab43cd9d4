"""Does a run that was stopped, or killed, end as if nothing had happened?

Compares stopped and resumed runs with one that was never interrupted, dataset by dataset and bit by bit. Each run is
stopped several times, in the ways that a user, a batch system and bad luck know.
"""
import os
import shutil
import signal

import numpy as np
import tiny_run
from tiny_run import (IMAGES, LINEAR, ProgramTest, children_of, contents, read_series, rows_of, send_if_alive,
                      send_signal_in_the_middle, status_of, variant, wait_for_rows, write_images)

REQUEUE = 75
LONG = variant(LINEAR, training={"epochs": 700}, gop_tracking={"frequency": 20},
               storage={"store_full_gop": True, "store_layer_gops": True, "gop_schedule": {"every": 150}},
               computational_limits={"checkpoint_frequency": 50})
# With 40 test examples the accuracy jumps by 1/40 at a time, again and again.
ADAPTIVE = variant(LINEAR, data={"tolerance": 0.1, "n_test": 40},
                   training={"epochs": 300, "lr": 0.002, "log_interval": 1, "batch_size": 10},
                   gop_tracking={"schedule": {"kind": "adaptive", "base": 100, "dense": 4, "threshold": 0.01,
                                              "lookback": 5}},
                   computational_limits={"checkpoint_frequency": 50})


class StoppedRun(ProgramTest):
    """Stops a run that is somewhere in its middle."""

    def begin(self, config, ranks, more_rows=20):
        """Starts or resumes the run, and returns when it has written some rows."""
        run = config.with_suffix("")
        process = self.start("run", config, "--verbosity", "quiet", ranks=ranks)
        wait_for_rows(run, rows_of(run) + more_rows, process)
        return process

    def stop_by_user_signal(self, config, ranks, more_rows=20):
        """mpirun passes SIGUSR1 on to all ranks."""
        process = self.begin(config, ranks, more_rows)
        send_signal_in_the_middle(process, ranks, signal.SIGUSR1)
        finished = self.wait(process)
        self.assertEqual(finished.code, REQUEUE, finished.err[-2000:])
        self.assert_checkpointed(config)

    def signal_ranks(self, config, ranks, number):
        """SIGTERM is what a batch system sends when the time is over, SIGINT what Ctrl-C sends."""
        process = self.begin(config, ranks)
        for pid in children_of(process.pid) if ranks > 1 else [process.pid]:
            os.kill(pid, number)
        finished = self.wait(process)
        self.assertEqual(finished.code, REQUEUE, finished.err[-2000:])
        self.assert_checkpointed(config)

    def signal_launcher(self, config, ranks, number):
        """mpirun answers SIGTERM, and Ctrl-C, by SIGTERM to the ranks and kills a second later, so that ranks on a busy
        machine may not be ready."""
        process = self.begin(config, ranks)
        send_signal_in_the_middle(process, ranks, number, as_number=signal.SIGTERM)
        self.assertNotEqual(self.wait(process).code, 0)
        self.assertIn(status_of(config.with_suffix(""))["state"], ("checkpointed", "running"))

    def stop_by_time(self, config, ranks, limit):
        finished = self.call("run", config, "--verbosity", "quiet", "--max-time", limit, ranks=ranks)
        self.assertEqual(finished.code, REQUEUE, finished.err[-2000:])
        self.assert_checkpointed(config)
        self.assertIn("--max-time", status_of(config.with_suffix(""))["reason"])

    def kill_one_rank(self, config, ranks):
        process = self.begin(config, ranks)
        os.kill(children_of(process.pid)[-1] if ranks > 1 else process.pid, signal.SIGKILL)
        self.assertNotIn(self.wait(process).code, (0, REQUEUE))
        self.assertEqual(status_of(config.with_suffix(""))["state"], "running")

    def assert_checkpointed(self, config):
        status = status_of(config.with_suffix(""))
        self.assertEqual((status["state"], status["exit_code"]), ("checkpointed", REQUEUE), status)
        self.assertLess(status["step"], status["total_steps"], "stopped at the end, not before it")

    def finish(self, config, ranks):
        finished = self.call("run", config, "--verbosity", "quiet", ranks=ranks)
        self.assertEqual(finished.code, 0, finished.err[-2000:])
        self.assertEqual(status_of(config.with_suffix(""))["state"], "done")

    def assert_same_csv(self, first, second):
        """metrics.csv holds the rows of an uninterrupted run: none twice, none missing."""
        self.assertEqual((first / "metrics.csv").read_text(), (second / "metrics.csv").read_text())

    def assert_as_uninterrupted(self, reference, config):
        run = config.with_suffix("")
        self.assert_same_runs(reference, run)
        self.assert_same_csv(reference, run)
        for name in {path.name for path in (reference / "checkpoints").iterdir()} - {"epoch_0.h5"}:
            if (run / "checkpoints" / name).exists():
                a, b = (parameters(folder / "checkpoints" / name) for folder in (reference, run))
                self.assertEqual(a, b, name)


def parameters(checkpoint):
    return {path: value for path, value in contents(checkpoint).items()
            if path.startswith(("/parameters", "/optimizer", "/rng", "/probes"))}


class EveryWayTest(StoppedRun):
    def check_chain(self, ranks):
        reference = self.train(f"whole_{ranks}", LONG, ranks=ranks)
        config = self.write_config(f"stopped_{ranks}", LONG)
        self.stop_by_time(config, ranks, "0.001s")
        self.stop_by_user_signal(config, ranks)
        # A third rank adds nothing to how signals travel: two will do, and each launch takes seconds.
        for number in (signal.SIGTERM, signal.SIGINT) if ranks < 3 else ():
            self.signal_ranks(config, ranks, number)
            if ranks > 1:
                self.signal_launcher(config, ranks, number)
        self.kill_one_rank(config, ranks)
        self.finish(config, ranks)
        self.assert_as_uninterrupted(reference, config)

    def check_second_signal(self, ranks):
        """Both signals wait while the ranks are frozen: the second arrives before the end of any step. The run is so long that
        even on a busy machine it does not end before they are sent."""
        content = variant(LONG, training={"epochs": 1200})
        reference = self.train(f"patient_{ranks}", content, ranks=ranks)
        config = self.write_config(f"impatient_{ranks}", content)
        process = self.begin(config, ranks)
        processes = children_of(process.pid) if ranks > 1 else [process.pid]
        for number in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGCONT):
            for pid in processes:
                send_if_alive(pid, number)
        self.assertEqual(self.wait(process).code, REQUEUE)
        self.assertEqual(status_of(config.with_suffix(""))["state"], "running", "it has committed before it left")
        self.finish(config, ranks)
        self.assert_as_uninterrupted(reference, config)

    def test_a_second_signal_ends_one_rank_at_once(self):
        self.check_second_signal(1)

    def test_a_second_signal_ends_two_ranks_at_once(self):
        self.check_second_signal(2)

    def test_one_rank(self):
        self.check_chain(1)

    def test_two_ranks(self):
        self.check_chain(2)

    def test_three_ranks(self):
        self.check_chain(3)


class AfterwardsTest(StoppedRun):
    def test_a_run_that_was_killed_between_the_event_that_ends_it_and_its_end(self):
        # The moment that meets stop_when is committed by itself (the epoch of checkpoint_epochs), the end follows a step later.
        content = variant(LINEAR, training={"epochs": 400, "stop_when": {"metric": "train_loss", "below": 0.05}})
        end = status_of(self.train("scout", content))["epoch"]
        content = variant(content, computational_limits={"checkpoint_epochs": [end - 1], "checkpoint_frequency": 1000})
        whole = self.train("ended", content)
        killed = self.train("killed_at_the_event", content)
        (killed / "checkpoints" / f"epoch_{end}.h5").unlink()
        self.assertTrue((killed / "checkpoints" / f"epoch_{end - 1}.h5").exists())
        self.finish(killed.with_suffix(".yaml"), 1)
        self.assertEqual(status_of(killed)["epoch"], end)
        self.assert_as_uninterrupted(whole, killed.with_suffix(".yaml"))

    def test_a_finished_run_stays_done_whatever_comes(self):
        content = variant(IMAGES, data={"dir": str(write_images(self.folder / "gone"))})
        run = self.train("stays", content)
        before = (run / "STATUS").read_text()
        again = self.call("run", self.folder / "stays.yaml", "--max-time", "0.001")
        self.assertEqual(again.code, 0, "what is complete needs no time: " + again.err)
        self.assertEqual((run / "STATUS").read_text(), before)
        shutil.rmtree(self.folder / "gone")
        self.assertEqual(self.call("run", self.folder / "stays.yaml").code, 3)
        self.assertEqual((run / "STATUS").read_text(), before)

    def test_a_claim_on_what_is_no_number(self):
        for ranks in (1, 2):
            claims = [{"quantity": "parameters/name", "is": "above", "value": 0}, {"quantity": "layers/linear", "is": "never"}]
            finished = self.call("run", self.write_config(f"words_{ranks}", dict(LINEAR, expected=claims)), ranks=ranks)
            self.assertEqual(finished.code, 0, finished.err)
            self.assertEqual(finished.out.count("no such dataset of numbers"), 2, finished.out[-2000:])

    def test_a_finished_run_says_so_and_fresh_begins_again(self):
        run = self.train("finished", LINEAR)
        config = self.folder / "finished.yaml"
        before = {view: contents(run / view) for view in tiny_run.VIEWS}
        again = self.call("run", config)
        self.assertEqual(again.code, 0, again.err)
        self.assertIn("complete", again.out)
        self.assertNotIn("epoch       0", again.out)
        self.assertEqual(before, {view: contents(run / view) for view in tiny_run.VIEWS})
        self.assertEqual(rows_of(run), 41)
        (run / "notes.txt").write_text("mine")
        fresh = self.call("run", config, "--fresh")
        self.assertEqual(fresh.code, 0, fresh.err)
        self.assertIn("epoch       0", fresh.out)
        self.assertEqual(before, {view: contents(run / view) for view in tiny_run.VIEWS})
        self.assertEqual(rows_of(run), 41)
        self.assertEqual((run / "notes.txt").read_text(), "mine")

    def test_fresh_replaces_another_configuration(self):
        run = self.train("replaced", LINEAR)
        config = self.folder / "replaced.yaml"
        other = self.call("run", config, "training.lr=0.02", "--verbosity", "quiet", "--fresh")
        self.assertEqual(other.code, 0, other.err)
        reference = self.train("other", variant(LINEAR, training={"lr": 0.02}))
        self.assert_same_runs(reference, run)


class MinibatchTest(StoppedRun):
    def check_mid_epoch(self, name, content, ranks):
        reference = self.train(f"{name}_whole", content, ranks=ranks)
        config = self.write_config(f"{name}_stopped", content)
        within_epoch = 0
        for _ in range(2):
            self.stop_by_user_signal(config, ranks, more_rows=2)
            newest = max((config.with_suffix("") / "checkpoints").iterdir(), key=lambda path: path.stat().st_mtime_ns)
            within_epoch += "_step_" in newest.name
        self.assertGreater(within_epoch, 0, "no stop fell into an epoch")
        self.finish(config, ranks)
        self.assert_as_uninterrupted(reference, config)

    def test_linear_model(self):
        content = variant(LINEAR, training={"epochs": 60, "batch_size": 1, "optimizer": "adam", "lr": 1e-3})
        self.check_mid_epoch("linear", content, 2)

    def test_images(self):
        folder = write_images(self.folder / "images")
        content = variant(tiny_run.IMAGES, data={"dir": str(folder)}, training={"epochs": 40, "batch_size": 3})
        self.check_mid_epoch("images", content, 1)


class CommitsByTheClockTest(StoppedRun):
    """Where looks take long, epochs are no measure of what a crash may cost."""

    def test_a_killed_run_goes_on_within_its_epoch(self):
        content = variant(LINEAR, training={"epochs": 300, "batch_size": 4, "log_interval": 1, "log_unit": "step"},
                          gop_tracking={"frequency": 50}, computational_limits={"checkpoint_frequency": 1000, "checkpoint_after_s": 0})
        reference = self.train("clock_whole", content)
        names = sorted(path.name for path in (reference / "checkpoints").iterdir())
        self.assertEqual(names, ["epoch_300.h5"], "nothing but the end was to be committed")
        config = self.write_config("clock_killed", variant(content, computational_limits={"checkpoint_after_s": 0.01}))
        for _ in range(3):
            self.kill_one_rank(config, 1)
        names = [path.name for path in (config.with_suffix("") / "checkpoints").iterdir()]
        self.assertTrue(any("_step_" in name for name in names), names)
        self.assertGreater(status_of(config.with_suffix(""))["step"], 0)
        self.finish(config, 1)
        self.assert_as_uninterrupted(reference, config)


class ObservedTest(StoppedRun):
    """Observables that look back, and results that are made of whole series."""

    def check(self, name, content, ranks):
        reference = self.train(f"{name}_whole", content, ranks=ranks)
        config = self.write_config(f"{name}_stopped", content)
        for _ in range(2):
            self.stop_by_user_signal(config, ranks)
        self.finish(config, ranks)
        self.assert_as_uninterrupted(reference, config)
        return reference

    def test_what_the_last_step_did(self):
        longer = variant(tiny_run.SLINGSHOT, training={"epochs": 600}, probes={"slingshot": {"every": 3}},
                         computational_limits={"checkpoint_frequency": 50})
        run = self.check("slingshot", longer, 2)
        curvature, = read_series(run, "observables/curvature_along_update")
        self.assertEqual([i for i, c in enumerate(curvature) if not np.isnan(c)], list(range(3, 601, 3)))

    def test_embeddings(self):
        longer = variant(tiny_run.EMBEDDINGS, training={"epochs": 600, "lr": 0.03, "weight_decay": 0},
                         computational_limits={"checkpoint_frequency": 50})
        run = self.check("embeddings", longer, 1)
        quality, accuracy = read_series(run, "observables/rqi", "training/train_acc")
        final, reached = read_series(run, "results/rqi_final", "results/train_90_step")
        self.assertEqual(final, quality[-1])
        self.assertTrue(accuracy.max() >= 0.9, "nothing to find")
        self.assertEqual(reached, np.argmax(accuracy >= 0.9))


class AdaptiveTest(StoppedRun):
    def test_what_was_remembered_survives(self):
        reference = self.train("adaptive_whole", ADAPTIVE)
        epoch, = read_series(reference, "epoch")
        jump = [e for e in epoch if e % 100 != 0]
        self.assertGreater(len(jump), 10, "the schedule never noticed anything")
        self.assertTrue(any(e % 4 != 0 for e in jump), "nothing was measured in hindsight")
        config = self.write_config("adaptive_stopped", ADAPTIVE)
        for _ in range(3):
            self.stop_by_user_signal(config, 1, more_rows=15)
        self.finish(config, 1)
        self.assert_as_uninterrupted(reference, config)


if __name__ == "__main__":
    tiny_run.main()

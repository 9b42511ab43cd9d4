"""Does a run with dense matrices survive its disk, a stop, and the death of a rank?

On file systems of a limited size, mounted for the test: a disk that is full before a matrix, or in the middle of one of its
panels; a rank killed while panels are written; a file and a whole file system that have become read-only. The error is clear,
earlier epochs stay whole, and the same command ends with the files of an undisturbed run, bit by bit, without forming again
what had reached the disk. Needs root, to mount: elsewhere tests/io/faults_test.py, with a disk that fails by pretence, is all.
"""
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import h5py
import numpy as np
import tiny_run
from tiny_run import POLYNOMIALS, ProgramTest, children_of, send_if_alive, status_of, variant

ENVIRONMENT, REQUEUE = 3, 75
P = 3360
MATRIX_MB = P * P * 8 / 1e6  # 90 MB: above 64 MB, so that it has a file of its own
DISTURBED = 20  # the second of three epochs with a matrix
MATRIX = f"gop_full.epoch_{DISTURBED}.gop.h5"
TAKEN_UP = (f"resuming at epoch {DISTURBED} ", "taking up ")  # and not trained for again
DENSE = variant(POLYNOMIALS, model={"width": P // 21},
                storage={"store_full_gop": True, "store_layer_gops": False, "gop_schedule": {"every": 20}, "panel_memory_gb": 0.0005},
                gop_tracking={"frequency": 20},
                computational_limits={"checkpoint_frequency": 10, "keep_free_disk_gb": 0})


def mount(*arguments):
    return subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True, check=False)


def can_mount():
    with tempfile.TemporaryDirectory() as folder:
        is_mounted = mount("-t", "tmpfs", "tmpfs", folder).returncode == 0
        if is_mounted:
            subprocess.run(["umount", folder], check=True)
    return is_mounted


def journal_length(run, rank):
    """How many lines the list of finished panels of the unfinished matrix has."""
    try:
        return (run / ".work" / f"{MATRIX}.journal.{rank}").read_text().count("\n")
    except FileNotFoundError:
        return 0


def remount(disk, option):
    """As soon as the killed ranks have let go of their files."""
    for _ in range(100):
        if mount("-o", f"remount,{option}", disk).returncode == 0:
            return True
        time.sleep(0.1)
    return False


@unittest.skipUnless(can_mount(), "only root may mount the small file systems that this test fills")
class DenseFaultsTest(ProgramTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.references = {}

    def setUp(self):
        self.disks = 0

    def mounted(self, *arguments):
        """A file system of its own for the run, in place of any before."""
        self.disks += 1
        self.disk = self.folder / f"{self._testMethodName}_{self.disks}"
        self.disk.mkdir()
        self.filler = self.disk / "filler"
        made = mount(*arguments, self.disk)
        self.assertEqual(made.returncode, 0, made.stderr)
        self.addCleanup(subprocess.run, ["umount", "--lazy", self.disk], check=False)

    def without_fallocate(self, megabytes):
        """A real file system that cannot claim space ahead, so that it is full in the middle of a panel."""
        image = self.folder / f"{self._testMethodName}_{self.disks}.ext2"
        with open(image, "wb") as file:
            file.truncate(megabytes << 20)
        subprocess.run(["mkfs.ext2", "-q", "-m", "0", image], check=True)
        self.mounted("-t", "ext2", "-o", "loop", image)

    def fill(self):
        with open(self.filler, "wb", buffering=0) as file:
            while True:
                try:
                    file.write(bytes(1 << 16))
                except OSError:
                    return

    def reference(self, ranks, compression="none"):
        """The undisturbed run."""
        name = f"reference_{ranks}_{compression}"
        if name not in self.references:
            self.references[name] = self.train(name, variant(DENSE, storage={"compression": compression}), ranks=ranks)
        return self.references[name]

    def config(self, **storage):
        run = self.disk / "run"
        return self.write_config(self._testMethodName, variant(DENSE, storage={"output_dir": str(run), **storage})), run

    def launch(self, config, ranks=2, **how):
        return self.call("run", config, ranks=ranks, **how)

    def assert_refused(self, finished, *words):
        self.assertEqual(finished.code, ENVIRONMENT, finished)
        for word in words:
            self.assertIn(word, finished.err)
        self.assertEqual(finished.err.count("grokscope: "), 1, finished.err)

    def assert_earlier_epochs_are_whole(self, run, reference, epochs):
        with h5py.File(run / "gop_full.h5") as file, h5py.File(reference / "gop_full.h5") as whole:
            for epoch in epochs:
                np.testing.assert_array_equal(file[f"epoch_{epoch}/gop"][()], whole[f"epoch_{epoch}/gop"][()])

    def assert_completes(self, config, run, ranks, reference, *words):
        finished = self.launch(config, ranks)
        self.assertEqual(finished.code, 0, finished.err)
        for word in words:
            self.assertIn(word, finished.out)
        self.assert_same_runs(reference, run)
        self.assertFalse((run / ".work").exists())

    def test_a_disk_that_is_full_before_a_matrix(self):
        self.mounted("-t", "tmpfs", "-o", f"size={int(1.5 * MATRIX_MB)}m", "tmpfs")
        config, run = self.config()
        self.assert_refused(self.launch(config), "the disk of", "are needed for what comes until the next commit")
        self.assertEqual(status_of(run)["state"], "failed")
        self.assert_earlier_epochs_are_whole(run, self.reference(2), [0])
        self.assertTrue(remount(self.disk, f"size={int(4 * MATRIX_MB)}m"))
        self.assert_completes(config, run, 2, self.reference(2))

    def disturb_while_it_writes(self, config, run, ranks, disturb):
        """Freezes all ranks once some panels of the second matrix have reached the disk, and calls disturb(their processes)."""
        process = self.start("run", config, ranks=ranks)
        deadline = time.monotonic() + tiny_run.TIME_LIMIT_S
        while process.poll() is None and time.monotonic() < deadline:
            lengths = [journal_length(run, rank) for rank in range(ranks)]
            if min(lengths) > 3:
                break
            time.sleep(0.001)
        processes = children_of(process.pid) if ranks > 1 else [process.pid]
        for pid in processes:
            send_if_alive(pid, signal.SIGSTOP)
        self.assertGreater(journal_length(run, 0), 3, "the matrix was finished too soon")
        disturb(processes)
        for pid in processes:
            send_if_alive(pid, signal.SIGCONT)
        return self.wait(process)

    def test_a_disk_that_another_fills_in_the_middle_of_a_panel(self):
        for ranks, compression in ((1, "none"), (2, "none"), (2, "gzip")):
            with self.subTest(ranks=ranks, compression=compression):
                self.without_fallocate(600)
                config, run = self.config(compression=compression)
                reference = self.reference(ranks, compression)
                failed = self.disturb_while_it_writes(config, run, ranks, lambda _: self.fill())
                self.assert_refused(failed, "No space left on device")
                self.assert_earlier_epochs_are_whole(run, reference, [0])
                self.filler.unlink()
                self.assert_completes(config, run, ranks, reference, *TAKEN_UP)

    def test_a_run_that_is_stopped_in_the_middle_of_a_matrix(self):
        def stop(processes):
            for pid in processes:
                send_if_alive(pid, signal.SIGUSR1)

        for ranks, compression in ((2, "none"), (2, "gzip")):
            with self.subTest(ranks=ranks, compression=compression):
                self.mounted("-t", "tmpfs", "-o", f"size={int(5 * MATRIX_MB)}m", "tmpfs")
                config, run = self.config(compression=compression)
                stopped = self.disturb_while_it_writes(config, run, ranks, stop)
                self.assertEqual(stopped.code, REQUEUE, stopped.err)
                self.assertEqual(status_of(run)["state"], "checkpointed")
                self.assertTrue((run / ".work").exists(), "the matrix was finished first")
                self.assert_completes(config, run, ranks, self.reference(ranks, compression), *TAKEN_UP)

    def test_space_that_was_claimed_is_ours(self):
        self.mounted("-t", "tmpfs", "-o", f"size={int(3 * MATRIX_MB)}m", "tmpfs")
        config, run = self.config()
        failed = self.disturb_while_it_writes(config, run, 2, lambda _: self.fill())
        self.assert_refused(failed)
        unfinished = run / ".work" / MATRIX
        self.assertGreater(unfinished.stat().st_size, 1e6 * MATRIX_MB, "the matrix itself met the full disk")
        self.filler.unlink()
        self.assert_completes(config, run, 2, self.reference(2))

    def test_a_rank_that_is_killed_and_a_file_that_is_read_only(self):
        for ranks in (2, 5):
            with self.subTest(ranks=ranks):
                self.without_fallocate(600)
                config, run = self.config()
                killed = self.disturb_while_it_writes(config, run, ranks, lambda pids: send_if_alive(pids[-1], signal.SIGKILL))
                self.assertNotEqual(killed.code, 0)
                self.assert_earlier_epochs_are_whole(run, self.reference(ranks), [0])
                unfinished = run / ".work" / MATRIX
                subprocess.run(["chattr", "+i", unfinished], check=True)
                self.assert_refused(self.launch(config, ranks), str(unfinished), "Operation not permitted")
                subprocess.run(["chattr", "-i", unfinished], check=True)
                self.assert_completes(config, run, ranks, self.reference(ranks), *TAKEN_UP)

    def test_a_file_system_that_is_read_only(self):
        self.mounted("-t", "tmpfs", "-o", f"size={int(5 * MATRIX_MB)}m", "tmpfs")
        config, run = self.config()
        killed = self.disturb_while_it_writes(config, run, 2, lambda pids: send_if_alive(pids[-1], signal.SIGKILL))
        self.assertNotEqual(killed.code, 0)
        self.assertTrue(remount(self.disk, "ro"))
        self.assert_refused(self.launch(config), "Read-only file system")
        self.assert_earlier_epochs_are_whole(run, self.reference(2), [0])
        self.assertTrue(remount(self.disk, "rw"))
        self.assert_completes(config, run, 2, self.reference(2), *TAKEN_UP)


if __name__ == "__main__":
    tiny_run.main()

"""Does a matrix survive what happens to disks and processes while it is written?

A disk that is full, over quota or turns read-only in the middle of a panel, and a rank that dies in the middle of a write:
the error is clear, what was written before stays whole, and the same call completes the matrix without forming again what
had reached the disk. And, for every system call of each of two ranks in turn, one that fails. On both of Open MPI's I/O
components, with ranks that have nothing to write. The reader is h5py.

    faults_test.py MATRIX_WRITER FAILING_CALLS.SO MPIEXEC [--every n]
"""
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

WRITER, LIBRARY, MPIEXEC = sys.argv[1:4]
EVERY = int(sys.argv[5]) if len(sys.argv) > 5 else 1
ROWS, COLS = 96, 512  # rows of 4 KiB: a panel of 8 rows is 32 KiB
PANEL_ROWS = 8
ENVIRONMENT_ERROR = 3
COMPONENTS = ("ompio", "romio321")
# What a call may meet: (error, does every later call of its kind meet it as well).
FAULTS = {"write": (("ENOSPC", True), ("EIO", False), ("short", False))}
OTHER_FAULTS = (("ENOSPC", True), ("EIO", False))


class Finished(NamedTuple):
    code: int
    formed: int
    err: str


def launch(path, ranks, component="ompio", rows=ROWS, cols=COLS, gzip=0, pause_ms=150, **fault):
    """Writes the matrix, on a disk that fails as failing_calls.c says."""
    # Ranks of one node need neither networks nor daemons.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1",
                   "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_io": component, "OMPI_MCA_mpi_yield_when_idle": "1",
                   "OMPI_MCA_btl": "self,vader", "OMPI_MCA_pml": "ob1", "OMPI_MCA_plm": "isolated"}
    command = [MPIEXEC, "--oversubscribe", "--bind-to", "none", "-n", str(ranks), WRITER, str(path), str(rows), str(cols),
               str(PANEL_ROWS), str(gzip), str(pause_ms)]
    if fault:
        for name, value in {"LD_PRELOAD": LIBRARY, "FAULT_FOLDER": path.parent, **fault}.items():
            command[1:1] = ["-x", f"{name}={value}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60,
                          check=False)
    formed = [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("formed")]
    return Finished(done.returncode, formed[0] if formed else -1, done.stderr)


def full_after(size, error, rank):
    return {"FAULT_BYTES": size, "FAULT_HOW": error, "FAULT_RANK": rank}


class FaultsTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="grokscope-faults-")
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        self.earlier, self.path = self.folder / "earlier.h5", self.folder / "later.h5"

    def assert_whole(self, path, rows=ROWS, cols=COLS):
        with h5py.File(path) as file:
            expected = np.arange(rows)[:, None] + np.arange(cols)[None, :] / 4096
            np.testing.assert_array_equal(file["gop"][:], expected)

    def fails_and_completes(self, fault, ranks=2, words="", code=ENVIRONMENT_ERROR, **how):
        failed = launch(self.path, ranks, **fault, **how)
        self.assertNotEqual(failed.code, 0, "the fault did not happen")
        if code is not None:
            self.assertEqual(failed.code, code, failed.err)
        self.assertIn(words, failed.err)
        resumed = launch(self.path, ranks, **how)
        self.assertEqual(resumed.code, 0, resumed.err)
        self.assertLess(resumed.formed, ROWS, "nothing of what had reached the disk was used")
        self.assertGreater(resumed.formed, 0)
        self.assert_whole(self.path)
        again = launch(self.path, ranks, **how)
        self.assertEqual((again.code, again.formed), (0, 0), again.err)

    def test_a_disk_that_is_full_in_the_middle_of_a_panel(self):
        self.assertEqual(launch(self.earlier, 2).code, 0)
        self.fails_and_completes(full_after(3 * 32768 + 10000, "ENOSPC", 1), words="No space left on device")
        self.assertEqual(sorted(self.folder.glob("*.tmp")), [])
        self.assert_whole(self.earlier)

    def test_a_disk_that_is_full_for_the_rank_that_owns_the_metadata(self):
        for component in COMPONENTS:
            with self.subTest(component=component):
                self.fails_and_completes(full_after(3 * 32768 + 10000, "ENOSPC", 0), words="No space left on device",
                                         component=component)
                self.path.unlink()

    def test_a_quota_and_a_file_that_turns_read_only(self):
        self.fails_and_completes(full_after(2 * 32768, "EDQUOT", 1), words="Disk quota exceeded")
        self.path.unlink()
        self.fails_and_completes(full_after(2 * 32768, "EROFS", 1), words="Read-only file system")

    def test_a_rank_that_dies_in_the_middle_of_a_write(self):
        for component in COMPONENTS:
            self.fails_and_completes(full_after(3 * 32768 + 10000, "kill", 1), ranks=3, code=None, component=component)
            self.empty()

    def test_a_compressed_matrix_is_taken_up_too(self):
        for fault in (full_after(25000, "ENOSPC", 1), full_after(25000, "kill", 0)):
            self.fails_and_completes(fault, gzip=4, code=None)
            self.assertEqual(sorted(self.folder.glob("*.part.*")), [])
            self.empty()

    def calls_of(self, rank, component, report):
        launch(self.path, 2, component, rows=32, pause_ms=0, FAULT_AT=0, FAULT_RANK=rank, FAULT_REPORT=report)
        calls = [line.split(maxsplit=2)[1:] for line in report.read_text().splitlines()]
        self.empty()
        return [(line[0], line[1]) for line in calls if line[0] != "end"]

    def opens_of_ompio(self, calls):
        """The numbers of the calls by which ompio opens the matrix on a rank that is not the root, right behind ours, which has
        seen that it can be opened. One that fails all the same is not told to the root, which waits in MPI_File_open until the
        watchdog ends the run: there is nothing that we could do about it."""
        first = next(number for number, (_, path) in enumerate(calls, 1) if path == str(self.path))
        behind = next(number for number, (call, _) in enumerate(calls, 1) if number > first and call != "open")
        return range(first + 1, behind - 1)  # the last one is of the thread that syncs

    def empty(self):
        for file in self.folder.iterdir():
            file.unlink()

    def test_every_call_of_each_rank(self):
        outside = tempfile.TemporaryDirectory(prefix="grokscope-report-")
        self.addCleanup(outside.cleanup)
        faults = []
        for component in COMPONENTS:
            for rank in (0, 1):
                calls = self.calls_of(rank, component, Path(outside.name) / f"{component}{rank}")
                self.assertGreater(len(calls), 5)
                left_out = self.opens_of_ompio(calls) if (component, rank) == ("ompio", 1) else ()
                faults += [(component, rank, number, call, *fault) for number, (call, _) in enumerate(calls, 1)
                           if number not in left_out for fault in FAULTS.get(call, OTHER_FAULTS)]
        for component, rank, number, call, how, lasts in faults[::EVERY]:
            with self.subTest(component=component, rank=rank, number=number, call=call, how=how):
                fault = {"FAULT_AT": number, "FAULT_HOW": how, "FAULT_RANK": rank, **({"FAULT_LASTS": 1} if lasts else {})}
                failed = launch(self.path, 2, component, rows=32, pause_ms=0, **fault)
                self.assertIn(failed.code, (0,) if how == "short" else (0, ENVIRONMENT_ERROR), failed.err)
                if failed.code != 0:
                    self.assertEqual(failed.err.count("cannot "), 1, failed.err)
                resumed = launch(self.path, 2, component, rows=32, pause_ms=0)
                self.assertEqual(resumed.code, 0, resumed.err)
                self.assert_whole(self.path, rows=32)
            self.empty()
        print(f"{len(faults[::EVERY])} faults of {len(faults)}")

    def test_any_number_of_ranks_and_ranks_with_nothing_to_write(self):
        for ranks, rows, cols in ((1, 1, 1), (2, 1, 3), (3, 96, 512), (5, 3, 700)):
            for component in COMPONENTS:
                for gzip in (0, 1):
                    with self.subTest(ranks=ranks, rows=rows, cols=cols, component=component, gzip=gzip):
                        path = self.folder / f"{ranks}-{component}-{gzip}.h5"
                        finished = launch(path, ranks, component, rows, cols, gzip)
                        self.assertEqual((finished.code, finished.formed), (0, rows), finished.err)
                        self.assert_whole(path, rows, cols)

    def test_thirty_one_ranks(self):
        for component in COMPONENTS:
            path = self.folder / f"{component}.h5"
            finished = launch(path, 31, component, 40, 64)
            self.assertEqual((finished.code, finished.formed), (0, 40), finished.err)
            self.assert_whole(path, 40, 64)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)

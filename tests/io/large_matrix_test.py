"""Is a matrix whole at its far end when 32 bits count neither its bytes nor those of one panel?

4.5 GB of float64: beyond 2^32 bytes, in panels of more than 2^31 on one rank, and of more than one write of MPI-IO on two. The
reader is h5py, and looks at the rows on both sides of every power of two from 2^30 on.

    large_matrix_test.py MATRIX_WRITER MPIEXEC
"""
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import h5py
import numpy as np

WRITER, MPIEXEC = sys.argv[1:3]
COLS = 8192  # rows of 64 KiB
ROWS = 68_000


class LargeMatrixTest(unittest.TestCase):
    def write(self, ranks, panel_rows):
        scratch = tempfile.TemporaryDirectory(prefix="grokscope-large-")
        self.addCleanup(scratch.cleanup)
        path = Path(scratch.name) / "large.h5"
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        done = subprocess.run([MPIEXEC, "--oversubscribe", "--bind-to", "none", "-n", str(ranks), WRITER, str(path), str(ROWS),
                               str(COLS), str(panel_rows), "0", "0"],
                              env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, f"formed {ROWS}\n"), done.stderr)
        return path

    def assert_far_rows(self, path):
        self.assertGreater(path.stat().st_size, 1 << 32)
        with h5py.File(path) as file:
            matrix = file["gop"]
            self.assertEqual(matrix.shape, (ROWS, COLS))
            for edge in (0, *(2**power // (8 * COLS) for power in (30, 31, 32)), ROWS // 2, ROWS - 1):
                for row in {max(0, edge - 1), edge, min(ROWS - 1, edge + 1)}:
                    np.testing.assert_array_equal(matrix[row], row + np.arange(COLS) / 4096, f"row {row}")

    def test_a_panel_beyond_31_bits(self):
        self.assertGreater(ROWS // 2 * COLS * 8, 1 << 31)
        self.assert_far_rows(self.write(1, ROWS // 2))

    def test_on_two_ranks(self):
        self.assert_far_rows(self.write(2, ROWS // 4))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)

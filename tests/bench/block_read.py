#!/usr/bin/env python3
"""How long does it take to see one 256 x 256 block of a GOP that nobody can hold?

    block_read.py PATH_OF_GROKSCOPE FOLDER [--width 45056] [--repeats 20]

dense     blocks at random places of a contiguous float32 matrix of `width` columns (8 GB, written here), none of it in memory:
          at most 50 ms
factors   blocks at random places of the GOP of paper 03 (P = 226,816), rebuilt from the factors of one epoch that
          `grokscope run` stored: at most 1 s, the opening of the file included
"""
import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tools"))

import grokscope_io  # noqa: E402, F401: it finds a Python that has the packages

import h5py  # noqa: E402
import numpy as np  # noqa: E402
from grokscope_tools.reading.gop_factors import gop_of_file  # noqa: E402

BLOCK, PANEL = 256, 512


def forget(path):
    """Drops the pages of a file from the system's memory."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def places(width, repeats):
    random = np.random.default_rng(0)
    for row, col in random.integers(0, width - BLOCK, (repeats, 2)):
        yield slice(row, row + BLOCK), slice(col, col + BLOCK)


def say(name, seconds, bound):
    seconds = np.array(seconds)
    print(f"{name:8} median {np.median(seconds) * 1e3:8.1f} ms, worst {seconds.max() * 1e3:8.1f} ms; "
          f"bound {bound * 1e3:.0f} ms, ratio {np.median(seconds) / bound:.2f}", flush=True)


def dense(folder, width, repeats):
    path = folder / "block_read.h5"
    panel = np.random.default_rng(1).standard_normal((PANEL, width), dtype=np.float32)
    with h5py.File(path, "w", libver="earliest") as file:
        gop = file.create_dataset("gop", (width, width), np.float32)
        for row in range(0, width, PANEL):
            gop[row : row + PANEL] = panel[: min(PANEL, width - row)]
    seconds = []
    for rows, cols in places(width, repeats):
        forget(path)
        began = time.monotonic()
        with h5py.File(path, "r") as file:
            block = file["gop"][rows, cols]
        seconds.append(time.monotonic() - began)
        assert block.shape == (BLOCK, BLOCK)
    path.unlink()
    say("dense", seconds, 0.05)


def factors(program, folder, repeats):
    run = folder / "factors"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run([program, "run", str(REPOSITORY / "configs/03_nanda_progress.yaml"), f"storage.output_dir={run}", "--fresh",
                    "training.epochs=1", "storage.store_full_gop=factors", "gop_tracking.spectrum=top_k",
                    "gop_tracking.layer_spectra=0", "gop_tracking.covariance_spectra=0", "--verbosity", "quiet"],
                   env=environment, stdin=subprocess.DEVNULL, check=True)
    with h5py.File(run / "gop_full.h5") as file:
        width = int(file["epoch_0"].attrs["n_parameters"])
    seconds = []
    for rows, cols in places(width, repeats):
        began = time.monotonic()
        block = gop_of_file(run / "gop_full.h5", 0, rows=rows, cols=cols)
        seconds.append(time.monotonic() - began)
        assert block.shape == (BLOCK, BLOCK)
    say("factors", seconds, 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--width", type=int, default=45056)
    parser.add_argument("--repeats", type=int, default=20)
    arguments = parser.parse_args()
    factors(os.path.abspath(arguments.program), arguments.folder, arguments.repeats)
    dense(arguments.folder, arguments.width, arguments.repeats)


if __name__ == "__main__":
    main()

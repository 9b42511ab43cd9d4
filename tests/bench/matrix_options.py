#!/usr/bin/env python3
"""What do the layouts and the compression of stored matrices cost, and what do they save?

    matrix_options.py PATH_OF_GROKSCOPE [--ranks 2] [--width 50] [--epochs 300] [--folder SCRATCH]

The whole GOP (512 examples) of the model of paper 08 at width 50, P = 14,550, before training and after it, in every layout,
compression and precision. For each: the bytes of the square matrix over those on the disk, and the bytes of the square matrix
a second of what the storing adds to a measurement (/timing of metrics.h5, less that of a run that stores nothing), so that options
compare as users see them. Forming and the sync of the file are in it. The machine must be quiet.
"""
import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py

REPOSITORY = Path(__file__).resolve().parents[2]


def run(arguments, folder, *overrides):
    """Returns the seconds of the first and of the last measurement."""
    command = ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", str(arguments.ranks), arguments.program, "run",
               str(REPOSITORY / "configs/quick/08_doshi_polynomials.yaml"), f"model.width={arguments.width}",
               f"training.epochs={arguments.epochs}", f"gop_tracking.frequency={arguments.epochs}", "gop_tracking.examples=512",
               "gop_tracking.layer_spectra=0", "gop_tracking.covariance_spectra=0", "computational_limits.max_gop_size_gb=20",
               f"storage.gop_schedule={{every: {arguments.epochs}}}", f"storage.output_dir={folder}", "--fresh", "--verbosity",
               "quiet", *overrides]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    finished = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, check=False)
    if finished.returncode != 0:
        sys.exit(f"matrix_options.py: the run ended with code {finished.returncode} (its own words are above)")
    with h5py.File(folder / "metrics.h5") as file:
        seconds = file["timing/gop_s"][:]
    return seconds[0], seconds[-1]


def stored_bytes(folder, epoch, name):
    with h5py.File(folder / "gop_full.h5") as file:
        return file[f"epoch_{epoch}/{name}"].id.get_storage_size()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="build/grokscope")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--width", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--folder", help="where the runs may be written (default: the system's temporary folder)")
    arguments = parser.parse_args()
    arguments.program = os.path.abspath(arguments.program)
    p = 3 * 97 * arguments.width
    print("| layout | compression | precision | untrained | trained |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as scratch:
        folder = Path(scratch) / "run"
        nothing = run(arguments, folder, "storage.store_full_gop=false")
        for precision, size in (("float32", 4), ("float64", 8)):
            for layout, name in (("square", "gop"), ("lower", "gop_lower")):
                for compression in ("none", "gzip"):
                    seconds = run(arguments, folder, "storage.store_full_gop=true", f"storage.layout={layout}",
                                  f"storage.compression={compression}", f"storage.float_precision={precision}")
                    cells = []
                    for epoch, took, without in zip((0, arguments.epochs), seconds, nothing):
                        ratio = p * p * size / stored_bytes(folder, epoch, name)
                        cells.append(f"{p * p * size / 1e6 / (took - without):.0f} MB/s, 1 : {ratio:.2f}")
                    print(f"| {layout} | {compression} | {precision} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()

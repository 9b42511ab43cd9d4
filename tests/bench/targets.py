#!/usr/bin/env python3
"""Does the program meet its three targets of time? Prints each as a ratio to its target; below 1 is met.

    targets.py PATH_OF_GROKSCOPE [--ranks 2] [--folder SCRATCH] [--only start|tracking|commits]

start to files   paper 09 at paper scale, from the launch to the files that the plots read: at most 60 s
tracking share   paper 03 with the full spectrum every 250 epochs and layer spectra every 2,500: of the time from the
                 measurement at epoch 0 to the end of that at epoch 2,500, one period of the schedule, the part spent on
                 measurements (/timing of metrics.h5): at most one half
commit share     paper 03, nothing tracked, 2,000 epochs: of its training time the part spent on commits (the phases in
                 log.txt): at most 1 %

Every number is from this run: the machine must be quiet. Runs into a folder of its own, which vanishes afterwards.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py

REPOSITORY = Path(__file__).resolve().parents[2]
LONGEST_S, LARGEST_SHARE, LARGEST_COMMIT_SHARE = 60, 0.5, 0.01


def run(arguments, config, folder, *overrides):
    """Runs a configuration into `folder`; returns the wall time in seconds."""
    command = ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", str(arguments.ranks), arguments.program, "run",
               str(REPOSITORY / "configs" / config), f"storage.output_dir={folder}", "--fresh", "--verbosity", "quiet",
               *overrides]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1",
                   "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    environment.pop("OPENBLAS_CORETYPE", None)
    began = time.monotonic()
    finished = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, check=False)
    if finished.returncode != 0:
        sys.exit(f"targets.py: {config} ended with code {finished.returncode} (its own words are above)")
    return time.monotonic() - began


def time_to_files(arguments, folder):
    seconds = run(arguments, "09_levi_linear.yaml", folder)
    with h5py.File(folder / "metrics.h5", "r") as metrics, h5py.File(folder / "gop_full.h5", "r") as full:
        last = metrics["epoch"][-1]
        spectra, matrices = len(metrics["epoch"]), sum("gop" in full[name] for name in full if name.startswith("epoch_"))
    print(f"start to files   {seconds:7.1f} s of {LONGEST_S} s          ratio {seconds / LONGEST_S:.2f}   "
          f"(paper 09 to epoch {last}, {spectra} spectra, {matrices} matrices)")


def tracking_share(arguments, folder):
    seconds = run(arguments, "03_nanda_progress.yaml", folder, "training.epochs=2500")
    with h5py.File(folder / "metrics.h5", "r") as metrics:
        measured, elapsed = metrics["timing/gop_s"][:], metrics["timing/elapsed_s"][:]
    measured, elapsed = measured[1:], elapsed[-1] - elapsed[0]
    share = measured.sum() / elapsed
    print(f"tracking share   {share:7.3f} of {LARGEST_SHARE}             ratio {share / LARGEST_SHARE:.2f}   "
          f"(paper 03: {len(measured)} spectra in {measured.sum():.1f} s of {elapsed:.1f} s, {seconds:.1f} s with launch and end)")


def commit_share(arguments, folder):
    run(arguments, "03_nanda_progress.yaml", folder, "training.epochs=2000", "gop_tracking.enabled=false")
    log = (folder / "log.txt").read_text()
    phases = {name: (int(calls), float(seconds)) for name, calls, seconds in
              re.findall(r"(train|commit) +(\d+) +[\d.]+ +([\d.]+) +[\d.]+% +[\d.]+x$", log, re.MULTILINE)}
    _, train = phases["train"]
    if "commit" in phases:
        commits, seconds = phases["commit"]
        share, said = seconds / train, f"{commits} commits in {seconds:.2f} s"
    else:  # log.txt has no line for a phase below a thousandth of the run
        share, said = 0.001, "commits in less than a thousandth"
    print(f"commit share     {share:7.4f} of {LARGEST_COMMIT_SHARE}            ratio {share / LARGEST_COMMIT_SHARE:.2f}   "
          f"(paper 03: {said} of {train:.1f} s)")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="build/grokscope")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--folder", help="where the runs may be written (default: the system's temporary folder)")
    parser.add_argument("--only", choices=("start", "tracking", "commits"))
    arguments = parser.parse_args()
    arguments.program = os.path.abspath(arguments.program)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as scratch:
        for name, measure in (("start", time_to_files), ("tracking", tracking_share), ("commits", commit_share)):
            if arguments.only in (None, name):
                measure(arguments, Path(scratch) / name)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""How near to the truth is the plan?

    plan_accuracy.py PATH_OF_GROKSCOPE [--folder SCRATCH] [--only quick/07]

For each case below: what `grokscope check` says of a training step, of a tracked moment and of a stored one, and what a short
run of the same configuration on as many ranks took (/timing of metrics.h5, medians). The machine must be quiet.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600}
SPARSE = ["gop_tracking.layer_spectra=0", "gop_tracking.covariance_spectra=0",  # every moment the same
          "training.log_interval=100000"]  # and nothing between them but steps
CASES = [
    ("quick/09_levi_linear.yaml", ["training.epochs=200", "gop_tracking.frequency=40"]),
    ("quick/08_doshi_polynomials.yaml", ["training.epochs=40", "gop_tracking.frequency=10"]),
    ("quick/03_nanda_progress.yaml", ["training.epochs=60", "gop_tracking.frequency=20"]),
    ("03_nanda_progress.yaml", ["training.epochs=60", "gop_tracking.frequency=20"]),
    ("quick/07_thilak_slingshot.yaml", ["training.steps=200", "gop_tracking.frequency=50"]),
]


def seconds(text):
    return sum(float(value) * UNITS[unit] for value, unit in re.findall(r"([\d.]+) (us|ms|min|s|h)\b", text))


def predicted(program, config, overrides, ranks):
    text = subprocess.run([program, "check", config, *overrides, "--ranks", str(ranks)], capture_output=True, text=True,
                          check=True).stdout
    find = lambda label: seconds(re.search(rf"  {label}\s+(?:about )?([^(\n]*)", text).group(1))  # noqa: E731
    return find("a training step"), find("a tracked moment")


def measured(program, config, overrides, ranks, folder):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run(["mpirun", "--oversubscribe", "--bind-to", "none", "-n", str(ranks), program, "run", config, *overrides,
                    f"storage.output_dir={folder}", "--fresh", "--verbosity", "quiet"], env=environment,
                   stdin=subprocess.DEVNULL, check=True)
    with h5py.File(Path(folder) / "metrics.h5") as file:
        moment, elapsed, step = file["timing/gop_s"][:], file["timing/elapsed_s"][:], file["timing/step"][:]
    between = (np.diff(elapsed) - moment[1:]) / np.maximum(1, np.diff(step))
    return np.median(between), np.median(moment[1:])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--folder")
    parser.add_argument("--only", default="", help="cases whose path has this in it")
    arguments = parser.parse_args()
    program = os.path.abspath(arguments.program)
    print(f"{'configuration':34} {'ranks':>5} | {'step: plan':>11} {'run':>9} {'ratio':>6} | {'moment: plan':>12} {'run':>9} {'ratio':>6}")
    for config, overrides in (case for case in CASES if arguments.only in case[0]):
        for ranks in (1, 2):
            path, changes = str(REPOSITORY / "configs" / config), overrides + SPARSE
            with tempfile.TemporaryDirectory(dir=arguments.folder) as scratch:
                plan = predicted(program, path, changes, ranks)
                run = measured(program, path, changes, ranks, Path(scratch) / "run")
            print(f"{config:34} {ranks:>5} | {plan[0]:>9.4f} s {run[0]:>7.4f} s {plan[0] / run[0]:>6.2f} | "
                  f"{plan[1]:>10.4f} s {run[1]:>7.4f} s {plan[1] / run[1]:>6.2f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Kills a run at random moments and checks each time that every published file shows a committed state.

At the end the run is finished and must equal one that was never interrupted. A second process in the same
directory must be refused while the first lives.
"""
import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import check_run

EPOCHS = 60


def start(executable, directory):
    command = [executable, directory, str(EPOCHS)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_lock(process, directory):
    """Waits until the run has begun its work: starting MPI takes as long as all the rest."""
    lock = os.path.join(directory, ".lock")
    while True:
        if os.path.exists(lock):
            with open(lock, encoding="utf-8") as file:
                if f"process {process.pid} " in file.read():
                    return
        check_run.require(process.poll() is None, "the run ended before it took the lock")
        time.sleep(0.002)


def finish(executable, directory):
    """Runs to the end and returns the seconds of work."""
    process = start(executable, directory)
    wait_for_lock(process, directory)
    began = time.monotonic()
    _, errors = process.communicate(timeout=200)
    check_run.require(process.returncode == 0, f"exit code {process.returncode}: {errors}")
    return time.monotonic() - began


def check_lock(executable, directory):
    """Starts a second run while the first, stopped, holds the lock."""
    first = start(executable, directory)
    wait_for_lock(first, directory)
    first.send_signal(signal.SIGSTOP)
    second = start(executable, directory)
    _, errors = second.communicate(timeout=100)
    first.kill()
    first.communicate()
    check_run.require(second.returncode == 2, f"the second run was not refused: {second.returncode} {errors}")
    check_run.require(f"process {first.pid} on " in errors, f"the refusal does not name the holder: {errors}")


def kill_once(executable, directory, delay):
    """Returns what check_whole returns, None while the views are not all there; and whether the kill hit."""
    process = start(executable, directory)
    wait_for_lock(process, directory)
    time.sleep(delay)
    hit = process.poll() is None
    process.kill()
    process.communicate()
    views = ("metrics.h5", "gop_full.h5", "gop_layers.h5")
    published = all(os.path.exists(os.path.join(directory, name)) for name in views)
    return check_run.check_whole(directory) if published else None, hit


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executable", required=True)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        reference, crashed = os.path.join(folder, "reference"), os.path.join(folder, "crashed")
        work = finish(arguments.executable, reference)
        check_lock(arguments.executable, os.path.join(folder, "locked"))
        last, hits, torn, runs = 0, 0, 0, 1
        for _ in range(arguments.kills):
            epochs, hit = kill_once(arguments.executable, crashed, rng.uniform(0.0, 0.4) * work)
            hits += hit
            if epochs is None:
                continue
            check_run.require(min(epochs) >= last, f"a commit was lost: {epochs} after {last}")
            torn += len(set(epochs)) > 1
            last = min(epochs)
            if last == EPOCHS:
                finish(arguments.executable, crashed)
                check_run.compare(reference, crashed)
                shutil.rmtree(crashed)
                last, runs = 0, runs + 1
        finish(arguments.executable, crashed)
        check_run.compare(reference, crashed)
        check_run.require(2 * hits >= arguments.kills, f"only {hits} kills hit a living run")
        print(f"{hits} kills in {runs} runs of {work:.2f} s, {torn} of them between commit and last view")


if __name__ == "__main__":
    sys.exit(main())

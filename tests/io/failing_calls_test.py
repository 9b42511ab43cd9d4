#!/usr/bin/env python3
"""What becomes of a run when the disk fails, at every single system call in turn?

Two small runs: a new one of two commits, and one that resumes after a commit. failing_calls.c makes the k-th call on the run
directory fail, for every k, once or for ever after, or write short. Whatever happens, the program ends by itself: with code 3
and a reason, or, where the call did not matter, with code 0. What is published is whole, and the next launch completes the run,
equal to one that met no fault. When a read fails, nothing that is committed is touched: a disk that does not answer is not a
damaged one, and the next launch goes on from the same commit.

failing_calls_test.py SCRIPTED_RUN FAILING_CALLS.SO [--every n] [--offset m]
"""
import argparse
import collections
import concurrent.futures
import os
import shutil
import subprocess
import tempfile

import check_run
import h5py
from check_run import require

EPOCHS, COMMITTED = 4, 2
# What a call may meet: (error, does every later call of its kind meet it as well).
FULL, BROKEN, FORBIDDEN, SHORT = ("ENOSPC", True), ("EIO", False), ("EACCES", False), ("short", False)
FAULTS = {"open": (FULL, BROKEN, FORBIDDEN), "mkdir": (FULL, FORBIDDEN), "rename": (FULL, BROKEN), "write": (FULL, BROKEN, SHORT),
          "ftruncate": (FULL, BROKEN), "fallocate": (FULL, BROKEN), "fsync": (FULL, BROKEN), "read": (BROKEN, SHORT)}
HARMLESS = {"short"}
WORKERS = 2


def committed_files(directory):
    """What checkpoints/ and .segments/ hold under its last name."""
    return {os.path.join(folder, name) for folder in ("checkpoints", ".segments") for name in
            os.listdir(os.path.join(directory, folder)) if name.endswith(".h5")}


class Run:
    """One run directory, used again and again by one worker."""

    def __init__(self, sweep, number):
        self.sweep = sweep
        self.path = os.path.join(sweep.folder, f"run{number}")
        self.report = os.path.join(sweep.folder, f"report{number}")

    def begin(self, resumes):
        shutil.rmtree(self.path, ignore_errors=True)
        if resumes:
            shutil.copytree(self.sweep.prepared, self.path)
        if os.path.exists(self.report):
            os.remove(self.report)

    def launch(self, **fault):
        return self.sweep.launch(self.path, EPOCHS, FAULT_REPORT=self.report, FAULT_FOLDER=self.path,
                                 LD_PRELOAD=self.sweep.shim, **fault)

    def calls(self):
        with open(self.report, encoding="utf-8") as file:
            return [line.split()[1] for line in file]

    def first_epochs(self):
        """Of each launch, the epoch at which it began."""
        with h5py.File(os.path.join(self.path, "metrics.h5")) as file:
            launches = file["provenance"]
            return [int(launches[name].attrs["first_epoch"]) for name in sorted(launches)]


class Sweep:
    def __init__(self, executable, shim, folder):
        self.executable, self.shim, self.folder = executable, shim, folder
        self.reference = os.path.join(folder, "reference")
        self.prepared = os.path.join(folder, "prepared")
        self.counts = collections.Counter()
        for directory, epochs in ((self.reference, EPOCHS), (self.prepared, COMMITTED)):
            result = self.launch(directory, epochs)
            require(result.returncode == 0, f"the reference fails: {result.stderr}")

    def launch(self, directory, epochs, **more):
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "PMI", "OMPI_"))}
        environment.update(OMP_NUM_THREADS="1", OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
                           OMPI_MCA_ess_singleton_isolated="1", OMPI_MCA_pml="ob1", OMPI_MCA_btl="self", **more)  # a quick start
        return subprocess.run([self.executable, directory, str(epochs)], env=environment, capture_output=True, text=True,
                              timeout=60, check=False)

    def list_calls(self, run, resumes, kind):
        run.begin(resumes)
        result = run.launch(FAULT_AT="0", **kind)
        require(result.returncode == 0, f"the shim alone makes the run fail: {result.stderr}")
        calls = run.calls()
        require(calls[-1] == "end", f"no end: {calls[-1]}")
        return calls[:-1]

    def check_fault(self, run, number, fault, resumes, kind):
        how, lasts = fault
        run.begin(resumes)
        result = run.launch(FAULT_AT=str(number), FAULT_HOW=how, **({"FAULT_LASTS": "1"} if lasts else {}), **kind)
        with open(run.report, encoding="utf-8") as file:
            call = file.readline().split()[1:3]
        where = f"{how} in call {number}, {' '.join(call)}, {'resumed' if resumes else 'new'}: code {result.returncode}, {result.stderr}"
        require(result.returncode in ((0,) if how in HARMLESS else (0, 3)), where)
        self.counts[(how, result.returncode)] += 1
        if result.returncode == 3:
            require("cannot " in result.stderr or "error: " in result.stderr, where)
            require(len(result.stderr.strip().splitlines()) <= 2, where)
        self.check_published(run, where)
        if resumes:
            lost = committed_files(self.prepared) - committed_files(run.path)
            require(not lost, f"{sorted(lost)} are gone after {where}")
        again = self.launch(run.path, EPOCHS)
        require(again.returncode == 0, f"no resume after {where}: {again.returncode}, {again.stderr}")
        check_run.compare(run.path, self.reference)
        if resumes:
            require(min(run.first_epochs()[1:]) >= COMMITTED, f"a commit was given up after {where}")

    def check_published(self, run, where):
        views = ("metrics.h5", "gop_full.h5", "gop_layers.h5")
        try:
            if all(os.path.exists(os.path.join(run.path, name)) for name in views):
                check_run.check_whole(run.path)
            elif os.path.isdir(run.path):
                check_run.check_descriptions(run.path)
        except (SystemExit, OSError, KeyError) as error:
            raise SystemExit(f"failing_calls_test.py: {error} after {where}") from None

    def go(self, every, offset):
        runs = [Run(self, number) for number in range(WORKERS)]
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            for resumes, kind in ((False, {}), (True, {}), (True, {"FAULT_READS": "1"})):
                calls = self.list_calls(runs[0], resumes, kind)
                tasks = [(number, fault) for number, call in enumerate(calls, 1) for fault in FAULTS[call]]
                tasks = tasks[offset % every::every]
                for worker in [pool.submit(self.check_all, run, tasks[k::WORKERS], resumes, kind) for k, run in enumerate(runs)]:
                    worker.result()
                print(f"{len(calls)} calls of a {'resumed' if resumes else 'new'} run{' that read' if kind else ''}: "
                      f"{len(tasks)} faults", flush=True)
        failed = sum(n for (how, code), n in self.counts.items() if code == 3)
        harmless = sum(n for (how, code), n in self.counts.items() if code == 0 and how not in HARMLESS)
        print(f"{failed} faults ended the run, {harmless} did not matter, {self.counts[('short', 0)]} short calls were completed")
        require(failed > 5 * harmless, "faults that nobody notices")

    def check_all(self, run, tasks, resumes, kind):
        for number, fault in tasks:
            self.check_fault(run, number, fault, resumes, kind)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("executable")
    parser.add_argument("shim")
    parser.add_argument("--every", type=int, default=1, help="only every n-th fault")
    parser.add_argument("--offset", type=int, default=0, help="of the first one")
    arguments = parser.parse_args()
    in_memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=in_memory) as folder:
        Sweep(os.path.abspath(arguments.executable), os.path.abspath(arguments.shim), folder).go(arguments.every, arguments.offset)


if __name__ == "__main__":
    main()

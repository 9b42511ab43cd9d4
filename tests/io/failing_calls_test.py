#!/usr/bin/env python3
"""What becomes of a run when the disk fails, at every single system call in turn?

Two small runs: a new one of two commits, and one that resumes after a commit. failing_calls.c makes the k-th call on the run
directory fail, for every k, with each error in turn, once or for ever after, or write short. Whatever happens, the program
ends by itself: with code 3 and a reason, or, where the call did not matter, with code 0. What is published is whole, and the
next launch completes the run, equal to one that met no fault.

failing_calls_test.py SCRIPTED_RUN FAILING_CALLS.SO [--every n] [--offset m]
"""
import argparse
import collections
import os
import shutil
import subprocess
import tempfile

import check_run
from check_run import require

EPOCHS, COMMITTED = 4, 2
# (how, does every later call of the kind fail as well)
FAULTS = (("ENOSPC", True), ("EIO", False), ("EACCES", False), ("short", False))


class Sweep:
    def __init__(self, executable, shim, folder):
        self.executable, self.shim, self.folder = executable, shim, folder
        self.reference = os.path.join(folder, "reference")
        self.prepared = os.path.join(folder, "prepared")
        self.run = os.path.join(folder, "run")
        self.report = os.path.join(folder, "report")
        self.counts = collections.Counter()
        for directory, epochs in ((self.reference, EPOCHS), (self.prepared, COMMITTED)):
            result = self.launch(directory, epochs)
            require(result.returncode == 0, f"the reference fails: {result.stderr}")

    def launch(self, directory, epochs=EPOCHS, **fault):
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "PMI", "OMPI_"))}
        environment.update(OMP_NUM_THREADS="1", OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
                           OMPI_MCA_ess_singleton_isolated="1", OMPI_MCA_pml="ob1", OMPI_MCA_btl="self")  # a quick start
        if fault:
            environment.update(fault, LD_PRELOAD=self.shim, FAULT_FOLDER=directory, FAULT_REPORT=self.report)
        return subprocess.run([self.executable, directory, str(epochs)], env=environment, capture_output=True, text=True,
                              timeout=60, check=False)

    def begin(self, resumes):
        shutil.rmtree(self.run, ignore_errors=True)
        if resumes:
            shutil.copytree(self.prepared, self.run)
        if os.path.exists(self.report):
            os.remove(self.report)

    def count_calls(self, resumes):
        self.begin(resumes)
        result = self.launch(self.run, FAULT_AT="0")
        require(result.returncode == 0, f"the shim alone makes the run fail: {result.stderr}")
        with open(self.report, encoding="utf-8") as file:
            calls = file.read().splitlines()
        require(calls[-1].split()[1] == "end", f"no end: {calls[-1]}")
        return len(calls) - 1

    def check_fault(self, number, how, lasts, resumes):
        self.begin(resumes)
        fault = {"FAULT_AT": str(number), "FAULT_HOW": how}
        if lasts:
            fault["FAULT_LASTS"] = "1"
        result = self.launch(self.run, **fault)
        with open(self.report, encoding="utf-8") as file:
            call = file.readline().split()[1:3]
        where = f"{how} in call {number}, {' '.join(call)}, {'resumed' if resumes else 'new'}: code {result.returncode}, {result.stderr}"
        require(result.returncode in ((0,) if how == "short" else (0, 3)), where)
        self.counts[(how, result.returncode)] += 1
        if result.returncode == 3:
            require("cannot " in result.stderr or " is damaged" in result.stderr or " is whole" in result.stderr, where)
            require(len(result.stderr.strip().splitlines()) <= 2, where)
        self.check_published(where)
        again = self.launch(self.run)
        require(again.returncode == 0, f"no resume after {where}: {again.returncode}, {again.stderr}")
        check_run.compare(self.run, self.reference)

    def check_published(self, where):
        views = ("metrics.h5", "gop_full.h5", "gop_layers.h5")
        try:
            if all(os.path.exists(os.path.join(self.run, name)) for name in views):
                check_run.check_whole(self.run)
            elif os.path.isdir(self.run):
                check_run.check_descriptions(self.run)
        except (SystemExit, OSError, KeyError) as error:
            raise SystemExit(f"failing_calls_test.py: {error} after {where}") from None

    def go(self, every, offset):
        for resumes in (False, True):
            calls = self.count_calls(resumes)
            for number in range(1 + offset % every, calls + 1, every):
                # Every call meets every error in a long sweep, one of them in a short one.
                chosen = FAULTS if every == 1 else [FAULTS[number // every % len(FAULTS)]]
                for how, lasts in chosen:
                    self.check_fault(number, how, lasts, resumes)
            print(f"{calls} calls of a {'resumed' if resumes else 'new'} run")
        failed = sum(n for (how, code), n in self.counts.items() if code == 3)
        harmless = sum(n for (how, code), n in self.counts.items() if code == 0 and how != "short")
        print(f"{failed} faults ended the run, {harmless} did not matter, "
              f"{self.counts[('short', 0)]} short writes were completed")
        require(failed > 5 * harmless, "faults that nobody notices")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("executable")
    parser.add_argument("shim")
    parser.add_argument("--every", type=int, default=1, help="only every n-th call")
    parser.add_argument("--offset", type=int, default=0, help="of the first call")
    arguments = parser.parse_args()
    in_memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=in_memory) as folder:
        Sweep(os.path.abspath(arguments.executable), os.path.abspath(arguments.shim), folder).go(arguments.every, arguments.offset)


if __name__ == "__main__":
    main()

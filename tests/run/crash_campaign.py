#!/usr/bin/env python3
"""Is anything ever lost when a run is killed?

Kills a small real run on two ranks, again and again: one rank, all ranks, or mpirun, at random moments; or the root at a
random system call on the run directory, most of which belong to a commit (failing_calls.c). After every kill each published
file must open and show a committed state, bit by bit that of a run never interrupted, and no commit may be gone. Each run
that has come to its end must equal the uninterrupted one, and the next begins. Between kills a call of the root fails: the
program must end by itself, with code 3 and one message, and be resumed like the others.

crash_campaign.py PROGRAM --shim FAILING_CALLS.SO [--kills 200] [--seed 1]
"""
import argparse
import collections
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import tiny_run
from tiny_run import LINEAR, ProgramTest, children_of, contents, send_if_alive, variant

RANKS = 2
EPOCHS = 120
# Every tenth epoch is committed, whatever commits cost here.
CONFIGURATION = variant(
    LINEAR, training={"epochs": EPOCHS}, gop_tracking={"frequency": 5, "store_eigenvectors": True},
    storage={"store_full_gop": True, "store_layer_gops": True, "gop_schedule": {"every": 20}},
    computational_limits={"checkpoint_frequency": 10, "checkpoint_epochs": list(range(10, EPOCHS, 10))})
WAYS = ("one rank", "all ranks", "mpirun", "in a call", "after a call")
FAULTS = ("ENOSPC", "EIO", "EACCES")
# Two ranks on one node need neither networks nor daemons.
FAST_START = {"OMPI_MCA_btl": "self,vader", "OMPI_MCA_pml": "ob1", "OMPI_MCA_plm": "isolated"}


def require(condition, message):
    if not condition:
        sys.exit(f"crash_campaign.py: {message}")


def published_files(run):
    """Every .h5 file outside the hidden folders, where unfinished things lie."""
    for folder, folders, names in os.walk(run):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(folder) / name for name in names if name.endswith(".h5"))


def check_series(file, reference, path, committed_step):
    """A group of series is the beginning of the reference's, as far as the commit."""
    group, whole = file[path], reference[path]
    if "step" not in group:
        return
    rows = group["step"].shape[0]
    before = int(np.sum(whole["step"][:] < committed_step))
    require(before <= rows <= before + 1, f"{group.name}: {rows} rows at step {committed_step}, {before} were expected")
    for name, dataset in group.items():
        if isinstance(dataset, h5py.Dataset) and dataset.shape and dataset.shape[0] == rows and name in whole:
            same = dataset[()].tobytes() == whole[name][:rows].tobytes()
            require(same, f"{dataset.name} of {file.filename} is not what was measured")


def check_metrics(run, reference):
    with h5py.File(run / "metrics.h5") as file, h5py.File(reference / "metrics.h5") as whole:
        step = int(file.attrs["committed_step"])
        if "epoch" in file:
            for path in ("/", "/training", "/observables"):
                if path in file:
                    check_series(file, whole, path, step)
        return step


def check_matrices(run, reference, view):
    """Every group of the view is the reference's, datasets read through their links; none is missing."""
    ours, whole = contents(run / view), contents(reference / view)
    with h5py.File(run / view) as file:
        epoch = int(file.attrs["committed_epoch"])
        groups = {name for name in file if name.startswith("epoch_")}
        # Each names the file it lies in: to look it up is to open that file.
        require(all(file.get(name) is not None for name in groups), f"{view} leads nowhere")
    for path, value in ours.items():
        if path.startswith("/epoch_"):
            require(whole.get(path) == value, f"{path} of {view} is not what was measured")
    with h5py.File(reference / view) as file:
        expected = {name for name in file if name.startswith("epoch_") and int(name.split("_")[1]) < epoch}
    require(expected <= groups, f"{view} has lost {sorted(expected - groups)}")


def check_checkpoints(run, reference):
    """Returns the steps of all checkpoints."""
    steps = []
    for path in (run / "checkpoints").glob("*.h5"):
        stored = contents(path)
        with h5py.File(path) as file:
            steps.append(int(file.attrs["step"]))
        same = reference / "checkpoints" / path.name
        if not same.exists():
            continue
        expected = contents(same)
        state = [name for name in expected if name.startswith(("/parameters", "/optimizer", "/rng"))]
        require(len(state) > 2, "a checkpoint without state")
        for name in state:
            require(stored.get(name) == expected[name], f"{name} of {path} is not the state at that epoch")
    return steps


def check_published(run, reference):
    """Returns the step of the newest commit."""
    for path in published_files(run):
        with h5py.File(path) as file:
            require(len(file) > 0, f"{path} is empty")
    if not all((run / view).exists() for view in tiny_run.VIEWS):
        return 0
    steps = check_checkpoints(run, reference)
    shown = max(check_metrics(run, reference), 0)
    newest = max(steps, default=0)
    require(shown in (0, *steps), f"metrics.h5 shows step {shown}, which no checkpoint has")
    require(shown == newest or len([s for s in steps if s > shown]) == 1, f"metrics.h5 shows {shown}, newest is {newest}")
    for view in tiny_run.VIEWS[1:]:
        check_matrices(run, reference, view)
    return newest


class Campaign(ProgramTest):
    """One campaign. ProgramTest gives it a folder, launches, and the comparison of runs."""

    def prepare(self, shim, seed):
        self.shim = shim
        self.random = random.Random(seed)
        self.reference = self.train("reference", CONFIGURATION, ranks=RANKS)
        self.config = self.write_config("crashed", CONFIGURATION)
        self.run_directory = self.config.with_suffix("")
        self.counts = collections.Counter()
        began = time.monotonic()
        report = self.folder / "calls"
        counted = self.write_config("counted", CONFIGURATION)
        self.wait(self.launch(counted, FAULT_FOLDER=counted.with_suffix(""), FAULT_RANK=0, FAULT_REPORT=report))
        self.calls = int(report.read_text().splitlines()[-1].split()[0])
        require(self.calls > 500, f"only {self.calls} calls were seen: the shim does not work")
        self.whole_s = time.monotonic() - began

    def launch(self, config, **fault):
        preload = {"LD_PRELOAD": str(self.shim)} if fault else {}
        environment = {**FAST_START, **preload, **{key: str(value) for key, value in fault.items()}}
        return self.start("run", config, "--verbosity", "quiet", ranks=RANKS, extra_environment=environment)

    def wait_for_begin(self, process):
        """Waits until the run holds its lock: to start MPI takes longer than all the rest. Returns its ranks."""
        lock = self.run_directory / ".lock"
        while process.poll() is None:
            ranks = children_of(process.pid)
            if len(ranks) == RANKS and lock.exists() and any(f"process {pid} " in lock.read_text() for pid in ranks):
                return ranks
            time.sleep(0.002)
        return []

    def kill(self, way):
        """Starts or resumes the run and kills it. Returns whether the kill came before its end."""
        if way.endswith("call"):
            process = self.launch_with_fault("kill" if way == "in a call" else "kill_after")
        else:
            process = self.launch(self.config)
            ranks = self.wait_for_begin(process)
            time.sleep(self.random.uniform(0, 0.5) * self.whole_s)
            victims = {"one rank": ranks and [self.random.choice(ranks)], "all ranks": ranks, "mpirun": [process.pid]}[way]
            if process.poll() is None:
                for pid in victims:
                    send_if_alive(pid, signal.SIGKILL)
            if way == "mpirun":
                self.require_death(ranks)
        code = self.wait(process).code
        require(code != 75, "a killed run said that it was checkpointed")
        return code != 0

    def launch_with_fault(self, how):
        place = self.random.randint(1, self.calls * 2 // 3)
        lasting = {"FAULT_LASTS": 1} if how == "ENOSPC" else {}
        return self.launch(self.config, FAULT_FOLDER=self.run_directory, FAULT_RANK=0, FAULT_AT=place, FAULT_HOW=how, **lasting)

    def fail(self, how):
        """A call of the root fails. Returns whether that ended the run."""
        code, _, errors = self.wait(self.launch_with_fault(how))
        require(code in (0, 3), f"{how} ended in code {code}: {errors[-2000:]}")
        require(code == 0 or errors.count("grokscope: ") == 1, f"{how}: not one message but: {errors[-2000:]}")
        return code == 3

    def require_death(self, ranks, limit_s=20):
        """Ranks whose mpirun is gone may not go on."""
        deadline = time.monotonic() + limit_s
        while any(is_running(pid) for pid in ranks):
            if time.monotonic() > deadline:
                for pid in ranks:
                    send_if_alive(pid, signal.SIGKILL)
                sys.exit(f"crash_campaign.py: ranks live on {limit_s} s after mpirun was killed")
            time.sleep(0.01)

    def finish(self):
        finished = self.wait(self.launch(self.config))
        require(finished.code == 0, f"a killed run does not resume: code {finished.code}\n{finished.err[-2000:]}")
        self.assert_same_runs(self.reference, self.run_directory)
        csv = [(run / "metrics.csv").read_text() for run in (self.reference, self.run_directory)]
        require(csv[0] == csv[1], "metrics.csv differs")
        shutil.rmtree(self.run_directory)
        self.counts["finished runs"] += 1

    def go(self, kills):
        last = 0
        for attempt in range(3 * kills):
            is_fault = attempt % 6 == 5
            way = FAULTS[attempt // 6 % len(FAULTS)] if is_fault else WAYS[attempt % 6]
            hit = self.fail(way) if is_fault else self.kill(way)
            self.counts[way] += hit
            newest = check_published(self.run_directory, self.reference)
            require(newest >= last, f"a commit was lost: step {newest} after {last} ({way})")
            self.counts["commits"] += newest > last
            last = newest
            if not hit or self.random.random() < 0.1:
                self.finish()
                last = 0
            if sum(self.counts[w] for w in WAYS) >= kills:
                break
        if self.run_directory.exists():
            self.finish()
        hits = sum(self.counts[way] for way in WAYS)
        require(hits >= kills, f"only {hits} of {attempt + 1} kills hit a living run")
        return hits


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--shim", required=True)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    Campaign.program = os.path.abspath(arguments.program)
    Campaign.setUpClass()
    try:
        campaign = Campaign()
        campaign.prepare(os.path.abspath(arguments.shim), arguments.seed)
        began = time.monotonic()
        hits = campaign.go(arguments.kills)
        details = ", ".join(f"{count} {name}" for name, count in campaign.counts.items())
        print(f"{hits} kills in {time.monotonic() - began:.0f} s, nothing lost ({details})")
    finally:
        Campaign.tearDownClass()


if __name__ == "__main__":
    main()

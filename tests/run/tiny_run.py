"""How do the end-to-end tests drive the program?

Tiny configurations of the experiments, launches under mpirun with a time limit, signals at a known progress, and the
comparison of two run directories, dataset by dataset and bit by bit. The reader is h5py, not code of ours. A test
script takes the path of the program as its first argument: session_test.py build/grokscope.
"""
import copy
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

TIME_LIMIT_S = 60
VIEWS = ("metrics.h5", "gop_full.h5", "gop_layers.h5")
UNREPEATABLE = ("timing", "provenance")  # groups that hold times and hosts
LAYOUT_ATTRIBUTES = {"DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME"}  # object addresses of dimension scales


def tiny_configuration(name):
    """One of tests/run/tiny: JSON, which is YAML, so that the C++ tests of this folder run the same."""
    return json.loads((Path(__file__).parent / "tiny" / f"{name}.json").read_text())


LINEAR, POLYNOMIALS, TRANSFORMER, IMAGES, EMBEDDINGS, SLINGSHOT = map(
    tiny_configuration, ("linear", "polynomials", "transformer", "images", "embeddings", "slingshot"))


def variant(base, **sections):
    """A copy of a configuration with some keys set: variant(LINEAR, training={'lr': 0.1})."""
    result = copy.deepcopy(base)
    for section, keys in sections.items():
        result.setdefault(section, {}).update(keys)
    return result


def write_idx(path, array):
    with open(path, "wb") as file:
        file.write(struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape))
        file.write(array.astype(np.uint8).tobytes())


def write_images(folder, count=60):
    """Random images under the names that MNIST's files have."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(5)
    for split in ("train", "t10k"):
        write_idx(folder / f"{split}-images-idx3-ubyte", random.integers(0, 256, (count, 28, 28)))
        write_idx(folder / f"{split}-labels-idx1-ubyte", random.integers(0, 10, count))
    return folder


class Finished(NamedTuple):
    code: int
    out: str
    err: str


def launch_environment(extra=None):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "PMI_", "PMIX_", "OMPI_"))}
    environment.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", OMPI_ALLOW_RUN_AS_ROOT="1",
                       OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_mpi_yield_when_idle="1")
    environment.update(extra or {})
    return environment


class ProgramTest(unittest.TestCase):
    """A test case with a folder of its own and the program at hand."""

    program = None

    @classmethod
    def setUpClass(cls):
        # In memory where that is possible: the fsync of hundreds of commits would take most of the time.
        in_memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        cls.started = []
        cls.folder = Path(tempfile.mkdtemp(prefix="grokscope-run-", dir=in_memory))

    @classmethod
    def tearDownClass(cls):
        for process in cls.started:  # what a failed test has left behind
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        shutil.rmtree(cls.folder, ignore_errors=True)

    @classmethod
    def write_config(cls, name, content):
        """Writes NAME.yaml (JSON is YAML) with NAME as its run directory, unless it names another."""
        content = copy.deepcopy(content)
        content.setdefault("storage", {}).setdefault("output_dir", str(cls.folder / name))
        path = cls.folder / f"{name}.yaml"
        path.write_text(json.dumps(content, indent=1))
        return path

    @classmethod
    def start(cls, *arguments, ranks=1, extra_environment=None, shell_limit=""):
        """Starts the program in the background, in a process group of its own; one rank runs without mpirun.
        `shell_limit` is said in a shell that each rank starts from."""
        command = [cls.program, *map(str, arguments)]
        if shell_limit:
            command = ["bash", "-c", shell_limit + '; exec "$@"', "bash", *command]
        if ranks > 1:
            command = ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", str(ranks), *command]
        process = subprocess.Popen(command, cwd=cls.folder, env=launch_environment(extra_environment), text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        cls.started.append(process)
        return process

    @staticmethod
    def wait(process, timeout=TIME_LIMIT_S):
        """Waits for the end; a program that hangs is killed with all its ranks and fails the test."""
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            raise AssertionError(f"no end after {timeout} s\n{out[-2000:]}\n{err[-2000:]}") from None
        return Finished(process.returncode, out, err)

    @classmethod
    def call(cls, *arguments, timeout=TIME_LIMIT_S, **launch):
        return cls.wait(cls.start(*arguments, **launch), timeout)

    @classmethod
    def train(cls, name, content, *overrides, ranks=1):
        """Runs to the end; returns the run directory."""
        config = cls.write_config(name, content)
        finished = cls.call("run", config, *overrides, "--verbosity", "quiet", ranks=ranks)
        if finished.code != 0:
            raise AssertionError(f"{name}: exit code {finished.code}\n{finished.out[-2000:]}\n{finished.err[-2000:]}")
        return Path(json.loads(config.read_text())["storage"]["output_dir"])

    def assert_same_runs(self, first, second, skip=()):
        """Asserts that all published files are equal, dataset by dataset and bit by bit, attributes included."""
        for view in VIEWS:
            a, b = contents(first / view), contents(second / view)
            self.assertGreater(len(a), 5, f"{view} holds next to nothing")
            self.assertEqual(a.keys() - set(skip), b.keys() - set(skip), view)
            different = [path for path in a if path not in skip and a[path] != b[path]]
            self.assertEqual(different, [], f"{view} of {first} and {second}")


def contents(path):
    """{path: bytes with type and shape} of every dataset and attribute, external links followed."""
    found = {}

    def note(where, value):
        value = np.asarray(value)
        found[where] = (value.dtype.str, value.shape, value.tobytes())

    def visit(group, prefix):
        for name, value in group.attrs.items():
            if name not in LAYOUT_ATTRIBUTES:
                note(f"{prefix}@{name}", value)
        if isinstance(group, h5py.Dataset):
            note(prefix, group[()])
            return
        for name in group:
            if prefix or name not in UNREPEATABLE:
                visit(group[name], f"{prefix}/{name}")

    with h5py.File(path, "r") as file:
        visit(file, "")
    return found


def read_series(run, *names):
    with h5py.File(run / "metrics.h5", "r") as file:
        return [file[name][()] for name in names]


def status_of(run):
    return json.loads((run / "STATUS").read_text())


def rows_of(run):
    """Rows of metrics.csv so far, without the header."""
    path = run / "metrics.csv"
    return max(0, path.read_bytes().count(b"\n") - 1) if path.exists() else 0


def wait_for_rows(run, count, process, limit_s=TIME_LIMIT_S):
    """Waits until metrics.csv has `count` rows; an earlier end of the program is an error."""
    deadline = time.monotonic() + limit_s
    while rows_of(run) < count:
        if process.poll() is not None or time.monotonic() > deadline:
            out, err = process.communicate(timeout=5) if process.poll() is not None else ("", "")
            raise AssertionError(f"{rows_of(run)} rows of {count}, code {process.poll()}\n{out[-2000:]}\n{err[-2000:]}")
        time.sleep(0.002)


def children_of(pid):
    """Process ids of the direct children."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid:
                found.append(int(entry.name))
    return sorted(found)


def send_if_alive(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def has_pending(pid, number):
    """True when a frozen process has been sent this signal, or has been killed."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return True
    pending = [line.split()[1] for line in lines if line.startswith("ShdPnd:")]
    return not pending or int(pending[0], 16) >> (number - 1) & 1 == 1


def send_signal_in_the_middle(process, ranks, number, as_number=None):
    """Signals the launcher while the ranks are frozen, so that they cannot finish before it has told them; mpirun may tell
    them by another signal, `as_number`."""
    expected = as_number if as_number and ranks > 1 else number
    processes = children_of(process.pid) if ranks > 1 else [process.pid]
    for pid in processes:
        send_if_alive(pid, signal.SIGSTOP)
    process.send_signal(number)
    deadline = time.monotonic() + 15
    while not all(has_pending(pid, expected) for pid in processes) and time.monotonic() < deadline:
        for pid in processes:
            send_if_alive(pid, signal.SIGSTOP)  # mpirun lets them go on a moment before it passes SIGTERM
        time.sleep(0.005)
    for pid in processes:
        send_if_alive(pid, signal.SIGCONT)


def main():
    if len(sys.argv) < 2 or not os.access(sys.argv[1], os.X_OK):
        sys.exit(f"usage: {sys.argv[0]} PATH_OF_GROKSCOPE [test ...]")
    ProgramTest.program = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)

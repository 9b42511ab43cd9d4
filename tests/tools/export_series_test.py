"""Do other programs read the numbers that the run holds?"""
import csv
import json
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOOLS = HERE.parent.parent / "tools"
sys.path[:0] = [str(TOOLS), str(HERE)]

import export_series  # noqa: E402
import h5py  # noqa: E402
import numpy as np  # noqa: E402
from synthetic_run import Shape, make_run  # noqa: E402


def fields(data):
    """Fields of a protocol buffer message, decoded independently: [(number, value)]."""
    found, at = [], 0
    while at < len(data):
        key, at = read_varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = read_varint(data, at)
        else:
            size, at = {1: (8, at), 5: (4, at)}.get(kind) or read_varint(data, at)
            value, at = data[at : at + size], at + size
        found.append((number, value))
    return found


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def unmasked(stored):
    """The inverse of TFRecord's masking."""
    rotated = (stored - 0xA282EAD8) & 0xFFFFFFFF
    return ((rotated >> 17) | (rotated << 15)) & 0xFFFFFFFF


class ExportTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        self.known = make_run(self.folder / "run", Shape(with_gop=False, tracked=20))

    def export(self, kind):
        code = export_series.main(
            [
                "--results_dir",
                str(self.folder / "run"),
                "--format",
                kind,
                "--save_dir",
                str(self.folder / "out"),
            ]
        )
        self.assertEqual(code, 0)

    def test_csv(self):
        self.export("csv")
        names = sorted(path.name for path in (self.folder / "out").iterdir())
        self.assertEqual(names, ["observables.csv", "tracked.csv", "training.csv"])
        with (self.folder / "out/tracked.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([int(row["step"]) for row in rows], list(range(0, 400, 20)))
        for name in ("gop_trace", "layers/embed/gop_stable_rank", "test_acc"):
            found = [float(row[name]) if row[name] else np.nan for row in rows]
            np.testing.assert_array_equal(found, self.known[name], err_msg=name)  # digit by digit
        np.testing.assert_array_equal(
            [float(row["eigenvalues_top_k[3]"]) for row in rows], self.known["eigenvalues_top_k"][:, 3]
        )

    def test_jsonl(self):
        self.export("jsonl")
        rows = [json.loads(line) for line in (self.folder / "out/history.jsonl").read_text().splitlines()]
        steps = [row["_step"] for row in rows]
        self.assertEqual(steps, sorted(set(steps)))
        at = next(row for row in rows if row["_step"] == 60)
        self.assertEqual(at["gop_trace"], self.known["gop_trace"][3])
        self.assertNotIn("gop_log_determinant", at)  # minus infinity is no JSON

    def test_without_a_series_nothing_is_written_and_it_says_why(self):
        make_run(self.folder / "empty", Shape(tracked=0, with_groups=False, with_gop=False, state="running"))
        (self.folder / "bare").mkdir()
        with h5py.File(self.folder / "bare/metrics.h5", "w") as file:
            file["parameters/size"] = [1, 2]
        for name in ("empty", "bare"):
            for kind in export_series.FORMATS:
                command = [sys.executable, TOOLS / "export_series.py", "--results_dir", self.folder / name, "--format", kind]
                result = subprocess.run(command, capture_output=True, text=True, check=False)
                self.assertEqual(result.returncode, 2, (name, kind))
                self.assertRegex(result.stderr, "error: .* has no series to export .*tracked")
                self.assertFalse((self.folder / name / "export").exists())

    def test_check_sums(self):
        self.assertEqual(
            export_series.crc32c(b"123456789"), 0xE3069283
        )  # RFC 3720's polynomial, its usual check
        self.assertEqual(export_series.crc32c(bytes(32)), 0x8A9136AA)  # RFC 3720, B.4
        self.assertEqual(export_series.crc32c(bytes(range(32))), 0x46DD794E)

    def test_tensorboard(self):
        self.export("tensorboard")
        (path,) = (self.folder / "out").iterdir()
        data, at, events = path.read_bytes(), 0, []
        while at < len(data):
            (size,) = struct.unpack_from("<Q", data, at)
            header, body = data[at : at + 8], data[at + 12 : at + 12 + size]
            for stored, block in (
                (data[at + 8 : at + 12], header),
                (data[at + 12 + size : at + 16 + size], body),
            ):
                self.assertEqual(unmasked(struct.unpack("<I", stored)[0]), export_series.crc32c(block))
            events.append(dict(fields(body)))
            at += 16 + size
        self.assertEqual(events[0][3], b"brain.Event:2")
        at_60 = next(event for event in events[1:] if event[2] == 60)
        values = {}
        for _, entry in fields(at_60[5]):
            parts = dict(fields(entry))
            values[parts[1].decode()] = struct.unpack("<f", parts[2])[0]
        self.assertEqual(values["gop_trace"], np.float32(self.known["gop_trace"][3]))
        self.assertEqual(values["test_acc"], np.float32(self.known["test_acc"][3]))


if __name__ == "__main__":
    unittest.main()

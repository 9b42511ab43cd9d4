#!/usr/bin/env python3
"""Where else can the series go? Writes those of one run as CSV, as a TensorBoard log, or as JSON lines for
W&B.

csv: a file for each table (tracked.csv, training.csv, ...), a row for each moment, a column for each scalar
series. tensorboard: one event file; show it with `tensorboard --logdir FOLDER`. It is written here, byte by
byte, so that TensorBoard need not be installed. jsonl: history.jsonl, one object a step with `_step`, as
W&B's history has them; `for row in file: wandb.log(json.loads(row))` brings it there. NaN is an empty field
or left out.
"""
import csv
import json
import struct
from pathlib import Path

import grokscope_io  # first: it finds a Python that has the packages
from grokscope_tools.command_line.options import add_run, make_parser

import numpy as np

COMPONENTS = 10  # of a series of vectors, the first ones
CASTAGNOLI = 0x82F63B78  # the reversed polynomial of CRC-32C


def tables_of(run):
    """{table: (epoch, step, {column: values [T]})}; vectors give their first components. Series of one group
    on other axes are a table of their own: observables, observables_2."""
    tables = {}
    for name in run.names():
        for label, series in run.scalar_series(name, COMPONENTS):
            axes = (table_name(name), series.epoch.tobytes(), series.step.tobytes())
            tables.setdefault(axes, (series.epoch, series.step, {}))[-1][label] = series.values
    named = {}
    for (name, *_), table in tables.items():
        count = 1 + sum(key == name or key.startswith(f"{name}_") for key in named)
        named[name if count == 1 else f"{name}_{count}"] = table
    return named


def table_name(series):
    """The group whose axes a series shares; the tracked epochs lie at the root."""
    group = series.split("/")[0] if "/" in series else ""
    if group == "probes":
        return ".".join(series.split("/")[:2])
    return "tracked" if group in ("", "checks", "definitions", "layers") else group


def write_csv(run, folder):
    written = []
    for table, (epoch, step, columns) in tables_of(run).items():
        path = folder / f"{table}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["epoch", "step", *columns])
            for i in range(len(step)):
                row = (
                    repr(float(values[i])) if not np.isnan(values[i]) else "" for values in columns.values()
                )
                writer.writerow([int(epoch[i]), int(step[i]), *row])
        written.append(path)
    return written


def rows_by_step(run):
    """(step, {name: finite value}) of all tables together, ascending."""
    rows = {}
    for _, step, columns in tables_of(run).values():
        for name, values in columns.items():
            for i in np.flatnonzero(np.isfinite(values)):
                rows.setdefault(int(step[i]), {})[name] = float(values[i])
    return sorted(rows.items())


def write_jsonl(run, folder):
    path = folder / "history.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for step, values in rows_by_step(run):
            file.write(json.dumps({"_step": step, **values}) + "\n")
    return [path]


# TensorBoard's event file: records of TFRecord, each an Event of protocol buffers ----------------


def crc_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (CASTAGNOLI if byte & 1 else 0)
        table.append(byte)
    return table


CRC_TABLE = crc_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def masked_crc(data):
    """As TFRecord stores it, so that the check sum of a check sum is no fixed point."""
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def record(data):
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked_crc(length)) + data + struct.pack("<I", masked_crc(data))


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def text_field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def event(step, values):
    """An Event: wall_time (1) 0, step (2), summary (5) of values, each with tag (1) and simple_value (2)."""
    entries = (
        text_field(1, name.encode()) + varint(2 << 3 | 5) + struct.pack("<f", to_float32(value))
        for name, value in values
    )
    summary = b"".join(text_field(1, entry) for entry in entries)
    return (
        varint(1 << 3 | 1) + struct.pack("<d", 0.0) + varint(2 << 3) + varint(step) + text_field(5, summary)
    )


def to_float32(value):
    limit = float(np.finfo(np.float32).max)
    return min(max(value, -limit), limit)


def write_tensorboard(run, folder):
    path = folder / "events.out.tfevents.0.grokscope"
    with path.open("wb") as file:
        version = varint(1 << 3 | 1) + struct.pack("<d", 0.0) + text_field(3, b"brain.Event:2")
        file.write(record(version))
        for step, values in rows_by_step(run):
            file.write(record(event(step, values.items())))
    return [path]


FORMATS = {"csv": write_csv, "tensorboard": write_tensorboard, "jsonl": write_jsonl}


def parse_arguments(argv):
    parser = make_parser(
        __doc__,
        "Exit codes: 0 written, 2 wrong usage, no run there or no series in it, 3 unreadable files or an "
        "unwritable folder.",
    )
    add_run(parser)
    parser.add_argument("--format", required=True, choices=list(FORMATS))
    parser.add_argument("--save_dir", type=Path, metavar="S", help="default: D/export/<format>")
    return parser.parse_args(argv)


def main(argv=None):
    arguments = parse_arguments(argv)
    with grokscope_io.open_run(arguments.results_dir) as run:
        if not any(step.size for _, step, _ in tables_of(run).values()):
            why = run.why_nothing_is_tracked() or "metrics.h5 holds no series"
            raise grokscope_io.ToolError(f"{run.path} has no series to export ({why}), wait for its first evaluation")
        target = arguments.save_dir or run.path / "export" / arguments.format
        with grokscope_io.writing_to(target) as folder:
            for path in FORMATS[arguments.format](run, folder):
                print(f"{path}  ({path.stat().st_size:,} bytes)")
    return 0


if __name__ == "__main__":
    grokscope_io.run_tool(main)

#!/usr/bin/env python3
"""How long do the figures and the report of a long run take, and in how much memory?

Writes an invented run of 40,000 epochs, 2,000 of them tracked, with 10 layers, and ten eigenvectors of P = 226,816
numbers at 60 of them, in the published layout; runs the tools on it and on a study of 110 such members (links to one,
with short series), and prints what they took, over the targets: all figures within 60 s and 2 GB, a report under 20 MB.
Usage: figures.py FOLDER [TOOL...]; the runs (about 1.5 GB) are written where FOLDER is not there yet.
"""
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[2] / "tools"
sys.path[:0] = [str(TOOLS), str(TOOLS.parent / "tests/tools")]

import grokscope_io  # noqa: E402, F401: it finds a Python that has the packages

import h5py  # noqa: E402
import numpy as np  # noqa: E402
import synthetic_run as synthetic  # noqa: E402

TRACKED, EVERY, EPOCHS, LAYERS, M, LAYER_M, P, K, STORED = 2000, 20, 40_000, 10, 4000, 1000, 226_816, 10, 60
MEMBERS = 110
TARGET_S, TARGET_BYTES, TARGET_REPORT_BYTES = 60, 2e9, 20e6


def write_metrics(folder, shape):
    steps, every_epoch = EVERY * np.arange(TRACKED), np.arange(EPOCHS)
    values = synthetic.spectra(steps, shape)
    columns = synthetic.root_columns(steps, values, shape)
    columns = {name: column for name, column in columns.items() if not name.startswith("layers/")}
    for i in range(LAYERS):
        scaled = values[:, :LAYER_M] / (i + 1)
        for name, column in synthetic.gop_metrics(scaled).items():
            columns[f"layers/blocks.{i}.W/{name}"] = column
        rare = np.where(np.arange(TRACKED)[:, None] % 10 == 0, scaled, np.nan)
        columns[f"layers/blocks.{i}.W/eigenvalues"] = rare
        columns[f"layers/blocks.{i}.W/eigenvalues_top_k"] = rare[:, :K]
    with h5py.File(folder / "metrics.h5", "w") as file:
        file.attrs.update({"format": np.bytes_("grokscope 1"), "committed_epoch": EPOCHS})
        synthetic.write_table(file, steps, steps, columns)
        synthetic.write_table(
            file.create_group("training"), every_epoch, every_epoch, synthetic.curves(every_epoch, shape)
        )
        file["events/t_mem_step"], file["events/t_gen_step"] = float(shape.t_mem), float(shape.t_gen)
    return values


def write_vectors(folder, values):
    random = np.random.default_rng(0)
    with h5py.File(folder / "gop_full.h5", "w") as file:
        for row in np.linspace(0, TRACKED - 1, STORED).astype(int):
            group = file.create_group(f"epoch_{EVERY * row}")
            group["eigenvalues"] = values[row]
            group["eigenvectors_top_k"] = np.linalg.qr(random.standard_normal((P, K)))[0]


def write_run(folder):
    folder.mkdir(parents=True)
    shape = synthetic.Shape(tracked=TRACKED, every=EVERY, eigenvalues=M, top_k=K, t_mem=2000, t_gen=12_000)
    write_vectors(folder, write_metrics(folder, shape))


def write_study(folder):
    """Members with the series of an ordinary run, all of them links to one file."""
    first = folder / "members/m0"
    synthetic.make_run(first, synthetic.Shape(tracked=200, every=50, eigenvalues=300, with_gop=False))
    random = np.random.default_rng(0)
    with h5py.File(first / "metrics.h5", "a") as file:
        for layer in range(LAYERS):
            for metric in range(25):
                synthetic.add_series(file, f"layers/blocks.{layer}.W/gop_{metric}", random.random(200))
    for i in range(1, MEMBERS):
        member = folder / f"members/m{i}"
        member.mkdir()
        for file in first.iterdir():
            os.link(file, member / file.name)


def write(run, study):
    write_run(run)
    write_study(study)


def measured(tool, *arguments):
    """Runs a tool; returns seconds and the most bytes that it held."""
    command = [sys.executable, TOOLS / f"{tool}.py", *arguments]
    start = time.monotonic()
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{tool} failed")
    return time.monotonic() - start, usage.ru_maxrss * 1024


def main(folder, *chosen):
    folder = Path(folder)
    run, study = folder / "run", folder / "study"
    if not folder.exists():
        writer = multiprocessing.Process(target=write, args=(run, study))  # what a process starts counts its memory as its own
        writer.start()
        writer.join()
    for tool, *arguments in (
        ["visualize_gop", "--results_dir", run],
        ["report", run, "-o", run / "report.html"],
        ["report", study, "-o", study / "report.html"],
        ["lead_lag", run, "--save_dir", run / "lead_lag"],
        ["export_series", "--results_dir", run, "--format", "csv"],
    ):
        if chosen and tool not in chosen:
            continue
        seconds, size = measured(tool, *arguments)
        of = study if study in arguments else run
        line = f"{tool:14} of the {of.name:5} {seconds:6.1f} s, {seconds / TARGET_S:4.2f} of its target; "
        line += f"{size / 1e9:.2f} GB, {size / TARGET_BYTES:.2f} of its target"
        if tool == "report":
            size = os.path.getsize(of / "report.html")
            line += f"; {size / 1e6:.1f} MB, {size / TARGET_REPORT_BYTES:.2f} of its target"
        print(line, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

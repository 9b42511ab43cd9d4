#!/usr/bin/env python3
"""How long do the figures and the report of a long run take, and in how much memory?

Writes an invented run of 40,000 epochs, 2,000 of them tracked, with 10 layers, in the published layout, and
runs the tools on it. Targets: all figures within 60 s and 2 GB, the report under 20 MB. Usage: figures.py
FOLDER [TOOL...]; the run (about 300 MB) is written where FOLDER is not there yet.
"""
import os
import resource
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

TRACKED, EVERY, EPOCHS, LAYERS, M, LAYER_M, P, K, STORED = 2000, 20, 40_000, 10, 4000, 1000, 20_000, 10, 60


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


def main(folder, *chosen):
    folder = Path(folder)
    if not folder.exists():
        write_run(folder)
    most = 0
    for tool, *arguments in (
        ["visualize_gop", "--results_dir", folder],
        ["report", folder],
        ["lead_lag", folder, "--save_dir", folder / "lead_lag"],
        ["export_series", "--results_dir", folder, "--format", "csv"],
    ):
        if chosen and tool not in chosen:
            continue
        start = time.monotonic()
        command = [sys.executable, TOOLS / f"{tool}.py", *arguments]
        subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
        most = max(most, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
        print(f"{tool:16} {time.monotonic() - start:6.1f} s, at most {most / 1e6:.2f} GB so far", flush=True)
    if (folder / "report.html").exists():
        print(f"report.html      {os.path.getsize(folder / 'report.html') / 1e6:6.1f} MB")


if __name__ == "__main__":
    main(*sys.argv[1:])

#!/usr/bin/env python3
"""How long do the figures and the report of a long run take, in how much memory, and how soon does the report answer?

Writes an invented run of 40,000 epochs, 2,000 of them tracked, with 10 layers, and ten eigenvectors of P = 226,816
numbers at 60 of them, in the published layout; runs the tools on it and on a study of 110 such members (links to one,
with short series), and prints what they took, over the targets: each tool within 60 s and 2 GB, a report under 20 MB,
drawn in Chromium 2 s after it was asked for, and drawn again 100 ms after a turn of the wheel or a choice (the slowest of all
charts). Exit code: 1 where a target is missed.
Usage: figures.py FOLDER [TOOL...]; the runs (about 1.5 GB) are written where FOLDER is not there yet. The machine must be
quiet.
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

import chromium_page  # noqa: E402
import h5py  # noqa: E402
import numpy as np  # noqa: E402
import synthetic_run as synthetic  # noqa: E402

TRACKED, EVERY, EPOCHS, LAYERS, M, LAYER_M, P, K, STORED = 2000, 20, 40_000, 10, 4000, 1000, 226_816, 10, 60
MEMBERS = 110
TARGETS = {"s": 60, "GB": 2, "MB": 20, "s to load": 2, "ms to draw": 100}
# Milliseconds that each chart takes to draw again: after a zoom, and after another metric or series was chosen.
REDRAWS = """
[...grokscope.charts.map((chart) => () => { chart.zoomAbout(300, 150, 0.8); chart.reset(); }),
 ...[...document.querySelectorAll("select")].map((select) => () => select.dispatchEvent(new Event("change")))
].map((action) => { const start = performance.now(); action(); return performance.now() - start; })
"""


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
    """Runs a tool; what it took, by unit."""
    command = [sys.executable, TOOLS / f"{tool}.py", *arguments]
    start = time.monotonic()
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"figures.py: {tool} failed, run it by hand: {' '.join(map(str, command))}")
    return {"s": time.monotonic() - start, "GB": usage.ru_maxrss * 1024 / 1e9}


def page_measured(path):
    """How large a report is, and how soon it answers where Chromium is installed, by unit."""
    found = {"MB": path.stat().st_size / 1e6}
    if not chromium_page.executable():
        print("chromium is not installed (apt-get install chromium): the report's times are not measured")
        return found
    with chromium_page.Page() as page:
        start = time.monotonic()
        page.open(path.as_uri())
        page.wait_for("window.grokscope && grokscope.charts.length >= 5 && grokscope.charts.every((chart) => chart.canvas.width > 100)")
        return {**found, "s to load": time.monotonic() - start, "ms to draw": max(page.evaluate(REDRAWS))}


def line_of(what, found):
    parts = (f"{amount:.3g} {unit} ({amount / TARGETS[unit]:.2f} of its target)" for unit, amount in found.items())
    return f"{what:28} " + ", ".join(parts)


def main(folder, *chosen):
    folder = Path(folder)
    run, study = folder / "run", folder / "study"
    if not folder.exists():
        writer = multiprocessing.Process(target=write, args=(run, study))  # what a process starts counts its memory as its own
        writer.start()
        writer.join()
    missed = []
    for tool, *arguments in (
        ["visualize_gop", "--results_dir", run],
        ["animate", "--results_dir", run],
        ["report", run, "-o", run / "report.html"],
        ["report", study, "-o", study / "report.html"],
        ["lead_lag", run, "--save_dir", run / "lead_lag"],
        ["export_series", "--results_dir", run, "--format", "csv"],
    ):
        if chosen and tool not in chosen:
            continue
        found, what = measured(tool, *arguments), f"{tool} of the {'study' if study in arguments else 'run'}"
        if tool == "report":
            found.update(page_measured(arguments[-1]))
        print(line_of(what, found), flush=True)
        missed += [f"{what}: {amount:.3g} {unit}" for unit, amount in found.items() if amount > TARGETS[unit]]
    if missed:
        print("above its target: " + "; ".join(missed), file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))

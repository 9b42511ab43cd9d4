#!/usr/bin/env python3
"""How do my runs stand? Lists every run below the given folders, for a terminal or as JSON.

    tools/status.py            everything below results/
    tools/status.py results/quick --json

A run that says `running` while no process holds its lock any more is `killed`. Where Slurm is at hand it is asked once,
for the jobs of this user. It reads what the run wrote and changes nothing.
"""
import datetime
import json
import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

import grokscope_io
from grokscope_io import ToolError, run_tool
from grokscope_tools.command_line.options import make_parser

NO_RUNS = {".segments", ".work", "checkpoints", "plots", "analysis"}
TAIL_BYTES = 65536
UNIT_SECONDS = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86400}
COLUMNS = ("run", "state", "epoch", "step", "train", "test", "left", "job", "disk")


def find_run_folders(tops):
    """Every folder below `tops` that holds a run, also one that has not committed anything yet; sorted."""
    found = set()
    for top in tops:
        if not os.path.isdir(top):
            raise ToolError(f"{top} is no directory (no run can be found there), name one such as results")
        for folder, below, files in os.walk(top):
            below[:] = [name for name in below if name not in NO_RUNS]
            if "STATUS" in files or "config.json" in files:
                found.add(Path(folder))
    return sorted(found, key=lambda path: grokscope_io.natural_key(os.fspath(path)))


def tail_of(path):
    """The last whole lines of a text file that may be long and may be growing; [] when there is none."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").split("\n")
    except OSError:
        return []
    return lines[1 if size > TAIL_BYTES else 0 : -1]


def last_row(folder):
    """The newest evaluation in metrics.csv as {"epoch": 3, ...}; {} before the first."""
    lines = tail_of(folder / "metrics.csv")
    try:
        with open(folder / "metrics.csv", encoding="utf-8") as file:
            names = file.readline().strip().split(",")
        values = [float(value) for value in lines[-1].split(",")]
    except (OSError, IndexError, ValueError):
        return {}
    return dict(zip(names, values)) if len(names) == len(values) else {}


def seconds_left(folder, now):
    """What the run last said about its time left, less the time since; None when it said nothing."""
    for line in reversed(tail_of(folder / "log.txt")):
        said = re.match(r"(\S+) info epoch +\d+ step +\d+/\d+ .*?((?:[\d.]+ (?:ms|min|s|h|d) ?)+)left$", line)
        if said:
            parts = re.findall(r"([\d.]+) (\w+)", said.group(2))
            seconds = sum(float(number) * UNIT_SECONDS[unit] for number, unit in parts)
            age = (now - datetime.datetime.fromisoformat(said.group(1))).total_seconds()
            return max(0.0, seconds - age) if seconds > 0 else None
    return None


def last_warning(folder):
    """The newest line of log.txt that is no mere information; None when there is none."""
    for line in reversed(tail_of(folder / "log.txt")):
        found = re.match(r"\S+ (?:warning|error|critical) (.*)", line)
        if found:
            return found.group(1)
    return None


def holder_of(folder):
    """Who holds the run directory, or did last: {"pid", "host", "job"}; {} when nobody ever did."""
    try:
        text = (folder / ".lock").read_text(encoding="utf-8")
    except OSError:
        return {}
    found = re.match(r"process (\d+) on (\S+?)(?:, job (\d+))?$", text.strip())
    return {"pid": int(found[1]), "host": found[2], "job": found[3]} if found else {}


def has_open(pid, path):
    """True when process `pid` of this machine has the file open, or may not be asked."""
    folder = Path(f"/proc/{pid}/fd")
    try:
        return any(os.path.samefile(entry, path) for entry in folder.iterdir() if entry.exists())
    except FileNotFoundError:
        return folder.exists()
    except PermissionError:
        return True


def is_alive(holder, folder, jobs):
    """True or False where it can be known that somebody holds the run, otherwise None."""
    if not holder:
        return None
    if holder["host"] == socket.gethostname():
        return has_open(holder["pid"], folder / ".lock")
    mine = (folder / ".lock").stat().st_uid == os.getuid()
    if holder["job"] and jobs is not None and mine:
        return jobs.get(holder["job"]) in ("RUNNING", "COMPLETING", "SUSPENDED")
    return None


def jobs_of_user():
    """{job number: state} of this user's jobs in Slurm; None where there is no Slurm to ask."""
    if shutil.which("squeue") is None:
        return None
    command = ["squeue", "--noheader", "--me", "--format=%A %T"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except subprocess.TimeoutExpired:
        return None
    return dict(line.split() for line in result.stdout.splitlines()) if result.returncode == 0 else None


def disk_bytes(folder):
    """Space taken by everything below a folder; files that vanish meanwhile do not count."""
    total = 0
    for where, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.lstat(os.path.join(where, name)).st_blocks * 512
            except FileNotFoundError:
                continue
    return total


def describe(folder, jobs, now):
    """Everything that is said of one run, as plain values; None is: not known."""
    status = grokscope_io.Run(folder).status() or {"state": "running", "reason": "no STATUS yet"}
    holder, row = holder_of(folder), last_row(folder)
    state, alive = status["state"], is_alive(holder, folder, jobs)
    reason = status.get("reason", "")
    if state == "running" and alive is False:
        state, reason = "killed", "no process holds it any more; the same command resumes it"
    job = holder.get("job")
    written = [path.stat().st_mtime for path in (folder / "metrics.csv", folder / "STATUS") if path.exists()]
    live = row if state in ("running", "killed") else {}  # STATUS is as old as the last commit
    return {
        "run": os.fspath(folder),
        "state": state,
        "epoch": int(live.get("epoch", status.get("epoch", 0))),
        "step": int(live.get("step", status.get("step", 0))),
        "total_steps": status.get("total_steps"),
        "train_loss": live.get("train_loss", status.get("train_loss")),
        "test_loss": live.get("test_loss", status.get("test_loss")),
        "seconds_left": seconds_left(folder, now) if state == "running" else None,
        "job": job,
        "job_state": (jobs or {}).get(job),
        "host": holder.get("host"),
        "exit_code": status.get("exit_code"),
        "last_error": reason or last_warning(folder),
        "last_write": datetime.datetime.fromtimestamp(max(written)).isoformat(timespec="seconds") if written else None,
        "disk_bytes": disk_bytes(folder),
    }


def duration(seconds):
    if seconds is None:
        return ""
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes < 1440 else f"{minutes // 1440} d {minutes % 1440 // 60} h"


def size(number):
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} TB"


def cells(run):
    """One line of the table."""
    total = run["total_steps"]
    share = f"/{total} {100 * run['step'] // total}%" if total else ""
    losses = ["" if run[key] is None else f"{run[key]:.2e}" for key in ("train_loss", "test_loss")]
    job = " ".join(filter(None, (run["job"], (run["job_state"] or "").lower())))
    return [run["run"], run["state"], str(run["epoch"]), f"{run['step']}{share}", *losses,
            duration(run["seconds_left"]), job, size(run["disk_bytes"])]


def table(runs):
    """The runs for a terminal; below each one that is not well its last error."""
    rows = [list(COLUMNS)] + [cells(run) for run in runs]
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    notes = [""] + [run["last_error"] if run["state"] in ("failed", "killed") and run["last_error"] else "" for run in runs]
    lines = []
    for row, note in zip(rows, notes):
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
        if note:
            lines.append("    " + note.splitlines()[0])
    return "\n".join(lines)


def main(arguments=None):
    parser = make_parser(__doc__)
    parser.add_argument("folders", nargs="*", default=["results"], help="where to look (default: results)")
    parser.add_argument("--json", action="store_true", help="for other programs: a list of objects")
    options = parser.parse_args(arguments)
    jobs, now = jobs_of_user(), datetime.datetime.now()
    runs = [describe(folder, jobs, now) for folder in find_run_folders(options.folders)]
    if options.json:
        print(json.dumps(runs, indent=1))
    else:
        print(table(runs) if runs else f"no run below {' '.join(options.folders)}")
    return 0


if __name__ == "__main__":
    run_tool(main)

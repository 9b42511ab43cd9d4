"""What does this run directory hold? The one reader that all tools use; grokscope_io.py is its name for scripts.

open_run(path) gives a Run whose series are read when asked for and kept. It reads finished, running,
interrupted and older runs alike: what is not there is None, a value that does not exist is NaN. It must know
nothing of plots, models or MPI.

Here runs are found, and asked what was trained and what came of it. run_series.py has what a Run answers about series,
run_gops.py about matrices, eigenvectors and spectra; run_files.py opens the files.
"""
import glob
import json
import os
from pathlib import Path
from typing import NamedTuple, Optional

import h5py
import numpy as np

from grokscope_tools.command_line.process import ToolError
from grokscope_tools.reading.hdf5_access import attributes_of, dataset_shapes, member, natural_key, plain
from grokscope_tools.reading.parameter_table import read_parameters
from grokscope_tools.reading.run_files import DATA, GOP_FULL, GOP_LAYERS, METRICS, STUDY
from grokscope_tools.reading.run_gops import RunGops


class Transition(NamedTuple):
    """Steps at which the run memorised and generalised (None: not yet, or never), and the rule that says
    so."""

    t_mem: Optional[float]
    t_gen: Optional[float]
    rule: str


def find_runs(patterns):
    """All run directories that match any of the glob `patterns` (`**` allowed) or lie below a match; sorted, each once.
    An analysis of a run (RUN/analysis/NAME) is one only where the pattern itself names it."""
    found = set()
    for pattern in [patterns] if isinstance(patterns, (str, os.PathLike)) else patterns:
        for match in map(Path, glob.glob(os.fspath(pattern), recursive=True)):
            if match.is_dir():
                below = (file.parent for file in match.rglob(METRICS))
                found.update(folder for folder in below if "analysis" not in folder.relative_to(match).parts)
            elif match.name == METRICS:
                found.add(match.parent)
    return distinct(sorted(found))


def distinct(folders):
    """Each directory once, by the first of its names: relative and absolute paths and symbolic links may name the same one."""
    found = {}
    for folder in folders:
        found.setdefault(folder.resolve(), folder)
    return list(found.values())


def open_runs(patterns):
    """All runs that find_runs() finds. Throws ToolError when a pattern finds none."""
    found = []
    for pattern in patterns:
        below = find_runs(pattern)
        if not below:
            raise ToolError(
                f"{pattern} holds no run (there is no {METRICS} in it or below it), give run "
                "directories, folders of them, or globs"
            )
        found += below
    return [Run(folder) for folder in distinct(found)]


def open_run(path):
    """Opens the run directory `path` (or any file directly in it). Throws ToolError when there is no
    metrics.h5."""
    path = Path(path)
    folder = path.parent if path.is_file() else path
    if not folder.is_dir():
        raise ToolError(
            f"{folder} is no directory (nothing can be read from it), give a run directory such as "
            "results/09_levi_linear"
        )
    if not (folder / METRICS).is_file():
        below = [os.fspath(run) for run in find_runs(folder)[:4]]
        hint = "did you mean " + " or ".join(below) if below else "wait for its first commit, or name another"
        raise ToolError(
            f"{folder} has no {METRICS} (it is not a run directory, or nothing is committed yet), {hint}"
        )
    return Run(folder)


class Run(RunGops):
    """One run directory, read lazily; see RunFiles on how long its files stay open. Besides what follows it has the
    methods of RunSeries (series, names, attrs, ...) and RunGops (load_gop, eigenvectors, spectrum, ...)."""

    # What was trained -----------------------------------------------------------------

    def config(self):
        """The resolved configuration as nested dictionaries; None when config.json is missing."""
        return self.read_json_("config.json")

    def parameters(self):
        """Every Parameter in the order of the flat vector; None when /parameters is missing."""
        candidates = (self.read_(file, read_parameters) for file in (METRICS, GOP_FULL, GOP_LAYERS))
        return next((found for found in candidates if found is not None), None)

    def layers(self):
        """Names of the layers that have metrics, in the order of their parameters where that is known."""
        prefix = "layers/"
        names = {
            name[len(prefix) :].rsplit("/", 1)[0]
            for name in self.names("layers")
            if name.rsplit("/", 1)[1].startswith(("gop_", "eigenvalues"))
        }
        offsets = {}
        for parameter in self.parameters() or []:
            offsets.setdefault(parameter.layer, parameter.offset)
        return sorted(names, key=lambda name: (offsets.get(name, np.inf), natural_key(name)))

    def data(self):
        """What was trained on: data.h5, a mapping train/{ids,inputs,targets}, test/{...}, open until refresh(); None
        when missing."""
        return self.read_(DATA, lambda file: file)

    def launches(self):
        """What is known of each start of the program (arguments, versions, hosts, ...), in order; [] when
        missing."""

        def read(file):
            group = member(file, "provenance")
            names = sorted(group or (), key=natural_key)
            scalars = ({k: plain(v[()]) for k, v in group[name].items() if v.shape == ()} for name in names)
            return [{**attributes_of(file, f"provenance/{n}"), **more} for n, more in zip(names, scalars)]

        return self.read_(METRICS, read) or []

    # What came of it -----------------------------------------------------------------

    def status(self):
        """STATUS as a dictionary with at least `state`; None when missing."""
        text = self.read_text_("STATUS")
        if text is None:
            return None
        try:
            return json.loads(text)
        except json.JSONDecodeError:  # older runs wrote one word and a sentence
            state, _, reason = text.strip().partition(" ")
            return {"state": state, "reason": reason.strip()}

    def log(self):
        """The text of log.txt; None when missing."""
        return self.read_text_("log.txt")

    def events(self):
        """Attributes and scalar datasets of /events (t_mem_step, t_gen_step, the rule, ...); {} when
        missing."""

        def read(file):
            group = member(file, "events")
            if group is None:
                return {}
            values = {
                key: plain(item[()])
                for key, item in group.items()
                if isinstance(item, h5py.Dataset) and item.shape == ()
            }
            return {**values, **attributes_of(file, "events")}

        return self.read_(METRICS, read) or {}

    def transition(self):
        """Steps of memorisation and generalisation: from /events, else from the accuracies by the house
        rule."""
        events = self.events()
        found = [events.get(f"{name}_step", events.get(name)) for name in ("t_mem", "t_gen")]
        if any(step is not None for step in found):
            return Transition(*map(reached, found), str(events.get("rule", "rule not recorded")))
        first = [
            first_step_above(self.best_series("train_acc"), 0.99),
            first_step_above(self.best_series("test_acc"), 0.95),
        ]
        return Transition(*first, "computed by this tool: train >= 0.99, test >= 0.95")

    def why_nothing_is_tracked(self):
        """Why the run has no GOP; None where it has one."""
        if self.epochs_tracked().size:
            return None
        if ((self.config() or {}).get("gop_tracking") or {}).get("enabled") is False:
            return "gop_tracking.enabled is false"
        state = (self.status() or {}).get("state", "of unknown state")
        return f"nothing is tracked yet, the run is {state}"

    def why_no_spectrum(self):
        """Why the run has no spectrum that logarithmic axes can show; asked only where nothing was found to draw."""
        why, stored = self.why_nothing_is_tracked(), self.spectra()
        if why or stored is None:
            return why or "no eigenvalues are in metrics.h5"
        return "no eigenvalue is above 0" if np.isfinite(stored.values).any() else "every eigenvalue is NaN"

    def members(self):
        """Of a study: {column: values of all members} of /members in study.h5; None where this is none."""

        def read(file):
            shapes = dict(dataset_shapes(file, "members"))
            rows = shapes.get("members/name")
            columns = [name for name, shape in shapes.items() if rows is not None and shape == rows]
            return {name.removeprefix("members/"): file[name][()] for name in columns}

        return self.read_(STUDY, read)


def shortest_labels(paths):
    """The last parts of each path, as many as tell all of them apart."""
    parts = [Path(path).resolve().parts for path in paths]
    for depth in range(1, max(map(len, parts), default=0) + 1):
        labels = ["/".join(part[-depth:]) for part in parts]
        if len(set(labels)) == len(labels):
            break
    return labels if paths else []


def reached(step):
    """A step of /events; None when it is missing, NaN or negative, which all mean: not reached."""
    return float(step) if isinstance(step, (int, float)) and np.isfinite(step) and step >= 0 else None


def first_step_above(series, threshold):
    above = np.zeros(0, int) if series is None else np.flatnonzero(series.values >= threshold)
    return float(series.step[above[0]]) if above.size else None

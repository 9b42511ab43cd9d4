"""What did the members of a study come to, and what tells them apart?

Reads study.h5 and, for what it does not hold, the members' own files, one after the other. What was varied is
taken from the study's file: the keys of study.grid, else the numeric ones among the overrides of its members. It
must know nothing of papers.
"""
import re
from pathlib import Path

import numpy as np

from grokscope_tools.reading.hdf5_access import plain
from grokscope_tools.reading.run import Run
from grokscope_tools.reading.run_files import STUDY

# How long and how closely a member was watched, which studies adapt to what they vary.
WATCHING = re.compile(
    r"(computational_limits|storage|gop_tracking|observables|probes)\b.*"
    r"|training\.(steps|epochs|batch_size|stop_when|seed|log_\w+)\b.*"
)
FEWEST_VALUES = 3  # of a key that is no grid key, to draw a curve over it
NOBODY_YET = "no member has come that far"
DERIVED_PHASES = {1: "generalised", 2: "memorised only", 3: "neither"}


def is_study(folder):
    return (Path(folder) / STUDY).is_file()


class Study:
    """The members of one study, a row each; all times are NaN where they were not reached."""

    def __init__(self, folder):
        self.run = Run(folder)
        self.path, self.name = self.run.path, self.run.name
        columns = self.run.members() or {}
        self.columns_ = {name: values for name, values in columns.items() if values.dtype.kind in "biuf"}
        self.texts_ = {
            name: [plain(value) for value in values]
            for name, values in columns.items()
            if name not in self.columns_
        }
        self.names = self.texts_.get("name", [])
        self.groups = self.texts_.get("group", self.names)
        self.states = np.array(self.texts_.get("status", ["done"] * len(self.names)))
        self.run.refresh()
        self.finals_, self.configs_ = {}, {}

    def __len__(self):
        return len(self.names)

    def state(self):
        return (self.run.status() or {}).get("state", "done")

    def member(self, i):
        directory = self.texts_.get("directory", [f"members/{name}" for name in self.names])[i]
        return Run(self.path / directory)

    # Results -----------------------------------------------------------------

    def numbers(self, name):
        """A column of /members ("t_gen", "results/phase") as float [n]; all NaN where there is none."""
        return np.asarray(self.columns_.get(name, np.full(len(self), np.nan)), float)

    def is_done(self):
        return self.states == "done"

    def remarks(self):
        """What a figure says below its panels: ["2 of 9 members are not done"], [] where all are."""
        missing = len(self) - int(self.is_done().sum())
        return [f"{missing} of {len(self)} members are not done"] if missing else []

    def final(self, name):
        """The last finite value of the members' training/<name>, or results/final_<name> where there is one; [n]."""
        if name not in self.finals_:
            column = f"results/final_{name}"
            known = column in self.columns_
            self.finals_[name] = self.numbers(column) if known else np.array([self.last_of(i, name) for i in range(len(self))])
        return self.finals_[name]

    def last_of(self, i, name):
        with self.member(i) as run:
            series = run.best_series(name)
        values = np.zeros(0) if series is None else series.values[np.isfinite(series.values)]
        return float(values[-1]) if values.size else np.nan

    def phases(self):
        """(phase of each member [n], {phase: its name}): results/phase with the names that its definition gives,
        else by what was reached. NaN for a member that is not done."""
        phase, names = self.numbers("results/phase"), self.names_of_phases()
        if not np.isfinite(phase).any() or not names:
            reached = np.isfinite(self.numbers("t_mem")).astype(int)
            phase, names = np.where(np.isfinite(self.numbers("t_gen")), 1.0, 3.0 - reached), DERIVED_PHASES
        return np.where(self.is_done(), phase, np.nan), names

    def names_of_phases(self):
        """{1: "comprehension", ...} from the definition of a member's results/phase."""
        known = np.flatnonzero(np.isfinite(self.numbers("results/phase")))
        if not known.size:
            return {}
        with self.member(known[0]) as run:
            definition = run.attrs("results/phase").get("definition", "")
        return {int(number): name for number, name in re.findall(r"(?:^|, )(\d+) ([a-z][\w-]*)", definition)}

    # What was varied -----------------------------------------------------------------

    def settings(self, key):
        """The value of a configuration key in each member: of the study, else of the member's configuration."""
        given = self.texts_.get(f"overrides/{key}", [""] * len(self))
        return [text if text != "" else self.configured(i, key) for i, text in enumerate(given)]

    def configured(self, i, key):
        group = self.groups[i]  # its members differ in nothing but the seed
        if group not in self.configs_:
            self.configs_[group] = self.member(i).config() or {}
        value = self.configs_[group]
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return value

    def grid_keys(self):
        grid = ((self.run.config() or {}).get("study") or {}).get("grid")
        return list(grid) if isinstance(grid, dict) else []

    def override_keys(self):
        return [name.removeprefix("overrides/") for name in self.texts_ if name.startswith("overrides/")]

    def axes(self):
        """{key: value in each member [n]} of the one or two numeric keys that the study is a curve or a map over; {}
        where there is none."""
        grid = self.grid_keys()
        keys = grid or [key for key in self.override_keys() if not WATCHING.fullmatch(key)]
        numeric = {key: numbers_of(self.settings(key)) for key in keys}
        numeric = {key: values for key, values in numeric.items() if values is not None and len(values)}
        fewest = 2 if grid else FEWEST_VALUES
        kept = {key: values for key, values in numeric.items() if np.unique(values).size >= fewest}
        if not grid and (len(kept) > 2 or len(self.other_keys(kept)) > 0):
            return {}
        most = sorted(kept, key=lambda key: -np.unique(kept[key]).size)[:2]
        return {key: values for key, values in kept.items() if key in most}

    def other_keys(self, axes):
        """Further keys that differ between members."""
        keys = [key for key in self.override_keys() if key not in axes and not WATCHING.fullmatch(key)]
        return [key for key in keys if len({str(value) for value in self.settings(key)}) > 1]

    def curves(self, axes):
        """[(label, indices of members)]: members that differ in the keys of `axes` and their seeds alone."""
        others = self.other_keys(axes)
        settings = {key: self.settings(key) for key in others}
        found = {}
        for i in range(len(self)):
            found.setdefault(tuple(str(settings[key][i]) for key in others), []).append(i)
        return [(self.label_of(rows[0], axes), np.array(rows)) for rows in found.values()]

    def label_of(self, i, axes):
        """The name of a member's group without the values of `axes`: "dense" of "dense,weight_decay=1"."""
        names = {name for key in axes for name in (key, key.rsplit(".", 1)[-1])}
        return ",".join(part for part in self.groups[i].split(",") if part.partition("=")[0] not in names)


def numbers_of(values):
    """The values as float [n]; None where one of them is no number."""
    try:
        if any(isinstance(value, bool) for value in values):
            return None
        return np.array([float(value) for value in values])
    except (TypeError, ValueError):
        return None


def median(values):
    """The middle of those that are known, infinite ones among them; NaN without any."""
    known = np.sort(values[~np.isnan(values)])
    if not known.size:
        return np.nan
    low, high = known[(known.size - 1) // 2], known[known.size // 2]
    return high if np.isinf(high) else (low + high) / 2

"""What does this run directory hold? The one reader that all tools use.

open_run(path) gives a Run whose series are read when asked for and kept. It reads finished, running,
interrupted and older runs alike: what is not there is None, a value that does not exist is NaN. It must know
nothing of plots, models or MPI. Needs h5py and numpy: where the running Python lacks them it starts the
system's Python in its place.
"""
import os

from tool_process import ENVIRONMENT_ERROR, USER_ERROR, ToolError, require_modules, run_tool, writing_to

# Published files are immutable and replaced by renaming, so that locks protect nothing; on many network file
# systems asking for one fails.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")
require_modules("h5py", "numpy")

import collections  # noqa: E402
import glob  # noqa: E402
import json  # noqa: E402
import time  # noqa: E402
import weakref  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import NamedTuple, Optional  # noqa: E402

import h5py  # noqa: E402
import labelled_arrays  # noqa: E402
import numpy as np  # noqa: E402
from hdf5_access import (  # noqa: E402
    attributes_of,
    axes_of,
    dataset_shapes,
    dataset_values,
    member,
    natural_key,
    plain,
    shape_of,
)
from moments import Moment, group_name, named_moments  # noqa: E402
from parameter_table import Parameter, read_parameters  # noqa: E402
from stored_gop import stored_gop, whole_range  # noqa: E402

__all__ = [  # with what tools take from the modules below this one
    "ENVIRONMENT_ERROR",
    "USER_ERROR",
    "Moment",
    "Parameter",
    "Run",
    "Series",
    "ToolError",
    "Transition",
    "find_runs",
    "natural_key",
    "open_run",
    "open_runs",
    "plain",
    "reached",
    "require_modules",
    "run_tool",
    "shape_of",
    "shortest_labels",
    "writing_to",
]

AFFORDABLE = 1e11  # multiplications for the eigenvectors of a stored matrix: some seconds
OPEN_FILES = 32  # of all runs together: a study has hundreds
METRICS, GOP_FULL, GOP_LAYERS, DATA = "metrics.h5", "gop_full.h5", "gop_layers.h5", "data.h5"
STUDY = "study.h5"


class Series(NamedTuple):
    """Values over training: `values[i]` belongs to the state after `step[i]` steps, in epoch `epoch[i]`."""

    epoch: np.ndarray
    step: np.ndarray
    values: np.ndarray


class Transition(NamedTuple):
    """Steps at which the run memorised and generalised (None: not yet, or never), and the rule that says
    so."""

    t_mem: Optional[float]
    t_gen: Optional[float]
    rule: str


def find_runs(patterns):
    """All run directories that match any of the glob `patterns` (`**` allowed) or lie below a match; sorted.
    An analysis of a run (RUN/analysis/NAME) is one only where the pattern itself names it."""
    found = set()
    for pattern in [patterns] if isinstance(patterns, (str, os.PathLike)) else patterns:
        for match in map(Path, glob.glob(os.fspath(pattern), recursive=True)):
            if match.is_dir():
                below = (file.parent for file in match.rglob(METRICS))
                found.update(folder for folder in below if "analysis" not in folder.relative_to(match).parts)
            elif match.name == METRICS:
                found.add(match.parent)
    return sorted(found)


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
        found += [folder for folder in below if folder not in found]
    return [Run(folder) for folder in found]


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


recently_used = collections.OrderedDict()  # {(id of a Run, file name): weak reference to the Run}, the oldest first


class Run:
    """One run directory, read lazily. A file stays open until refresh(), or until OPEN_FILES others have been asked
    since; all that it answers meanwhile belongs to one commit. Where a file that was closed for others has been replaced
    when it is asked again, everything is read anew. refresh() moves on to the newest commit."""

    def __init__(self, folder):
        self.path = Path(folder)
        self.files_ = {}
        self.stamps_ = {}  # of the files that were opened since refresh(): which file it was
        self.cache_ = {}

    @property
    def name(self):
        return self.path.resolve().name

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.refresh()

    def refresh(self):
        """Closes the files and forgets what was read: the next question sees the newest commit."""
        for name in list(self.files_):
            self.close_(name)
        self.stamps_.clear()
        self.cache_.clear()

    # Series -----------------------------------------------------------------

    def to_pandas(self, table=""):
        """The scalar series of one table as a pandas DataFrame, see labelled_arrays.py."""
        return labelled_arrays.to_pandas(self, table)

    def to_xarray(self, table=""):
        """The series of one table as an xarray Dataset, see labelled_arrays.py."""
        return labelled_arrays.to_xarray(self, table)

    def series(self, name, components=None):
        """The dataset `name` of metrics.h5 ("gop_trace", "training/train_loss", "probes/x/y") as a Series on
        its own axes; None when it is not there or has no time axis. Integers and floats alike come as
        float64. Of vectors [T, k], only the first `components` are read where that is given."""
        key = (name, components)
        if key not in self.cache_:
            self.cache_[key] = self.read_(METRICS, lambda file: self.read_series_(file, name, components))
        return self.cache_[key]

    def scalar_series(self, name, components):
        """[(label, Series [T])] of the dataset `name`: one entry, or for vectors "name[0]", "name[1]", ... of
        the first `components`; empty when it is no series of either kind."""
        series = self.series(name, components)
        if series is None or series.values.ndim > 2:
            return []
        if series.values.ndim == 1:
            return [(name, series)]
        return [
            (f"{name}[{k}]", series._replace(values=series.values[:, k]))
            for k in range(series.values.shape[1])
        ]

    def array(self, name):
        """The dataset `name` of metrics.h5 as it is stored, with or without a time axis; None when
        missing."""
        return self.read_(METRICS, lambda file: dataset_values(file, name))

    def names(self, group=""):
        """Names of all datasets below `group` of metrics.h5, their axes left out, in natural order."""
        return list(self.shapes(group))

    def shapes(self, group=""):
        """{name: shape} of all datasets below `group` of metrics.h5, in the order of names()."""

        def read(file):
            return dict(sorted(dataset_shapes(file, group), key=lambda pair: natural_key(pair[0])))

        return self.read_(METRICS, read) or {}

    def attrs(self, name=""):
        """Attributes of the dataset or group `name` of metrics.h5 (long_name, units, definition); {} when
        missing."""
        return self.read_(METRICS, lambda file: attributes_of(file, name)) or {}

    def committed_epoch(self):
        """The epoch of the last commit; None when the file does not say."""
        return self.attrs().get("committed_epoch")

    def epochs_tracked(self):
        """The epoch of each moment at which the GOP was tracked; empty when there are none yet."""
        return np.array([moment.epoch for moment in self.tracked_moments()], np.int64)

    def tracked_moments(self):
        """Every Moment at which the GOP was tracked, a row of metrics.h5 each."""
        if "tracked" not in self.cache_:
            axes = self.series("epoch")
            pairs = [] if axes is None else zip(axes.epoch, axes.step)
            self.cache_["tracked"] = [Moment(int(epoch), int(step)) for epoch, step in pairs]
        return self.cache_["tracked"]

    def eigenvalues(self):
        """All eigenvalues [T, m], descending, NaN where not computed; None when not stored in metrics.h5."""
        series = self.series("eigenvalues")
        return None if series is None else series.values

    def eigenvalues_top_k(self):
        """The k largest eigenvalues [T, k]; the first columns of all of them where only those are stored."""
        series = self.series("eigenvalues_top_k")
        return self.eigenvalues() if series is None else series.values

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

    def best_series(self, name, components=None):
        """`name` from every evaluation (/training) where that exists, else from the tracked epochs."""
        return self.series(f"training/{name}", components) or self.series(name, components)

    def why_nothing_is_tracked(self):
        """Why the run has no GOP; None where it has one."""
        if self.epochs_tracked().size:
            return None
        if ((self.config() or {}).get("gop_tracking") or {}).get("enabled") is False:
            return "gop_tracking.enabled is false"
        state = (self.status() or {}).get("state", "of unknown state")
        return f"nothing is tracked yet, the run is {state}"

    # GOPs -----------------------------------------------------------------

    def gop_epochs(self, layer=None):
        """Epochs that have an entry in gop_full.h5, or in gop_layers.h5 for `layer`; ascending, each once."""
        return sorted({moment.epoch for moment in self.gop_moments(layer)})

    def gop_moments(self, layer=None):
        """Every Moment that has an entry in gop_full.h5, or in gop_layers.h5 for `layer`, in the order of training:
        also those within an epoch."""
        groups = self.gop_groups_(GOP_LAYERS if layer else GOP_FULL)
        if not layer:
            return list(groups)

        def read(file):
            return [moment for moment, name in groups.items() if member(file, f"{name}/{layer}") is not None]

        return self.read_(GOP_LAYERS, read) or []

    # Whatever asks for an `epoch` of the GOP below means the state before its first step, or where only states
    # within it were tracked, the first of these. `step` asks for the one after so many optimizer steps.

    def load_gop(self, epoch, rows=None, cols=None, layer=None, step=None):
        """A block of the stored GOP of `epoch`, full or of `layer`, in whatever layout it is stored; rows and
        cols are slices or (first, end), counted from the layer's first parameter. Only what the block needs is
        read. Throws ToolError when no matrix is stored there."""

        def read(stored):
            return stored.read(*(whole_range(part, stored.size) for part in (rows, cols)))

        block = self.ask_gop_(epoch, layer, step, read)
        if block is not None:
            return block
        where = f"epoch {epoch}" + ("" if step is None else f" after step {step}") + (f" of layer {layer}" if layer else "")
        key = "store_layer_gops" if layer else "store_full_gop"
        there = [m for m in self.gop_moments(layer) if self.has_gop(m.epoch, layer, m.step)]
        hint = f"rebuild it with `grokscope export`, or set storage.{key}"
        if there:
            named = (str(m.epoch) + ("" if m.step == m.epoch else f" (step {m.step})") for m in there[:12])
            hint = f"epochs that have one: {', '.join(named)}"
        raise ToolError(f"{self.path}: no matrix of {where} is stored (storage.{key} decides which are), {hint}")

    def eigenvectors(self, epoch, k, step=None):
        """(eigenvalues [m], eigenvectors [P, k]) of `epoch`, descending, m >= k: as they are stored, else those of
        the stored matrix. None where neither is there, or the matrix would take minutes."""
        vectors = self.gop_array(epoch, "eigenvectors_top_k", selection=np.s_[:, :k], step=step)
        if vectors is not None:
            values = self.gop_array(epoch, "eigenvalues", step=step)
            return (np.full(vectors.shape[1], np.inf) if values is None else values), vectors.astype(float)
        return self.ask_gop_(epoch, None, step, lambda stored: stored.top(k) if stored.cost_of_top < AFFORDABLE else None)

    def has_eigenvectors(self, epoch, step=None):
        """Whether eigenvectors() finds some."""
        return self.cost_of_eigenvectors(epoch, step) is not None

    def cost_of_eigenvectors(self, epoch, step=None):
        """Multiplications that eigenvectors() takes, about; 0 where they are stored, None where it finds none."""
        if self.gop_shape(epoch, "eigenvectors_top_k", step=step) is not None:
            return 0.0
        cost = self.ask_gop_(epoch, None, step, lambda stored: stored.cost_of_top)
        return cost if cost is not None and cost < AFFORDABLE else None

    def has_gop(self, epoch, layer=None, step=None):
        """Whether load_gop() has a matrix to read."""
        return self.gop_size(epoch, layer, step) is not None

    def gop_size(self, epoch, layer=None, step=None):
        """P of the P x P matrix that load_gop() reads; None when none is stored."""
        return self.ask_gop_(epoch, layer, step, lambda stored: stored.size)

    def gop_shape(self, epoch, name, layer=None, step=None):
        """The shape of gop_array() without reading it; None when missing."""
        file_name, group = self.place_of_gop_(epoch, layer, step)
        return self.read_(file_name, lambda file: getattr(member(file, f"{group}/{name}"), "shape", None))

    def gop_array(self, epoch, name, layer=None, selection=(), step=None):
        """The dataset `name` (eigenvalues, eigenvectors_top_k, ...) stored with the GOP of `epoch`; None when
        missing."""
        file_name, group = self.place_of_gop_(epoch, layer, step)
        return self.read_(file_name, lambda file: dataset_values(file, f"{group}/{name}", selection))

    def gop_attrs(self, epoch, layer=None, step=None):
        """Attributes stored with the GOP of `epoch` (definition, noise_floor, solver, ...); {} when
        missing."""
        file_name, group = self.place_of_gop_(epoch, layer, step)
        return self.read_(file_name, lambda file: attributes_of(file, group)) or {}

    def spectrum(self, epoch, step=None):
        """All eigenvalues of `epoch`, descending, without the padding: from metrics.h5, else gop_full.h5,
        else the top k. None when there are none."""
        row = next((i for i, m in enumerate(self.tracked_moments()) if m.epoch == epoch and step in (None, m.step)), None)
        stacks = [None, None] if row is None else [self.eigenvalues(), self.eigenvalues_top_k()]
        rows = [None if stack is None else stack[row] for stack in stacks]
        for values in (rows[0], self.gop_array(epoch, "eigenvalues", step=step), rows[1]):
            if values is not None and np.isfinite(values).any():
                return values[np.isfinite(values)]
        return None

    def noise_floor(self, epoch, step=None):
        """The eigenvalue at or below which the solver's rounding is all that is seen: as stored with the GOP
        of `epoch`, else noise_floor_ratio() times its largest eigenvalue. None without a spectrum."""
        stored = self.gop_attrs(epoch, step=step).get("noise_floor")
        if stored is not None and np.isfinite(stored):
            return float(stored)
        values = self.spectrum(epoch, step)
        return None if values is None else self.noise_floor_ratio() * float(values[0])

    def noise_floor_ratio(self):
        """Noise floor over largest eigenvalue, 4 n eps (the same at every epoch): from a stored GOP, which
        knows the side n that was solved, else with the number of eigenvalues for n."""
        for epoch, step in self.gop_moments()[:3]:
            stored = self.gop_attrs(epoch, step=step).get("noise_floor")
            values = self.gop_array(epoch, "eigenvalues", step=step)
            if stored and values is not None and values.size and values[0] > 0:
                return float(stored) / float(values[0])
        stack = self.eigenvalues()
        return 4 * (1 if stack is None else stack.shape[1]) * np.finfo(float).eps

    def parameters(self):
        """Every Parameter in the order of the flat vector; None when /parameters is missing."""
        candidates = (self.read_(file, read_parameters) for file in (METRICS, GOP_FULL, GOP_LAYERS))
        return next((found for found in candidates if found is not None), None)

    # Other files -----------------------------------------------------------------

    def config(self):
        """The resolved configuration as nested dictionaries; None when config.json is missing."""
        return self.read_json_("config.json")

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

    def data(self):
        """What was trained on: data.h5, a mapping train/{ids,inputs,targets}, test/{...}; None when
        missing."""
        return self.read_(DATA, lambda file: file)

    def members(self):
        """Of a study: {column: values of all members} of /members in study.h5; None where this is none."""

        def read(file):
            shapes = dict(dataset_shapes(file, "members"))
            rows = shapes.get("members/name")
            columns = [name for name, shape in shapes.items() if rows is not None and shape == rows]
            return {name.removeprefix("members/"): file[name][()] for name in columns}

        return self.read_(STUDY, read)

    def log(self):
        """The text of log.txt; None when missing."""
        return self.read_text_("log.txt")

    def launches(self):
        """What is known of each start of the program (arguments, versions, hosts, ...), in order; [] when
        missing."""

        def read(file):
            group = member(file, "provenance")
            names = sorted(group or (), key=natural_key)
            scalars = ({k: plain(v[()]) for k, v in group[name].items() if v.shape == ()} for name in names)
            return [{**attributes_of(file, f"provenance/{n}"), **more} for n, more in zip(names, scalars)]

        return self.read_(METRICS, read) or []

    # Access -----------------------------------------------------------------

    def read_(self, file_name, question):
        """Answers `question(file)`; None when the file is not there. A file that is just being replaced may
        fail once: it is opened again."""
        for attempt in (1, 2):
            try:
                return question(self.file_(file_name))
            except (OSError, RuntimeError) as error:
                self.close_(file_name)
                if attempt == 2:
                    if not (self.path / file_name).exists():
                        return None
                    raise ToolError(
                        f"{self.path / file_name} cannot be read ({error}), check it with h5ls; a started "
                        "run restores its published files when it is resumed",
                        ENVIRONMENT_ERROR,
                    ) from error
            if (self.path / file_name).exists():
                time.sleep(0.2)

    def file_(self, name):
        """The open file; the one that was not asked for longest is closed where too many are open."""
        if name not in self.files_:
            stamp = stamp_of(self.path / name)
            if self.stamps_.get(name, stamp) != stamp:
                self.refresh()
            self.files_[name], self.stamps_[name] = h5py.File(self.path / name, "r"), stamp
        if name != DATA:  # that one is handed out by data()
            recently_used[id(self), name] = weakref.ref(self)
            recently_used.move_to_end((id(self), name))
        while len(recently_used) > OPEN_FILES:
            (_, oldest), owner = recently_used.popitem(last=False)
            if owner() is not None:
                owner().close_(oldest)
        return self.files_[name]

    def close_(self, name):
        file = self.files_.pop(name, None)
        if file is not None:
            file.close()
        recently_used.pop((id(self), name), None)

    def read_series_(self, file, name, components):
        dataset = member(file, name)
        if not isinstance(dataset, h5py.Dataset) or dataset.ndim == 0 or dataset.dtype.kind not in "biuf":
            return None
        axes = axes_of(dataset)
        part = np.s_[:, :components] if dataset.ndim > 1 else ()
        return None if axes is None else Series(*axes, dataset.astype(np.float64)[part])

    def gop_groups_(self, file_name):
        """{Moment: group} of gop_full.h5 or gop_layers.h5, in the order of training."""
        key = ("groups", file_name)
        if key not in self.cache_:
            first = {}
            for moment in self.tracked_moments():
                first.setdefault(moment.epoch, moment.step)

            def read(file):
                names = set(file)

                def step_of_start(epoch):
                    step = first.get(epoch)
                    if step is None or group_name(epoch, step) in names:  # that one is within the epoch
                        step = attributes_of(file, group_name(epoch)).get("step", epoch)
                    return int(step)

                return named_moments(names, step_of_start)

            self.cache_[key] = self.read_(file_name, read) or {}
        return self.cache_[key]

    def place_of_gop_(self, epoch, layer, step):
        """(file, group) of what is stored with a GOP, full (layer None) or of a layer."""
        file_name = GOP_LAYERS if layer else GOP_FULL
        groups = self.gop_groups_(file_name)
        if step is None:
            step = next((moment.step for moment in groups if moment.epoch == epoch), None)
        group = groups.get((epoch, step), group_name(epoch, step))  # a name that is not there where nothing is stored
        return file_name, f"{group}/{layer}" if layer else group

    def ask_gop_(self, epoch, layer, step, question):
        """Answers `question(StoredGop)`; None when no matrix is stored."""
        file_name, name = self.place_of_gop_(epoch, layer, step)

        def answer(file):
            group = member(file, name)
            stored = None if group is None else stored_gop(group)
            return stored and question(stored)

        return self.read_(file_name, answer)

    def read_text_(self, file_name):
        try:
            return (self.path / file_name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise ToolError(
                f"{self.path / file_name} cannot be read ({error}), check its permissions", ENVIRONMENT_ERROR
            ) from error

    def read_json_(self, file_name):
        text = self.read_text_(file_name)
        try:
            return None if text is None else json.loads(text)
        except json.JSONDecodeError as error:
            raise ToolError(
                f"{self.path / file_name} is not JSON ({error}), resume the run to write it again",
                ENVIRONMENT_ERROR,
            ) from error


def stamp_of(path):
    """What tells a file from one that replaces it; None when missing."""
    try:
        facts = os.stat(path)
    except FileNotFoundError:
        return None
    return facts.st_ino, facts.st_mtime_ns, facts.st_size


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

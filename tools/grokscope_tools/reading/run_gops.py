"""Which GOPs does a run hold, and what is stored with each? Matrices, eigenvectors, spectra and noise floors.

stored_gop.py reads the matrices. Run in run.py is what tools open.
"""
import numpy as np

from grokscope_tools.command_line.process import ToolError
from grokscope_tools.reading.hdf5_access import attributes_of, dataset_values, member
from grokscope_tools.reading.moments import group_name, named_moments
from grokscope_tools.reading.run_files import GOP_FULL, GOP_LAYERS
from grokscope_tools.reading.run_series import RunSeries
from grokscope_tools.reading.stored_gop import stored_gop, whole_range

AFFORDABLE = 1e11  # multiplications for eigenvectors that are not stored, of one moment or of all: 5 to 20 seconds on one core


class RunGops(RunSeries):
    """A run directory, asked for what gop_full.h5 and gop_layers.h5 hold. An `epoch` means the state before its first step,
    or where only states within it were tracked, the first of these; `step` asks for the one after so many optimizer steps."""

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

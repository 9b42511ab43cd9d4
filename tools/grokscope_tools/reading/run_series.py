"""What changed over training? The series of metrics.h5, each on its own axes, and the moments that were tracked.

A value that does not exist is NaN, a series that does not exist None. Run in run.py is what tools open.
"""
from typing import NamedTuple

import h5py
import numpy as np

from grokscope_tools.reading import labelled_arrays
from grokscope_tools.reading.hdf5_access import attributes_of, axes_of, dataset_shapes, dataset_values, member, natural_key
from grokscope_tools.reading.moments import Moment
from grokscope_tools.reading.run_files import METRICS, RunFiles


class Series(NamedTuple):
    """Values over training: `values[i]` belongs to the state after `step[i]` steps, in epoch `epoch[i]`."""

    epoch: np.ndarray
    step: np.ndarray
    values: np.ndarray


class RunSeries(RunFiles):
    """A run directory, asked for what metrics.h5 holds."""

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

    def best_series(self, name, components=None):
        """`name` from every evaluation (/training) where that exists, else from the tracked epochs."""
        return self.series(f"training/{name}", components) or self.series(name, components)

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
            return dict(sorted(dataset_shapes(file, ""), key=lambda pair: natural_key(pair[0])))

        if "shapes" not in self.cache_:
            self.cache_["shapes"] = self.read_(METRICS, read) or {}
        below = f"{group}/" if group else ""
        return {name: shape for name, shape in self.cache_["shapes"].items() if name.startswith(below)}

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

    def spectra(self):
        """The spectrum of every tracked moment as one Series [T, m], padded with NaN: all eigenvalues, or the k largest of a
        moment that has no others. None when neither is in metrics.h5."""
        whole, top = self.series("eigenvalues"), self.series("eigenvalues_top_k")
        if whole is None or top is None:
            return whole or top
        lacking = ~np.isfinite(whole.values).any(axis=1)
        if not np.isfinite(top.values[lacking]).any():
            return whole
        values = np.full((lacking.size, max(whole.values.shape[1], top.values.shape[1])), np.nan)
        for stack, rows in ((whole.values, ~lacking), (top.values, lacking)):
            values[rows, : stack.shape[1]] = stack[rows]
        return whole._replace(values=values)

    def to_pandas(self, table=""):
        """The scalar series of one table as a pandas DataFrame, see labelled_arrays.py."""
        return labelled_arrays.to_pandas(self, table)

    def to_xarray(self, table=""):
        """The series of one table as an xarray Dataset, see labelled_arrays.py."""
        return labelled_arrays.to_xarray(self, table)

    def read_series_(self, file, name, components):
        dataset = member(file, name)
        if not isinstance(dataset, h5py.Dataset) or dataset.ndim == 0 or dataset.dtype.kind not in "biuf":
            return None
        axes = axes_of(dataset)
        part = np.s_[:, :components] if dataset.ndim > 1 else ()
        return None if axes is None else Series(*axes, dataset.astype(np.float64)[part])

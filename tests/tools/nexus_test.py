"""Do the files of a run carry what h5web and silx need to show a plot on opening?

Trains two tiny runs, one of them tracked within its epochs, and reads NeXus' attributes as its manual defines them:
https://manual.nexusformat.org/classes/base_classes/NXdata.html. Takes the path of the program as its first argument.
"""
import json
import sys
from pathlib import Path

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "run"))

import tiny_run  # noqa: E402
from tiny_run import LINEAR, TRANSFORMER, ProgramTest, variant  # noqa: E402

PLOTS = {"accuracy", "loss", "gop_trace", "effective_ranks", "top_eigenvalues", "spectrum"}


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


class NexusTest(ProgramTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        by_steps = {"schedule": {"kind": "every", "unit": "step", "every": 3}}
        within = variant(TRANSFORMER, training={"batch_size": 8, "epochs": 4}, gop_tracking=by_steps)
        cls.runs = [cls.train("linear", LINEAR), cls.train("within", within)]

    def check_data(self, group):
        """Signal, axes and scales of one NXdata group fit each other and the numbers."""
        where = group.name
        signal = group[text(group.attrs["signal"])]
        self.assertIn(signal.dtype.kind, "fiu", where)
        self.assertGreater(signal.size, 0, where)
        for name in group.attrs.get("auxiliary_signals", []):
            self.assertEqual(group[text(name)].shape, signal.shape, (where, name))
        axes = [text(axis) for axis in group.attrs.get("axes", [])]
        if axes:
            self.assertEqual(len(axes), signal.ndim, where)
        for axis, length in zip(axes, signal.shape):
            if axis != ".":
                values = group[axis][()]
                self.assertEqual(values.shape, (length,), (where, axis))
                self.assertTrue((np.diff(values) > 0).all(), (where, axis))
        style = json.loads(text(group.attrs["SILX_style"]))
        self.assertIn(style["signal_scale_type"], ("linear", "log"), where)
        if axes:
            self.assertEqual(len(style["axes_scale_type"]), signal.ndim, where)
            self.assertEqual(style["axes_scale_type"][0], "log", where)
        if style["signal_scale_type"] == "log":
            self.assertTrue((signal[()] > 0).any(), f"{where}: a logarithmic axis shows nothing")
        return style

    def test_metrics_open_at_a_plot(self):
        for run in self.runs:
            with h5py.File(run / "metrics.h5", "r") as file:
                self.assertEqual(text(file.attrs["NX_class"]), "NXroot")
                entry = file[text(file.attrs["default"])]
                self.assertEqual(text(entry.attrs["NX_class"]), "NXentry")
                self.assertEqual(text(entry[text(entry.attrs["default"])].attrs["NX_class"]), "NXdata")
                self.assertEqual(set(entry), PLOTS)
                for name, group in entry.items():
                    with self.subTest(name):
                        style = self.check_data(group)
                        self.assertEqual(style["signal_scale_type"], "linear" if name == "accuracy" else "log")
                        self.assertTrue(text(group.attrs["title"]))

    def test_every_moment_opens_at_its_spectrum(self):
        within = 0
        for run in self.runs:
            with h5py.File(run / "gop_full.h5", "r") as file:
                moments = [name for name in file if name.startswith("epoch_")]
                self.assertGreater(len(moments), 1)
                for name in moments:
                    self.assertEqual(text(file[name].attrs["NX_class"]), "NXdata")
                    self.assertEqual(self.check_data(file[name])["signal_scale_type"], "log")
                    within += "_step_" in name
        self.assertGreater(within, 0)


if __name__ == "__main__":
    tiny_run.main()

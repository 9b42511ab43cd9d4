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
            self.assertEqual(len(style["axes_scale_types"]), signal.ndim, where)
            self.assertEqual(style["axes_scale_types"][0], "log", where)
            self.assertEqual(style["axes_scale_type"], style["axes_scale_types"], f"{where}: h5web and silx name it differently")
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
                self.assertEqual(text(file.attrs["NX_class"]), "NXroot")
                newest = max((file[name].attrs["step"], name) for name in moments)[1]
                self.assertEqual(text(file.attrs["default"]), newest)
        self.assertGreater(within, 0)

    def test_layers_open_at_a_spectrum_each(self):
        with h5py.File(self.runs[0] / "gop_layers.h5", "r") as file:
            moment = file[text(file.attrs["default"])]
            self.assertEqual(text(moment.attrs["NX_class"]), "NXentry")
            self.assertIn(text(moment.attrs["default"]), moment)
            for layer in moment.values():
                self.assertEqual(text(layer.attrs["NX_class"]), "NXdata")
                self.assertEqual(self.check_data(layer)["signal_scale_type"], "log")

    def test_a_study_opens_at_its_times(self):
        self.write_config("base", variant(LINEAR))
        config = self.write_config("times", {"study": {"base": "base.yaml", "seeds": [0, 1]}})
        self.assertEqual(self.call("run", config).code, 0)
        with h5py.File(next(self.folder.rglob("study.h5")), "r") as file:
            members = file[text(file.attrs["default"])]
            self.assertEqual(text(members.attrs["NX_class"]), "NXdata")
            self.assertEqual([text(members.attrs["signal"]), *map(text, members.attrs["auxiliary_signals"])], ["t_gen", "t_mem"])
            self.assertEqual(members["t_gen"].shape, members["t_mem"].shape)


if __name__ == "__main__":
    tiny_run.main()

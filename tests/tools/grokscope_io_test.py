"""Does the reader give back what was written, and cope with what is missing, broken or moved?"""
import gc
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

HERE = Path(__file__).resolve().parent
TOOLS = HERE.parent.parent / "tools"
sys.path[:0] = [str(TOOLS), str(HERE)]

import grokscope_io as io  # noqa: E402
import h5py  # noqa: E402
import numpy as np  # noqa: E402
from grokscope_tools.reading import labelled_arrays, run_files  # noqa: E402
from run_case import RunCase  # noqa: E402
from synthetic_run import LAYERS, Shape, add_series, make_run  # noqa: E402


def open_below(folder):
    """How many files below the folder this process has open."""
    gc.collect()
    entries = Path("/proc/self/fd").iterdir()
    return sum(os.path.exists(entry) and os.path.realpath(entry).startswith(os.path.realpath(folder)) for entry in entries)


class RunTest(RunCase):
    def test_every_series_comes_back_on_its_own_axes(self):
        checked = 0
        for name in self.run_.names():
            if name in self.known:
                series = self.run_.series(name)
                np.testing.assert_array_equal(series.values, self.known[name], err_msg=name)
                axis = self.known[
                    "training/step" if name.startswith(("training/", "observables/")) else "epoch"
                ]
                np.testing.assert_array_equal(series.step, axis, err_msg=name)
                np.testing.assert_array_equal(series.epoch, axis, err_msg=name)
                checked += 1
        self.assertEqual(checked, len(self.known) - 3)  # all but the two axes and the gradients

    def test_a_table_without_dimension_scales_is_told_by_its_group(self):
        """As older tools wrote it: what lies beside the axes, or below them, and is as long."""
        folder = Path(self.scratch.name) / "no_scales"
        folder.mkdir()
        with h5py.File(folder / "metrics.h5", "w") as file:
            file["epoch"], file["gop_trace"], file["layers/embed/gop_trace"] = [0, 1, 2], [3.0, 2, 1], [1.0, 1, 1]
            file["tracked_ids"], file["parameters/size"], file["results/key_frequencies"] = [7, 8, 9], [1, 2, 3], [4, 5, 6]
            file["observables/epoch"], file["observables/step"] = [0, 5], [0, 50]
            file["observables/deep/er/values"], file["observables/table"] = [1.0, 2.0], np.arange(3.0)
        run = io.open_run(folder)
        np.testing.assert_array_equal(run.series("layers/embed/gop_trace").step, [0, 1, 2])
        np.testing.assert_array_equal(run.series("observables/deep/er/values").epoch, [0, 5])
        np.testing.assert_array_equal(run.series("observables/deep/er/values").step, [0, 50])
        for name in ("tracked_ids", "parameters/size", "results/key_frequencies"):
            self.assertIsNone(run.series(name), name)
        self.assertIsNone(run.series("observables/table"))  # as long as another table
        np.testing.assert_array_equal(run.array("observables/table"), np.arange(3.0))

    def test_names_sort_by_their_numbers(self):
        for ordered in (["blocks.2.W", "blocks.10.W"], ["pgd_0.03", "pgd_0.06", "pgd_0.1", "pgd_0.2", "pgd_x"], ["a", "a_1", "b"]):
            self.assertEqual(sorted(reversed(ordered), key=io.natural_key), ordered)

    def test_equal_length_makes_no_series(self):
        folder = self.copy("equal_length")
        with h5py.File(folder / "metrics.h5", "a") as file:
            length = len(file["step"])
            for name in ("tracked_ids", "results/key_frequencies", "probes/x/histogram", "checks/counts"):
                file[name] = np.arange(length)
            add_series(file, "checks/attached", np.arange(length))
            file["checks/by_step"] = np.arange(length)
            file["checks/by_step"].dims[0].attach_scale(file["step"])
        run = io.open_run(folder)
        for name in ("tracked_ids", "results/key_frequencies", "probes/x/histogram", "checks/counts"):
            self.assertIsNone(run.series(name), name)
            self.assertEqual(run.array(name).size, length)
        for name in ("checks/attached", "checks/by_step"):
            np.testing.assert_array_equal(run.series(name).epoch, self.known["epoch"], name)
        self.assertNotIn("tracked_ids", labelled_arrays.table_of(run, "")[1])

    def test_what_is_missing_is_none(self):
        run = self.run_
        for answer in (
            run.series("gop_of_tomorrow"),
            run.series("training"),
            run.array("nothing/here"),
            run.spectrum(123456),
            run.gop_array(0, "eigenvectors_top_k"),
        ):
            self.assertIsNone(answer)
        self.assertEqual(run.attrs("gop_of_tomorrow"), {})
        self.assertEqual(run.names("probes"), [])

    def test_attributes_are_plain_values(self):
        self.assertEqual(
            self.run_.attrs("gop_trace"),
            {"long_name": "trace", "units": "loss^2 / parameter^2", "definition": "sum of the eigenvalues"},
        )
        self.assertEqual(self.run_.committed_epoch(), 1180)
        self.assertIs(type(self.run_.committed_epoch()), int)

    def test_tracked_epochs_and_eigenvalues(self):
        np.testing.assert_array_equal(self.run_.epochs_tracked(), np.arange(0, 1200, 20))
        self.assertEqual(self.run_.eigenvalues().shape, (60, 30))
        np.testing.assert_array_equal(self.run_.eigenvalues_top_k(), self.run_.eigenvalues()[:, :8])
        np.testing.assert_array_equal(self.run_.spectrum(40), self.known["eigenvalues"][2])

    def test_a_spectrum_comes_without_its_padding(self):
        folder = self.copy("padded")
        with h5py.File(folder / "metrics.h5", "a") as file:
            file["eigenvalues"][2, 25:] = np.nan
            file["eigenvalues"][3] = np.nan
        run = io.open_run(folder)
        np.testing.assert_array_equal(run.spectrum(40), self.known["eigenvalues"][2, :25])
        np.testing.assert_array_equal(run.spectrum(60), self.known["eigenvalues_top_k"][3])

    def test_layers_are_in_the_model_s_order(self):
        self.assertEqual(
            self.run_.layers(), list(LAYERS)
        )  # the alphabet would put blocks.10 before blocks.2 and embed

    def test_parameters_fill_the_flat_vector(self):
        parameters = self.run_.parameters()
        self.assertEqual([p.name for p in parameters[:2]], ["embed.weight", "embed.bias"])
        self.assertEqual([p.shape for p in parameters[:2]], [(7, 4), (7,)])
        self.assertEqual([p.offset for p in parameters], [0, 28, 35, 47, 51, 69, 72, 102])
        for before, after in zip(parameters, parameters[1:]):
            self.assertEqual(before.offset + before.size, after.offset)

    def test_shapes_as_text_or_padded_integers(self):
        self.assertEqual(io.shape_of(np.array([96, 12, 0])), (96, 12))
        self.assertEqual(io.shape_of(np.array([5, -1])), (5,))
        self.assertEqual(io.shape_of(b"96 x 12"), (96, 12))
        self.assertEqual(io.shape_of("(96, 12)"), (96, 12))
        self.assertEqual(io.shape_of(""), ())

    def test_few_files_are_open_however_many_runs(self):
        folders = [self.copy(f"many_{i}") for i in range(7)]
        with mock.patch.object(run_files, "OPEN_FILES", 3):
            runs = [io.open_run(folder) for folder in folders]
            for _ in range(2):
                for run in runs:
                    np.testing.assert_array_equal(run.series("gop_trace").values, self.known["gop_trace"])
                    self.assertEqual(run.gop_attrs(600)["n_examples"], 16)
                    self.assertLessEqual(open_below(self.scratch.name), 3)
                    run.cache_.clear()  # so that the file is asked again
        for run in runs:
            run.refresh()
        self.assertEqual(open_below(self.scratch.name), 0)

    def test_a_run_that_is_left_is_closed(self):
        with io.open_run(self.folder) as run:
            run.series("gop_trace"), run.load_gop(600)
            self.assertEqual(open_below(self.scratch.name), 2)
        self.assertEqual(open_below(self.scratch.name), 0)
        run = io.open_run(self.folder)
        run.names()
        del run
        gc.collect()
        self.assertEqual(open_below(self.scratch.name), 0)

    def test_a_file_that_was_replaced_while_it_was_closed_is_read_anew(self):
        folder, other = self.copy("replaced"), self.copy("other")
        longer = Path(self.scratch.name) / "longer_run"
        make_run(longer, Shape(tracked=61, with_gop=False))
        self.addCleanup(shutil.rmtree, longer)
        run = io.open_run(folder)
        with mock.patch.object(run_files, "OPEN_FILES", 1):
            self.assertEqual(run.series("gop_trace").step.size, 60)
            io.open_run(other).names()  # closes it
            os.replace(longer / "metrics.h5", folder / "metrics.h5")
            self.assertEqual(run.series("gop_trace").step.size, 60)  # not asked again
            self.assertEqual(run.series("gop_stable_rank").step.size, 61)
            self.assertEqual(run.series("gop_trace").step.size, 61)

    def test_why_nothing_is_tracked(self):
        self.assertIsNone(self.run_.why_nothing_is_tracked())
        folder = Path(self.scratch.name) / "untracked"
        make_run(folder, Shape(tracked=0, with_groups=False, with_gop=False, state="running"))
        self.addCleanup(shutil.rmtree, folder)
        self.assertIn("the run is running", io.open_run(folder).why_nothing_is_tracked())
        (folder / "config.json").write_text('{"gop_tracking": {"enabled": false}}')
        self.assertEqual(io.open_run(folder).why_nothing_is_tracked(), "gop_tracking.enabled is false")

    def test_events_and_transition(self):
        events = self.run_.events()
        self.assertEqual(events["rule"], "first step with train_acc >= 0.99, test_acc >= 0.95")
        transition = self.run_.transition()
        steps, known = self.known["training/step"], self.known
        self.assertEqual(transition.t_mem, steps[np.argmax(known["training/train_acc"] >= 0.99)])
        self.assertEqual(transition.t_gen, steps[np.argmax(known["training/test_acc"] >= 0.95)])

    def test_events_may_be_named_without_their_unit(self):
        folder = self.copy("short_names")
        with h5py.File(folder / "metrics.h5", "a") as file:
            events = file["events"]
            for name in ("t_mem", "t_gen"):
                del events.attrs[f"{name}_step"]
            events.attrs["t_mem"], events["t_gen"] = 120, -1
        self.assertEqual(io.open_run(folder).transition()[:2], (120, None))

    def test_transition_without_events_says_that_it_was_computed(self):
        folder = self.copy("no_events")
        with h5py.File(folder / "metrics.h5", "a") as file:
            del file["events"]
            file["training/test_acc"][:] = np.nan
        transition = io.open_run(folder).transition()
        self.assertEqual(transition.t_mem, self.run_.transition().t_mem)
        self.assertIsNone(transition.t_gen)
        self.assertIn("computed by this tool", transition.rule)

    def test_not_reached_is_none_however_it_is_written(self):
        for step in (np.nan, -1, None, np.inf):
            self.assertIsNone(io.reached(step), step)
        self.assertEqual(io.reached(0), 0)

    def test_configuration_status_and_data(self):
        self.assertEqual(self.run_.config()["gop_tracking"]["frequency"], 20)
        self.assertEqual(
            self.run_.status(), {"state": "done", "reason": "all epochs trained", "exit_code": 0}
        )
        np.testing.assert_array_equal(self.run_.data()["train/ids"][:], np.arange(16))

    def test_an_older_status_of_one_word_and_a_sentence(self):
        folder = self.copy("old_status")
        (folder / "STATUS").write_text("failed the disk is full\n")
        self.assertEqual(io.open_run(folder).status(), {"state": "failed", "reason": "the disk is full"})

    def test_a_moved_run_keeps_its_links(self):
        moved = Path(self.scratch.name) / "elsewhere" / "moved"
        moved.parent.mkdir()
        shutil.move(self.copy("to_move"), moved)
        (Path(self.scratch.name) / "to_move").mkdir()  # for the cleanup of copy()
        self.assertEqual(io.open_run(moved).load_gop(1180).shape, (108, 108))

    def test_a_missing_segment_is_an_error_not_an_absence(self):
        folder = self.copy("torn")
        (folder / ".segments/600-600.h5").unlink()
        run = io.open_run(folder)
        with self.assertRaisesRegex(
            io.ToolError, r"epoch_600.*missing.*copy the whole run directory"
        ) as caught:
            run.load_gop(600)
        self.assertEqual(caught.exception.exit_code, 3)
        self.assertEqual(run.load_gop(0).shape, (108, 108))

    def test_only_metrics(self):
        folder = self.copy("only_metrics")
        for name in ("gop_full.h5", "gop_layers.h5", "data.h5", "STATUS", "config.json"):
            (folder / name).unlink()
        run = io.open_run(folder)
        for answer in (run.config(), run.status(), run.data()):
            self.assertIsNone(answer)
        self.assertEqual(run.gop_epochs(), [])
        self.assertAlmostEqual(
            run.noise_floor(40) / (4 * 30 * np.finfo(float).eps * self.known["eigenvalues"][2, 0]), 1
        )

    def test_a_file_that_is_being_replaced_is_opened_again(self):
        real, failures = h5py.File, [OSError("truncated file")]

        def fail_once(*arguments, **options):
            if failures:
                raise failures.pop()
            return real(*arguments, **options)

        with mock.patch.object(h5py, "File", fail_once):
            np.testing.assert_array_equal(self.run_.series("gop_trace").values, self.known["gop_trace"])

    def test_a_file_that_stays_broken_is_an_error(self):
        folder = self.copy("broken")
        (folder / "metrics.h5").write_bytes(b"no HDF5 at all")
        with self.assertRaisesRegex(io.ToolError, r"metrics.h5 cannot be read \(.*\), ") as caught:
            io.open_run(folder).epochs_tracked()
        self.assertEqual(caught.exception.exit_code, 3)

    def test_refresh_shows_the_next_commit(self):
        folder = self.copy("growing")
        run = io.open_run(folder)
        self.assertEqual(run.epochs_tracked().size, 60)
        other = Path(self.scratch.name) / "longer"
        make_run(other, Shape(tracked=61, with_gop=False))
        self.addCleanup(shutil.rmtree, other)
        os.replace(other / "metrics.h5", folder / "metrics.h5")
        self.assertEqual(run.epochs_tracked().size, 60)  # answers belong to one commit
        run.refresh()
        self.assertEqual(run.epochs_tracked().size, 61)

    def test_runs_without_steps_count_epochs(self):
        folder = Path(self.scratch.name) / "older"
        folder.mkdir()
        with h5py.File(folder / "metrics.h5", "w") as file:
            file["epoch"], file["gop_trace"] = [0, 10, 20], [3.0, 2.0, np.nan]
        series = io.open_run(folder).series("gop_trace")
        np.testing.assert_array_equal(series.step, [0, 10, 20])
        np.testing.assert_array_equal(series.values, [3.0, 2.0, np.nan])
        self.assertEqual(io.open_run(folder).layers(), [])
        self.assertIsNone(io.open_run(folder).eigenvalues_top_k())
        self.assertEqual(io.open_run(folder).transition()[:2], (None, None))

    def test_nothing_tracked_yet(self):
        folder = Path(self.scratch.name) / "empty"
        make_run(folder, Shape(tracked=0, with_groups=False, with_gop=False))
        run = io.open_run(folder)
        self.assertEqual(run.epochs_tracked().size, 0)
        self.assertEqual(run.eigenvalues().shape, (0, 30))
        self.assertIsNone(run.spectrum(0))

    def test_no_run_there(self):
        with self.assertRaisesRegex(io.ToolError, "is no directory") as caught:
            io.open_run(self.folder / "nowhere")
        self.assertEqual(caught.exception.exit_code, 2)
        with self.assertRaisesRegex(io.ToolError, f"has no metrics.h5 .*did you mean .*{self.folder.name}"):
            io.open_run(self.folder.parent)

    def test_find_runs(self):
        self.assertIn(self.folder, io.find_runs(f"{self.scratch.name}/*"))
        self.assertEqual(io.find_runs([self.folder, f"{self.scratch.name}/r*n/metrics.h5"]), [self.folder])
        self.assertEqual(io.find_runs(f"{self.scratch.name}/nothing*"), [])

    def test_a_run_by_several_names_is_one(self):
        link = self.folder.parent / "another_name"
        link.symlink_to(self.folder)
        self.addCleanup(link.unlink)
        relative = os.path.relpath(self.folder)
        runs = io.open_runs([relative, str(self.folder), str(link), f"{relative}/../{self.folder.name}"])
        self.assertEqual([run.path for run in runs], [Path(relative)])
        self.assertEqual(len(io.find_runs([relative, self.folder, link])), 1)

    def test_a_file_of_the_run_names_the_run(self):
        self.assertEqual(io.open_run(self.folder / "metrics.h5").path, self.folder)


class PythonChoiceTest(unittest.TestCase):
    """A Python without h5py hands over to the system's Python, or says what to install."""

    def run_without_h5py(self, python_to_try):
        """Runs a script that imports the reader in a Python that has no packages at all."""
        with tempfile.TemporaryDirectory() as scratch:
            bare = Path(scratch) / "bare"
            subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
            script = Path(scratch) / "script.py"
            script.write_text(
                f"import json, sys; sys.path.insert(0, {str(TOOLS)!r}); import grokscope_io as io\n"
                "print(json.dumps([sys.executable, sys.argv[1:], sys.modules['h5py'].__name__]))\n"
            )
            environment = {**os.environ, "GROKSCOPE_PYTHON": python_to_try, "PYTHONDONTWRITEBYTECODE": "1"}
            environment.pop("GROKSCOPE_PYTHON_REPLACED", None)
            return subprocess.run(
                [bare / "bin/python3", script, "--one", "a b"],
                capture_output=True,
                text=True,
                check=False,
                env=environment,
            )

    def test_another_python_takes_over_with_the_same_arguments(self):
        result = self.run_without_h5py(sys.executable)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(json.loads(result.stdout), [sys.executable, ["--one", "a b"], "h5py"])

    def test_without_any_it_says_what_to_install(self):
        result = self.run_without_h5py("/no/such/python")
        self.assertEqual(result.returncode, 3)
        self.assertIn("apt install python3-h5py python3-numpy", result.stderr)


class LabelledTest(unittest.TestCase):
    """pandas and xarray are optional: what is tested without them is the error."""

    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.scratch.cleanup)
        cls.known = make_run(Path(cls.scratch.name) / "run", Shape(with_gop=False))
        cls.run_ = io.open_run(Path(cls.scratch.name) / "run")
        cls.addClassCleanup(cls.run_.refresh)

    def test_tables_have_what_lies_on_their_axes(self):
        axes, series = labelled_arrays.table_of(self.run_, "")
        np.testing.assert_array_equal(axes[1], self.known["epoch"])
        self.assertIn("layers/embed/gop_trace", series)
        self.assertNotIn("training/train_loss", series)
        with self.assertRaisesRegex(io.ToolError, "no table 'nowhere'"):
            labelled_arrays.table_of(self.run_, "nowhere")

    def test_without_the_package_the_error_says_what_to_install(self):
        with mock.patch.dict(sys.modules, {"pandas": None}):
            with self.assertRaisesRegex(io.ToolError, "apt install python3-pandas"):
                self.run_.to_pandas()

    @unittest.skipUnless(importlib.util.find_spec("pandas"), "pandas is not installed")
    def test_pandas(self):
        frame = self.run_.to_pandas("training")
        self.assertEqual(frame.index.names, ["epoch", "step"])
        np.testing.assert_array_equal(frame["training/test_acc"], self.known["training/test_acc"])
        frame = self.run_.to_pandas()
        self.assertEqual(frame.loc[(40, 40), "gop_trace"], self.known["gop_trace"][2])
        self.assertNotIn("eigenvalues", frame)

    @unittest.skipUnless(importlib.util.find_spec("xarray"), "xarray is not installed")
    def test_xarray(self):
        dataset = self.run_.to_xarray()
        self.assertEqual(dataset["gop_trace"].sel(step=40).item(), self.known["gop_trace"][2])
        self.assertEqual(dataset["eigenvalues"].dims, ("step", "index_30"))
        self.assertEqual(dataset["gop_trace"].attrs["units"], "loss^2 / parameter^2")


if __name__ == "__main__":
    unittest.main()

"""Is a GOP without its bytes the same GOP?

One run keeps dense matrices, another one factors, a third nothing but checkpoints: what `grokscope export` and the Python
reader rebuild must be what the first one stored, for full matrices, layers and blocks, on any rank count.
"""
import re
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np

import tiny_run
from tiny_run import LINEAR, POLYNOMIALS, TRANSFORMER, ProgramTest, variant

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
import grokscope_io  # noqa: E402 (the path must be set first)
from grokscope_tools.reading.gop_factors import gop_from_factors, gop_of_file  # noqa: E402

EPOCH = 10
MODELS = {"transformer": TRANSFORMER, "polynomials": POLYNOMIALS, "linear": LINEAR}


def storing(base, policy):
    return variant(base, storage={"store_full_gop": policy, "store_layer_gops": policy,
                                  "gop_schedule": {"every": EPOCH}},
                   gop_tracking={"frequency": EPOCH}, computational_limits={"checkpoint_frequency": EPOCH})


def dense_of(run, layer=None):
    with h5py.File(run / ("gop_layers.h5" if layer else "gop_full.h5")) as file:
        return file[f"epoch_{EPOCH}/{layer}/gop" if layer else f"epoch_{EPOCH}/gop"][()]


def seen_by_h5dump(path, name, rows, cols):
    """A block of a dataset as a program sees it that knows nothing of us: numbers as text, to the last bit."""
    corner, size = f"{rows.start},{cols.start}", f"{rows.stop - rows.start},{cols.stop - cols.start}"
    text = subprocess.run(["h5dump", "-y", "-w", "0", "-m", "%.17g", "-d", name, "-s", corner, "-c", size, str(path)],
                          capture_output=True, text=True, check=True).stdout
    numbers = re.search(r"DATA \{(.*?)\}", text, re.S)[1]
    return np.array([float(x) for x in numbers.replace(",", " ").split()]).reshape(rows.stop - rows.start, -1)


def layers_of(run):
    with h5py.File(run / "gop_layers.h5") as file:
        return list(file[f"epoch_{EPOCH}"])


def sliced(text):
    """What numpy means by it."""
    return slice(*(int(end) if end else None for end in text.split(":")))


class ExportTest(ProgramTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.runs = {(name, policy): cls.train(f"{name}-{policy}", storing(base, policy), ranks=2 if policy == "factors" else 1)
                    for name, base in MODELS.items() for policy in (True, "factors", False)}

    def assert_close(self, found, expected, message):
        self.assertEqual(found.shape, expected.shape, message)
        self.assertLess(np.abs(found - expected).max(), 1e-13 * np.abs(expected).max(), message)

    def export(self, run, *arguments, epoch=EPOCH, ranks=1):
        output = run / "block.h5"
        finished = self.call("export", run, "--epoch", epoch, "-o", output, "--verbosity", "quiet", *arguments, ranks=ranks)
        self.assertEqual(finished.code, 0, finished.err)
        with h5py.File(output) as file:
            return file["gop"][()], dict(file.attrs)

    def test_python_rebuilds_full_matrices_and_layers(self):
        for name in MODELS:
            dense, run = self.runs[name, True], self.runs[name, "factors"]
            self.assert_close(gop_of_file(run / "gop_full.h5", EPOCH), dense_of(dense), name)
            for layer in layers_of(dense):
                self.assert_close(gop_of_file(run / "gop_layers.h5", EPOCH, layer), dense_of(dense, layer), f"{name} {layer}")

    def test_tiles_and_gzip_hold_the_same_matrices(self):
        for name, compression in (("transformer", "gzip"), ("polynomials", "none"), ("linear", "gzip")):
            config = storing(MODELS[name], True)
            config["storage"].update({"layout": "lower", "compression": compression})
            packed, dense = self.train(f"{name}-lower", config, ranks=2), self.runs[name, True]
            with h5py.File(packed / "gop_full.h5") as file:
                stored = file[f"epoch_{EPOCH}/gop_lower"]
                self.assertEqual(stored.compression, None if compression == "none" else "gzip")
                self.assertEqual(stored.shuffle, compression == "gzip")
                self.assertNotIn("gop", file[f"epoch_{EPOCH}"])
            with grokscope_io.open_run(packed) as run:
                self.assert_close(run.load_gop(EPOCH), dense_of(dense), name)
                self.assert_close(run.load_gop(EPOCH, (1, 4), (2, 9)), dense_of(dense)[1:4, 2:9], name)
                for layer in layers_of(dense):
                    self.assert_close(run.load_gop(EPOCH, layer=layer), dense_of(dense, layer), f"{name} {layer}")
            self.check_export_of_tiles(packed, dense, name)

    def check_export_of_tiles(self, packed, dense, name):
        """The tiles are read, and nothing is rebuilt: not even checkpoints are there."""
        (packed / "checkpoints").rename(packed / "away")
        for ranks in (1, 2):
            found, attributes = self.export(packed, ranks=ranks)
            self.assert_close(found, dense_of(dense), name)
            self.assertEqual(np.bytes_(attributes["source"]), b"matrix")
        found, _ = self.export(packed, "--rows", "1:-2", "--cols", "3:")
        self.assert_close(found, dense_of(dense)[1:-2, 3:], name)
        for layer in layers_of(dense):
            found, attributes = self.export(packed, "--layer", layer, "--cols", "1:", ranks=2)
            self.assert_close(found, dense_of(dense, layer)[:, 1:], f"{name} {layer}")
            self.assertEqual(np.bytes_(attributes["source"]), b"matrix")

    def test_blocks_across_many_tiles(self):
        # 420 parameters: two tiles of 256 rows by two, of which three are stored.
        base = variant(POLYNOMIALS, model={"width": 20})
        whole = dense_of(self.train("square-tiles", storing(base, True)))
        packed = self.train("lower-tiles", variant(storing(base, True), storage={"layout": "lower"}))
        self.assertGreater(len(whole), 256)
        for rows, cols in ((":", ":"), ("250:260", ":"), (":5", "300:"), ("300:", ":5"), ("-1:", "255:257"), ("255:257", "255:257")):
            found, attributes = self.export(packed, "--rows", rows, "--cols", cols)
            self.assert_close(found, whole[sliced(rows), sliced(cols)], f"{rows} {cols}")
            self.assertEqual(np.bytes_(attributes["source"]), b"matrix")

    def test_ranges_are_numpy_s(self):
        run, whole = self.runs["transformer", "factors"], dense_of(self.runs["transformer", True])
        for rows, cols in (("-3:", ":-1"), ("5:100000", "-100000:2"), ("-4:-2", ":")):
            found, attributes = self.export(run, "--rows", rows, f"--cols={cols}")
            self.assert_close(found, whole[sliced(rows), sliced(cols)], f"{rows} {cols}")
            self.assertEqual(attributes["first_row"], range(len(whole))[sliced(rows)].start)
        finished = self.call("export", run, "--epoch", EPOCH, "--rows", "-3:", "--cols", "2:100000")
        self.assertEqual(finished.code, 0, finished.err)
        n = len(whole)
        self.assertTrue((run / f"export/epoch_{EPOCH}.rows_{n - 3}-end.cols_2-{n}.h5").exists())

    def test_moments_within_an_epoch(self):
        every = {"kind": "every", "unit": "step", "every": 3}
        base = variant(LINEAR, training={"batch_size": 7, "epochs": 2}, gop_tracking={"schedule": every})
        dense, factors = (self.train(f"steps-{policy}", variant(base, storage={"store_full_gop": policy, "gop_schedule": every}))
                          for policy in (True, "factors"))
        with h5py.File(dense / "gop_full.h5") as file:
            stored = {name: file[name]["gop"][()] for name in file if name.startswith("epoch_")}
        self.assertIn("epoch_1_step_6", stored)
        for run in (dense, factors):
            found, attributes = self.export(run, "--step", 6, epoch=1)
            self.assert_close(found, stored["epoch_1_step_6"], str(run))
            self.assertEqual(np.bytes_(attributes["moment"]), b"epoch_1_step_6")
        self.assertGreater(np.abs(stored["epoch_1_step_6"] - stored["epoch_1_step_9"]).max(), 0)
        finished = self.call("export", dense, "--epoch", 1, "--step", 7)
        self.assertEqual(finished.code, 2, finished.err)
        self.assertIn("epoch_1_step_7", finished.err)

    def test_limits_of_size_and_disk(self):
        run = self.runs["transformer", False]
        for override, code, words in (("computational_limits.max_gop_size_gb=1e-6", 2, "max_gop_size_gb"),
                                      ("computational_limits.keep_free_disk_gb=1e9", 3, "make space")):
            for ranks in (1, 2):
                finished = self.call("export", run, override, "--epoch", EPOCH, "-o", run / "limited.h5", ranks=ranks)
                self.assertEqual(finished.code, code, finished.err)
                self.assertIn(words, finished.err)
        finished = self.call("export", run, "computational_limits.warn_if_exceeds_gb=1e-9", "--epoch", EPOCH)
        self.assertEqual(finished.code, 0, finished.err)
        self.assertIn("warning", finished.out)
        self.assertEqual(list(run.glob("**/*limited*")), [])

    def test_a_stopped_export_is_taken_up(self):
        for policy in (True, "factors", False):
            run = self.runs["transformer", policy]
            for ranks in (1, 2):
                output = run / f"stopped_{ranks}.h5"
                command = ("export", run, "--epoch", EPOCH, "-o", output)
                finished = self.call(*command, "--max-time", "0", ranks=ranks)
                self.assertEqual(finished.code, 75, finished.out + finished.err)
                self.assertIn("run the same command again", finished.out)
                self.assertFalse(output.exists())
                finished = self.call(*command, ranks=ranks)
                self.assertEqual(finished.code, 0, finished.err)
                with h5py.File(output) as file:
                    self.assert_close(file["gop"][()], dense_of(self.runs["transformer", True]), f"{policy} on {ranks}")
                self.assertEqual([path.name for path in run.glob("stopped_*") if path.suffix != ".h5"], [])

    def test_a_failed_export_leaves_nothing(self):
        run = self.train("large-failing", variant(POLYNOMIALS, model={"width": 80}, training={"epochs": EPOCH}))
        for ranks in (1, 2):  # 1,680 parameters: 22 MB
            finished = self.call("export", run, "--epoch", EPOCH, ranks=ranks, shell_limit="ulimit -f 10000")
            self.assertEqual(finished.code, 3, finished.out + finished.err)
            self.assertIn("ulimit -f", finished.err)
            self.assertEqual(list((run / "export").iterdir()), [])

    def test_a_stopped_merge_leaves_nothing(self):
        run = self.runs["linear", "factors"]
        finished = self.call("export", run, "--merge", "--max-time", "0")
        self.assertEqual(finished.code, 75, finished.out + finished.err)
        self.assertEqual(list(run.glob("export/*")), [])
        self.assertEqual(self.call("export", self.folder / "nowhere", "--merge").code, 2)
        self.assertFalse((self.folder / "nowhere").exists())

    def test_layers_of_a_large_matrix_are_its_blocks(self):
        # Above 64 MB a matrix has a file of its own, and its layers are read from there.
        run = self.train("large", storing(variant(POLYNOMIALS, model={"width": 140}), True), ranks=2)
        whole = dense_of(run)
        self.assertGreater(whole.nbytes, 64e6)
        with h5py.File(run / "gop_full.h5") as file:
            table = file["parameters"]
            places = list(zip(table["layer"][:], table["offset"][:], table["size"][:]))
        for layer in layers_of(run):
            mine = [(first, first + size) for name, first, size in places if name.decode() == layer]
            block = slice(min(mine)[0], max(mine)[1])
            np.testing.assert_array_equal(dense_of(run, layer), whole[block, block], layer)
        # Two links away: the view names the segment, the segment the file of the matrix.
        rows, cols = slice(len(whole) - 3, len(whole)), slice(1, 5)
        found = seen_by_h5dump(run / "gop_full.h5", f"/epoch_{EPOCH}/gop", rows, cols)
        np.testing.assert_array_equal(found, whole[rows, cols])

    def test_python_rebuilds_any_block(self):
        for name in MODELS:
            whole = dense_of(self.runs[name, True])
            random = np.random.default_rng(3)
            with h5py.File(self.runs[name, "factors"] / "gop_full.h5") as file:
                factors = file[f"epoch_{EPOCH}/factors"]
                for _ in range(8):
                    (a, b), (c, d) = (sorted(random.choice(len(whole) + 1, 2, replace=False)) for _ in range(2))
                    block = gop_from_factors(factors, slice(a, b), slice(c, d))
                    self.assertLess(np.abs(block - whole[a:b, c:d]).max(), 1e-13 * np.abs(whole).max(), f"{name} {a}:{b} {c}:{d}")

    def test_export_rebuilds_from_factors_and_from_checkpoints(self):
        for name in MODELS:
            whole = dense_of(self.runs[name, True])
            for policy, source in (("factors", "factors"), (False, "checkpoint")):
                for ranks in (1, 3):
                    found, attributes = self.export(self.runs[name, policy], ranks=ranks)
                    self.assert_close(found, whole, f"{name} {policy} on {ranks}")
                    self.assertEqual(attributes["source"], source.encode() if isinstance(attributes["source"], bytes) else source)
            found, _ = self.export(self.runs[name, "factors"], "--rows", "2:7", "--cols", ":5", ranks=2)
            self.assert_close(found, whole[2:7, :5], f"{name} block")

    def test_export_copies_what_is_stored(self):
        for name in MODELS:
            dense = self.runs[name, True]
            for layer in (None, *layers_of(dense)):
                found, attributes = self.export(dense, *(("--layer", layer) if layer else ()), ranks=2)
                np.testing.assert_array_equal(found, dense_of(dense, layer), f"{name} {layer}")
                self.assertEqual(np.bytes_(attributes["source"]), b"matrix")
            _, rebuilt = self.export(self.runs[name, False])
            self.assertEqual(attributes["n_examples"], rebuilt["n_examples"])
        layers_only = self.train("layers-only", variant(storing(TRANSFORMER, True), storage={"store_full_gop": False}))
        full_only = self.train("full-only", variant(storing(TRANSFORMER, True), storage={"store_layer_gops": False}))
        for layer in layers_of(layers_only):
            found, _ = self.export(full_only, "--layer", layer)
            self.assert_close(found, dense_of(layers_only, layer), layer)
        dense = self.runs["transformer", True]
        for layer in layers_of(dense):
            found, attributes = self.export(layers_only, "--layer", layer, "--rows", "1:", "--cols", ":2", ranks=2)
            np.testing.assert_array_equal(found, dense_of(layers_only, layer)[1:, :2], layer)
            self.assertEqual(np.bytes_(attributes["source"]), b"matrix")
            self.assert_close(found, dense_of(dense, layer)[1:, :2], layer)

    def test_export_rebuilds_a_layer(self):
        run, dense = self.runs["transformer", "factors"], self.runs["transformer", True]
        for layer in layers_of(dense):
            found, attributes = self.export(run, "--layer", layer)
            self.assert_close(found, dense_of(dense, layer), layer)
            self.assertGreaterEqual(attributes["first_row"], 0)

    def test_factors_are_small(self):
        # Even at this size: the matrix has P^2 numbers, the factors N times the widths of the layers.
        with h5py.File(self.runs["polynomials", "factors"] / "gop_full.h5") as file:
            found = []
            file[f"epoch_{EPOCH}/factors"].visititems(lambda _, item: found.append(item.nbytes if isinstance(item, h5py.Dataset) else 0))
        self.assertLess(sum(found), dense_of(self.runs["polynomials", True]).nbytes)

    def test_merged_files_need_nothing_else(self):
        run = self.runs["linear", True]
        finished = self.call("export", run, "--merge")
        self.assertEqual(finished.code, 0, finished.err)
        alone = self.folder / "alone"
        alone.mkdir()
        for view in tiny_run.VIEWS:
            (run / "export" / view).rename(alone / view)
        with h5py.File(alone / "gop_full.h5") as file:
            np.testing.assert_array_equal(file[f"epoch_{EPOCH}/gop"][()], dense_of(run))
        for view in ("metrics.h5", "gop_layers.h5"):
            self.assertEqual(tiny_run.contents(alone / view), tiny_run.contents(run / view), view)

    def test_refusals_say_what_to_do(self):
        run = self.runs["transformer", "factors"]
        for arguments, words in ((("--epoch", "7"), "no"), (("--epoch", EPOCH, "--layer", "nose"), "no layer 'nose'"),
                                 (("--epoch", EPOCH, "--rows", "5"), "needs a colon"), (("--epoch", EPOCH, "--rows", "a:b"), "is no range"),
                                 (("--epoch", EPOCH, "--rows", "9:9"), "hold nothing"), (("--epoch", EPOCH, "--cols=-2:-5"), "hold nothing"),
                                 (("--epoch", EPOCH, "--rows", "100000:"), "hold nothing"), ((), "give it --epoch")):
            for ranks in (1, 2):
                finished = self.call("export", run, *arguments, ranks=ranks)
                self.assertEqual(finished.code, 2, finished.err)
                self.assertIn(words, finished.err)
        self.assertFalse(list(run.glob("export/*.tmp")))


if __name__ == "__main__":
    tiny_run.main()

"""Does the reader give back the matrices of a run, whole, in part, by layer and by moment, however they are stored?"""
import shutil
import sys
import unittest
from pathlib import Path
from unittest import mock

HERE = Path(__file__).resolve().parent
TOOLS = HERE.parent.parent / "tools"
sys.path[:0] = [str(TOOLS), str(HERE)]

import grokscope_io as io  # noqa: E402
import h5py  # noqa: E402
import numpy as np  # noqa: E402
from grokscope_tools.reading import gop_factors  # noqa: E402
from run_case import RunCase  # noqa: E402
from synthetic_run import Shape, make_run  # noqa: E402


def write_factors(file, group, out, inner):
    """The factors of one weight with a bias, used once, by one token."""
    examples, (rows, cols) = len(out), (out.shape[1], inner.shape[1])
    parameter = file.create_group(f"{group}/weight")
    parameter.attrs.update({"offset": 0, "rows": rows, "cols": cols, "has_bias": 1, "n_examples": examples})
    use = parameter.create_group("use_0")
    use.attrs.update({"groups": 1, "tokens": 1, "out_width": rows, "in_width": cols + 1})
    use.attrs.update({"out_kind": np.bytes_("dense"), "in_kind": np.bytes_("dense")})
    use["out"], use["in"] = out, np.c_[inner, np.ones(examples)]


class StoredGopsTest(RunCase):
    def test_gops_come_through_one_and_two_links(self):
        for epoch, g in self.known["gradients"].items():
            expected = g.T @ g / len(g)
            tolerance = 1e-6 if epoch == 1180 else 1e-14  # the last is float32, in a file of its own
            np.testing.assert_allclose(
                self.run_.load_gop(epoch), expected, atol=tolerance * np.abs(expected).max()
            )
        self.assertEqual(self.run_.gop_epochs(), [0, 600, 1180])

    def test_a_block_of_a_gop(self):
        g = self.known["gradients"][600]
        expected = (g.T @ g / len(g))[3:9, 40:42]
        np.testing.assert_allclose(self.run_.load_gop(600, (3, 9), slice(40, 42)), expected, rtol=1e-13)

    def test_a_matrix_that_is_not_stored_is_a_clear_error(self):
        with self.assertRaisesRegex(
            io.ToolError, r"no matrix of epoch 7 .*epochs that have one: 0, 600, 1180"
        ):
            self.run_.load_gop(7)
        with self.assertRaisesRegex(io.ToolError, r"epoch 0 of layer no_layer .*storage.store_layer_gops"):
            self.run_.load_gop(0, layer="no_layer")
        self.assertTrue(self.run_.has_gop(0) and not self.run_.has_gop(7))
        self.assertEqual(self.run_.gop_size(0), 108)

    def test_moments_within_an_epoch(self):
        """48 steps an epoch, tracked every 20 steps: two or three moments lie in an epoch, few at its start."""
        folder = Path(self.scratch.name) / "within"
        known = make_run(folder, Shape(tracked=12, steps_per_epoch=48, gop_epochs=(0, 20, 40, 60, 120, 220)))
        self.addCleanup(shutil.rmtree, folder)
        run = io.open_run(folder)
        moments = [(0, 0), (0, 20), (0, 40), (1, 60), (2, 120), (4, 220)]
        self.assertEqual(run.gop_moments(), moments)
        self.assertEqual(run.gop_moments("embed"), moments)
        self.assertEqual(run.gop_moments("no_layer"), [])
        self.assertEqual(run.gop_epochs(), [0, 1, 2, 4])
        self.assertEqual(run.tracked_moments()[3:6], [(1, 60), (1, 80), (2, 100)])
        for epoch, step in moments:
            g = known["gradients"][step]
            whole = g.T @ g / len(g)
            tolerance = {"atol": 1e-6 * np.abs(whole).max(), "err_msg": str((epoch, step))}
            np.testing.assert_allclose(run.load_gop(epoch, step=step), whole, **tolerance)
            np.testing.assert_allclose(run.load_gop(epoch, layer="embed", step=step), whole[:35, :35], **tolerance)
            self.assertEqual(run.gop_attrs(epoch, step=step)["step"], step)
            self.assertEqual(run.noise_floor(epoch, step), run.gop_attrs(epoch, step=step)["noise_floor"])
            np.testing.assert_array_equal(run.spectrum(epoch, step), known["eigenvalues"][step // 20])
            self.assertIsNotNone(run.cost_of_eigenvectors(epoch, step))
            vectors = run.eigenvectors(epoch, 3, step)[1]
            np.testing.assert_allclose(np.abs(vectors.T @ np.linalg.eigh(whole)[1][:, :-4:-1]), np.eye(3), atol=1e-3)
        # Without a step: the state before the epoch's first step, or where that was not tracked, the first of those within.
        np.testing.assert_array_equal(run.spectrum(0), known["eigenvalues"][0])
        np.testing.assert_array_equal(run.spectrum(1), known["eigenvalues"][3])
        self.assertEqual(run.gop_attrs(1)["step"], 60)
        self.assertEqual(run.gop_attrs(4)["step"], 220)
        self.assertIsNone(run.spectrum(0, 7))
        self.assertFalse(run.has_gop(0, step=7))
        with self.assertRaisesRegex(io.ToolError, r"epoch 0 after step 7 .*have one: 0, 0 \(step 20\), 0 \(step 40\), 1 \(step 60\)"):
            run.load_gop(0, step=7)

    def test_an_epoch_s_beginning_that_metrics_do_not_know(self):
        folder = self.copy("unknown_beginning")
        with h5py.File(folder / "gop_full.h5", "a") as file:
            link = file.get("epoch_600", getlink=True)
            del file["epoch_600"]
            file["epoch_77"] = h5py.ExternalLink(link.filename, link.path)
        self.assertEqual(io.open_run(folder).gop_moments(), [(0, 0), (77, 600), (1180, 1180)])

    def test_a_block_has_no_steps(self):
        for part in (slice(0, 9, 2), slice(9, 0, -1)):
            with self.assertRaisesRegex(io.ToolError, "a block is contiguous"):
                self.run_.load_gop(0, part)
        self.assertEqual(self.run_.load_gop(0, (-5, None), (200, 300)).shape, (5, 0))

    def test_factors_are_read_like_a_dense_matrix(self):
        """Rank-one gradients out_i in_i^T of a weight and its bias, in the layout that src/probes/factors.hpp describes."""
        folder = self.copy("factors")
        random = np.random.default_rng(5)
        out, inner = random.standard_normal((16, 7)), random.standard_normal((16, 4))
        g = np.concatenate([np.einsum("ia,ib->iab", out, inner).reshape(16, -1), out], axis=1)
        whole = g.T @ g / 16
        with h5py.File(folder / ".segments/600-600.h5", "a") as file:
            write_factors(file, "gop_full/epoch_600/factors/embed", out, inner)
            del file["gop_full/epoch_600/gop"], file["gop_layers/epoch_600/embed/gop"]
            file["gop_layers/epoch_600/embed/factors/embed"] = h5py.SoftLink("/gop_full/epoch_600/factors/embed")
        with io.open_run(folder) as run:
            self.assertEqual((run.gop_size(600), run.gop_size(600, "embed")), (35, 35))
            for layer in (None, "embed"):
                np.testing.assert_allclose(run.load_gop(600, layer=layer), whole, rtol=1e-12, atol=1e-14)
                block = run.load_gop(600, (26, 31), (-9, None), layer)  # across the weight's end
                np.testing.assert_allclose(block, whole[26:31, -9:], rtol=1e-12, atol=1e-14)
            self.assertTrue(run.has_gop(600) and run.cost_of_eigenvectors(600) > 0 and run.cost_of_eigenvectors(7) is None)
            values, vectors = run.eigenvectors(600, 5)
            np.testing.assert_allclose(values, np.linalg.eigvalsh(whole)[::-1][:5], rtol=1e-12)
            np.testing.assert_allclose(whole @ vectors, vectors * values, atol=1e-12 * values[0])
            np.testing.assert_allclose(vectors.T @ vectors, np.eye(5), atol=1e-12)
            with mock.patch.object(gop_factors, "NUMBERS_AT_ONCE", 16 * 10):  # in blocks
                np.testing.assert_allclose(np.abs(vectors.T @ run.eigenvectors(600, 5)[1]), np.eye(5), atol=1e-12)

    def test_a_matrix_comes_back_from_tiles_of_its_lower_triangle(self):
        whole = np.random.default_rng(5).standard_normal((108, 108))
        whole += whole.T
        folder, tile = self.copy("tiles"), 25
        padded = np.zeros((125, 125))
        padded[:108, :108] = whole
        tiles = [
            padded[i * tile : (i + 1) * tile, j * tile : (j + 1) * tile] for i in range(5) for j in range(i + 1)
        ]
        with h5py.File(folder / ".segments/600-600.h5", "a") as file:
            del file["gop_full/epoch_600/gop"]
            lower = file.create_dataset("gop_full/epoch_600/gop_lower", data=np.stack(tiles))
            lower.attrs.update({"width": 108, "tile": tile})
        run = io.open_run(folder)
        self.assertTrue(run.has_gop(600))
        self.assertEqual(run.gop_size(600), 108)
        np.testing.assert_array_equal(run.load_gop(600), whole)
        for rows, cols in (((3, 60), (20, 108)), ((90, 108), (0, 1)), ((5, 5), (0, 9)), ((49, 51), (49, 51))):
            np.testing.assert_array_equal(run.load_gop(600, rows, cols), whole[slice(*rows), slice(*cols)])

    def test_the_gop_of_a_layer(self):
        g = self.known["gradients"][600][
            :, 35:51
        ]  # blocks.2.attn.W_K: 12 weights and 4 biases from offset 35
        layer = "blocks.2.attn.W_K"
        np.testing.assert_allclose(self.run_.load_gop(600, layer=layer), g.T @ g / len(g), rtol=1e-13)
        np.testing.assert_allclose(
            self.run_.gop_array(600, "eigenvalues", layer=layer)[0],
            np.linalg.norm(g, 2) ** 2 / len(g),
            rtol=1e-12,
        )
        self.assertEqual(self.run_.gop_epochs(layer), [0, 600, 1180])
        self.assertEqual(self.run_.gop_epochs("no_layer"), [])

    def test_noise_floor_is_the_stored_one_or_scales_with_the_largest(self):
        stored = self.run_.gop_attrs(600)["noise_floor"]
        self.assertEqual(self.run_.noise_floor(600), stored)
        self.assertAlmostEqual(self.run_.noise_floor_ratio() / (4 * 16 * np.finfo(float).eps), 1, places=12)
        self.assertAlmostEqual(
            self.run_.noise_floor(40) / (64 * np.finfo(float).eps * self.known["eigenvalues"][2, 0]), 1
        )


if __name__ == "__main__":
    unittest.main()

"""Can a stranger get the published spectra back from the files alone?

Runs the binary given as argument on tiny configurations, reads nothing but checkpoints/*.h5 and data.h5,
writes the models anew from their documentation, differentiates the loss of every example by itself, and
compares the spectrum of (1/N) G^T G with metrics.h5. Shares no code with grokscope.
"""

import math
import pathlib
import subprocess
import sys
import tempfile
import unittest

import h5py
import numpy as np
import torch

BINARY = None

POWER_MLP = """
experiment: {name: 08_doshi_polynomials}
data: {p: 7, train_fraction: 0.5}
model: {width: 6, init_std: 0.5}
"""

TRANSFORMER = """
experiment: {name: 03_nanda_progress}
data: {p: 5, train_fraction: 0.8}
model: {d_model: 8, heads: 2, d_mlp: 12}
"""

POWER = """
experiment: {name: 01_power_grok}
data: {p: 5, operation: subtract, train_fraction: 0.6}
model: {blocks: 2, d_model: 8, heads: 2, d_mlp: 12}
"""

SLINGSHOT = """
experiment: {name: 07_thilak_slingshot}
data: {source: division, p: 7}
model: {kind: transformer, blocks: 2, d_model: 8, heads: 2, d_mlp: 12}
"""

# Training drops activations; what is tracked and evaluated does not.
WANG = """
experiment: {name: 04_wang_implicit}
data: {entities: 8, relations: 4, out_degree: 3, ood_share: 0.2, held_out: 0.1, phi: 1.5}
model: {blocks: 2, d_model: 8, heads: 2, d_mlp: 12, dropout: 0.1, vocabulary: 20}
"""

COMMON = """
training: {{epochs: {epochs}, optimizer: adamw, lr: 0.01, weight_decay: 1.0, dtype: {dtype}, device: cpu,
           log_interval: 1}}
gop_tracking: {{frequency: 1, layer_spectra: 1, covariance_spectra: 1, path: {path},
               definitions: [second_moment, covariance, mean]}}
storage: {{output_dir: {folder}}}
computational_limits: {{checkpoint_frequency: 1}}
"""


def power_mlp_loss(w, inputs, targets):
    """f(n_1, n_2) = W (U_1 e_{n_1} + U_2 e_{n_2})^2; loss: the mean over classes of (z_c - [c = y])^2."""
    hidden = (w["U_1"][inputs[:, 0]] + w["U_2"][inputs[:, 1]]) ** 2
    z = hidden @ w["W"].T
    wanted = torch.nn.functional.one_hot(targets, z.shape[1]).to(z.dtype)
    return ((z - wanted) ** 2).mean(dim=1)


def transformer_loss(w, inputs, targets):
    """One block without LayerNorm on [a, b, "="], read at "=": nothing is shared or skipped."""
    n, heads = len(inputs), 2
    vocabulary = w["embed.W_E"].shape[1]
    tokens = torch.cat([inputs, torch.full((n, 1), vocabulary - 1)], dim=1)
    x = w["embed.W_E"].T[tokens] + w["pos_embed.W_pos"].T
    d = x.shape[2]
    q, k, v = ((x @ w[f"blocks.0.attn.W_{name}"].T).view(n, 3, heads, d // heads) for name in "QKV")
    scores = torch.einsum("nqhe,nkhe->nhqk", q, k) / math.sqrt(d // heads)
    scores = scores.masked_fill(torch.ones(3, 3).triu(1).bool(), -math.inf)
    mixed = torch.einsum("nhqk,nkhe->nqhe", scores.softmax(dim=-1), v).reshape(n, 3, d)
    x = x + mixed @ w["blocks.0.attn.W_O"].T
    hidden = torch.relu(x @ w["blocks.0.mlp.W_in"].T + w["blocks.0.mlp.b_in"])
    x = x + hidden @ w["blocks.0.mlp.W_out"].T + w["blocks.0.mlp.b_out"]
    logits = x[:, 2] @ w["unembed.W_U"]
    return torch.nn.functional.cross_entropy(logits, targets, reduction="none")


def attend(w, x, name, heads):
    """Causal attention of every token; matrices [d_out, d_in], biases where there are any."""
    def linear(x, which):
        y = x @ w[f"{name}.W_{which}"].T
        return y + w[f"{name}.b_{which}"] if f"{name}.b_{which}" in w else y
    n, t, d = x.shape
    q, k, v = (linear(x, which).view(n, t, heads, d // heads) for which in "QKV")
    scores = torch.einsum("nqhe,nkhe->nhqk", q, k) / math.sqrt(d // heads)
    scores = scores.masked_fill(torch.ones(t, t).triu(1).bool(), -math.inf)
    return linear(torch.einsum("nhqk,nkhe->nqhe", scores.softmax(dim=-1), v).reshape(n, t, d), "O")


def normalise(w, x, name):
    return torch.nn.functional.layer_norm(x, x.shape[-1:], w[f"{name}.gain"], w[f"{name}.bias"], 1e-5)


def token_loss(logits, targets):
    """The mean over the tokens that are asked for: the others' targets are -1."""
    losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), targets, reduction="none", ignore_index=-1)
    return losses.sum(dim=1) / (targets >= 0).sum(dim=1)


def embed_with_sinusoids(w, inputs):
    x = w["embed.W_E"][inputs]
    _, tokens, d = x.shape
    waves = [[(math.sin if k % 2 == 0 else math.cos)(t / 10000 ** ((k - k % 2) / d)) for k in range(d)] for t in range(tokens)]
    return x + torch.tensor(waves, dtype=x.dtype)


def power_loss(w, inputs, targets):
    """Post-norm blocks without biases on <eos> a op b = c, fixed sinusoids; answer and <eos> behind it are asked for."""
    x = embed_with_sinusoids(w, inputs)
    for b in ("blocks.0", "blocks.1"):
        x = normalise(w, x + attend(w, x, f"{b}.attn", 2), f"{b}.norm_1")
        x = normalise(w, x + torch.relu(x @ w[f"{b}.mlp.W_in"].T) @ w[f"{b}.mlp.W_out"].T, f"{b}.norm_2")
    return token_loss((x @ w["unembed.W_U"].T)[:, 4:], targets)


def slingshot_loss(w, inputs, targets):
    """The same without norms, on a / b =; the answer alone is asked for, among all tokens."""
    x = embed_with_sinusoids(w, inputs)
    for b in ("blocks.0", "blocks.1"):
        x = x + attend(w, x, f"{b}.attn", 2)
        x = x + torch.relu(x @ w[f"{b}.mlp.W_in"].T) @ w[f"{b}.mlp.W_out"].T
    return torch.nn.functional.cross_entropy(x[:, 3] @ w["unembed.W_U"].T, targets, reduction="none")


def wang_loss(w, inputs, targets):
    """GPT-2: pre-norm blocks with biases, learned positions, the head is the embedding; positions 1 to 3 are read."""
    x = w["embed.W_E"][inputs] + w["pos_embed.W_pos"][:4]
    for b in ("blocks.0", "blocks.1"):
        x = x + attend(w, normalise(w, x, f"{b}.norm_1"), f"{b}.attn", 2)
        hidden = normalise(w, x, f"{b}.norm_2") @ w[f"{b}.mlp.W_in"].T + w[f"{b}.mlp.b_in"]
        hidden = hidden / 2 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (hidden + 0.044715 * hidden ** 3)))
        x = x + hidden @ w[f"{b}.mlp.W_out"].T + w[f"{b}.mlp.b_out"]
    return token_loss((normalise(w, x, "final_norm") @ w["embed.W_E"].T)[:, 1:], targets)


POWER_MLP_LAYERS = {"U_1": ["U_1"], "U_2": ["U_2"], "W": ["W"]}
TRANSFORMER_LAYERS = {
    "embed": ["embed.W_E"], "pos_embed": ["pos_embed.W_pos"],
    **{f"blocks.0.attn.W_{name}": [f"blocks.0.attn.W_{name}"] for name in "QKVO"},
    "blocks.0.mlp.in": ["blocks.0.mlp.W_in", "blocks.0.mlp.b_in"],
    "blocks.0.mlp.out": ["blocks.0.mlp.W_out", "blocks.0.mlp.b_out"], "unembed": ["unembed.W_U"],
}


def block_layers(bias, norms=("norm_1", "norm_2")):
    """The layers of two blocks."""
    layers = {}
    for b in ("blocks.0", "blocks.1"):
        for name in "QKVO":
            layers[f"{b}.attn.W_{name}"] = [f"{b}.attn.W_{name}"] + ([f"{b}.attn.b_{name}"] if bias else [])
        for name in ("in", "out"):
            layers[f"{b}.mlp.{name}"] = [f"{b}.mlp.W_{name}"] + ([f"{b}.mlp.b_{name}"] if bias else [])
        for name in norms:
            layers[f"{b}.{name}"] = [f"{b}.{name}.gain", f"{b}.{name}.bias"]
    return layers


POWER_LAYERS = {"embed": ["embed.W_E"], "unembed": ["unembed.W_U"], **block_layers(bias=False)}
SLINGSHOT_LAYERS = {"embed": ["embed.W_E"], "unembed": ["unembed.W_U"], **block_layers(bias=False, norms=())}
WANG_LAYERS = {"embed": ["embed.W_E"], "pos_embed": ["pos_embed.W_pos"],
               "final_norm": ["final_norm.gain", "final_norm.bias"], **block_layers(bias=True)}


def run(folder, text, **values):
    config = folder / "config.yaml"
    config.write_text(text + COMMON.format(folder=folder / "run", **values))
    command = [BINARY, "run", str(config), "--verbosity", "quiet"]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        raise AssertionError(f"grokscope left with {result.returncode}:\n{result.stdout}\n{result.stderr}")
    return folder / "run"


def read_split(run_dir, name):
    with h5py.File(run_dir / "data.h5", "r") as f:
        return torch.from_numpy(f[name]["inputs"][:]), torch.from_numpy(f[name]["targets"][:])


def read_parameters(path):
    with h5py.File(path, "r") as f:
        return {name: torch.from_numpy(values[:]) for name, values in f["parameters"].items()}


def example_gradients(loss, parameters, layers, inputs, targets):
    """The gradient of each example's loss, layer by layer: {layer: [N, size] float64}."""
    leaves = {name: value.clone().requires_grad_(True) for name, value in parameters.items()}
    rows = {layer: [] for layer in layers}
    for i in range(len(inputs)):
        value = loss(leaves, inputs[i:i + 1], targets[i:i + 1]).sum()
        gradients = dict(zip(leaves, torch.autograd.grad(value, list(leaves.values()))))
        for layer, members in layers.items():
            rows[layer].append(torch.cat([gradients[m].reshape(-1) for m in members]).double())
    return {layer: torch.stack(value) for layer, value in rows.items()}


def spectrum(g):
    """The min(N, P) leading eigenvalues of (1/N) G^T G, descending."""
    return (torch.linalg.svdvals(g) ** 2 / len(g)).numpy()


class Recompute(unittest.TestCase):
    def compare_run(self, run_dir, loss, layers, tolerance):
        """Compares every checkpoint there is: commits may be thinned, but the last moment always has one."""
        epochs = sorted(int(p.stem.split("_")[1]) for p in (run_dir / "checkpoints").glob("epoch_*.h5"))
        with h5py.File(run_dir / "metrics.h5", "r") as metrics:
            self.assertEqual(epochs[-1], metrics["epoch"][-1])
            for epoch in epochs:
                row, = np.flatnonzero(metrics["epoch"][:] == epoch)
                parameters = read_parameters(run_dir / "checkpoints" / f"epoch_{epoch}.h5")
                with self.subTest(epoch=epoch):
                    self.compare_epoch(run_dir, metrics, row, parameters, loss, layers, tolerance)

    def compare_epoch(self, run_dir, metrics, row, parameters, loss, layers, tolerance):
        inputs, targets = read_split(run_dir, "train")
        by_layer = example_gradients(loss, parameters, layers, inputs, targets)
        g = torch.cat(list(by_layer.values()), dim=1)
        self.assertEqual(g.shape[1], sum(p.numel() for p in parameters.values()), "parameter in no layer")
        largest = self.compare_spectrum(metrics, "", row, g, tolerance)
        self.compare_spectrum(metrics, "definitions/covariance/", row, g - g.mean(dim=0), tolerance, largest)
        mean = float(g.mean(dim=0).square().sum())
        self.assertAlmostEqual(metrics["definitions/mean/gop_trace"][row], mean, delta=tolerance * largest)
        self.assertAlmostEqual(metrics["gop_mean_gradient_norm"][row] ** 2, mean, delta=tolerance * largest)
        self.assertEqual(set(metrics["layers"]), set(layers))
        for layer, gradients in by_layer.items():
            self.compare_spectrum(metrics, f"layers/{layer}/", row, gradients, tolerance)
        for split, name in (("train", "train_loss"), ("test", "test_loss")):
            expected = float(loss(parameters, *read_split(run_dir, split)).double().mean())
            self.assertAlmostEqual(metrics[name][row], expected, delta=tolerance * abs(expected))

    def compare_spectrum(self, metrics, prefix, row, g, tolerance, scale=None):
        expected = spectrum(g)
        scale = scale or expected[0]
        published = metrics[prefix + "eigenvalues"][row]
        self.assertEqual(published.shape, expected.shape, prefix)
        self.assertLess(np.abs(published - expected).max(), tolerance * scale, prefix)
        trace = float(g.square().sum()) / len(g)
        self.assertAlmostEqual(metrics[prefix + "gop_trace"][row], trace, delta=tolerance * scale, msg=prefix)
        return scale

    def check(self, text, loss, layers, path="auto"):
        for dtype, tolerance in (("float64", 1e-10), ("float32", 1e-5)):
            with self.subTest(dtype=dtype), tempfile.TemporaryDirectory() as folder:
                run_dir = run(pathlib.Path(folder), text, epochs=8, dtype=dtype, path=path)
                self.compare_run(run_dir, loss, layers, tolerance)

    def test_power_mlp(self):
        self.check(POWER_MLP, power_mlp_loss, POWER_MLP_LAYERS)

    def test_transformer(self):
        self.check(TRANSFORMER, transformer_loss, TRANSFORMER_LAYERS)

    def test_transformer_on_the_dense_side(self):
        self.check(TRANSFORMER, transformer_loss, TRANSFORMER_LAYERS, path="dense")

    def test_power_transformer(self):
        self.check(POWER, power_loss, POWER_LAYERS)

    def test_slingshot_transformer(self):
        self.check(SLINGSHOT, slingshot_loss, SLINGSHOT_LAYERS)

    def test_wang_transformer(self):
        self.check(WANG, wang_loss, WANG_LAYERS)

    def test_data_are_the_equations_that_the_configuration_names(self):
        with tempfile.TemporaryDirectory() as folder:
            run_dir = run(pathlib.Path(folder), POWER_MLP, epochs=1, dtype="float64", path="auto")
            splits = [read_split(run_dir, name) for name in ("train", "test")]
        pairs = torch.cat([inputs for inputs, _ in splits])
        answers = torch.cat([targets for _, targets in splits])
        self.assertEqual(len(splits[0][0]), 24)
        self.assertEqual(len({(int(a), int(b)) for a, b in pairs}), 49)
        self.assertTrue(torch.equal(answers, pairs.sum(dim=1) % 7))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("no binary to test (its path is the first argument), run recompute_test.py build/grokscope")
    BINARY = sys.argv.pop(1)
    torch.set_num_threads(1)
    unittest.main(verbosity=2)

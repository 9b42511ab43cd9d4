"""How does a gradient outer product come back from its factors?

With storage.store_full_gop: factors a run keeps, per parameter, the factors of the per-example gradients instead of the
P x P matrix: below <group>/factors/<layer>/<parameter>/use_<u>/ the datasets out and in, so that the gradient of example i
with respect to row r d_out + a and column b of the parameter is
    sum over uses and tokens t of out[i, r, t, a] in[i, r, t, b]
(a bias follows its weight in the flat vector and is the last column of the inner factor). Any block of the GOP,
(1/N) sum_i g_i g_i^T, follows exactly; numpy and h5py suffice.
"""
import h5py
import numpy as np

from grokscope_tools.reading.moments import group_name

EXAMPLES_AT_ONCE = 512
NUMBERS_AT_ONCE = 20_000_000  # of a block of gradients: 160 MB


class Side:
    """One factor of one use: `kind` says how its numbers are stored."""

    def __init__(self, use, name):
        self.kind, self.width = plain_text(use.attrs[f"{name}_kind"]), int(use.attrs[f"{name}_width"])
        self.groups, self.tokens = int(use.attrs["groups"]), int(use.attrs["tokens"])
        self.data = use[name] if name in use else None

    def values(self, examples, group, token, columns):
        """[examples, columns] float64, or [1, columns] where all examples share it."""
        if self.kind == "one":
            return np.ones((1, 1))
        if self.kind == "one_hot":
            index = self.data[:, token] if self.data.shape[0] == 1 else self.data[examples, token]
            return (index[:, None] == np.arange(columns.start, columns.stop)).astype(float)
        first = (group * self.tokens + token) * self.width
        columns = slice(first + columns.start, first + columns.stop)
        values = self.data[columns] if self.kind == "constant" else self.data[examples, columns]
        return np.atleast_2d(values).astype(float)


class StoredParameter:
    """The factors of one parameter (a weight and the bias behind it)."""

    def __init__(self, group):
        attributes = group.attrs
        self.offset, self.rows, self.cols = (int(attributes[name]) for name in ("offset", "rows", "cols"))
        self.has_bias, self.examples = bool(attributes["has_bias"]), int(attributes["n_examples"])
        uses = [group[name] for name in sorted(group, key=lambda name: int(name[4:]))]
        self.uses = [(Side(use, "out"), Side(use, "in")) for use in uses]
        self.weights = self.rows * self.cols
        self.size = self.weights + (self.rows if self.has_bias else 0)

    def gradients(self, examples, begin, end):
        """Gradients with respect to the elements begin..end-1 of this parameter, [examples, end - begin]."""
        parts = []
        if begin < self.weights:
            last = min(end, self.weights)
            first_row, end_row = begin // self.cols, (last - 1) // self.cols + 1
            block = self.block(examples, first_row, end_row, slice(0, self.cols))
            skipped = first_row * self.cols
            parts.append(block.reshape(len(block), -1)[:, begin - skipped:last - skipped])
        if end > self.weights:
            first_row = max(begin, self.weights) - self.weights
            parts.append(self.block(examples, first_row, end - self.weights, slice(self.cols, self.cols + 1))[:, :, 0])
        return np.concatenate(parts, axis=1)

    def block(self, examples, first_row, end_row, columns):
        """[examples, rows, columns] of the gradient as the matrix that the parameter is."""
        count = examples.stop - examples.start
        total = np.zeros((count, end_row - first_row, columns.stop - columns.start))
        for out, inner in self.uses:
            for group in range(out.groups):
                begin, end = max(first_row, group * out.width), min(end_row, (group + 1) * out.width)
                if begin >= end:
                    continue
                rows = slice(begin - group * out.width, end - group * out.width)
                for token in range(out.tokens):
                    left, right = out.values(examples, group, token, rows), inner.values(examples, group, token, columns)
                    total[:, begin - first_row:end - first_row] += left[:, :, None] * right[:, None, :]
        return total


def plain_text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def stored_parameters(factors):
    """Every parameter below a `factors` group, in the order of the flat vector."""
    found = [StoredParameter(layer[name]) for layer in factors.values() for name in layer]
    return sorted(found, key=lambda parameter: parameter.offset)


def gradients(parameters, examples, begin, end):
    """Per-example gradients with respect to the flat parameters begin..end-1, [examples, end - begin]."""
    parts = []
    for parameter in parameters:
        first, last = max(begin, parameter.offset), min(end, parameter.offset + parameter.size)
        if first < last:
            parts.append(parameter.gradients(examples, first - parameter.offset, last - parameter.offset))
    return np.concatenate(parts, axis=1) if parts else np.zeros((examples.stop - examples.start, 0))


def shape_of(factors):
    """(N, P) of the gradients whose GOP gop_from_factors() rebuilds."""
    parameters = stored_parameters(factors)
    return parameters[0].examples, sum(parameter.size for parameter in parameters)


def gop_from_factors(factors, rows=slice(None), cols=slice(None)):
    """The block [rows, cols] of the GOP of everything below the h5py group `factors`, as float64. Rows and columns count
    from the first parameter there: from 0 for the whole model, from the layer's first one for a layer."""
    parameters = stored_parameters(factors)
    if not parameters:
        raise ValueError(f"{factors.name} holds no factors")
    offset, end = parameters[0].offset, parameters[-1].offset + parameters[-1].size
    ranges = [selection.indices(end - offset) for selection in (rows, cols)]
    if any(step != 1 for _, _, step in ranges):
        raise ValueError("a block has steps of 1 only")
    (row_begin, row_end, _), (col_begin, col_end, _) = ranges
    total = np.zeros((max(0, row_end - row_begin), max(0, col_end - col_begin)))
    n = parameters[0].examples
    for begin in range(0, n, EXAMPLES_AT_ONCE):
        examples = slice(begin, min(n, begin + EXAMPLES_AT_ONCE))
        left = gradients(parameters, examples, offset + row_begin, offset + row_end)
        right = gradients(parameters, examples, offset + col_begin, offset + col_end)
        total += left.T @ right
    return total / n


def top_eigenvectors(factors, k):
    """(eigenvalues [k], eigenvectors [P, k]) of the k largest eigenvalues of the GOP of everything below `factors`, fewer
    where fewer are positive. Through the N x N matrix (1/N) G G^T: where u is an eigenvector of that with eigenvalue l,
    G^T u / sqrt(N l) is one of the GOP. N^2 P multiplications; the gradients of all examples are made twice, in blocks."""
    parameters = stored_parameters(factors)
    n, end = parameters[0].examples, parameters[-1].offset + parameters[-1].size
    width = max(1, NUMBERS_AT_ONCE // n)
    ranges = [(begin, min(end, begin + width)) for begin in range(parameters[0].offset, end, width)]
    gram = sum(np.inner(block, block) for block in (gradients(parameters, slice(0, n), *part) for part in ranges)) / n
    values, u = np.linalg.eigh(gram)
    kept = np.flatnonzero(values > 0)[::-1][:k]
    values, u = values[kept], u[:, kept]
    vectors = np.concatenate([gradients(parameters, slice(0, n), *part).T @ u for part in ranges])
    return values, vectors / np.sqrt(n * values)


def gop_of_file(path, epoch, layer=None, rows=slice(None), cols=slice(None), step=None):
    """The same from a gop_full.h5 (layer None) or gop_layers.h5; `step` for a state within the epoch."""
    where = group_name(epoch, step) + (f"/{layer}" if layer else "") + "/factors"
    with h5py.File(path, "r") as file:
        return gop_from_factors(file[where], rows, cols)

"""In which layout is the matrix of an epoch stored, and how is a block of it read?

The one place that tells layouts apart. A group (epoch_<E> of gop_full.h5, epoch_<E>/<layer> of gop_layers.h5) holds
`gop`, P x P numbers in this file or behind an external link; or `gop_lower`, the tiles of its lower triangle, which
gop_tiles.py puts together; or `factors`, from which gop_factors.py rebuilds any block exactly. It must know nothing of
run directories.
"""
from typing import Callable, NamedTuple

import h5py
import numpy as np

from grokscope_tools.command_line.process import ToolError
from grokscope_tools.reading import gop_factors
from grokscope_tools.reading.gop_tiles import block_of_tiles
from grokscope_tools.reading.hdf5_access import member


class StoredGop(NamedTuple):
    """A P x P matrix that is not read yet."""

    layout: str
    size: int
    read: Callable  # read(rows, cols): a block of it, rows and cols slices
    top: Callable  # top(k): (its k largest eigenvalues [k], their eigenvectors [P, k])
    cost_of_top: float  # multiplications, about


def stored_gop(group):
    """The matrix that the h5py group holds; None where none is stored."""
    dense = member(group, "gop")
    if isinstance(dense, h5py.Dataset):
        size = dense.shape[0]
        return StoredGop(
            "dense", size, lambda rows, cols: dense[rows, cols], lambda k: top_of_dense(dense[()], k), 9.0 * size**3
        )
    tiles = member(group, "gop_lower")
    if tiles is not None:
        size = int(tiles.attrs["width"])
        return StoredGop(
            "tiles",
            size,
            lambda rows, cols: block_of_tiles(tiles, rows, cols),
            lambda k: top_of_dense(block_of_tiles(tiles), k),
            9.0 * size**3,
        )
    factors = member(group, "factors")
    if factors is not None:
        examples, size = gop_factors.shape_of(factors)
        return StoredGop(
            "factors",
            size,
            lambda rows, cols: gop_factors.gop_from_factors(factors, rows, cols),
            lambda k: gop_factors.top_eigenvectors(factors, k),
            float(examples) ** 2 * size,
        )
    return None


def top_of_dense(dense, k):
    values, vectors = np.linalg.eigh(dense.astype(float))
    return values[::-1][:k], vectors[:, ::-1][:, :k]


def whole_range(selection, size):
    """A slice with its ends in 0..size, from a slice, (first, end) or None. Throws ToolError for steps: not every
    layout has them."""
    if selection is None:
        selection = slice(None)
    first, end, step = (selection if isinstance(selection, slice) else slice(*selection)).indices(size)
    if step != 1:
        raise ToolError(
            f"rows and columns in steps of {step} cannot be read (a block is contiguous), read the block and "
            "take every n-th row of it"
        )
    return slice(first, max(first, end))

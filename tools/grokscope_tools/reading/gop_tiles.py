"""How does a block of a symmetric matrix come back from the tiles of its lower triangle?

With storage.layout: lower a run keeps, as `gop_lower` [tiles, T, T], the square tiles of the lower triangle, row of tiles by
row of tiles: (0, 0), (1, 0), (1, 1), (2, 0), ... The attribute width is that of the matrix; what a tile has beyond it is 0.
Only the tiles that a block meets are read; numpy and h5py suffice.
"""
import numpy as np


def block_of_tiles(dataset, rows=slice(None), cols=slice(None)):
    """The block [rows, cols] of the whole symmetric matrix, in the type that is stored."""
    width, tile = int(dataset.attrs["width"]), int(dataset.attrs["tile"])
    rows, cols = (range(*selection.indices(width)) for selection in (rows, cols))
    block = np.empty((len(rows), len(cols)), dataset.dtype)
    for i, places in tiles_of(rows, tile):
        for j, columns in tiles_of(cols, tile):
            low, high = min(i, j), max(i, j)
            values = dataset[high * (high + 1) // 2 + low]
            values = values if i >= j else values.T
            inside = np.ix_([rows[k] - i * tile for k in places], [cols[k] - j * tile for k in columns])
            block[np.ix_(places, columns)] = values[inside]
    return block


def tiles_of(indices, tile):
    """(tile, the places in `indices` that lie in it) for every tile that `indices` meets."""
    found = {}
    for place, index in enumerate(indices):
        found.setdefault(index // tile, []).append(place)
    return found.items()

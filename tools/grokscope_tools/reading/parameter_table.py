"""Which part of the flat parameter vector belongs to which layer? Reads /parameters of any of a run's files."""
from typing import NamedTuple

import numpy as np

from grokscope_tools.reading.hdf5_access import member, plain, shape_of


class Parameter(NamedTuple):
    """A named block of the flat parameter vector: P[offset : offset + size], of this shape."""

    name: str
    layer: str
    shape: tuple
    offset: int
    size: int


def read_parameters(file):
    """Every Parameter in the order of the flat vector; None when /parameters is missing or not of this form."""
    group = member(file, "parameters")
    columns = [] if group is None else [member(group, key) for key in ("name", "layer", "shape", "offset")]
    if not columns or any(column is None for column in columns):
        return None
    found = []
    for name, layer, shape, offset in zip(*(column[()] for column in columns)):
        shape = shape_of(shape)
        size = int(np.prod(shape, dtype=np.int64))
        found.append(Parameter(plain(name), plain(layer), shape, int(offset), size))
    return sorted(found, key=lambda parameter: parameter.offset)

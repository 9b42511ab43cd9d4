"""What does one HDF5 file answer when it is asked for a name?

Datasets, their attributes and time axes as plain values, from files of this program and of older ones: what
is not there is None or {}. It must know nothing of run directories.
"""
import re

import h5py
import numpy as np

from grokscope_tools.command_line.process import ENVIRONMENT_ERROR, ToolError

AXES = ("epoch", "step")
NO_SERIES = {"parameters", "results", "events", "provenance", "tracked_ids"}  # groups and datasets, whatever their length
LINKS = "plots"  # groups of links for viewers: everything in them is elsewhere in the file


def plain(value):
    """An HDF5 attribute or scalar as a plain Python value: text, number, list of numbers or texts."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray):
        return plain(value[()]) if value.ndim == 0 else [plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def shape_of(entry):
    """A parameter's shape, stored as text ("96 x 12", "[96, 12]") or as integers padded with zeros or -1."""
    entry = plain(entry)
    numbers = [int(number) for number in re.findall(r"\d+", entry)] if isinstance(entry, str) else entry
    return tuple(int(number) for number in np.atleast_1d(numbers) if number > 0)


def natural_key(text):
    """Sorts blocks.2 before blocks.10, and accuracy_0.03 before accuracy_0.1."""
    return [float(part) if k % 2 else part for k, part in enumerate(re.split(r"(\d+(?:\.\d+)?)", text))]


def member(group, name):
    """group[name], None when there is none. An external link whose file is missing is an error, not an
    absence."""
    try:
        return group[name] if name else group
    except KeyError as error:
        if "external" in str(error):
            raise ToolError(
                f"{group.file.filename}: {name} lies in a file that is missing ({error.args[0]}), copy "
                "the whole run directory with its .segments",
                ENVIRONMENT_ERROR,
            ) from error
        return None


def dataset_values(file, name, selection=()):
    dataset = member(file, name)
    return dataset[selection] if isinstance(dataset, h5py.Dataset) else None


def attributes_of(file, name):
    """Attributes as plain values, those of HDF5's dimension scales left out."""
    found = member(file, name)
    hidden = ("DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME")
    return (
        {}
        if found is None
        else {key: plain(value) for key, value in found.attrs.items() if key not in hidden}
    )


def dataset_shapes(file, prefix):
    """(name, shape) of all datasets below the group `prefix`, axes left out."""
    group = member(file, prefix)
    return shapes_below(group.id, prefix) if isinstance(group, h5py.Group) else iter(())


def shapes_below(group, prefix):
    """The same of an h5py.h5g.GroupID: files hold hundreds of datasets, whose h5py objects would take ten times as long."""
    for key in group:
        name = f"{prefix}/{key.decode()}" if prefix else key.decode()
        if name == LINKS:
            continue
        item = h5py.h5o.open(group, key)
        if isinstance(item, h5py.h5g.GroupID):
            yield from shapes_below(item, name)
        elif key.decode() not in AXES:
            yield name, item.shape


def axes_of(dataset):
    """(epoch, step) of a series: the dimension scales that are attached to it. In a table without dimension scales
    (older tools) every dataset of its length is one, below the group of the axes or beside them, but for what is
    known to be none. Files without steps count epochs as steps. None for what is no series.
    """
    axes = {name or path_of(scale)[-1]: scale for name, scale in dataset.dims[0].items()}
    missing = [axis for axis in AXES if axis not in axes]
    if len(missing) == len(AXES):
        axes = table_of_unattached(dataset)
    elif missing:
        axes = {**table_axes(next(iter(axes.values())).parent), **axes}
    epoch, step = (axes[axis][()] if axis in axes else None for axis in AXES)
    if epoch is None and step is None:
        return None
    return (step if epoch is None else epoch), (epoch if step is None else step)


def path_of(item):
    return item.name.strip("/").split("/")


def table_axes(group):
    """The axes that lie in the group, {} where it is no table."""
    return {axis: group[axis] for axis in AXES if isinstance(member(group, axis), h5py.Dataset)}


def table_of_unattached(dataset):
    """The axes of a dataset without dimension scales, by the table that it lies in: itself an axis, or of a table
    whose axes are plain datasets of its length; {} where it is no series."""
    path, group = path_of(dataset), dataset.parent
    if path[-1] in AXES:
        return table_axes(group)
    while not table_axes(group) and group.name != "/":
        group = group.parent
    axes = table_axes(group)
    is_none = NO_SERIES.intersection(path) or any(h5py.h5ds.is_scale(axis.id) for axis in axes.values())
    return axes if not is_none and all(axis.shape == dataset.shape[:1] for axis in axes.values()) else {}

"""What does one HDF5 file answer when it is asked for a name?

Datasets, their attributes and time axes as plain values, from files of this program and of older ones: what
is not there is None or {}. It must know nothing of run directories.
"""
import re

import h5py
import numpy as np

from tool_process import ENVIRONMENT_ERROR, ToolError

AXES = ("epoch", "step")
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
    """Sorts blocks.2 before blocks.10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", text)]


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


def dataset_names(file, prefix):
    group = member(file, prefix)
    for key in group if isinstance(group, h5py.Group) else ():
        name = f"{prefix}/{key}" if prefix else key
        if name == LINKS:
            continue
        if isinstance(member(group, key), h5py.Group):
            yield from dataset_names(file, name)
        elif key not in AXES:
            yield name


def axes_of(dataset):
    """(epoch, step) of a dataset: its dimension scales, else the `epoch` and `step` beside it or in the
    nearest group above that fit its length. Files without steps (older tools) count epochs as steps. None
    when nothing fits.
    """
    found = {scale.name.rsplit("/", 1)[1]: scale for scale in dataset.dims[0].values() if scale.name}
    group = dataset.parent
    while not any(axis in found for axis in AXES):
        found = {
            axis: group[axis] for axis in AXES if axis in group and group[axis].shape == dataset.shape[:1]
        }
        if group.name == "/":
            break
        group = group.parent
    scale_group = next(iter(found.values())).parent if found else None
    for axis in AXES:
        if found and axis not in found and axis in scale_group:
            found[axis] = scale_group[axis]
    epoch, step = (found[axis][()] if axis in found else None for axis in AXES)
    if epoch is None and step is None:
        return None
    return (step if epoch is None else epoch), (epoch if step is None else step)

#!/usr/bin/env python3
"""Reads a run directory of the scripted run with h5py and checks every number against its formula.

check_run.py whole DIR            every published file opens and shows one commit, and nothing but it
check_run.py compare DIR DIR      the first is whole, and equals the second dataset by dataset and bit by bit
"""
import math
import os
import sys

import h5py
import numpy as np

ROWS, COLS = 37, 29
GOP_EVERY = 5
UNCOMPARED = {"provenance", "timing"}


def losses(epochs):
    x, values = 1.0, []
    for epoch in range(epochs):
        values.append(x)
        x = 0.75 * x + 0.125 * math.cos(epoch)
    return np.array(values)


def matrix(epoch, rows, cols):
    return epoch + 0.5 * np.arange(rows)[:, None] - 0.125 * np.arange(cols)[None, :]


def require(condition, message):
    if not condition:
        sys.exit(f"check_run.py: {message}")


def check_axes(group):
    for axis in ("epoch", "step"):
        require(group[axis].attrs["CLASS"] == b"DIMENSION_SCALE", f"{axis} is not a scale")
    for name, item in group.items():
        if not isinstance(item, h5py.Dataset) or name in ("epoch", "step"):
            continue
        require(item.dims[0].keys() == ["epoch", "step"], f"{item.name} has axes {item.dims[0].keys()}")
        same_axis = np.array_equal(item.dims[0]["epoch"][:], group["epoch"][:])
        require(same_axis, f"{item.name}: another epoch axis")
        for attribute in ("long_name", "units", "definition"):
            require(attribute in item.attrs, f"{item.name} has no {attribute}")


def check_descriptions(directory):
    """Every dataset of every published file, reached without links, says what it is."""
    def check(name, item):
        if isinstance(item, h5py.Dataset):
            for attribute in ("long_name", "units", "definition"):
                require(item.attrs.get(attribute, b""), f"{item.file.filename}:{name} has no {attribute}")

    for folder, folders, names in os.walk(directory):
        folders[:] = [name for name in folders if not name.startswith(".")]  # there lies what is unfinished
        for name in names:
            if name.endswith(".h5"):
                with h5py.File(os.path.join(folder, name), "r") as f:
                    f.visititems(check)


def check_metrics(directory):
    with h5py.File(os.path.join(directory, "metrics.h5"), "r") as f:
        epochs = max(int(f.attrs["committed_epoch"]), 0)
        require(f.attrs["format"] == b"grokscope 1", "wrong format")
        require(f["parameters/name"][:].tolist() == [b"embed.weight"], "wrong /parameters")
        require(f["parameters/shape"][:].tolist() == [[2, 3]], "wrong /parameters/shape")
        if epochs == 0:
            require("epoch" not in f, "rows before the first commit")
            return epochs
        require(int(f.attrs["committed_step"]) == 3 * epochs, "wrong committed_step")
        x = losses(epochs)
        require(np.array_equal(f["epoch"][:], np.arange(epochs)), "wrong epochs")
        require(np.array_equal(f["step"][:], 3 * np.arange(epochs)), "wrong steps")
        np.testing.assert_allclose(f["train_loss"][:], x, rtol=1e-14)
        np.testing.assert_allclose(f["layers/embed/gop_trace"][:], 0.25 * x, rtol=1e-14)
        odd = np.arange(epochs) % 2 == 1
        np.testing.assert_allclose(f["gop_nuclear_norm"][:], np.where(odd, np.nan, 2 * x), rtol=1e-14)
        top = f["eigenvalues_top_k"][:]
        require(top.shape == (epochs, 4 if epochs > 15 else 3), f"wrong width {top.shape}")
        np.testing.assert_allclose(top[:, :3], np.repeat(x[:, None], 3, axis=1), rtol=1e-14)
        if epochs > 15:
            np.testing.assert_allclose(top[:, 3], np.where(np.arange(epochs) < 15, np.nan, x), rtol=1e-14)
        twice = np.stack([x, x + 1], axis=1).ravel()
        np.testing.assert_allclose(f["training/train_loss"][:], twice, rtol=1e-14)
        training_epochs = np.repeat(np.arange(epochs), 2)
        require(np.array_equal(f["training/epoch"][:], training_epochs), "wrong training/epoch")
        check_axes(f)
        check_axes(f["training"])
        shown = f[f.attrs["default"]][f["plots"].attrs["default"]]
        require(shown.attrs["signal"] == b"test_acc", "a viewer would open with something else")
        accuracy = np.where(np.arange(2 * epochs) % 2 == 0, np.nan, 0.5)
        require(np.array_equal(shown["test_acc"][:], accuracy, equal_nan=True), "the plot of the accuracy leads elsewhere")
        require(np.array_equal(f["plots/loss/train_loss"][:], twice), "the plot of the loss leads elsewhere")
        if epochs > 12:
            require(f["events/t_mem"][()] == 12 and f["events"].attrs["t_mem"] == 12, "wrong /events")
            require(f["events/squares"][:].tolist() == [1, 4, 9], "wrong list in /events")
            require(f["events"].attrs["rule"] == b"train_acc > .99", "wrong text in /events")
        return epochs


def check_gops(directory):
    with h5py.File(os.path.join(directory, "gop_full.h5"), "r") as f:
        full_epochs = max(int(f.attrs["committed_epoch"]), 0)
        expected = {f"epoch_{e}" for e in range(0, full_epochs, GOP_EVERY)} | {"parameters"}
        require(set(f) == expected, f"gop_full.h5 has {sorted(f)}")
        for epoch in range(0, full_epochs, GOP_EVERY):
            group = f[f"epoch_{epoch}"]
            gop = group["gop"]
            require(gop.dtype == np.float32 and gop.chunks is None, "gop is not contiguous float32")
            require(np.array_equal(gop[:], matrix(epoch, ROWS, COLS).astype(np.float32)), "wrong gop")
            np.testing.assert_array_equal(group["eigenvalues"][:], [3.0 + epoch, 2.0, np.nan])
            require(group.attrs["epoch"] == epoch, "wrong attributes")
    with h5py.File(os.path.join(directory, "gop_layers.h5"), "r") as f:
        layer_epochs = max(int(f.attrs["committed_epoch"]), 0)
        for epoch in range(0, layer_epochs, GOP_EVERY):
            group = f[f"epoch_{epoch}"]
            require(np.array_equal(group["embed/gop"][:], matrix(epoch, 7, 5)), "wrong layer gop")
            require(group["unembed/gop"].compression == "gzip", "not compressed")
            require(np.array_equal(group["unembed/gop"][:], matrix(epoch, ROWS, COLS)), "wrong layer gop")
            whole = matrix(epoch, ROWS, COLS).astype(np.float32)
            require(np.array_equal(group["whole/gop"][:], whole), "wrong link")
            require(group["embed"].attrs["gop_trace"] == 0.5, "wrong layer attribute")
    return full_epochs, layer_epochs


def check_checkpoints(directory):
    newest = 0
    folder = os.path.join(directory, "checkpoints")
    for name in os.listdir(folder):
        if name.endswith(".h5"):
            with h5py.File(os.path.join(folder, name), "r") as f:
                epoch = int(f.attrs["epoch"])
                weight = f["parameters/embed.weight"]
                np.testing.assert_allclose(weight[0, 0], losses(epoch + 1)[-1], rtol=1e-14)
                require(weight.attrs["layer"] == b"embed", "no layer")
                require(f["rng/state"][()] == 7 * epoch, "wrong rng")
                newest = max(newest, epoch)
    return newest


def check_whole(directory):
    """Checks all that is published; returns the epochs of the three views and of the newest checkpoint."""
    check_descriptions(directory)
    return (check_metrics(directory), *check_gops(directory), check_checkpoints(directory))


def datasets_of(group, prefix=""):
    """Yields (path, dataset) following external links; visititems would not."""
    for name in group:
        item = group[name]
        if prefix == "" and name in UNCOMPARED:
            continue
        if isinstance(item, h5py.Group):
            yield from datasets_of(item, f"{prefix}/{name}")
        else:
            yield f"{prefix}/{name}", item


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a[()].tobytes() == b[()].tobytes()


def compare(first, second):
    check_whole(first)
    compared = 0
    for name in ("metrics.h5", "gop_full.h5", "gop_layers.h5"):
        with h5py.File(os.path.join(first, name), "r") as f, h5py.File(os.path.join(second, name), "r") as g:
            a, b = dict(datasets_of(f)), dict(datasets_of(g))
            require(a.keys() == b.keys(), f"{name}: {a.keys() ^ b.keys()}")
            for path in a:
                require(same(a[path], b[path]), f"{name}:{path} differs")
                compared += 1
            for attribute in ("committed_epoch", "committed_step", "experiment"):
                require(f.attrs[attribute] == g.attrs[attribute], f"{name}: {attribute} differs")
    with open(os.path.join(first, "metrics.csv")) as f, open(os.path.join(second, "metrics.csv")) as g:
        require(f.read() == g.read(), "metrics.csv differs")
    return compared


if __name__ == "__main__":
    if sys.argv[1] == "whole":
        print("epochs", *check_whole(sys.argv[2]))
    elif sys.argv[1] == "compare":
        print(compare(sys.argv[2], sys.argv[3]), "datasets equal")
    else:
        sys.exit(__doc__)

"""What does a run directory look like, without a run? Writes one in the published layout, from known numbers.

Called by the tests of the tools, which compare what a tool reads or draws with the arrays that make_run
returns. The spectra are invented (a power law whose head changes at the jump); every metric is computed from
them by its published definition. It knows nothing of the reader under test. Run by hand it writes one for
looking at: synthetic_run.py FOLDER
"""
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")
import h5py  # noqa: E402
import numpy as np  # noqa: E402

LAYERS = {"embed": (7, 4), "blocks.2.attn.W_K": (4, 3), "blocks.10.mlp.W_in": (3, 6), "unembed": (6, 5)}
DEFINITIONS = {
    "gop_trace": ("trace", "loss^2 / parameter^2", "sum of the eigenvalues"),
    "gop_stable_rank": ("stable rank", "1", "trace / largest eigenvalue"),
    "gop_rank": ("rank", "1", "number of eigenvalues above rank_threshold (1e-6) times the largest"),
}


@dataclass
class Shape:
    """What the run should look like."""

    tracked: int = 60
    every: int = 20  # steps between tracked epochs
    eigenvalues: int = 30
    top_k: int = 8
    examples: int = 16
    t_mem: float = 150
    t_gen: float = 700
    layer_every: int = 3  # layer spectra exist at every third tracked epoch
    gap: tuple = ()  # tracked epochs (first, end) whose values are all NaN
    state: str = "done"
    with_gop: bool = True
    with_groups: bool = True  # /training /layers /checks /events /observables
    seed: int = 1
    rank: int = 0  # eigenvalues that are not 0; none given: nine tenths of them
    scale: float = 1  # of gradients; 0: a GOP of zeros
    steps_per_epoch: int = 1
    gop_epochs: tuple = field(default=())  # empty: first, middle and last


def logistic(steps, centre, width=0.25):
    """Rises from 0 to 1 around `centre`, in decades of the step."""
    return 1 / (1 + np.exp(-(np.log10(steps + 1.0) - np.log10(centre + 1.0)) / (0.25 * width)))


def curves(steps, shape):
    """Losses, accuracies and weight norms of a grokking run at `steps`."""
    train, test = logistic(steps, 0.5 * shape.t_mem), logistic(steps, 0.8 * shape.t_gen, 0.15)
    wiggle = 1 + 0.04 * np.sin(0.7 * np.arange(len(steps)))
    bump = 1.5 * train * (1 - test)
    return {
        "train_loss": (3.5 * (1 - train) + 1e-6) * wiggle,
        "test_loss": (3.5 * (1 - test) + bump + 1e-4) * wiggle,
        "train_acc": 0.03 + 0.97 * train,
        "test_acc": 0.03 + 0.97 * test,
        "weight_norm": 40 - 8 * train - 14 * test,
    }


def spectra(steps, shape):
    """Eigenvalues [T, m], descending: a power law that steepens at the jump; the last tenth is exactly
    zero."""
    grown = logistic(steps, shape.t_gen, 0.5)[:, None]
    rank = np.arange(1, shape.eigenvalues + 1)[None, :]
    noise = 1 + 0.05 * np.random.default_rng(shape.seed).standard_normal((len(steps), shape.eigenvalues))
    values = 10 ** (1.5 - 2 * grown) * rank ** (-1.0 - 2.5 * grown) * noise
    values[:, shape.rank or int(0.9 * shape.eigenvalues) :] = 0
    return shape.scale**2 * -np.sort(-np.abs(values), axis=1)


def gop_metrics(values):
    """The published metrics of spectra [T, m], by their definitions."""
    with np.errstate(divide="ignore", invalid="ignore"):
        trace, largest = values.sum(1), values[:, 0]
        share = values / trace[:, None]
        above = values > 1e-6 * largest[:, None]
        return {
            "gop_trace": trace,
            "gop_nuclear_norm": trace,
            "gop_spectral_norm": largest,
            "gop_frobenius_norm": np.sqrt((values**2).sum(1)),
            "gop_rank": above.sum(1).astype(float),
            "gop_log_determinant": np.full(len(values), -np.inf),
            "gop_determinant": np.zeros(len(values)),
            "gop_singular": np.ones(len(values)),
            "gop_log_pseudo_determinant": np.where(above, np.log(np.where(above, values, 1)), 0).sum(1),
            "gop_stable_rank": trace / largest,
            "gop_participation_ratio": trace**2 / (values**2).sum(1),
            "gop_entropy_rank": np.exp(
                -np.where(share > 0, share * np.log(np.where(share > 0, share, 1)), 0).sum(1)
            ),
        }


def write_table(group, epoch, step, columns):
    """Writes the axes and the columns of one table, axes attached as dimension scales."""
    for name, values in (("epoch", epoch), ("step", step)):
        group.create_dataset(name, data=np.asarray(values, np.int64))
        group[name].make_scale(name)
    for name, values in columns.items():
        dataset = group.create_dataset(name, data=values)
        long_name, units, definition = DEFINITIONS.get(
            name.rsplit("/", 1)[-1], (name.replace("_", " "), "1", name)
        )
        dataset.attrs.update(
            {
                "long_name": np.bytes_(long_name),
                "units": np.bytes_(units),
                "definition": np.bytes_(definition),
            }
        )
        dataset.dims[0].attach_scale(group["epoch"])
        dataset.dims[0].attach_scale(group["step"])


def add_series(file, name, values):
    """A dataset of the table that the top group of its name is ("layers" and the like are of the tracked one)."""
    table = file[name.split("/")[0]] if name.startswith(("training/", "observables/")) else file
    file[name] = values
    for axis in ("epoch", "step"):
        file[name].dims[0].attach_scale(table[axis])


def write_parameters(file):
    """Writes /parameters: name, layer, offset, size and shape (padded with 0) of every parameter."""
    rows, offset = [], 0
    for layer, (rows_out, cols_in) in LAYERS.items():
        for name, shape in ((f"{layer}.weight", (rows_out, cols_in)), (f"{layer}.bias", (rows_out, 0))):
            size = int(np.prod([n for n in shape if n]))
            rows.append((name, layer, offset, size, shape))
            offset += size
    for key, column in zip(("name", "layer", "offset", "size", "shape"), zip(*rows)):
        data = np.array(column, dtype="S32") if isinstance(column[0], str) else np.array(column, np.int64)
        file.create_dataset(f"parameters/{key}", data=data)
    return offset


def root_columns(steps, values, shape):
    columns = {
        **{key: curve for key, curve in curves(steps, shape).items() if key != "weight_norm"},
        **gop_metrics(values),
        "eigenvalues": values,
        "eigenvalues_top_k": values[:, : shape.top_k],
    }
    jump = logistic(steps, shape.t_gen)
    columns["gop_mean_gradient_alignment"] = 0.2 + 0.7 * jump
    columns["gop_subspace_overlap"] = np.r_[np.nan, 0.95 - 0.6 * np.exp(-(((jump[1:] - 0.5) / 0.25) ** 2))]
    if shape.with_groups:
        rare = np.where(np.arange(len(steps)) % shape.layer_every == 0, 1.0, np.nan)
        for i, name in enumerate(LAYERS):
            columns[f"layers/{name}/gop_trace"] = columns["gop_trace"] * (i + 1 + i * jump) / (10 + 6 * jump)
            columns[f"layers/{name}/gop_stable_rank"] = rare * columns["gop_stable_rank"] * (1 - 0.2 * i)
            columns[f"layers/{name}/gop_participation_ratio"] = (
                rare * columns["gop_participation_ratio"] / (i + 1)
            )
            columns[f"layers/{name}/gop_spectral_norm"] = rare * columns["gop_spectral_norm"] / (i + 1)
        columns["checks/trace_residual"] = np.full(len(steps), 1e-15)
    first, end = shape.gap or (0, 0)
    for name in columns:
        columns[name] = np.array(columns[name], float)
        columns[name][first:end] = np.nan
    return columns


def write_groups(file, shape, last_step):
    """Writes /training, /observables and /events; returns the columns of the first two."""
    steps = np.unique(np.r_[0, np.geomspace(1, max(last_step, 1), 200).astype(int)])
    training = curves(steps, shape)
    write_table(file.create_group("training"), steps // shape.steps_per_epoch, steps, training)
    observables = {
        "fourier/excluded_loss": training["test_loss"] * 1.2,
        "fourier/restricted_loss": training["test_loss"],
        "robustness/pgd_accuracy_0.06": 0.6 * training["test_acc"],
        "robustness/pgd_accuracy_0.10": 0.3 * training["test_acc"],
        "local_complexity": np.abs(np.sin(steps / 300)) + 1,
        "head_norms": training["weight_norm"][:, None] / np.arange(1, 4),
    }
    group = file.create_group("observables")
    write_table(group, steps // shape.steps_per_epoch, steps, observables)
    group.create_dataset("marchenko_pastur_edge", data=2.25)
    events = file.create_group("events")
    for name, time, column, threshold in (
        ("t_mem", shape.t_mem, "train_acc", 0.99),
        ("t_gen", shape.t_gen, "test_acc", 0.95),
    ):
        above = np.flatnonzero(training[column] >= threshold)
        events.attrs[f"{name}_step"] = float(steps[above[0]]) if above.size else np.nan
    events.attrs["rule"] = np.bytes_("first step with train_acc >= 0.99, test_acc >= 0.95")
    return {
        **{f"training/{k}": v for k, v in training.items()},
        **{f"observables/{k}": v for k, v in observables.items()},
        "training/step": steps,
    }


def group_of(step, shape):
    """The name of the group of a moment."""
    epoch, within = divmod(int(step), shape.steps_per_epoch)
    return f"epoch_{epoch}" + (f"_step_{step}" if within else "")


def write_gops(folder, epochs, shape, parameters):
    """Writes segments with dense GOPs of random gradients after `epochs` steps each and the views that link to them;
    returns gradients by step."""
    (folder / ".segments").mkdir()
    gradients = {
        int(e): shape.scale * np.random.default_rng(int(e)).standard_normal((shape.examples, parameters)) for e in epochs
    }
    views = {
        name: h5py.File(folder / f"{name}.h5", "w", libver="earliest") for name in ("gop_full", "gop_layers")
    }
    for epoch, g in gradients.items():
        segment = f".segments/{epoch}-{epoch}.h5"
        with h5py.File(folder / segment, "w", libver="earliest") as file:
            write_gop(
                folder,
                file.create_group(f"gop_full/{group_of(epoch, shape)}"),
                g,
                epoch,
                shape,
                own_file=epoch == int(epochs[-1]),
            )
            offset = 0
            for layer, (rows, cols) in LAYERS.items():
                size = rows * cols + rows
                write_gop(
                    folder,
                    file.create_group(f"gop_layers/{group_of(epoch, shape)}/{layer}"),
                    g[:, offset : offset + size],
                    epoch,
                    shape,
                )
                offset += size
        for name, view in views.items():
            group = group_of(epoch, shape)
            view[group] = h5py.ExternalLink(segment, f"/{name}/{group}")
    for view in views.values():
        write_parameters(view)
        view.close()
    return gradients


def write_gop(folder, group, g, step, shape, own_file=False):
    """Writes one GOP and its spectrum; a large matrix lies in a file of its own, behind a second link."""
    gop = g.T @ g / len(g)
    values = np.sort(np.linalg.eigvalsh(gop))[::-1]
    if own_file:
        with h5py.File(folder / f".segments/gop-{step}.h5", "w", libver="earliest") as file:
            file["gop"] = gop.astype(np.float32)
        group["gop"] = h5py.ExternalLink(f"gop-{step}.h5", "/gop")
    else:
        group["gop"] = gop
    group["eigenvalues"] = values
    group.attrs.update(
        {
            "epoch": step // shape.steps_per_epoch,
            "step": step,
            "definition": np.bytes_("second_moment"),
            "n_examples": len(g),
            "noise_floor": 4 * len(g) * np.finfo(float).eps * values[0],
        }
    )


def make_run(folder, shape=None):
    """Writes a run directory at `folder` and returns every array in it by its name in metrics.h5, the
    gradients of the dense GOPs under "gradients"."""
    shape = shape or Shape()
    folder = Path(folder)
    folder.mkdir(parents=True)
    steps = shape.every * np.arange(shape.tracked)
    known = {"epoch": steps, **root_columns(steps, spectra(steps, shape), shape)}
    with h5py.File(folder / "metrics.h5", "w", libver="earliest") as file:
        file.attrs.update(
            {
                "format": np.bytes_("grokscope 1"),
                "committed_epoch": int(steps[-1]) // shape.steps_per_epoch if len(steps) else -1,
            }
        )
        axis = steps // shape.steps_per_epoch
        write_table(file, axis, steps, {key: values for key, values in known.items() if key != "epoch"})
        parameters = write_parameters(file)
        if shape.with_groups:
            known.update(write_groups(file, shape, int(steps[-1])))
    if shape.with_gop:
        epochs = shape.gop_epochs or [steps[0], steps[len(steps) // 2], steps[-1]]
        known["gradients"] = write_gops(folder, np.unique(epochs), shape, parameters)
    status = {
        "state": shape.state,
        "reason": "all epochs trained" if shape.state == "done" else "",
        "exit_code": 0,
    }
    (folder / "STATUS").write_text(json.dumps(status, indent=1) + "\n")
    config = {
        "experiment": {"name": "synthetic", "description": "an invented run"},
        "gop_tracking": {"frequency": shape.every},
    }
    (folder / "config.json").write_text(json.dumps(config))
    with h5py.File(folder / "data.h5", "w") as file:
        file["train/ids"], file["train/inputs"] = np.arange(shape.examples), np.eye(shape.examples)
        file["test/ids"] = np.arange(3)
    return known


if __name__ == "__main__":
    make_run(sys.argv[1])

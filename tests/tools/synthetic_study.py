"""What does a study look like, without its runs? Writes study.h5 and its members from known numbers, as
src/study/study_table.cpp has them. It knows nothing of the reader under test.
"""
import json
import os
from pathlib import Path

os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")
import h5py  # noqa: E402
import numpy as np  # noqa: E402
import synthetic_run  # noqa: E402


def member(group, seed=None, t_mem=100.0, t_gen=1000.0, overrides=(), results=(), losses=(1e-4, 1e-2), norm=10.0,
           config=(), status="done"):
    """One member; NaN for a time that it never reached. `overrides` are those of the study, `config` what its
    configuration says of keys that the study leaves alone."""
    name = group if seed is None else ",".join(filter(None, (group, f"seed={seed}")))
    overrides = {key: str(value) for key, value in dict(overrides).items()}
    if seed is not None:
        overrides["training.seed"] = str(seed)
    return {
        "name": name, "group": group, "seed": seed or 0, "status": status, "t_mem": t_mem, "t_gen": t_gen,
        "overrides": overrides, "results": dict(results), "losses": losses, "norm": norm, "config": dict(config),
    }  # fmt: skip


def texts(values):
    return np.array([value.encode() for value in values], dtype=f"S{max(1, *map(len, values))}")


def make_study(folder, members, grid=None, state="done"):
    """Writes the study's directory. `grid` names the keys of study.grid."""
    folder = Path(folder)
    folder.mkdir(parents=True)
    t_mem, t_gen = (np.array([one[name] for one in members], float) for name in ("t_mem", "t_gen"))
    with h5py.File(folder / "study.h5", "w", libver="earliest") as file:
        file.attrs.update({"format": np.bytes_("grokscope 1"), "members": len(members)})
        for name in ("name", "group", "status"):
            file[f"members/{name}"] = texts([one[name] for one in members])
        file["members/directory"] = texts([f"members/{one['name']}" for one in members])
        file["members/seed"] = np.array([one["seed"] for one in members], np.int64)
        for name, values in (("t_mem", t_mem), ("t_gen", t_gen), ("delay", t_gen - t_mem), ("ratio", t_gen / t_mem)):
            file[f"members/{name}"] = values
        for key in sorted({key for one in members for key in one["overrides"]}):
            file[f"members/overrides/{key}"] = texts([one["overrides"].get(key, "") for one in members])
        for key in sorted({key for one in members for key in one["results"]}):
            file[f"members/results/{key}"] = np.array([one["results"].get(key, np.nan) for one in members], float)
        file["observables/group"] = texts(list(dict.fromkeys(one["group"] for one in members)))
    study = {"base": "base.yaml", "grid": dict.fromkeys(grid, []) if grid else None}
    (folder / "config.json").write_text(json.dumps({"study": study}))
    (folder / "STATUS").write_text(json.dumps({"state": state, "reason": ""}))
    for one in members:
        if one["status"] != "pending":
            write_member(folder / "members" / one["name"], one)


def write_member(folder, one):
    """A run with as much in it as the figures of a study ask for."""
    folder.mkdir(parents=True)
    config = {}
    for key, value in one["config"].items():
        section, name = key.split(".")
        config.setdefault(section, {})[name] = value
    (folder / "config.json").write_text(json.dumps(config))
    steps = np.array([0, 10, 100])
    with h5py.File(folder / "metrics.h5", "w", libver="earliest") as file:
        columns = {
            "train_loss": np.array([2, 1, one["losses"][0]]),
            "test_loss": np.array([2, np.nan, one["losses"][1]]),
            "weight_norm": np.array([1, 2, one["norm"]]),
        }
        synthetic_run.write_table(file.create_group("training"), steps, steps, columns)
        for name, value in one["results"].items():
            file[f"results/{name}"] = float(value)
        if "phase" in one["results"]:
            definition = "1 comprehension, 2 grokking (delay of 1,000 steps or more), 3 memorisation, 4 confusion"
            file["results/phase"].attrs["definition"] = np.bytes_(definition)


def phase_grid(folder, seeds=(None,)):
    """Ten rates by eleven decays with a phase each, as paper 02 draws; one cell is not done."""
    members = []
    for i, lr in enumerate((1e-5, 2.15e-5, 4.64e-5, 1e-4, 2.15e-4, 4.64e-4, 1e-3, 2.15e-3, 4.64e-3, 1e-2)):
        for decay in range(11):
            phase = 4 if i + decay > 14 else 3 if i > 5 else 2 if decay + 2 * i > 6 else 1
            t_mem = np.nan if phase == 4 else 400 * 1.3 ** abs(5 - i)
            t_gen = np.nan if phase > 2 else t_mem * (1.5 if phase == 1 else 3 + decay)
            for seed in seeds:
                one = member(
                    f"lr={lr:g},weight_decay={decay}", seed, t_mem, t_gen, {"training.lr": lr, "training.weight_decay": decay},
                    {"phase": phase}, losses=(10.0 ** (-6 + 0.5 * i), 10.0 ** (-0.2 * decay)),
                )  # fmt: skip
                members.append(one)
    members[-1].update(status="running", t_mem=np.nan, t_gen=np.nan, results={})
    make_study(folder, members, ["training.lr", "training.weight_decay"], "running")


def decay_study(folder):
    """Four decays, three seeds, t_gen = 1000 / decay times 0.8, 1 and 1.25; the weakest decay does not get there. The base's
    decay is said by no override, and the studies' steps vary with it."""
    members = []
    for decay, steps in ((0.03, 30_000), (0.1, 20_000), (0.3, 8000), (1, 4000)):
        for seed, factor in enumerate((0.8, 1.0, 1.25)):
            overrides = {"training.steps": steps} | ({} if decay == 0.1 else {"training.weight_decay": decay})
            t_gen = np.nan if decay == 0.03 else 1000 / decay * factor
            config = {"training.weight_decay": decay, "training.steps": steps}
            members.append(member(f"decay_{decay}", seed, 90 + 10 * seed, t_gen, overrides, config=config))
    make_study(folder, members)

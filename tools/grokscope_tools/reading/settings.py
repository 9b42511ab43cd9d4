"""Which runs have the same settings, seeds left out?"""
import json
import re

NOT_SCIENCE = ("experiment", "expected", "storage", "computational_limits", "study", "fingerprint")


def settings_of(run):
    """The configuration without what cannot change the result, and without seeds, as text; None when there is
    none."""
    config = run.config()
    return config and json.dumps(
        without_seeds({k: v for k, v in config.items() if k not in NOT_SCIENCE}), sort_keys=True
    )


def without_seeds(config):
    if isinstance(config, dict):
        return {k: without_seeds(v) for k, v in config.items() if k != "seed" and not k.endswith("_seed")}
    return [without_seeds(item) for item in config] if isinstance(config, list) else config


def name_without_seed(name):
    """The name of a run or a study's member: "dense" of "dense,seed=0", "09_levi" of "09_levi+training.seed=1"."""
    return re.sub(r"[,+]?(training\.)?seed=\d+", "", name)

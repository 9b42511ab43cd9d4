"""What do the tests of lead_lag.py share? Invented runs, and what the tool says of them."""
import contextlib
import csv
import io
import json
import sys
import tempfile
import unittest
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOOLS = HERE.parent.parent / "tools"
sys.path[:0] = [str(TOOLS), str(HERE)]

import grokscope_io  # noqa: E402
import h5py  # noqa: E402
import lead_lag  # noqa: E402
import numpy as np  # noqa: E402
from change_point_test import STEPS, T_MEM, accuracy, bent  # noqa: E402
from grokscope_tools.drawing import style  # noqa: E402
from grokscope_tools.leads import verdicts as judging  # noqa: E402
from synthetic_run import write_table  # noqa: E402

NEVER = 1e9
EXACT, PERCENT, ERROR = (null.name for null in judging.NULLS)


def series(values, steps=STEPS):
    return grokscope_io.Series(steps, steps, np.asarray(values, float))


def write_run(folder, name, columns, t_gen, t_mem=T_MEM, steps=STEPS, state="done", settings=None):
    """A run directory; no STATUS where `state` is None, no config.json where `settings` is None."""
    folder = folder / name
    folder.mkdir(parents=True)
    with h5py.File(folder / "metrics.h5", "w") as file:
        file.attrs["experiment"] = np.bytes_("invented")
        write_table(file, steps, steps, columns)
        for event, step in (("t_mem_step", t_mem), ("t_gen_step", t_gen)):
            file[f"events/{event}"] = np.nan if step is None else float(step)
    if state:
        (folder / "STATUS").write_text(json.dumps({"state": state}))
    if settings is not None:
        (folder / "config.json").write_text(json.dumps(settings))
    return folder


def settings(fraction, seed, decay=1):
    return {
        "experiment": {"name": "invented"},
        "data": {"train_fraction": fraction},
        "training": {"seed": seed, "weight_decay": decay},
    }


class Case(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        self.addCleanup(style.plt.close, "all")

    def run_tool(self, *arguments):
        out = io.StringIO()
        with contextlib.redirect_stdout(out), warnings.catch_warnings():
            warnings.simplefilter("error")
            code = lead_lag.main(list(map(str, arguments)))
        return code, out.getvalue()

    def judged(self, *arguments):
        """What the tool prints about all runs written so far."""
        code, out = self.run_tool(
            self.folder, "--save_dir", self.folder / "out", "--formats", "png", *arguments
        )
        self.assertEqual(code, 0)
        return out

    def rows(self, name="lead_lag"):
        with (self.folder / f"out/{name}.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    def table(self):
        return {row["series"]: row for row in self.rows()}

    def fields(self, series, *names):
        return [self.table()[series][name] for name in names]

    def write_experiment(self):
        """Three runs that generalise around step 6,000: one series bends at 1,500, one at 10,000, one never.
        Three controls, which generalise never, and in which nothing bends."""
        for seed in range(3):
            columns = {
                "test_acc": accuracy(6000, seed=seed),
                "early": bent(1500, 2.0, seed=seed),
                "late": bent(10000, 6.0, seed=seed + 10),
                "never": bent(NEVER, 0, seed=seed + 20),
                "layers/embed/gop_trace": bent(1500, -2.0, seed=seed + 30),
            }
            write_run(self.folder, f"grok{seed}", columns, 7000)
            columns["test_acc"] = accuracy(NEVER, seed=seed)
            for name in ("early", "late", "layers/embed/gop_trace"):
                columns[name] = bent(NEVER, 0, seed=seed + 40)
            write_run(self.folder, f"control{seed}", columns, None)

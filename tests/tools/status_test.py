"""Does status.py tell how runs stand, also those that cannot say so themselves any more?"""
import contextlib
import datetime
import io
import json
import os
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "tools"))

import status  # noqa: E402
from grokscope_tools.command_line.process import ToolError  # noqa: E402

NOW = datetime.datetime(2026, 3, 1, 12, 0, 0)
LOG = """2026-03-01T11:00:00 info 09_levi_linear on 2 rank(s)
2026-03-01T11:00:00 info epoch       0 step        0/1000  train 1.000e+00 0.007  test 1.000e+00 0.010  0.0 ms left
2026-03-01T11:30:00 warning warning: the disk is slow
2026-03-01T11:50:00 info epoch     400 step      400/1000  train 2.470e-03 1.000  test 1.874e+01 0.011  1 h 30 min left
"""


class StatusTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.top = Path(scratch.name)
        no_slurm = mock.patch.object(status, "jobs_of_user", return_value=None)
        self.jobs = no_slurm.start()
        self.addCleanup(no_slurm.stop)

    def make_run(self, name, state="running", holder="", **facts):
        """A run directory that is at step 500 of 1000, with its last commit at step 300."""
        folder = self.top / name
        folder.mkdir(parents=True)
        content = {"state": state, "reason": "", "exit_code": 0, "epoch": 300, "step": 300, "total_steps": 1000,
                   "train_loss": 0.3, "test_loss": 3.0, **facts}
        (folder / "STATUS").write_text(json.dumps(content))
        (folder / "metrics.csv").write_text("epoch,step,train_loss,test_loss\n0,0,9,9\n500,500,0.5,5.5\n600,6")
        (folder / "log.txt").write_text(LOG)
        (folder / ".lock").write_text(holder)
        return folder

    def describe(self, folder, jobs=None):
        return status.describe(folder, jobs, NOW)

    def test_a_run_that_goes_on(self):
        me = f"process {os.getpid()} on {socket.gethostname()}, job 42\n"
        folder = self.make_run("going", holder=me)
        with open(folder / ".lock", encoding="utf-8"):
            run = self.describe(folder, {"42": "RUNNING"})
        self.assertEqual((run["state"], run["epoch"], run["step"], run["total_steps"]), ("running", 500, 500, 1000))
        self.assertEqual((run["train_loss"], run["test_loss"]), (0.5, 5.5))  # the evaluation, not the last commit
        self.assertEqual(run["seconds_left"], 80 * 60)  # 90 minutes, said ten minutes ago
        self.assertEqual((run["job"], run["job_state"]), ("42", "RUNNING"))
        self.assertIn("the disk is slow", run["last_error"])

    def test_a_run_whose_process_is_gone(self):
        dead = subprocess.Popen(["true"])
        dead.wait()
        run = self.describe(self.make_run("gone", holder=f"process {dead.pid} on {socket.gethostname()}\n"))
        self.assertEqual((run["state"], run["seconds_left"]), ("killed", None))
        self.assertIn("resumes it", run["last_error"])

    def test_a_process_id_that_is_somebody_else_s_by_now(self):
        run = self.describe(self.make_run("reused", holder=f"process {os.getpid()} on {socket.gethostname()}\n"))
        self.assertEqual(run["state"], "killed")  # this process lives, but does not hold the lock's file open

    def test_a_run_on_another_host(self):
        folder = self.make_run("far", holder="process 7 on elsewhere.example, job 43\n")
        self.assertEqual(self.describe(folder, {"43": "RUNNING"})["state"], "running")
        self.assertEqual(self.describe(folder, {"44": "RUNNING"})["state"], "killed")
        self.assertEqual(self.describe(folder, None)["state"], "running")  # nobody to ask

    def test_a_checkpointed_run_waits_in_the_queue(self):
        folder = self.make_run("waiting", "checkpointed", "process 7 on elsewhere, job 45\n", exit_code=75)
        run = self.describe(folder, {"45": "PENDING"})
        self.assertEqual((run["state"], run["job_state"], run["step"]), ("checkpointed", "PENDING", 300))

    def test_a_failed_run_says_why(self):
        folder = self.make_run("failed", "failed", exit_code=3, reason="the disk is full (...), free some\nmore")
        self.assertEqual(self.describe(folder)["last_error"], "the disk is full (...), free some\nmore")
        self.assertIn("\n    the disk is full (...), free some\n", self.output(self.top) + "\n")

    def test_disk_is_what_the_files_take(self):
        folder = self.make_run("big", "done")
        (folder / ".segments").mkdir()
        (folder / ".segments" / "0-9.h5").write_bytes(b"x" * 3_000_000)
        self.assertAlmostEqual(self.describe(folder)["disk_bytes"] / 3.0e6, 1, delta=0.05)

    def output(self, *words):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            self.assertEqual(status.main([str(word) for word in words]), 0)
        return out.getvalue()

    def test_every_run_is_found_and_nothing_else(self):
        for name in ("quick/b10", "quick/b2", "a", "a/members/one"):
            self.make_run(name, "done")
        (self.top / "a" / "analysis" / "gop").mkdir(parents=True)
        (self.top / "a" / "analysis" / "gop" / "STATUS").write_text("{}")
        new = self.top / "new"
        new.mkdir()
        (new / "config.json").write_text("{}")
        runs = json.loads(self.output(self.top, "--json"))
        names = [os.path.relpath(run["run"], self.top) for run in runs]
        self.assertEqual(names, ["a", "a/members/one", "new", "quick/b2", "quick/b10"])
        self.assertEqual(runs[2]["step"], 0)

    def test_the_table(self):
        self.make_run("done", "done", step=1000, epoch=1000)
        lines = self.output(self.top).splitlines()
        self.assertEqual(lines[0].split(), list(status.COLUMNS))
        self.assertIn("1000/1000 100%", lines[1])

    def test_no_folder_and_no_run(self):
        self.assertIn("no run below", self.output(self.top))
        with self.assertRaisesRegex(ToolError, "is no directory"):
            status.main([str(self.top / "nowhere")])


if __name__ == "__main__":
    unittest.main()

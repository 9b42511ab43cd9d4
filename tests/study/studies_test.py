"""Does a study stop and resume as one run does, tell every mistake at once, and know the other commands?

Signals to the launcher and to a single rank, a killed rank, a time limit: afterwards the same command must leave
members that equal those of a study that was never interrupted.
"""
import os
import re
import signal
import sys
from pathlib import Path

import h5py

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "run"))
import tiny_run  # noqa: E402 (the path must be set first)
from tiny_run import (  # noqa: E402
    LINEAR, POLYNOMIALS, ProgramTest, children_of, contents, send_signal_in_the_middle, status_of, variant,
    wait_for_rows)

LONG = variant(LINEAR, training={"epochs": 3000}, gop_tracking={"frequency": 500},
               computational_limits={"checkpoint_frequency": 100})
MEMBERS = ("seed=0", "seed=1", "seed=2")


class StudyProgram(ProgramTest):
    @classmethod
    def write_study(cls, name, base, study, **sections):
        cls.write_config(f"{name}_base", base)
        return cls.write_config(name, {"study": {"base": f"{name}_base.yaml", **study}, **sections})

    def column(self, name, dataset):
        with h5py.File(self.folder / name / "study.h5", "r") as file:
            return [v.decode() if isinstance(v, bytes) else v for v in file[dataset][()].tolist()]


class StopTest(StudyProgram):
    """Three members on two groups of one rank: two at a time, one that waits."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        finished = cls.call("run", cls.config("whole"), "--verbosity", "quiet", ranks=2)
        assert finished.code == 0, finished.err

    @classmethod
    def config(cls, name):
        return cls.write_study(name, LONG, {"seeds": [0, 1, 2], "ranks_per_member": 1})

    def start_and_wait(self, name, ranks=2):
        process = self.start("run", self.config(name), "--verbosity", "quiet", ranks=ranks)
        for member in MEMBERS[:ranks]:
            wait_for_rows(self.folder / name / "members" / member, 100, process)
        return process

    def assert_resumes(self, name, ranks=2):
        finished = self.call("run", self.folder / f"{name}.yaml", "--verbosity", "quiet", ranks=ranks)
        self.assertEqual(finished.code, 0, finished.err)
        self.assertEqual(self.column(name, "members/status"), ["done"] * 3)
        self.assertEqual(status_of(self.folder / name)["state"], "done")
        for member in MEMBERS:
            self.assert_same_runs(self.folder / "whole" / "members" / member, self.folder / name / "members" / member)
        whole, again = (contents(self.folder / n / "study.h5") for n in ("whole", name))
        different = {path for path in whole if whole[path] != again[path]}
        self.assertLessEqual(different, {"/members/walltime"})

    def test_a_signal_to_the_launcher(self):
        process = self.start_and_wait("launcher")
        send_signal_in_the_middle(process, 2, signal.SIGUSR1)
        self.assertEqual(self.wait(process).code, 75)
        self.assertEqual(self.column("launcher", "members/status"), ["checkpointed", "checkpointed", "pending"])
        self.assertEqual(status_of(self.folder / "launcher")["state"], "checkpointed")
        self.assert_resumes("launcher")

    def test_a_signal_to_the_rank_that_leads_the_other_group(self):
        process = self.start_and_wait("one_rank")
        os.kill(children_of(process.pid)[1], signal.SIGUSR1)
        self.assertEqual(self.wait(process).code, 75)
        self.assertEqual(self.column("one_rank", "members/status"), ["checkpointed", "checkpointed", "pending"])
        self.assert_resumes("one_rank")

    def test_a_signal_to_a_leader_that_waits_for_a_predecessor(self):
        config = self.write_study("waiting", LONG, {"ranks_per_member": 1, "members": [
            {"name": "first"}, {"name": "second", "overrides": ["training.seed=1"], "after": "first"}]})
        process = self.start("run", config, "--verbosity", "quiet", ranks=2)
        wait_for_rows(self.folder / "waiting" / "members" / "first", 100, process)
        os.kill(children_of(process.pid)[1], signal.SIGUSR1)
        self.assertEqual(self.wait(process).code, 75)
        self.assertEqual(self.column("waiting", "members/status"), ["checkpointed", "pending"])
        reason = status_of(self.folder / "waiting" / "members" / "first")["reason"]
        self.assertIn("User defined signal 1", reason, "the member was asked to stop by another group")

    def test_a_time_limit(self):
        config = self.config("limit")
        finished = self.call("run", config, "--verbosity", "quiet", "--max-time", "0.05", ranks=2)
        self.assertEqual(finished.code, 75, finished.err)
        self.assertIn("pending", self.column("limit", "members/status"))
        for status in (self.folder / "limit").rglob("STATUS"):
            if status_of(status.parent)["state"] == "checkpointed":
                self.assertIn("--max-time", status_of(status.parent)["reason"], status)
        self.assert_resumes("limit")

    def test_a_killed_rank(self):
        process = self.start_and_wait("killed")
        os.kill(children_of(process.pid)[1], signal.SIGKILL)
        self.assertNotEqual(self.wait(process).code, 0)
        self.assert_resumes("killed")

    def test_one_member_at_a_time(self):
        process = self.start_and_wait("in_turn", ranks=1)
        process.send_signal(signal.SIGUSR1)
        self.assertEqual(self.wait(process).code, 75)
        self.assertEqual(self.column("in_turn", "members/status"), ["checkpointed", "pending", "pending"])
        self.assert_resumes("in_turn", ranks=1)
        process = self.start_and_wait("killed_in_turn", ranks=1)
        process.kill()
        self.wait(process)
        self.assert_resumes("killed_in_turn", ranks=1)

    def test_all_members_at_once(self):
        process = self.start_and_wait("at_once", ranks=3)
        os.kill(children_of(process.pid)[2], signal.SIGKILL)
        self.assertNotEqual(self.wait(process).code, 0)
        self.assert_resumes("at_once", ranks=3)

    def test_a_study_that_is_done_stays_as_it_is(self):
        before = {path: path.stat().st_mtime_ns for path in (self.folder / "whole").rglob("metrics.h5")}
        self.assertEqual(len(before), 3)
        self.assertEqual(self.call("run", self.folder / "whole.yaml", ranks=2).code, 0)
        self.assertEqual(before, {path: path.stat().st_mtime_ns for path in before})

    def test_fresh_trains_every_member_again(self):
        config = self.write_study("anew", LINEAR, {"seeds": [0, 1]})
        self.assertEqual(self.call("run", config).code, 0)
        before = {path: path.stat().st_mtime_ns for path in (self.folder / "anew").rglob("metrics.h5")}
        self.assertEqual(self.call("run", config, "--fresh").code, 0)
        for path, time in before.items():
            self.assertGreater(path.stat().st_mtime_ns, time)

    def test_a_fresh_study_that_is_stopped_has_nothing_of_the_old_one(self):
        config = self.write_study("stopped_anew", LONG, {"seeds": [0, 1], "ranks_per_member": 1})
        self.assertEqual(self.call("run", config).code, 0)
        self.assertEqual(self.call("run", config, "--fresh", "--max-time", "0.001").code, 75)
        self.assertNotIn("done", self.column("stopped_anew", "members/status"))
        finished = self.call("run", config)
        self.assertEqual(finished.code, 0, finished.err)
        self.assertIn("0 done before", finished.out)


class FilesTest(StudyProgram):
    def test_the_directory_of_a_study(self):
        config = self.write_study("files", LINEAR, {"members": [{"name": "a"}, {"name": "b", "overrides": ["training.lr=0.02"]}]},
                                  expected=[{"quantity": "members/b/train_loss", "divided_by": "members/a/train_loss",
                                             "is": "below", "value": 1, "source": "a test"}])
        finished = self.call("run", config)
        self.assertEqual(finished.code, 0, finished.err)
        self.assertIn("[ok] members/b/train_loss / members/a/train_loss below 1: 0.", finished.out)
        run = self.folder / "files"
        for name in ("STATUS", "log.txt", "input.yaml", "config.yaml", "config.json", "study.h5", "members/b/metrics.h5"):
            self.assertTrue((run / name).is_file(), name)
        self.assertFalse((run / "checkpoints").exists())
        self.assertEqual((run / "input.yaml").read_text(), config.read_text())
        with h5py.File(run / "study.h5", "r") as file:
            def check(name, item):
                if isinstance(item, h5py.Dataset):
                    self.assertEqual({"long_name", "units", "definition"} - set(item.attrs), set(), name)
            file.visititems(check)
            for name in ("name", "seed", "status", "t_mem", "t_gen", "delay", "ratio", "events/t_gen_step", "directory",
                         "overrides/training.lr"):
                self.assertEqual(file["members"][name].shape, (2,), name)

    def test_a_member_that_fails_is_in_the_exit_code(self):
        config = self.write_study("failing", LINEAR, {"members": [
            {"name": "bad", "overrides": {"training.lr": 1e200}}, {"name": "next", "overrides": {"training": {"seed": 1}}, "after": "bad"},
            {"name": "good", "overrides": {"training": {"seed": 2}}}], "ranks_per_member": 1})
        for ranks in (1, 2):
            finished = self.call("run", config, "--verbosity", "quiet", ranks=ranks)
            self.assertEqual(finished.code, 2, finished.err)
            self.assertIn("bad failed: the training loss is", finished.err)
            self.assertIn("next skipped: it comes after bad, which failed", finished.err)
            self.assertEqual(self.column("failing", "members/status"), ["failed", "skipped", "done"])
            self.assertEqual(status_of(self.folder / "failing")["state"], "failed")

    def test_a_member_that_failed_claims_nothing(self):
        config = self.write_study("unkept", LINEAR, {"members": [{"name": "bad", "overrides": {"training.lr": 1e200}}, {"name": "good"}]},
                                  expected=[{"quantity": "members/bad/events/t_gen", "is": "never"},
                                            {"quantity": "members/good/train_loss", "is": "below", "value": 1e9}])
        finished = self.call("run", config)
        self.assertEqual(finished.code, 2)
        self.assertIn("[MISSED] members/bad/events/t_gen never happens: bad is failed", finished.out)
        self.assertIn("[ok] members/good/train_loss", finished.out)

    def test_a_start_from_generalisation_is_kept(self):
        dense = variant(POLYNOMIALS, training={"epochs": 60, "generalised_at": 0.01}, storage={"keep_checkpoints": 1},
                        computational_limits={"checkpoint_frequency": 5})
        config = self.write_study("kept", dense, {"members": [
            {"name": "dense"}, {"name": "ticket", "overrides": {"training.init_from": {"run": "member:dense", "epoch": "t_gen"}}}]})
        finished = self.call("run", config)
        self.assertEqual(finished.code, 0, finished.err)

    def test_tickets_of_every_seed(self):
        config = self.write_study("tickets", variant(POLYNOMIALS, training={"epochs": 20}), {
            "seeds": [0, 1], "ranks_per_member": 1,
            "members": [{"name": "ticket", "overrides": {"training.init_from": {
                "run": "member:dense", "epoch": 0, "mask": {"keep": 0.4}}}}, {"name": "dense"}]})
        finished = self.call("run", config, "--verbosity", "quiet", ranks=3)
        self.assertEqual(finished.code, 0, finished.err)
        for seed in (0, 1):
            with h5py.File(self.folder / "tickets" / "members" / f"ticket,seed={seed}" / "data.h5") as ticket, \
                    h5py.File(self.folder / "tickets" / "members" / f"dense,seed={seed}" / "checkpoints/epoch_20.h5") as dense:
                for name, mask in ticket["start/mask"].items():
                    kept = abs(dense["parameters"][name][()])
                    self.assertGreater(kept[mask[()] == 1].min(), kept[mask[()] == 0].max(), name)


class WordsTest(StudyProgram):
    def test_every_mistake_at_once_with_its_place(self):
        (self.folder / "mistakes_base.yaml").write_text(
            "experiment: {name: 09_levi_linear}\ntraining:\n  epochs: 5\n  lrr: 0.1\n")
        path = self.folder / "mistakes.yaml"
        path.write_text("""study:
  base: mistakes_base.yaml
  members:
    - {name: first}
    - {name: same}
    - {name: quiet, overrides: {gop_tracking.use_gpu: true}}
    - {name: late, overrides: [training.seed=1], after: frist}
    - {name: hen, overrides: [training.seed=2], after: egg}
    - {name: egg, overrides: [training.seed=3], after: hen}
    - {name: egg, overrides: [training.seed=4]}
    - {name: a/b, overrides: [training.seed=5]}
    - {name: wrong, overrides: [training.sed=6, nonsense]}
expected:
  - {quantity: members/nobody/train_loss, is: below, value: 1}
  - {quantity: train_loss, is: below, value: 1}
""")
        finished = self.call("check", path)
        self.assertEqual(finished.code, 2)
        for text in ("mistakes_base.yaml:4:3: training.lrr: unknown key, did you mean training.lr?",
                     "mistakes.yaml:7:57: study.members[3].after: 'frist' is not a member of this study, did you mean first?",
                     "which waits for it (neither could ever start)",
                     "mistakes.yaml:10:7: study.members[6]: a second member is called 'egg'",
                     "mistakes.yaml:11:7: study.members[7]: 'a/b' cannot name a folder",
                     "mistakes.yaml:12:33: training.sed: unknown key, did you mean training.seed?",
                     "mistakes.yaml:12:49: not of the form key.path=value",
                     "expected[0].quantity: 'members/nobody/train_loss' is not members/NAME/DATASET of a member",
                     "expected[1].quantity: 'train_loss' is not members/NAME/DATASET of a member"):
            self.assertIn(text, finished.err)
        self.assertEqual(finished.err.count("unknown key, did you mean training.lr?"), 1, finished.err)

    def test_members_that_are_the_same_run(self):
        config = self.write_study("same", LINEAR, {"members": [{"name": "a"}, {"name": "b", "overrides": ["storage.keep_checkpoints=3"]}]})
        finished = self.call("run", config)
        self.assertEqual(finished.code, 2)
        self.assertIn("study.members[1]: 'b' is the same run as 'a' (they differ in nothing that has an influence on results)",
                      finished.err)

    def test_studies_of_nothing(self):
        for name, study, text in (("nothing", {}, "there is nothing to run"),
                                  ("lost", {"base": "lost.yml", "seeds": [0]}, "'lost.yml' is not a file"),
                                  ("nested", {"base": "nothing.yaml", "seeds": [0]}, "'nothing.yaml' is a study"),
                                  ("unknown", {"sedes": [0]}, "did you mean study.seeds?"),
                                  ("flat_grid", {"grid": {"training.lr": 0.1}}, "expected a list of values"),
                                  ("twice", {"seeds": [1, 1]}, "a second member is called 'seed=1'")):
            with self.subTest(name):
                config = self.write_study(name, LINEAR, study)
                finished = self.call("run", config)
                self.assertEqual(finished.code, 2)
                self.assertIn(text, finished.err)

    def test_more_ranks_for_a_member_than_there_are(self):
        config = self.write_study("wide", LINEAR, {"seeds": [0, 1], "ranks_per_member": 3})
        finished = self.call("run", config, ranks=2)
        self.assertEqual(finished.code, 2)
        self.assertIn("study.ranks_per_member: 3 is more than the 2 rank(s) of this job", finished.err)
        self.assertEqual(finished.err.count("grokscope: "), 1, finished.err)
        self.assertEqual(self.call("check", config, "--ranks", 2).code, 2)

    def test_the_plan_of_a_study_has_one_for_each_kind_of_member(self):
        config = self.write_study("plan", LINEAR, {"seeds": [0, 1, 2], "ranks_per_member": 1,
                                                   "grid": {"training.epochs": [10, 30]}})
        finished = self.call("check", config, "--ranks", 2)
        self.assertEqual((finished.code, finished.err), (0, ""))
        self.assertEqual(finished.out.count("full GOP"), 2)
        self.assertIn("== epochs=10,seed=0 and 2 other seed(s)", finished.out)
        self.assertIn("study of 6 members, 2 at a time on 1 rank(s) each", finished.out)
        self.assertIn("== sum of 6 members: 120 steps", finished.out)
        self.assertFalse((self.folder / "plan").exists())

    def test_overrides_reach_the_study_or_every_member(self):
        base = variant(LINEAR)
        self.write_config("over_base", base)
        path = self.folder / "over.yaml"
        path.write_text("study: {base: over_base.yaml, seeds: [0, 1, 2]}\n")
        finished = self.call("check", path, "study.seeds=[7]", "training.epochs=12")
        self.assertEqual((finished.code, finished.err), (0, ""))
        self.assertIn("study of 1 members", finished.out)
        self.assertIn("12 steps", finished.out)
        self.assertRegex(finished.out, r"results/over\+epochs=12\+seeds=7\n")

    def test_list_and_describe(self):
        self.assertTrue(re.search(r"^study +\w", self.call("list").out, re.M))
        text = self.call("describe", "study").out
        for key in ("study.base", "study.members", "study.grid", "study.seeds", "study.ranks_per_member", "expected"):
            self.assertIn(f"`{key}`", text)
        self.assertIn("`training.init_from.mask.keep`", self.call("describe", "09_levi_linear").out)


if __name__ == "__main__":
    tiny_run.main()

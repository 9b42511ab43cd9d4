"""Does `reproduce` run single runs and studies, judge them, go on after failures, and say in its exit code whether all holds?"""
import sys
from pathlib import Path

import h5py

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "run"))
import tiny_run  # noqa: E402 (the path must be set first)
from tiny_run import LINEAR, ProgramTest, variant  # noqa: E402

CLAIM = {"quantity": "training/train_loss", "first": {"below": 1e9}, "is": "within", "value": [0, 1],
         "paper": "at once", "source": "a | test"}


class ReproduceTest(ProgramTest):
    def setUp(self):
        self.place = self.folder / self.id().rpartition(".")[2]
        (self.place / "configs" / "quick").mkdir(parents=True)

    def write(self, name, content):
        path = self.write_config("scratch", content)
        text = path.read_text().replace(str(self.folder / "scratch"), "auto")
        (self.place / "configs" / name).write_text(text)

    def reproduce(self, *arguments, ranks=1):
        before, type(self).folder = self.folder, self.place  # launches start in `folder`
        try:
            return self.call("reproduce", *arguments, "--verbosity", "quiet", ranks=ranks)
        finally:
            type(self).folder = before

    def column(self, name, table="reproduce"):
        with h5py.File(self.place / "results" / f"{table}.h5", "r") as file:
            return [v.decode() if isinstance(v, bytes) else v for v in file[name][()].tolist()]

    def test_all_hold(self):
        self.write("quick/09_linear.yaml", variant(LINEAR, expected=[]) | {"expected": [CLAIM]})
        self.write("quick/08_study.yaml", {
            "study": {"base": "base.yaml", "seeds": [0, 1]},
            "expected": [dict(CLAIM, quantity="members/seed=0/training/train_loss"),
                         {"quantity": "members/seed=1/events/t_gen", "is": "never"}]})
        self.write("quick/base.yaml", LINEAR)
        finished = self.reproduce("--quick", "8", "09", ranks=2)
        self.assertEqual(finished.code, 0, finished.err)
        def column(name):
            return self.column(name, "quick/reproduce_08_09")

        self.assertEqual(column("verdict"), ["holds"] * 3)
        self.assertEqual(column("configuration"), ["configs/quick/08_study.yaml"] * 2 + ["configs/quick/09_linear.yaml"])
        self.assertEqual(column("value")[0], 0)
        self.assertTrue(all(time > 0 for time in column("walltime")))
        table = (self.place / "results" / "quick" / "reproduce_08_09.md").read_text()
        self.assertIn("| at once | 0 | within 0 .. 1 | a \\| test | holds |", table)
        self.assertEqual(column("paper_says"), ["at once", "", "at once"])
        self.assertIn("3 claims hold, 0 are missed, 0 runs failed", table)
        self.assertTrue((self.place / "results" / "quick" / "08_study" / "study.h5").exists())

    def test_a_missed_claim(self):
        self.write("09_linear.yaml", dict(LINEAR, expected=[CLAIM, dict(CLAIM, value=[5, 6], seeds=[0, 1])]))
        self.assertEqual(self.reproduce().code, 1)
        self.assertEqual(self.column("verdict"), ["holds", "missed"])
        self.assertEqual(self.column("source"), ["a | test", "a | test; seeds: 0, 1"])
        time = self.column("walltime")
        self.assertEqual(self.reproduce("9").code, 1)
        self.assertEqual(self.column("walltime", "reproduce_09"), time, "a finished run was trained again")

    def test_a_failed_run_does_not_stop_the_others(self):
        self.write("08_bad.yaml", variant(LINEAR, training={"lr": 1e200}))
        self.write("07_wrong.yaml", variant(LINEAR, training={"lrr": 1}))
        self.write("09_linear.yaml", dict(LINEAR, expected=[CLAIM]))
        for ranks in (1, 2):
            finished = self.reproduce(ranks=ranks)
            self.assertEqual(finished.code, 2, finished.err)
            self.assertEqual(self.column("verdict"), ["failed", "failed", "holds"])
            self.assertIn("did you mean training.lr?", self.column("ours")[0])

    def test_a_list_chooses(self):
        for name in ("08_a", "09_a", "09_b"):
            self.write(f"quick/{name}.yaml", dict(LINEAR, expected=[CLAIM]))
        listed = self.place / "configs" / "quick" / "reproduce.yaml"
        listed.write_text("configurations: [09_b.yaml, 08_a.yaml]\n")
        def ran(table):
            return [name.removeprefix("configs/") for name in self.column("configuration", table)]

        self.assertEqual(self.reproduce("--quick").code, 0)
        self.assertEqual(ran("quick/reproduce"), ["quick/09_b.yaml", "quick/08_a.yaml"])
        self.assertEqual(self.reproduce("--quick", "9").code, 0)
        self.assertEqual(ran("quick/reproduce_09"), ["quick/09_b.yaml"])
        self.assertEqual(len(ran("quick/reproduce")), 2, "the table of all was replaced by a part")
        listed.write_text("configurations: [09_b.yaml]\n")
        self.assertEqual(self.reproduce("--quick", "8").code, 0)
        self.assertEqual(ran("quick/reproduce_08"), ["quick/08_a.yaml"], "a paper that is not listed")
        self.write("08_large.yaml", dict(LINEAR, expected=[CLAIM]))
        (self.place / "configs" / "reproduce.yaml").write_text("configurations: [quick/08_a.yaml]\n")
        self.assertEqual(self.reproduce().code, 0)
        self.assertEqual(ran("reproduce"), ["quick/08_a.yaml"])
        self.assertEqual(self.reproduce("8").code, 0)
        self.assertEqual(ran("reproduce_08"), ["quick/08_a.yaml", "08_large.yaml"], "asked for, and only its quick file listed")
        listed.write_text("configurations: [09_c.yaml]\n")
        finished = self.reproduce("--quick", ranks=2)
        self.assertEqual(finished.code, 2)
        self.assertIn("'09_c.yaml' is no configuration", finished.err)

    def test_a_stop_and_a_resume(self):
        self.write("09_linear.yaml", dict(LINEAR, expected=[CLAIM]))
        self.assertEqual(self.reproduce("--max-time", "0.001").code, 75)
        self.assertEqual(self.reproduce().code, 0)

    def test_a_table_that_is_cut_short_says_of_what(self):
        self.write("08_wrong.yaml", variant(LINEAR, training={"lrr": 1}))
        self.write("09_linear.yaml", dict(LINEAR, expected=[CLAIM]))
        self.assertEqual(self.reproduce("--max-time", "0.001").code, 75)
        self.assertEqual(self.column("configuration"), ["configs/08_wrong.yaml", "configs/09_linear.yaml"])
        self.assertEqual(self.column("verdict"), ["failed", "not run"])

    def test_numbers_that_nothing_has(self):
        self.write("09_linear.yaml", LINEAR)
        finished = self.reproduce("9", "77", "78", ranks=2)
        self.assertEqual(finished.code, 2)
        self.assertIn("for 77, 78", finished.err)
        self.assertEqual(self.reproduce("--configs", "nowhere").code, 2)


if __name__ == "__main__":
    tiny_run.main()

"""Is a sweep every combination, once, and spelt so that slurm/array.sbatch hands it on unchanged?"""
import contextlib
import io
import os
import shlex
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "tools"))

import sweep  # noqa: E402
from grokscope_tools.command_line.process import ToolError  # noqa: E402

# Stands in for the program: knows training.lr alone, and names the run directory after it.
PROGRAM = """#!/bin/sh
shift
for word in "$@"; do
  case $word in
    training.lrr=*) echo "grokscope: unknown key, did you mean training.lr?" >&2; exit 2 ;;
    training.lr=*) lr=$word ;;
  esac
done
echo "  run directory        results/$1+$lr"
"""


class SweepTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        self.config = self.folder / "a.yaml"
        self.config.write_text("experiment: {name: x}\n")

    def lines(self, *words):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            self.assertEqual(sweep.main([str(word) for word in words]), 0)
        return out.getvalue().splitlines()

    def assert_refused(self, pattern, *words):
        with self.assertRaisesRegex(ToolError, pattern):
            self.lines(*words)

    def test_every_combination_once_last_axis_fastest(self):
        lines = self.lines(self.config, "training.lr=0.1,0.2", "data.n=3,4,5", "seed=7")
        expected = [f"{self.config} training.lr={a} data.n={b} seed=7" for a in ("0.1", "0.2") for b in (3, 4, 5)]
        self.assertEqual(lines, expected)

    def test_several_configurations(self):
        other = self.folder / "b.yaml"
        other.write_text("")
        self.assertEqual(self.lines(self.config, other, "k=1,2"), [f"{c} k={k}" for c in (self.config, other) for k in (1, 2)])

    def test_commas_within_a_value(self):
        values = sweep.split_values("[a,b],{at: [1,2]},'x,y',plain")
        self.assertEqual(values, ["[a,b]", "{at: [1,2]}", "'x,y'", "plain"])
        self.assert_refused("open bracket", self.config, "k=[1,2")
        self.assert_refused("open bracket", self.config, "k=1],[2")

    def test_ranges(self):
        self.assertEqual(sweep.axis_of("k=lin:0:1:5"), ["k=0", "k=0.25", "k=0.5", "k=0.75", "k=1"])
        self.assertEqual(sweep.axis_of("k=log:1e-4:1e-1:4"), ["k=0.0001", "k=0.001", "k=0.01", "k=0.1"])
        for text in ("log:0:1:3", "lin:0:1:1", "lin:0:1", "lin:a:1:3", "lin:0:1:3:9"):
            self.assert_refused("is no range", self.config, f"k={text}")

    def test_mistakes(self):
        self.assert_refused("repeats 1", self.config, "k=1,2,1")
        self.assert_refused("given twice", self.config, "k=1", "k=2")
        self.assert_refused("empty value", self.config, "k=1,,2")
        self.assert_refused("no name", self.config, "1k=1")
        self.assert_refused("is missing", self.folder / "nowhere.yaml", "k=1")
        self.assert_refused("is missing", "k=1")

    def test_the_list_and_the_line_that_submits_it(self):
        run_list = self.folder / "runs.txt"
        out = self.lines(self.config, "k=1,2,3", "--output", run_list, "--at-once", "2")
        self.assertEqual(out, [f"3 runs: sbatch --array=1-3%2 slurm/array.sbatch {run_list}"])
        self.assertEqual(len(run_list.read_text().splitlines()), 3)

    def test_words_survive_the_array_script(self):
        """array.sbatch takes a line apart with xargs: every word must come out as it went in."""
        value = 'storage.output_dir="/a b/it\'s here/$HOME/*"'
        line, = self.lines(self.config, value)
        self.assertEqual(shlex.split(line), [str(self.config), value])
        result = subprocess.run(["xargs", "-n", "1", "printf", "%s\\n"], input=line, capture_output=True, text=True, check=True)
        self.assertEqual(result.stdout.splitlines(), [str(self.config), value])

    def with_program(self):
        program = self.folder / "grokscope"
        program.write_text(PROGRAM)
        program.chmod(0o755)
        return mock.patch.dict(os.environ, {"GROKSCOPE": str(program)})

    def test_check_asks_the_program_about_every_run(self):
        with self.with_program():
            self.assertEqual(len(self.lines(self.config, "training.lr=1,2", "--check")), 2)
            self.assert_refused("2 of 2 runs would fail(.|\n)*did you mean", self.config, "training.lrr=1,2", "--check")

    def test_check_finds_two_runs_with_one_folder(self):
        with self.with_program():
            self.assert_refused("1 of 2 runs(.|\n)*share results/", self.config, "training.log_interval=1,2", "--check")

    def test_check_without_a_program(self):
        with mock.patch.dict(os.environ, {"GROKSCOPE": str(self.folder / "none"), "PATH": str(self.folder)}):
            self.assert_refused("found no grokscope", self.config, "k=1", "--check")


if __name__ == "__main__":
    unittest.main()

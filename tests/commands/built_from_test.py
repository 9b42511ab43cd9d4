"""Does a build know which sources it was made from? Usage: built_from_test.py CMAKE [test ...]

Runs the script of the build step, src/run/built_from.cmake, in repositories of its own.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOM = Path(__file__).resolve().parents[2] / "src/run"


class BuiltFromTest(unittest.TestCase):
    cmake = None

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        self.source = self.folder / "source"
        (self.source / "src").mkdir(parents=True)
        (self.source / "experiments").mkdir()
        (self.source / "CMakeLists.txt").write_text("project(x)\n")
        (self.source / "src/a.cpp").write_text("int a;\n")
        (self.source / "README.md").write_text("words\n")
        self.git_program = shutil.which("git")

    def git(self, *arguments, cwd=None):
        identity = {f"GIT_{who}_{what}": "somebody" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        return subprocess.run([self.git_program, *arguments], cwd=cwd or self.source, env={**os.environ, **identity}, check=True,
                              capture_output=True, text=True).stdout.strip()

    def commit(self):
        self.git("init", "--quiet")
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", "all")
        return self.git("rev-parse", "HEAD")

    def ask(self, git=None):
        """(commit, changes) of the header that a build would make."""
        output = self.folder / "built_from.hpp"
        subprocess.run([self.cmake, f"-DGIT={self.git_program if git is None else git}", f"-DSOURCE={self.source}",
                        f"-DTEMPLATE={ROOM / 'built_from.hpp.in'}", f"-DOUTPUT={output}", "-P", ROOM / "built_from.cmake"], check=True)
        text = output.read_text()
        return tuple(re.search(rf'{name} = "(.*?)"', text)[1] for name in ("kCommit", "kChanges"))

    def test_a_commit_and_what_was_changed_since(self):
        commit = self.commit()
        self.assertEqual(self.ask(), (commit, ""))
        (self.source / "README.md").write_text("other words\n")
        self.assertEqual(self.ask(), (commit, ""), "words are not built")
        (self.source / "src/a.cpp").write_text("int b;\n")
        changes = self.ask()[1]
        self.assertRegex(changes, "^[0-9a-f]{40}$")
        (self.source / "src/a.cpp").write_text("int c;\n")
        self.assertNotIn(self.ask()[1], ("", changes))

    def test_the_header_is_left_alone_while_nothing_changes(self):
        self.commit()
        self.ask()
        header = self.folder / "built_from.hpp"
        os.utime(header, (1, 1))
        self.ask()
        self.assertEqual(header.stat().st_mtime, 1, "everything that includes it would be compiled again")
        (self.source / "src/a.cpp").write_text("int b;\n")
        self.ask()
        self.assertNotEqual(header.stat().st_mtime, 1)

    def test_without_git_or_a_repository(self):
        self.assertEqual(self.ask(), ("unknown", ""))
        self.commit()
        self.assertEqual(self.ask(git=""), ("unknown", ""))

    def test_within_a_repository_of_somebody_else(self):
        (self.folder / "theirs").write_text("theirs\n")
        self.git("init", "--quiet", cwd=self.folder)
        self.git("add", "theirs", cwd=self.folder)
        self.git("commit", "--quiet", "--message", "theirs", cwd=self.folder)
        self.assertEqual(self.ask(), ("unknown", ""))


if __name__ == "__main__":
    BuiltFromTest.cmake = sys.argv.pop(1)
    unittest.main(verbosity=2)

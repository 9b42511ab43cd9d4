"""Does an installation stand on its own? Usage: install_test.py BUILD_FOLDER [test ...]

Installs into a temporary prefix, runs the program from there, loads the modulefile, builds a program of somebody else
with find_package(grokscope), and configures from those files alone that the container's recipe copies.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
CONSUMER = """cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES C CXX)
find_package(grokscope 0.1 REQUIRED)
add_executable(consumer main.cpp)
target_link_libraries(consumer PRIVATE grokscope::run grokscope::experiments)
"""
CONSUMER_MAIN = """#include "experiments/all.hpp"
#include "run/command_line.hpp"
int main(int argc, char** argv) {
  const auto experiments = grokscope::all_experiments();
  return grokscope::run_command_line(argc, argv, experiments);
}
"""


def call(*command, **options):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **options)
    if result.returncode != 0:
        raise AssertionError(f"{command}: code {result.returncode}\n{result.stdout[-3000:]}{result.stderr[-3000:]}")
    return result.stdout


class InstallTest(unittest.TestCase):
    build = None

    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        cls.folder = Path(scratch.name)
        cls.prefix = cls.folder / "prefix"
        call("cmake", "--install", cls.build, "--prefix", cls.prefix)

    def test_the_program_runs_and_does_not_lean_on_the_build(self):
        program = self.prefix / "bin" / "grokscope"
        self.assertIn("LibTorch", call(program, "version", cwd=self.folder))
        dynamic = call("readelf", "-d", program)
        path = re.search(r"(?:RUNPATH|RPATH).*\[(.*)\]", dynamic)
        self.assertNotIn(str(self.build), dynamic)
        self.assertNotIn("", path.group(1).split(":") if path else ["x"], "an empty entry is the present folder")

    def test_a_run_elsewhere(self):
        share = self.prefix / "share" / "grokscope"
        text = call(self.prefix / "bin" / "grokscope", "check", share / "configs/quick/09_levi_linear.yaml", cwd=self.folder)
        self.assertIn("eigensolver", text)
        for name in ("slurm/run.sbatch", "slurm/launch.sh", "tools/status.py", "tools/grokscope_io.py"):
            self.assertTrue((share / name).is_file(), name)
        self.assertTrue(os.access(share / "slurm/launch.sh", os.X_OK))
        self.assertIn("[--json]", call(share / "tools/status.py", "--help"))

    def test_the_modulefile(self):
        command = shutil.which("modulecmd")
        self.assertIsNotNone(command, "no modulecmd (it loads the modulefile), apt-get install environment-modules")
        environment = {**os.environ, "MODULEPATH": str(self.prefix / "share/modulefiles")}
        code = call(command, "bash", "load", "grokscope", env=environment)
        shown = call("bash", "-c", code + '\ncommand -v grokscope; echo "$GROKSCOPE_HOME"; grokscope version', cwd=self.folder)
        lines = shown.splitlines()
        self.assertEqual(lines[:2], [str(self.prefix / "bin/grokscope"), str(self.prefix / "share/grokscope")])
        self.assertIn("LibTorch", shown)

    def test_somebody_else_s_program(self):
        source, build = self.folder / "consumer", self.folder / "consumer_build"
        source.mkdir()
        (source / "CMakeLists.txt").write_text(CONSUMER)
        (source / "main.cpp").write_text(CONSUMER_MAIN)
        call("cmake", "-S", source, "-B", build, f"-DCMAKE_PREFIX_PATH={self.prefix}", "-DCMAKE_BUILD_TYPE=Release")
        targets = (self.prefix / "lib/cmake/grokscope/grokscopeTargets.cmake").read_text()
        self.assertNotIn(str(REPOSITORY), targets)
        call("cmake", "--build", build)
        self.assertIn("09_levi_linear", call(build / "consumer", "list"))

    def test_the_container_s_files_are_enough(self):
        text = (REPOSITORY / "tools/packaging/grokscope.def").read_text()
        copied = re.findall(r"^  (\S+) /opt/grokscope/\S+$", text, re.MULTILINE)
        source = self.folder / "container"
        source.mkdir()
        for name in copied:
            copy = shutil.copytree if (REPOSITORY / name).is_dir() else shutil.copy
            copy(REPOSITORY / name, source / name)
        line = re.search(r"^  (cmake --preset .*)$", text, re.MULTILINE).group(1)
        call(*line.split(), cwd=source)
        self.assertTrue((source / "build/build.ninja").is_file())


if __name__ == "__main__":
    InstallTest.build = Path(sys.argv.pop(1)).resolve()
    unittest.main(verbosity=2)

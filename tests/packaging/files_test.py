"""Are the recipes that cannot be built here right, as far as that can be seen without building them?

The Apptainer definition, the Spack package and environment, and the Debian packages that they and we name.
"""
import ast
import re
import shutil
import subprocess
import sys
import types
import unittest
from pathlib import Path
from unittest import mock

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGING = REPOSITORY / "tools" / "packaging"
# What src/cmake/ThirdParty.cmake looks for, and who brings it in Spack. Threads come with the compiler.
SPACK_NAMES = {
    "MPI": "mpi", "HDF5": "hdf5", "fmt": "fmt", "spdlog": "spdlog", "yaml-cpp": "yaml-cpp", "nlohmann_json": "nlohmann-json",
    "CLI11": "cli11", "Torch": "py-torch", "BLAS": "blas", "LAPACK": "lapack", "PkgConfig": "pkgconfig", "libxxhash": "xxhash",
    "elpa": "elpa", "SCALAPACK_LIBRARY": "scalapack", "Threads": None,
}


def sections(text):
    """{"header": ..., "post": ..., ...} of an Apptainer definition."""
    parts = re.split(r"^%(\w+)[^\n]*\n", text, flags=re.MULTILINE)
    return {"header": parts[0], **dict(zip(parts[1::2], parts[2::2]))}


class ApptainerTest(unittest.TestCase):
    def setUp(self):
        self.sections = sections((PACKAGING / "grokscope.def").read_text())

    def test_sections(self):
        known = {"header", "files", "post", "environment", "runscript", "test", "labels", "help"}
        self.assertEqual(set(self.sections), known)
        header = dict(re.findall(r"^(\w+): (\S+)$", self.sections["header"], re.MULTILINE))
        self.assertEqual(header, {"Bootstrap": "docker", "From": "debian:12"})

    def test_scripts_are_shell(self):
        for name in ("post", "environment", "runscript", "test"):
            result = subprocess.run(["sh", "-n"], input=self.sections[name], capture_output=True, text=True, check=False)
            self.assertEqual(result.returncode, 0, f"%{name}: {result.stderr}")

    def test_what_is_copied_is_there(self):
        pairs = [line.split() for line in self.sections["files"].splitlines() if line.strip()]
        self.assertGreater(len(pairs), 5)
        for source, target in pairs:
            self.assertTrue((REPOSITORY / source).exists(), source)
            self.assertEqual(target, f"/opt/grokscope/{source}")

    def test_its_cmake_options_exist(self):
        options = set(re.findall(r"-D(GROKSCOPE_\w+)=", self.sections["post"]))
        self.assertEqual(options, {"GROKSCOPE_TESTS", "GROKSCOPE_BENCHMARKS"})
        self.assertLessEqual(options, cmake_options())


def cmake_options():
    return set(re.findall(r"^option\((\w+)", (REPOSITORY / "CMakeLists.txt").read_text(), re.MULTILINE))


class DebianTest(unittest.TestCase):
    def names(self):
        lines = (REPOSITORY / "tools" / "packages.txt").read_text().splitlines()
        return [name for line in lines for name in line.split("#")[0].split()]

    @unittest.skipUnless(shutil.which("apt-cache"), "no Debian: package names cannot be looked up")
    def test_every_package_exists(self):
        names = self.names()
        self.assertGreater(len(names), 20)
        self.assertEqual(len(names), len(set(names)), "a package twice")
        shown = subprocess.run(["apt-cache", "policy", *names], capture_output=True, text=True, check=True).stdout
        found = dict(re.findall(r"^(\S+):\n.*\n  Candidate: (\S+)", shown, re.MULTILINE))
        missing = [name for name in names if found.get(name, "(none)") == "(none)"]
        self.assertEqual(missing, [])

    def test_building_needs_no_cluster_and_no_browser(self):
        text = (REPOSITORY / "tools" / "packages.txt").read_text()
        marked = {line.split()[0] for line in text.splitlines() if re.match(r"\S+ +# \[ci\]", line)}
        self.assertEqual(marked, {"slurm-wlm", "munge", "environment-modules", "chromium", "ffmpeg", "python3-pandas", "python3-xarray"})


class Directives:
    """Stands in for Spack: notes what the package asks for."""

    def __init__(self):
        self.dependencies, self.variants = [], []
        self.module = types.ModuleType("spack.package")
        self.module.__dict__.update(
            CMakePackage=type("CMakePackage", (), {"define": staticmethod(lambda key, value: (key, value)),
                                                   "define_from_variant": staticmethod(lambda key, name: (key, name))}),
            depends_on=lambda spec, type=None, when=None: self.dependencies.append(spec),
            variant=lambda name, default, description: self.variants.append(name),
            version=lambda number: None, license=lambda name: None, generator=lambda name: None)

    def load(self):
        scope = {}
        with mock.patch.dict(sys.modules, {"spack": types.ModuleType("spack"), "spack.package": self.module}):
            exec(compile((PACKAGING / "spack/packages/grokscope/package.py").read_text(), "package.py", "exec"), scope)
        return scope["Grokscope"]


class SpackTest(unittest.TestCase):
    def test_every_library_has_its_dependency(self):
        spack = Directives()
        spack.load()
        asked = {re.match(r"[\w-]+", spec).group() for spec in spack.dependencies}
        text = (REPOSITORY / "src/cmake/ThirdParty.cmake").read_text()
        wanted = re.findall(r"^find_(?:package|library)\((\S+)", text, re.MULTILINE) + re.findall(r"IMPORTED_TARGET (\S+?)\)", text)
        self.assertGreater(len(wanted), 12)
        for name in wanted:
            self.assertIn(name, SPACK_NAMES, "a new library: give it a dependency in package.py and a row here")
            if SPACK_NAMES[name]:
                self.assertIn(SPACK_NAMES[name], asked)

    def test_its_cmake_options_exist(self):
        spack = Directives()
        package = spack.load()()
        package.spec = {"py-torch": types.SimpleNamespace(cmake_prefix_paths=["/prefix"])}
        given = dict(package.cmake_args())
        self.assertLessEqual({key for key in given if key.startswith("GROKSCOPE_")}, cmake_options())
        self.assertIn(given["GROKSCOPE_NATIVE"], spack.variants)

    def test_its_version_is_ours(self):
        ours = re.search(r"VERSION (\S+)", (REPOSITORY / "CMakeLists.txt").read_text().split("project(")[1]).group(1)
        tree = ast.parse((PACKAGING / "spack/packages/grokscope/package.py").read_text())
        versions = [node.args[0].value for node in ast.walk(tree) if isinstance(node, ast.Call)
                    and getattr(node.func, "id", "") == "version"]
        self.assertEqual(versions, [ours])
        self.assertIn(f"grokscope@{ours}", (PACKAGING / "spack/spack.yaml").read_text())

    def test_the_environment_is_yaml(self):
        try:
            import yaml
        except ImportError:
            self.skipTest("no python3-yaml: the environment cannot be read")
        content = yaml.safe_load((PACKAGING / "spack/spack.yaml").read_text())["spack"]
        self.assertEqual(content["specs"], ["grokscope"])
        checkout = (PACKAGING / "spack" / content["develop"]["grokscope"]["path"]).resolve()
        self.assertEqual(checkout, REPOSITORY)
        self.assertEqual(yaml.safe_load((PACKAGING / "spack/repo.yaml").read_text()), {"repo": {"namespace": "grokscope"}})


if __name__ == "__main__":
    unittest.main()

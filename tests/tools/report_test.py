"""Does the report hold what the run holds, open without a network, and do its controls work in a real
browser?"""
import base64
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

HERE = Path(__file__).resolve().parent
TOOLS = HERE.parent.parent / "tools"
sys.path[:0] = [str(TOOLS), str(HERE)]

import chromium_page  # noqa: E402
import report  # noqa: E402, I001: it finds a Python that has the packages
import grokscope_io  # noqa: E402
import h5py  # noqa: E402
import numpy as np  # noqa: E402
import synthetic_study  # noqa: E402
from grokscope_tools.page import document  # noqa: E402
from synthetic_run import Shape, add_series, make_run  # noqa: E402

LOG = """\
2026-01-01T00:00:00 info 10 training examples
2026-01-01T00:00:01 warn the <disk> is nearly full
2026-01-01T00:00:02 info phase                                calls    mean s     max s  share  imbalance
2026-01-01T00:00:02 info whole run                                1     8.410     8.410 100.0%      1.00x
2026-01-01T00:00:02 info memory: at most 321 MB on a rank, 568 MB in all
2026-01-01T00:00:02 info claim against result:
2026-01-01T00:00:02 info   [ok] gop_trace within 0 .. 9: 7 (Eq. 3)
2026-01-01T00:00:02 info   [MISSED] test_acc above 2: 1 (Fig. 1)
2026-01-01T00:00:02 info files: metrics.h5
"""


class Case(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)

    def write(self, *names, **shape):
        """Writes runs and their report; returns the page and the data in it."""
        self.all_known = {
            name: make_run(self.folder / name, Shape(seed=i, **shape)) for i, name in enumerate(names)
        }
        self.known = self.all_known[names[0]]
        for name in names:
            (self.folder / name / "log.txt").write_text(LOG)
        self.page = self.folder / "report.html"
        self.assertEqual(report.main([*(str(self.folder / n) for n in names), "-o", str(self.page)]), 0)
        text = self.page.read_text(encoding="utf-8")
        data = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
        return text, json.loads(data.group(1))


class ContentTest(Case):
    def test_series_are_those_of_the_run(self):
        _, data = self.write("run")
        (run,) = data["runs"]
        found = run["series"]["gop_trace"]
        self.assertEqual(found["x"], list(range(0, 1200, 20)))
        np.testing.assert_allclose(found["y"], self.known["gop_trace"], rtol=1e-4)
        self.assertEqual((data["about"]["gop_trace"]["long_name"], found["n"]), ("trace", 60))
        np.testing.assert_allclose(
            run["series"]["eigenvalues_top_k[2]"]["y"], self.known["eigenvalues_top_k"][:, 2], rtol=1e-4
        )
        self.assertEqual(run["layers"], ["embed", "blocks.2.attn.W_K", "blocks.10.mlp.W_in", "unembed"])
        self.assertNotIn("eigenvalues[0]", run["series"])
        spectrum = run["spectrum"]
        np.testing.assert_allclose(spectrum["values"], self.known["eigenvalues"], rtol=1e-4)
        self.assertEqual(spectrum["ranks"], list(range(1, 31)))

    def test_text_of_the_page(self):
        text, _ = self.write("run", state="failed")
        for part in (
            '<td class="ok">ok</td><td>gop_trace within 0 .. 9: 7 (Eq. 3)</td>',
            '<td class="missed">MISSED</td>',
            "missed: test_acc above 2: 1 (Fig. 1)",
            "the &lt;disk&gt; is nearly full",
            "the run is failed",
            "memory: at most 321 MB",
            "whole run",
            "&quot;frequency&quot;: 20",
            "first step with train_acc &gt;= 0.99",
        ):
            self.assertIn(part, text)
        self.assertNotIn("<disk>", text)

    def test_members_bring_the_claims_of_their_study(self):
        study = self.folder / "seeds"
        for name in ("a", "b"):
            make_run(study / "members" / name, Shape(tracked=3, with_gop=False))
        (study / "log.txt").write_text(LOG.replace("gop_trace within", "median over seeds of gop_trace within"))
        page = self.folder / "page.html"
        claim = "median over seeds of gop_trace within 0 .. 9: 7 (Eq. 3)"
        report.main([str(study), "-o", str(page)])
        self.assertNotIn(claim, page.read_text(), "a folder of runs is no study")
        h5py.File(study / "study.h5", "w").close()
        (study / "STATUS").write_text('{"state": "checkpointed", "reason": "received SIGTERM"}')
        report.main([str(study), "-o", str(page)])
        self.assertNotIn(claim, page.read_text(), "what an interrupted study says of claims is not its last word")
        self.assertIn("the study is checkpointed: received SIGTERM", page.read_text())
        (study / "STATUS").write_text('{"state": "done", "reason": ""}')
        report.main([str(study), "-o", str(page)])
        text = page.read_text()
        self.assertEqual(text.count(claim), 1)
        self.assertIn("study seeds: claim against result", text)
        self.assertEqual(text.count("missed: test_acc above 2: 1 (Fig. 1)"), 1)

    def test_a_gap_stays_a_gap_on_the_page(self):
        """In a series that is whole and in one that exists at every third epoch only."""
        _, data = self.write("run", gap=(20, 35), with_gop=False)
        series = data["runs"][0]["series"]
        for name, edges in (("gop_trace", (380, 700)), ("layers/embed/gop_stable_rank", (360, 720))):
            x, y = series[name]["x"], series[name]["y"]
            at = y.index(None)
            self.assertEqual((y.count(None), x[at - 1], x[at + 1]), (1, *edges), name)

    def test_a_study_brings_its_figures(self):
        synthetic_study.decay_study(self.folder / "decays")
        self.assertEqual(report.main([str(self.folder / "decays")]), 0)
        text = (self.folder / "decays/report.html").read_text()
        pictures = dict(re.findall(r'<img class="figure" alt="(\w+) of study decays" src="data:image/png;base64,([^"]+)"', text))
        self.assertEqual(list(pictures), ["study_times", "study_losses"])
        for picture in pictures.values():
            self.assertTrue(base64.b64decode(picture).startswith(b"\x89PNG"))
        self.assertIn("<h2>Study decays</h2>", text)

    def test_the_page_of_very_many_runs_stays_small_and_says_what_it_lacks(self):
        """110 members of a study, of 700 series each."""
        wide = self.folder / "wide"
        make_run(wide, Shape(tracked=200, every=5, eigenvalues=300, with_gop=False))
        random = np.random.default_rng(0)
        with h5py.File(wide / "metrics.h5", "a") as file:
            for i in range(60):
                for j in range(10):
                    add_series(file, f"layers/blocks.{i}.W/gop_{j}", random.random(200))
        (wide / "log.txt").write_text(LOG * 10)
        (wide / "config.json").write_text(json.dumps({"section": {f"key_{i}": "x" * 200 for i in range(100)}, "seed": 0}))
        for i in range(110):
            folder = self.folder / f"study/members/m{i}"
            folder.mkdir(parents=True)
            for file in wide.iterdir():
                os.link(file, folder / file.name)
        page = self.folder / "page.html"
        self.assertEqual(report.main([str(self.folder / "study"), "-o", str(page)]), 0)
        self.assertEqual(len(grokscope_io.recently_used), 0, "files are left open")
        text = page.read_text()
        self.assertLess(len(text), document.MOST_BYTES)
        data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S).group(1))
        self.assertEqual(len(data["runs"]), 110)
        for name in ("training/test_acc", "gop_trace", "observables/local_complexity"):
            for run in data["runs"]:
                self.assertTrue(40 < len(run["series"][name]["x"]) <= 60)
        self.assertNotIn("layers/blocks.3.W/gop_3", data["runs"][0]["series"])
        words = re.search(r"\d+ of \d+ series would make the page too large and are left out \((.*?)\)", text)
        self.assertIn("of layers", words.group(1))
        self.assertIn("Series of more than 60 points are reduced to about 60", text)
        self.assertRegex(text, r"Spectra: at most \d+ moments and \d+ ranks of each run")
        self.assertEqual(text.count("x" * 200), 100, "a configuration is said once where runs are many")

    def test_a_page_that_is_still_too_large_is_made_smaller(self):
        with mock.patch.object(document, "TOTAL_POINTS", 20_000):
            self.write("run", tracked=1000, with_gop=False)
            with mock.patch.object(document, "MOST_BYTES", len(self.page.read_bytes()) - 1):
                self.assertEqual(report.main([str(self.folder / "run"), "-o", str(self.page)]), 0)
                self.assertLess(len(self.page.read_bytes()), document.MOST_BYTES)

    def test_nothing_is_loaded_from_elsewhere(self):
        text, _ = self.write("run")
        self.assertIsNone(re.search(r"""(src|href)\s*=\s*["'](?!data:)""", text))
        self.assertNotIn("http", text.replace("http-equiv", ""))

    def test_a_script_in_a_name_cannot_end_the_data(self):
        make_run(self.folder / "run", Shape(tracked=3, with_gop=False))
        with h5py.File(self.folder / "run/metrics.h5", "a") as file:
            file["gop_trace"].attrs["definition"] = "</script><script>alert(1)</script>"
        report.main([str(self.folder / "run")])
        text = (self.folder / "run/report.html").read_text()
        self.assertEqual(text.count("</script>"), 2)

    def test_awkward_runs(self):
        for name, shape in {
            "nothing tracked": dict(tracked=0, with_groups=False, with_gop=False),
            "one epoch": dict(tracked=1, state="running"),
            "all NaN": dict(tracked=9, gap=(0, 9), with_gop=False),
            "a gap": dict(gap=(20, 35), with_gop=False),
        }.items():
            with self.subTest(name):
                self.write(name.replace(" ", "_"), **shape)

    def test_exit_codes(self):
        make_run(self.folder / "run", Shape(tracked=2, with_gop=False))
        (self.folder / "file").write_text("in the way")
        for arguments, code, message in (
            ([self.folder / "nowhere"], 2, "holds no run"),
            ([self.folder / "run", "-o", self.folder / "file/report.html"], 3, "choose another place with -o"),
            ([], 2, "usage"),
        ):
            command = [sys.executable, TOOLS / "report.py", *map(str, arguments)]
            result = subprocess.run(command, capture_output=True, text=True, check=False)
            self.assertEqual(result.returncode, code, result.stderr)
            self.assertIn(message, result.stderr)
            self.assertNotIn("Traceback", result.stderr)


@unittest.skipUnless(chromium_page.executable(), "chromium is not installed: apt-get install chromium")
class BrowserTest(Case):
    def open(self):
        page = chromium_page.Page(self.page.as_uri())
        self.addCleanup(page.close)
        page.wait_for(
            "window.grokscope && grokscope.charts.length >= 5 && grokscope.charts[0].canvas.width > 100"
        )
        return page

    def chart(self, page, i):
        """The place of a chart's canvas in the window, after scrolling to it."""
        return page.evaluate(
            f"(() => {{ const c = grokscope.charts[{i}].canvas; c.scrollIntoView({{block: 'center'}}); "
            "const r = c.getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; })()"
        )

    def painted(self, page, i):
        """How many pixels of a chart have the colour of its first line."""
        return page.evaluate(
            f"(() => {{ const c = grokscope.charts[{i}].canvas, line = grokscope.charts[{i}].shown()[0]; "
            "const want = [1, 3, 5].map((k) => parseInt(line.colour.slice(k, k + 2), 16)); "
            "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0; "
            "for (let k = 0; k < d.length; k += 4) "
            "n += [0, 1, 2].every((j) => Math.abs(d[k + j] - want[j]) < 12) && d[k + 3] > 200; "
            "return n; })()"
        )

    def choose(self, page, control, value, event="change"):
        """Sets a control of the page, as a user does, and lets it know."""
        page.evaluate(
            f"(() => {{ const s = document.getElementById('{control}'); s.value = {json.dumps(value)}; "
            f"s.dispatchEvent(new Event('{event}')); }})()"
        )

    def test_the_page_loads_and_draws(self):
        self.write("run")
        page = self.open()
        self.assertEqual(page.errors, [])
        self.assertEqual([url for url in page.requests if not url.startswith(("file:", "data:"))], [])
        for i in range(4):
            self.assertGreater(self.painted(page, i), 100, i)
        self.assertTrue(page.evaluate("grokscope.charts[0].marks.some((m) => m.label === 't_gen')"))

    def test_zoom_hover_and_axes(self):
        self.write("run")
        page = self.open()
        left, top, width, height = self.chart(page, 1)
        whole = page.evaluate("grokscope.charts[1].scales().x.high")
        page.mouse("mousePressed", left + 0.3 * width, top + 0.2 * height, button="left", clickCount=1)
        page.mouse("mouseMoved", left + 0.6 * width, top + 0.7 * height, button="left")
        page.mouse("mouseReleased", left + 0.6 * width, top + 0.7 * height, button="left", clickCount=1)
        self.assertLess(page.evaluate("grokscope.charts[1].scales().x.high"), whole)
        self.assertGreater(page.evaluate("grokscope.charts[1].view.x[1] - grokscope.charts[1].view.x[0]"), 0)
        page.click(".chart:nth-child(2) .reset")
        self.assertEqual(page.evaluate("grokscope.charts[1].scales().x.high"), whole)
        page.mouse("mouseWheel", left + 0.5 * width, top + 0.5 * height, deltaX=0, deltaY=-120)
        page.wait_for("grokscope.charts[1].view !== null")
        page.click(".chart:nth-child(2) .y-log")
        self.assertFalse(page.evaluate("grokscope.charts[1].yLog"))
        left, top, width, height = self.chart(page, 1)
        page.mouse("mouseMoved", left + 0.5 * width, top + 0.5 * height)
        page.wait_for("!grokscope.charts[1].tooltip.hidden")
        self.assertIn("test: ", page.evaluate("grokscope.charts[1].tooltip.textContent"))
        self.check_tooltip(page, 1)
        page.click(".chart:nth-child(2) .legend button", 0)
        self.assertEqual(page.evaluate("grokscope.charts[1].shown().map((line) => line.label)"), ["test"])
        self.assertEqual(page.errors, [])

    def check_tooltip(self, page, i):
        """Each row says the value and the step of the point that is nearest to the pointer in its own line."""
        rows = page.evaluate(
            f"[...grokscope.charts[{i}].tooltip.children].map((row) => row.textContent)"
        )
        lines = page.evaluate(f"grokscope.charts[{i}].shown().map((line) => [line.label, line.x, line.y])")
        self.assertEqual(len(rows), len(lines))
        for row, (label, x, y) in zip(rows, lines):
            found, value, step = re.fullmatch(r"(.+): (\S+) at optimizer step ([\d,]+)", row).groups()
            self.assertEqual(found, label)
            self.assertIn(int(step.replace(",", "")), x)
            self.assertAlmostEqual(float(value), y[x.index(int(step.replace(",", "")))], delta=1e-4 * abs(float(value)))

    def test_lines_of_different_steps_say_their_own(self):
        """Runs of 20 and of 7 steps an evaluation; thousands are said digit by digit."""
        make_run(self.folder / "a", Shape(tracked=3000, every=7, with_gop=False, with_groups=False))
        make_run(self.folder / "b", Shape(tracked=900, every=20, with_gop=False, with_groups=False))
        self.page = self.folder / "report.html"
        report.main([str(self.folder / "a"), str(self.folder / "b"), "-o", str(self.page)])
        page = self.open()
        left, top, width, height = self.chart(page, 2)
        page.mouse("mouseMoved", left + 0.93 * width, top + 0.5 * height)
        page.wait_for("!grokscope.charts[2].tooltip.hidden")
        self.check_tooltip(page, 2)
        steps = re.findall(r"step ([\d,]+)", page.evaluate("grokscope.charts[2].tooltip.textContent"))
        self.assertEqual([int(step.replace(",", "")) % every for step, every in zip(steps, (7, 20))], [0, 0])
        self.assertGreater(int(steps[0].replace(",", "")), 9999)
        self.assertEqual(page.errors, [])

    def test_a_gap_is_not_crossed(self):
        """No pixel of the line between the edges of a gap."""
        self.write("run", gap=(20, 35), with_gop=False)
        page = self.open()
        self.choose(page, "metric", "gop_trace")
        lowest, highest = page.evaluate("[390, 690].map((step) => grokscope.charts[2].scales().x.pixel(step))")
        columns = page.evaluate(
            "(() => { const chart = grokscope.charts[2], c = chart.canvas, line = chart.lines[0]; "
            "const want = [1, 3, 5].map((k) => parseInt(line.colour.slice(k, k + 2), 16)); "
            "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; const found = new Set(); "
            "for (let k = 0; k < d.length; k += 4) "
            "if ([0, 1, 2].every((j) => Math.abs(d[k + j] - want[j]) < 12)) found.add((k / 4) % c.width); "
            "return [...found]; })()"
        )
        self.assertTrue(any(column < lowest for column in columns) and any(column > highest for column in columns))
        self.assertEqual([column for column in columns if lowest < column < highest], [])

    def test_pickers(self):
        self.write("one", "two")
        page = self.open()
        labels = "grokscope.charts[2].lines.map((line) => line.label)"
        self.assertEqual(page.evaluate(labels), ["one: whole model", "two: whole model"])
        page.click("#layers input", 1)
        self.assertIn("two: embed", page.evaluate(labels))
        looks = page.evaluate("grokscope.charts[2].lines.map((line) => [line.colour, line.dash.length])")
        self.assertEqual(looks[0][0], looks[1][0])  # one run
        self.assertEqual(looks[0][1], looks[2][1])  # one series
        self.assertNotEqual(looks[0][0], looks[2][0])
        self.assertNotEqual(looks[0][1], looks[1][1])
        page.click("#runs input", 1)
        self.assertEqual(page.evaluate(labels), ["whole model", "embed"])
        self.choose(page, "metric", "gop_stable_rank")
        drawn = page.evaluate("grokscope.charts[2].lines[0].y")
        np.testing.assert_allclose(drawn, self.known["gop_stable_rank"], rtol=1e-4)
        self.choose(page, "moment", 0, "input")
        self.assertIn("step 0", page.evaluate("grokscope.charts[3].heading.textContent"))
        self.choose(page, "series", "checks/trace_residual")
        self.assertEqual(page.evaluate("grokscope.charts[4].lines[0].label"), "checks/trace_residual")
        self.assertEqual(page.errors, [])


if __name__ == "__main__":
    unittest.main()

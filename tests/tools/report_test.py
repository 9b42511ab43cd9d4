"""Does the report hold what the run holds, open without a network, and do its controls work in a real
browser?"""
import base64
import contextlib
import io
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
import h5py  # noqa: E402
import numpy as np  # noqa: E402
import synthetic_study  # noqa: E402
from grokscope_tools.page import document, plan  # noqa: E402
from grokscope_tools.reading.run_files import recently_used  # noqa: E402
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
        """40 members of a study, of 700 series each, on a page of a quarter of the size; tests/bench/figures.py has 110."""
        for module, name in ((plan, "TOTAL_POINTS"), (document, "MOST_BYTES")):
            patch = mock.patch.object(module, name, getattr(module, name) // 4)
            patch.start()
            self.addCleanup(patch.stop)
        wide = self.folder / "wide"
        make_run(wide, Shape(tracked=200, every=5, eigenvalues=300, with_gop=False))
        random = np.random.default_rng(0)
        with h5py.File(wide / "metrics.h5", "a") as file:
            for i in range(60):
                for j in range(10):
                    add_series(file, f"layers/blocks.{i}.W/gop_{j}", random.random(200))
        (wide / "log.txt").write_text(LOG * 10)
        (wide / "config.json").write_text(json.dumps({"section": {f"key_{i}": "x" * 200 for i in range(100)}, "seed": 0}))
        for i in range(40):
            folder = self.folder / f"study/members/m{i}"
            folder.mkdir(parents=True)
            for file in wide.iterdir():
                os.link(file, folder / file.name)
        page = self.folder / "page.html"
        self.assertEqual(report.main([str(self.folder / "study"), "-o", str(page)]), 0)
        self.assertEqual(len(recently_used), 0, "files are left open")
        text = page.read_text()
        self.assertLess(len(text), document.MOST_BYTES)
        data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S).group(1))
        self.assertEqual(len(data["runs"]), 40)
        for name in ("training/test_acc", "gop_trace", "observables/local_complexity"):
            for run in data["runs"]:
                self.assertTrue(40 < len(run["series"][name]["x"]) < 70)
        self.assertNotIn("layers/blocks.3.W/gop_3", data["runs"][0]["series"])
        words = re.search(r'<p class="note">(.*?)</p>', text, re.S).group(1)
        self.assertRegex(words, r"\d+ of \d+ series would make the page too large and are left out \(\d+ of layers.*\)")
        self.assertRegex(words, r"Series of more than (6\d) points are reduced to about \1")
        self.assertRegex(words, r"Spectra: at most \d+ moments and \d+ ranks of each run")
        self.assertEqual(text.count("x" * 200), 100, "a configuration is said once where runs are many")

    def test_a_page_that_is_still_too_large_is_made_smaller(self):
        with mock.patch.object(plan, "TOTAL_POINTS", 20_000):
            self.write("run", tracked=1000, with_gop=False)
            with mock.patch.object(document, "MOST_BYTES", len(self.page.read_bytes()) - 1):
                self.assertEqual(report.main([str(self.folder / "run"), "-o", str(self.page)]), 0)
                self.assertLess(len(self.page.read_bytes()), document.MOST_BYTES)

    def test_a_page_too_large_without_its_points_loses_pictures_then_provenance_and_says_so(self):
        synthetic_study.decay_study(self.folder / "decays")
        configuration = json.dumps({"note": "x" * 20_000})
        for member in (self.folder / "decays/members").iterdir():
            (member / "config.json").write_text(configuration)
        most = document.MOST_BYTES
        for pictures, provenance in ((True, True), (False, True), (False, False)):
            text, said = self.page_of_less_than(most)
            self.assertLess(len(text.encode()), most)
            self.assertEqual(("data:image/png" in text, "Figures of studies would make" in text), (pictures, not pictures))
            self.assertEqual(("x" * 20_000 in text, "So are configurations" in text), (provenance, not provenance))
            self.assertEqual(said, "")
            most = len(text.encode())
        self.assertIn("a report of fewer runs is smaller", self.page_of_less_than(1000)[1])

    def page_of_less_than(self, most):
        """(the page of the study "decays", what the tool says on stderr)"""
        with mock.patch.object(document, "MOST_BYTES", most), mock.patch.object(report, "MOST_BYTES", most):
            with contextlib.redirect_stderr(io.StringIO()) as err:
                self.assertEqual(report.main([str(self.folder / "decays")]), 0)
        return (self.folder / "decays/report.html").read_text(encoding="utf-8"), err.getvalue()

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
        """What the charts need to say why they are empty; test_an_empty_chart_says_why() looks at them in a browser."""
        untracked = "nothing is tracked yet, the run is done"
        for name, shape, reasons in (
            ("nothing_tracked", dict(tracked=0, with_groups=False), (untracked, untracked)),
            ("one_epoch", dict(tracked=1, state="running"), (None, None)),
            ("all_nan", dict(tracked=9, gap=(0, 9)), (None, "every eigenvalue is NaN")),
            ("zeros", dict(tracked=9, scale=0), (None, None)),
            ("gap", dict(gap=(20, 35)), (None, None)),
        ):
            with self.subTest(name):
                (run,) = self.write(name, with_gop=False, **shape)[1]["runs"]
                self.assertEqual((run["untracked"], run["no_spectrum"]), reasons)
                self.assertEqual(run["spectrum"] is None, reasons[1] is not None)
                self.assertEqual(("gop_trace" in run["series"], "gop_trace" in run["empty"]), (reasons[1] is None, reasons[1] is not None))

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
    @classmethod
    def setUpClass(cls):
        cls.browser = chromium_page.Page()
        cls.addClassCleanup(cls.browser.close)

    def open(self):
        self.browser.open(self.page.as_uri())
        self.browser.wait_for(
            "window.grokscope && grokscope.charts.length >= 5 && grokscope.charts[0].canvas.width > 100"
        )
        return self.browser

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
        self.assertFalse(page.evaluate("grokscope.charts[1].isLog('y')"))
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

    def test_an_empty_chart_says_why(self):
        """Of runs of one page, shown one by one."""
        for name, shape in {
            "untracked": dict(tracked=0, with_groups=False, state="running"),
            "nan": dict(tracked=9, gap=(0, 9), with_groups=False),
            "zeros": dict(tracked=9, scale=0),
            "gap": dict(gap=(20, 35)),
        }.items():
            make_run(self.folder / "runs" / name, Shape(with_gop=False, **shape))
        self.page = self.folder / "report.html"
        self.assertEqual(report.main([str(self.folder / "runs"), "-o", str(self.page)]), 0)
        page, nothing = self.open(), "nothing is tracked yet, the run is running"
        for name, expected in {
            "untracked": [[f"{leaf}: {nothing}" for leaf in pair] for pair in (("train_acc", "test_acc"), ("train_loss", "test_loss"))]
            + [[f"gop_trace: {nothing}"], [nothing]],
            "nan": [["train_acc: no value is finite", "test_acc: no value is finite"], ["train_loss: no value is finite",
                    "test_loss: no value is finite"], ["gop_trace: no value is finite"], ["every eigenvalue is NaN"]],
            "zeros": [None] * 4,
            "gap": [None] * 4,
        }.items():
            self.show_only(page, name)
            found = page.evaluate("grokscope.charts.slice(0, 4).map((chart) => chart.emptiness())")
            self.assertEqual([why and why[1:] for why in found], expected, name)
            self.assertEqual([why[0] for why in found if why], ["no data"] * (4 - expected.count(None)))
            self.assertNotIn("", page.evaluate("grokscope.charts.map((chart) => chart.heading.textContent)"))
        page.click(".chart .legend button")
        page.click(".chart .legend button", 1)
        self.assertEqual(page.evaluate("grokscope.charts[0].emptiness()[0]"), "every line is hidden")
        self.show_only(page, None)
        self.assertEqual(page.evaluate("grokscope.charts.map((chart) => chart.emptiness()[1])"), ["no run is chosen"] * 5)
        self.assertEqual(page.errors, [])

    def show_only(self, page, name):
        wrong = f"(box) => box.checked !== (box.value === {json.dumps(name)})"
        page.evaluate(f"[...document.querySelectorAll('#runs input')].filter({wrong}).forEach((box) => box.click())")

    def test_values_without_a_logarithm_are_seen(self):
        """Negative ones make the axis linear, zeros are marked and counted; step 0 has a place."""
        make_run(self.folder / "run", Shape(with_gop=False))
        with h5py.File(self.folder / "run/metrics.h5", "a") as file:
            file["gop_log_pseudo_determinant"][:] = np.linspace(-29.5, 29.5, 60)
            file["gop_trace"][10:14] = 0
        self.page = self.folder / "report.html"
        report.main([str(self.folder / "run"), "-o", str(self.page)])
        page, chart = self.open(), "grokscope.charts[2]"
        self.choose(page, "metric", "gop_trace")
        self.assertTrue(page.evaluate(f"{chart}.isLog('y')"))
        self.assertEqual(page.evaluate(f"{chart}.remark.textContent"), "▾ 4 points at or below 0, of which there is no logarithm")
        first, second, left = page.evaluate(f"[0, 20].map((x) => {chart}.scales().x.pixel(x)).concat({chart}.scales().x.first)")
        self.assertAlmostEqual(first, left)
        self.assertGreater(second, left + 10)
        ticks = page.evaluate(f"{chart}.scales().x.ticks()")
        self.assertEqual((ticks[0], ticks[-1]), (0, 1000))
        self.choose(page, "metric", "gop_log_pseudo_determinant")
        self.assertFalse(page.evaluate(f"{chart}.isLog('y')"))
        self.assertEqual(page.evaluate(f"{chart}.remark.textContent"), "")
        page.click("#gop .y-log")
        self.assertEqual(page.evaluate(f"{chart}.below()"), 30)
        self.assertEqual(page.errors, [])

    def test_ticks(self):
        """At most a dozen however narrow the range, and none lost at its ends."""
        self.write("run", tracked=2, with_gop=False)
        page = self.open()
        for arguments, expected in (
            ("-0.5, -0.1, 0, 400, false", [-0.5, -0.4, -0.3, -0.2, -0.1]),
            ("0, 0.3, 0, 400, false", [0, 0.1, 0.2, 0.3]),
            ("1, 1000, 0, 400, true", [1, 10, 100, 1000]),
            ("0, 1000, 0, 400, true, 20", [0, 100, 1000]),
        ):
            np.testing.assert_allclose(page.evaluate(f"new Scale({arguments}).ticks()"), expected, atol=1e-12, err_msg=arguments)
        for high in ("1 + 1e-13", "1 + 3e-16", "1 + 1e-10"):
            self.assertLessEqual(page.evaluate(f"new Scale(1, {high}, 0, 400, false).ticks().length"), 12)
        page.evaluate("for (let i = 0; i < 150; ++i) grokscope.charts[1].zoomAbout(300, 150, 0.8)")
        self.assertLessEqual(page.evaluate("grokscope.charts[1].scales().x.ticks().length"), 12)
        self.assertEqual(page.errors, [])

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

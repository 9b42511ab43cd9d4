"""How is the page put together? One HTML text, with page.css, page.js and all numbers in it.

It stays below MOST_BYTES: where it would not, it is made again with fewer points, then without pictures, then without
provenance, and says so.
"""
import html
import json
from pathlib import Path
from typing import NamedTuple

from grokscope_tools.page.plan import ECONOMIES, plan_of, series_data, spectrum_data
from grokscope_tools.page.studies import claims_of_study, studies_of, study_section, warnings_of_study
from grokscope_tools.page.words import claims, provenance_of, result_of, table, timing_of, warnings_of

MOST_BYTES = 20_000_000
HERE = Path(__file__).resolve().parent

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<h1>{title}</h1>
<p class="note">Drag in a chart to zoom, turn the wheel to zoom about the pointer, double click to see all
again. A click on a name in a legend hides its line. {reduced}</p>
<div id="pickers"></div>
<h2>Result</h2>
{results}
{studies}
<h2>Training</h2>
<div id="training" class="charts"></div>
<h2>Gradient outer product</h2>
<div id="gop"></div>
<h2>Spectrum</h2>
<div id="spectrum"></div>
<h2>Every series</h2>
<div id="explorer"></div>
<h2>Warnings</h2>
{warnings}
<h2>Timing and memory</h2>
{timing}
<h2>Configuration and provenance</h2>
{provenance}
<script type="application/json" id="data">{data}</script>
<script>
{script}</script>
</body>
</html>
"""


def page(runs):
    """The HTML of all runs, [(name, Run)], reduced as far as it must be. Only tables of very many runs are larger still."""
    pictures = study_section(studies_of(runs))
    for economy in ECONOMIES:
        text = page_of(runs, plan_of(runs, economy), pictures if economy.pictures else "")
        if len(text.encode()) < MOST_BYTES:
            break
    return text


def page_of(runs, plan, pictures):
    studies, first = studies_of(runs), runs[0][1].config()
    parts = [part_of(name, run, plan, first if i else None) for i, (name, run) in enumerate(runs)]
    about = {}
    for part in parts:
        about = {**part.about, **about}
    longest = max((entry["n"] for part in parts for entry in part.data["series"].values()), default=0)
    names = ", ".join(name for name, _ in runs)
    data = {"runs": [part.data for part in parts], "about": about, "left_out": plan.left_out}
    return PAGE.format(
        title=html.escape(names if len(runs) <= 3 else f"{len(runs)} runs"),
        style=(HERE / "page.css").read_text(encoding="utf-8"),
        script=(HERE / "page.js").read_text(encoding="utf-8"),
        reduced=html.escape(plan.words(longest)),
        results=result_section(parts, studies),
        studies=pictures,
        warnings=warning_section(parts, studies),
        timing="\n".join(part.timing for part in parts),
        provenance="\n".join(part.provenance for part in parts),
        # A text may hold "</script>", which would end the element.
        data=json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
    )


class Part(NamedTuple):
    """All that the page says of one run."""

    data: dict
    about: dict
    result: tuple
    claims: list
    warnings: list
    timing: str
    provenance: str


def part_of(name, run, plan, first_config):
    """Reads one run, whose files are open no longer than that."""
    with run:
        transition = run.transition()
        series, about, empty = series_data(run, plan)
        spectrum = spectrum_data(run, plan)
        data = {
            "name": name,
            "t_mem": transition.t_mem,
            "t_gen": transition.t_gen,
            "layers": run.layers(),
            "series": series,
            "empty": empty,
            "untracked": run.why_nothing_is_tracked(),
            "spectrum": spectrum,
            "no_spectrum": None if spectrum else run.why_no_spectrum(),
        }
        provenance = provenance_of(name, run, plan, first_config) if plan.economy.provenance else ""
        texts = (timing_of(name, run), provenance)
        return Part(data, about, result_of(name, run), claims(run.log()), warnings_of(run), *texts)


def result_section(parts, studies):
    header = ("run", "state", "committed epoch", "t_mem", "t_gen", "delay", "rule")
    found = [table(header, [part.result for part in parts])]
    judged = [(part.data["name"], part.claims) for part in parts]
    judged += [(name, claims_of_study(study)) for name, study in studies]
    for name, verdicts in judged:
        rows = [(("ok" if verdict == "ok" else "missed", verdict), text) for verdict, text in verdicts]
        found.append(f"<h3>{html.escape(name)}: claim against result</h3>" if rows else "")
        found.append(table(("", "claim: result (source)"), rows) if rows else "")
    return "\n".join(found)


def warning_section(parts, studies):
    found = [(part.data["name"], ("warning", text)) for part in parts for text in part.warnings]
    found += [(name, ("warning", text)) for name, study in studies for text in warnings_of_study(study)]
    return table(("run", "warning"), found) if found else "<p>None.</p>"

#!/usr/bin/env python3
"""What came out of these runs? Writes one HTML file that opens anywhere, without a network.

It holds configuration, claim against result (of runs and of the studies that they are members of), interactive plots (drag or wheel to zoom, hover, linear and
logarithmic axes, a layer picker), timing and memory, provenance and warnings. Series are reduced to what a
screen can show (the smallest and the largest value of each stretch are kept) and the page says so.
"""
import html
import json
import re
from pathlib import Path

import grokscope_io  # first: it finds a Python that has the packages
import thinning
import tool_options

import numpy as np  # noqa: E402

POINTS = 800  # of a series on the page, at most; fewer where there are many series
TOTAL_POINTS = 450_000  # on the whole page: about 8 MB
COMPONENTS = 10  # of a series of vectors, the first ones
SPECTRUM_EPOCHS, SPECTRUM_RANKS = 200, 150
SKIPPED = re.compile(r"(^|/)eigenvalues$|^(provenance|parameters|events|results|definitions/mean)/")
TOOLS = Path(__file__).resolve().parent

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


# Numbers -----------------------------------------------------------------


def number(value):
    """A value as JSON: five digits, null where it is not finite."""
    return float(f"{value:.5g}") if np.isfinite(value) else None


def numbers(values):
    return [number(value) for value in values]


def series_entries(run):
    """(name, Series [T]) of everything that is drawn, vectors by their first components."""
    for name in run.names():
        for label, series in [] if SKIPPED.search(name) else run.scalar_series(name, COMPONENTS):
            if series.step.size:
                yield label, name, series


def series_data(run, limit):
    """{name: {x, y, n, long_name, units, definition}} for the page; constants that are NaN throughout are
    left out."""
    found = {}
    for label, name, series in series_entries(run):
        finite = np.isfinite(series.values)
        if not finite.any():
            continue
        # Values at every k-th epoch only are connected; there the points between are no gaps.
        if finite.mean() < 0.5:
            series = series._replace(step=series.step[finite], values=series.values[finite])
        kept = thinning.with_extremes(series.step, series.values, limit)
        attributes = run.attrs(name)
        found[label] = {
            "x": [int(step) for step in series.step[kept]],
            "y": numbers(series.values[kept]),
            "n": int(series.step.size),
            **{key: attributes[key] for key in ("long_name", "units", "definition") if attributes.get(key)},
        }
    return found


def spectrum_data(run):
    """The whole spectrum over training, reduced; None when none is stored."""
    series = run.series("eigenvalues") or run.series("eigenvalues_top_k")
    if series is None or series.values.ndim != 2:
        return None
    rows = np.flatnonzero(np.isfinite(series.values).any(axis=1))
    if not rows.size:
        return None
    rows = rows[thinning.spread(series.step[rows], SPECTRUM_EPOCHS)]
    ranks = thinning.log_spaced(series.values.shape[1], SPECTRUM_RANKS)
    values = series.values[np.ix_(rows, ranks)]
    return {
        "steps": [int(step) for step in series.step[rows]],
        "ranks": [int(rank) + 1 for rank in ranks],
        "values": [numbers(row) for row in values],
        "note": f"{rows.size} of {series.step.size} epochs, {ranks.size} of {series.values.shape[1]} ranks",
    }


def run_data(run, name, limit):
    transition = run.transition()
    return {
        "name": name,
        "t_mem": transition.t_mem,
        "t_gen": transition.t_gen,
        "layers": run.layers(),
        "series": series_data(run, limit),
        "spectrum": spectrum_data(run),
    }


# Text -----------------------------------------------------------------


def log_lines(log):
    """The messages in the text of a log.txt as (level, text); empty when it is missing."""
    pattern = re.compile(r"\S+ (info|warn|warning|error|critical) ?(.*)")
    matches = map(pattern.fullmatch, (log or "").splitlines())
    return [match.groups() for match in matches if match]


def block_after(lines, heading):
    """The lines of the log between the last `heading` and the first that is not indented."""
    starts = [i for i, (_, text) in enumerate(lines) if text.startswith(heading)]
    block = []
    for _, text in lines[starts[-1] + 1 :] if starts else ():
        if not text.startswith("  "):
            break
        block.append(text.strip())
    return block


def claims(log):
    """[(verdict, text)] as the program printed them at the end of the run, or study: ok, MISSED, ..."""
    matches = (
        re.match(r"\[(.+?)\] (.*)", line) for line in block_after(log_lines(log), "claim against result")
    )
    return [match.groups() for match in matches if match]


def studies_of(runs):
    """[(name, Run)] of the studies that the runs are members of: a Run that has a log and a STATUS, and no series."""
    folders = [run.path.parent.parent for _, run in runs if run.path.parent.name == "members"]
    studies = [folder for folder in dict.fromkeys(folders) if (folder / "study.h5").is_file()]
    return [(f"study {folder.name}", grokscope_io.Run(folder)) for folder in studies]


def claims_of_study(study):
    """Those of its end; none while it lasts, when members are missing that the claims are about."""
    return claims(study.log()) if (study.status() or {}).get("state") in ("done", "failed") else []


def warnings_of_study(study):
    status = study.status() or {"state": "unknown"}
    state, reason = status.get("state"), status.get("reason")
    found = [] if state == "done" else [f"the study is {state}: {reason or 'claims are judged at its end'}"]
    return found + [f"missed: {text}" for verdict, text in claims_of_study(study) if verdict != "ok"]


def warnings_of(run):
    """What a reader must know before trusting the numbers."""
    found = []
    status = run.status() or {"state": "unknown"}
    if status.get("state") != "done":
        found.append(
            f"the run is {status.get('state')}: {status.get('reason') or 'the files show its last commit'}"
        )
    found += [f"missed: {text}" for verdict, text in claims(run.log()) if verdict != "ok"]
    found += list(dict.fromkeys(text for level, text in log_lines(run.log()) if level != "info"))
    for name in run.names("checks"):
        worst = run.array(name)
        if worst is not None and np.isnan(worst).all():
            found.append(f"{name} was never measured")
    launches = run.launches()
    if any("git_diff" in launch for launch in launches):
        found.append(
            "the program was built from a tree with changes that no commit holds (git_diff in provenance)"
        )
    if len({launch.get("git_commit") for launch in launches}) > 1:
        found.append("the run was continued by another version of the program")
    return found


def table(header, rows):
    """An HTML table; numbers are aligned right. Texts are escaped; a (class, text) pair has that class."""

    def cell(value):
        kind, text = value if isinstance(value, tuple) else ("", value)
        if isinstance(text, (int, float)) and not isinstance(text, bool):
            kind, text = "number", f"{text:,.6g}"
        kind = f' class="{kind}"' if kind else ""
        return f"<td{kind}>{html.escape('–' if text is None else str(text))}</td>"

    head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    body = "".join(f"<tr>{''.join(map(cell, row))}</tr>\n" for row in rows)
    return f"<table><tr>{head}</tr>\n{body}</table>"


def result_section(runs):
    rows = []
    for name, run in runs:
        t_mem, t_gen, rule = run.transition()
        delay = None if t_mem is None or t_gen is None else t_gen - t_mem
        state = (run.status() or {}).get("state", "unknown")
        rows.append((name, state, run.committed_epoch(), t_mem, t_gen, delay, rule))
    parts = [table(("run", "state", "committed epoch", "t_mem", "t_gen", "delay", "rule"), rows)]
    judged = [(name, claims(run.log())) for name, run in runs]
    judged += [(name, claims_of_study(study)) for name, study in studies_of(runs)]
    for name, verdicts in judged:
        found = [(("ok" if verdict == "ok" else "missed", verdict), text) for verdict, text in verdicts]
        parts.append(f"<h3>{html.escape(name)}: claim against result</h3>" if found else "")
        parts.append(table(("", "claim: result (source)"), found) if found else "")
    return "\n".join(parts)


def warning_section(runs):
    rows = [(name, ("warning", text)) for name, run in runs for text in warnings_of(run)]
    rows += [(name, ("warning", text)) for name, study in studies_of(runs) for text in warnings_of_study(study)]
    return table(("run", "warning"), rows) if rows else "<p>None.</p>"


def timing_section(runs):
    parts = []
    for name, run in runs:
        seconds = run.series("timing/gop_s")
        lines = log_lines(run.log())
        starts = [i for i, (_, text) in enumerate(lines) if text.startswith("phase ")]
        phases = [text for _, text in lines[starts[-1] :]] if starts else []
        end = next((i for i, text in enumerate(phases) if text.startswith("memory:")), len(phases) - 1)
        facts = (
            []
            if seconds is None or not seconds.values.size
            else [
                f"GOP: {np.nansum(seconds.values):,.1f} s over {seconds.values.size} tracked epochs, "
                f"{np.nanmedian(seconds.values):.3g} s each (median)"
            ]
        )
        text = "\n".join(facts + phases[: end + 1]) or "nothing recorded yet"
        parts.append(
            f"<details open><summary>{html.escape(name)}</summary><pre>{html.escape(text)}</pre></details>"
        )
    return "\n".join(parts)


def provenance_section(runs):
    parts = []
    for name, run in runs:
        label = html.escape(name)
        config = json.dumps(run.config(), indent=1)
        parts.append(
            f"<details><summary>{label}: configuration</summary><pre>{html.escape(config)}</pre></details>"
        )
        for i, launch in enumerate(run.launches()):
            rows = [
                (key, value if len(str(value)) < 4000 else f"{str(value)[:4000]} ...")
                for key, value in launch.items()
            ]
            parts.append(f"<details><summary>{label}: launch {i}</summary>{table(('', ''), rows)}</details>")
    return "\n".join(parts)


def page(runs):
    """The HTML of all runs, [(name, Run)]."""
    count = sum(1 for _, run in runs for _ in series_entries(run))
    limit = int(np.clip(TOTAL_POINTS // max(count, 1), 60, POINTS))
    data = {"runs": [run_data(run, name, limit) for name, run in runs]}
    longest = max((entry["n"] for run in data["runs"] for entry in run["series"].values()), default=0)
    reduced = (
        f"Series of more than {limit} points are reduced to about {limit}; extremes are kept."
        if longest > limit
        else ""
    )
    names = ", ".join(name for name, _ in runs)
    return PAGE.format(
        title=html.escape(names if len(runs) <= 3 else f"{len(runs)} runs"),
        style=(TOOLS / "report_page.css").read_text(encoding="utf-8"),
        script=(TOOLS / "report_page.js").read_text(encoding="utf-8"),
        reduced=reduced,
        results=result_section(runs),
        warnings=warning_section(runs),
        timing=timing_section(runs),
        provenance=provenance_section(runs),
        # A text may hold "</script>", which would end the element.
        data=json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
    )


def parse_arguments(argv):
    parser = tool_options.make_parser(
        __doc__,
        "Exit codes: 0 written, 2 wrong usage or no run there, 3 unreadable files or an "
        "unwritable folder.",
    )
    tool_options.add_runs(parser)
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="default: report.html in the first run"
    )
    return parser.parse_args(argv)


def main(argv=None):
    arguments = parse_arguments(argv)
    runs = grokscope_io.open_runs(arguments.runs)
    names = grokscope_io.shortest_labels([run.path for run in runs])
    output = arguments.output or runs[0].path / "report.html"
    text = page(list(zip(names, runs)))
    with grokscope_io.writing_to(output.parent, "-o"):
        output.write_text(text, encoding="utf-8")
    print(f"{output}  ({len(runs)} run{'s' if len(runs) > 1 else ''}, {len(text.encode()) / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    grokscope_io.run_tool(main)

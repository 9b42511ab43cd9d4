#!/usr/bin/env python3
"""What came out of these runs? Writes one HTML file that opens anywhere, without a network.

It holds configuration, claim against result (of runs and of the studies that they are members of), the figures of
these studies, interactive plots (drag or wheel to zoom, hover, linear and logarithmic axes, a layer picker), timing
and memory, provenance and warnings. The file stays below 20 MB: series are reduced to what a screen can show (the
smallest and the largest value of each stretch and the edges of gaps are kept), of very many runs only the more
important series are taken, and the page says so.
"""
import base64
import html
import json
import re
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import grokscope_io  # first: it finds a Python that has the packages
import thinning
import tool_options
from study_table import Study, is_study

import numpy as np  # noqa: E402

POINTS, FEWEST_POINTS = 800, 60  # of a series on the page; fewer where there are many series
TOTAL_POINTS = 450_000  # on the whole page: about 8 MB
MOST_BYTES = 20_000_000
COMPONENTS = 10  # of a series of vectors, the first ones
SPECTRUM_EPOCHS, SPECTRUM_RANKS, SPECTRUM_NUMBERS = 200, 150, 240_000  # of one run, of one run, of all
MANY_RUNS = 12  # beyond, of a configuration only what differs from the first is shown, and launches are cut short
SKIPPED = re.compile(r"(^|/)eigenvalues$|^(provenance|parameters|events|results|definitions/mean)/|^tracked_ids$")
# What stays where not all series fit: the first pattern that matches is the class, the earlier the more important.
CLASSES = (
    re.compile(r"(training/)?(train|test)_(loss|acc)|training/.*"),
    re.compile(r"gop_.*"),
    re.compile(r"observables/.*"),
    re.compile(r"eigenvalues_top_k"),
    re.compile(r"layers/.*/gop_(trace|stable_rank|participation_ratio|spectral_norm|entropy_rank)"),
    re.compile(r"layers/.*/gop_.*"),
    re.compile(r".*"),
)
PICTURE_DPI = 110
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


# Numbers -----------------------------------------------------------------


def number(value):
    """A value as JSON: five digits, null where it is not finite."""
    return float(f"{value:.5g}") if np.isfinite(value) else None


def numbers(values):
    return [number(value) for value in values]


class Plan(NamedTuple):
    """How much of all runs the page holds."""

    points: int  # of a series
    kept: frozenset  # names of series
    left_out: list  # those that do not fit
    epochs: int  # of a spectrum
    ranks: int
    many: bool  # runs

    def words(self, longest):
        """What was reduced, for the reader of the page; `longest` is the most points that a series has."""
        parts = []
        if longest > self.points:
            parts.append(f"Series of more than {self.points} points are reduced to about {self.points}; extremes and gaps are kept.")
        if self.left_out:
            groups = Counter(name.split("/")[0] if "/" in name else name for name in self.left_out)
            listed = ", ".join(f"{count} of {group}" for group, count in groups.most_common(6))
            parts.append(
                f"{len(self.left_out)} of {len(self.left_out) + len(self.kept)} series would make the page too large and are "
                f"left out ({listed}): a report of fewer runs has them."
            )
        if self.epochs < SPECTRUM_EPOCHS:
            parts.append(f"Spectra: at most {self.epochs} moments and {self.ranks} ranks of each run.")
        return " ".join(parts)


def plan_of(runs, total_points):
    """The Plan for [(name, Run)] that gives all series together about so many points."""
    curves = Counter()
    for _, run in runs:
        with run:
            for name, shape in run.shapes().items():
                if len(shape) in (1, 2) and not SKIPPED.search(name):
                    curves[name] += min(COMPONENTS, shape[1]) if len(shape) == 2 else 1
    names, total, kept = sorted(curves, key=lambda name: (class_of(name), grokscope_io.natural_key(name))), 0, []
    for name in names:
        if total + curves[name] > max(1, total_points // FEWEST_POINTS):
            break
        total += curves[name]
        kept.append(name)
    share = min(1, SPECTRUM_NUMBERS / max(1, len(runs)) / (SPECTRUM_EPOCHS * SPECTRUM_RANKS)) ** 0.5
    return Plan(
        int(np.clip(total_points // max(total, 1), FEWEST_POINTS, POINTS)),
        frozenset(kept),
        names[len(kept) :],
        max(8, int(SPECTRUM_EPOCHS * share)),
        max(8, int(SPECTRUM_RANKS * share)),
        len(runs) > MANY_RUNS,
    )


def class_of(name):
    return next(i for i, pattern in enumerate(CLASSES) if pattern.fullmatch(name))


def series_data(run, plan):
    """({name: {x, y, n}}, {name: {long_name, units, definition}}) for the page; constants that are NaN throughout are
    left out."""
    found, about = {}, {}
    for name in run.names():
        for label, series in run.scalar_series(name, COMPONENTS) if name in plan.kept else []:
            if np.isfinite(series.values).any():
                x, y = thinning.reduced(series.step, series.values, plan.points)
                found[label] = {"x": [int(step) for step in x], "y": numbers(y), "n": int(np.isfinite(series.values).sum())}
                attributes = run.attrs(name)
                about[label] = {key: attributes[key] for key in ("long_name", "units", "definition") if attributes.get(key)}
    return found, about


def spectrum_data(run, plan):
    """The whole spectrum over training, reduced; None when none is stored."""
    series = run.series("eigenvalues") or run.series("eigenvalues_top_k")
    if series is None or series.values.ndim != 2:
        return None
    rows = np.flatnonzero(np.isfinite(series.values).any(axis=1))
    if not rows.size:
        return None
    rows = rows[thinning.spread(series.step[rows], plan.epochs)]
    ranks = thinning.log_spaced(series.values.shape[1], plan.ranks)
    values = series.values[np.ix_(rows, ranks)]
    return {
        "steps": [int(step) for step in series.step[rows]],
        "ranks": [int(rank) + 1 for rank in ranks],
        "values": [numbers(row) for row in values],
        "note": f"{rows.size} of {series.step.size} moments, {ranks.size} of {series.values.shape[1]} ranks",
    }


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
        series, about = series_data(run, plan)
        data = {
            "name": name,
            "t_mem": transition.t_mem,
            "t_gen": transition.t_gen,
            "layers": run.layers(),
            "series": series,
            "spectrum": spectrum_data(run, plan),
        }
        texts = (timing_of(name, run), provenance_of(name, run, plan, first_config))
        return Part(data, about, result_of(name, run), claims(run.log()), warnings_of(run), *texts)


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


def result_of(name, run):
    t_mem, t_gen, rule = run.transition()
    delay = None if t_mem is None or t_gen is None else t_gen - t_mem
    state = (run.status() or {}).get("state", "unknown")
    return (name, state, run.committed_epoch(), t_mem, t_gen, delay, rule)


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


def study_section(studies):
    """The figures of every study as pictures in the page."""
    found = []
    for name, run in studies:
        pictures = study_pictures(run.path)
        if pictures:
            found.append(f"<h2>{html.escape(name[:1].upper() + name[1:])}</h2>")
        for title, png in pictures.items():
            source = "data:image/png;base64," + base64.b64encode(png).decode()
            found.append(f'<p><img class="figure" alt="{html.escape(title)} of {html.escape(name)}" src="{source}"></p>')
    return "\n".join(found)


def study_pictures(folder):
    """{name: PNG} of the figures of a study that have data."""
    import plot_study  # matplotlib takes a second that a report of single runs need not wait for
    import plot_style

    study, found = Study(folder), {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, draw in plot_study.FIGURES.items() if len(study) else ():
            for i, fig in enumerate(draw(study) or ()):
                has_data = len(plot_style.empty_panels(fig)) < len(fig.axes)
                (path,) = plot_style.save_figure(fig, Path(scratch), f"{name}_{i}", ["png"], PICTURE_DPI)
                if has_data:
                    found[name if i == 0 else f"{name} ({i + 1})"] = path.read_bytes()
    return found


def warning_section(parts, studies):
    found = [(part.data["name"], ("warning", text)) for part in parts for text in part.warnings]
    found += [(name, ("warning", text)) for name, study in studies for text in warnings_of_study(study)]
    return table(("run", "warning"), found) if found else "<p>None.</p>"


def timing_of(name, run):
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
    return f"<details open><summary>{html.escape(name)}</summary><pre>{html.escape(text)}</pre></details>"


def provenance_of(name, run, plan, first_config):
    """Configuration and launches; of very many runs, only what differs from the first one's configuration."""
    label, config, what = html.escape(name), run.config(), "configuration"
    if plan.many and first_config is not None:
        config, what = differences(config, first_config), "configuration, where it differs from the first run's"
    text = html.escape(json.dumps(config, indent=1))
    parts = [f"<details><summary>{label}: {what}</summary><pre>{text}</pre></details>"]
    limit = 300 if plan.many else 4000
    for i, launch in enumerate(run.launches()):
        rows = [
            (key, value if len(str(value)) < limit else f"{str(value)[:limit]} ...") for key, value in launch.items()
        ]
        parts.append(f"<details><summary>{label}: launch {i}</summary>{table(('', ''), rows)}</details>")
    return "\n".join(parts)


def differences(config, first):
    """{key path: value} of the settings that are not those of the first configuration."""
    known = flat(first)
    return {key: value for key, value in flat(config).items() if key not in known or value != known[key]}


def flat(config, prefix=""):
    found = {}
    for key, value in (config or {}).items():
        found.update(flat(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {f"{prefix}{key}": value})
    return found


def page(runs):
    """The HTML of all runs, [(name, Run)], reduced as far as it must be."""
    pictures = study_section(studies_of(runs))
    for share in (1, 2, 4, 8):
        text = page_of(runs, plan_of(runs, TOTAL_POINTS // share), pictures)
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
    data = {"runs": [part.data for part in parts], "about": about}
    return PAGE.format(
        title=html.escape(names if len(runs) <= 3 else f"{len(runs)} runs"),
        style=(TOOLS / "report_page.css").read_text(encoding="utf-8"),
        script=(TOOLS / "report_page.js").read_text(encoding="utf-8"),
        reduced=html.escape(plan.words(longest)),
        results=result_section(parts, studies),
        studies=pictures,
        warnings=warning_section(parts, studies),
        timing="\n".join(part.timing for part in parts),
        provenance="\n".join(part.provenance for part in parts),
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
        "-o", "--output", type=Path, metavar="FILE", help="default: report.html in the first run, or the study"
    )
    return parser.parse_args(argv)


def main(argv=None):
    arguments = parse_arguments(argv)
    runs = grokscope_io.open_runs(arguments.runs)
    names = grokscope_io.shortest_labels([run.path for run in runs])
    home = Path(arguments.runs[0]) if is_study(arguments.runs[0]) else runs[0].path
    output = arguments.output or home / "report.html"
    text = page(list(zip(names, runs)))
    with grokscope_io.writing_to(output.parent, "-o"):
        output.write_text(text, encoding="utf-8")
    print(f"{output}  ({len(runs)} run{'s' if len(runs) > 1 else ''}, {len(text.encode()) / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    grokscope_io.run_tool(main)

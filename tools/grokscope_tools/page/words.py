"""What does the page say of one run? Its result, claims, warnings, timing and provenance, as text and as tables of HTML.

Claims, phases and warnings come from its log.txt.
"""
import html
import json
import re

import numpy as np



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

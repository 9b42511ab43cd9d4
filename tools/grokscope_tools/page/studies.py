"""What does the page say of the studies that its runs are members of? Their claims, warnings and figures.
"""
import base64
import html
import tempfile
from pathlib import Path

from grokscope_tools.page.words import claims
from grokscope_tools.reading.run import Run
from grokscope_tools.reading.study_table import Study

PICTURE_DPI = 110


def studies_of(runs):
    """[(name, Run)] of the studies that the runs are members of: a Run that has a log and a STATUS, and no series."""
    folders = [run.path.parent.parent for _, run in runs if run.path.parent.name == "members"]
    studies = [folder for folder in dict.fromkeys(folders) if (folder / "study.h5").is_file()]
    return [(f"study {folder.name}", Run(folder)) for folder in studies]


def claims_of_study(study):
    """Those of its end; none while it lasts, when members are missing that the claims are about."""
    return claims(study.log()) if (study.status() or {}).get("state") in ("done", "failed") else []


def warnings_of_study(study):
    status = study.status() or {"state": "unknown"}
    state, reason = status.get("state"), status.get("reason")
    found = [] if state == "done" else [f"the study is {state}: {reason or 'claims are judged at its end'}"]
    return found + [f"missed: {text}" for verdict, text in claims_of_study(study) if verdict != "ok"]


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
    # Here: matplotlib takes a second that a report of single runs need not wait for.
    from grokscope_tools.drawing import study_figures, style

    study, found = Study(folder), {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, draw in study_figures.FIGURES.items() if len(study) else ():
            for i, fig in enumerate(draw(study) or ()):
                has_data = len(style.empty_panels(fig)) < len(fig.axes)
                (path,) = style.save_figure(fig, Path(scratch), f"{name}_{i}", ["png"], PICTURE_DPI)
                if has_data:
                    found[name if i == 0 else f"{name} ({i + 1})"] = path.read_bytes()
    return found

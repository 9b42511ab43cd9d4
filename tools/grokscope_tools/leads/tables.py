"""How are the rows that rows.py makes written as tables (CSV), and which of them are printed?"""
import csv
import re
from typing import NamedTuple, Optional

from grokscope_tools.leads.change_point import RESOLUTION
from grokscope_tools.leads.runs import CONTROL, GENERALISING
from grokscope_tools.leads.verdicts import SIGN_OF_NULL

NOT_WRITTEN = ("onsets", "scores")  # lead_lag_runs.csv has them
COMPARED = (  # between experiments
    "direction",
    "generalising",
    "watched",
    "nulls",
    "before_nulls",
    "leading",
    "lead_is",
    "lead_median",
    "onset_ratio",
    "detection_rate",
    "false_alarm_rate",
    "auroc",
    "auroc_p_any",
    "smallest_p_any",
    "auroc_same_step",
    "controls_same_step",
)
PRINTED = 10  # series of each kind and experiment; the others are in the table


class RunRow(NamedTuple):
    """One series in one run, in steps, for lead_lag_runs.csv."""

    experiment: str
    run: str
    kind: str
    member: str
    series: str
    scale: Optional[str]
    direction: Optional[str]
    t_mem: float
    t_gen: Optional[float]
    jump_onset: Optional[float]
    onset_is: str  # "<=": censored
    onset: Optional[float]  # of the change that counts; in a control, of the first in that direction
    alarm: Optional[float]
    lead: Optional[float]
    score: Optional[float]  # the largest in the window that is compared
    changes: str  # all of them: direction, onset, alarm


# Written ---------------------------------------------------------------------------------------------------


def write_tables(folder, rows, verdicts):
    """Writes lead_lag.csv, lead_lag_<experiment>.csv, lead_lag_runs.csv and lead_lag_all.csv; returns their names."""
    names = ["lead_lag.csv", "lead_lag_runs.csv", "lead_lag_all.csv"]
    write_rows(folder / names[0], rows)
    write_rows(folder / names[1], tabulate_runs(rows, verdicts))
    write_overview(folder / names[2], rows)
    for experiment in dict.fromkeys(row.experiment for row in rows):
        names.append(file_name(experiment) + ".csv")
        write_rows(folder / names[-1], [row for row in rows if row.experiment == experiment])
    return names


def file_name(experiment):
    """The name of an experiment's figure and table, without extension."""
    return "lead_lag_" + re.sub(r"[^\w.-]+", "_", experiment)


def tabulate_runs(rows, verdicts):
    """A RunRow for each verdict."""
    of = {(row.experiment, row.series): row for row in rows}
    return [run_row(of[v.experiment, v.series], v) for v in verdicts]


def run_row(row, v):
    sign, changes = row.sign(), v.watched.changes if v.watched else ()
    change = v.chosen(sign) if v.counts() else next((c for c in changes if c.sign == sign), None)
    step = v.watched and v.watched.step
    return RunRow(
        experiment=v.experiment,
        run=v.run,
        kind=v.kind,
        member=v.member,
        series=v.series,
        scale=v.scale,
        direction=row.direction,
        t_mem=v.t_mem,
        t_gen=v.t_gen,
        jump_onset=float(step[v.jump]) if v.counts() else None,
        onset_is="<=" if change and change.censored else "",
        onset=float(step[change.onset]) if change else None,
        alarm=float(step[change.alarm]) if change else None,
        lead=v.lead(change) if change and v.counts() else None,
        score=row.scores.get(v.run, (None, None))[0 if sign == 1 else 1],
        changes="; ".join(change_text(c, step) for c in changes),
    )


def change_text(change, step):
    onset = ("<=" if change.censored else "") + f"{step[change.onset]:.0f}"
    return f"{'up' if change.sign > 0 else 'down'} {onset} alarm {step[change.alarm]:.0f}"


def write_rows(path, rows):
    """A table of named tuples."""
    fields = [field for field in rows[0]._fields if field not in NOT_WRITTEN]
    write_csv(path, fields, ([getattr(row, field) for field in fields] for row in rows))


def write_overview(path, rows):
    """A row for each series, the same columns for each experiment; the series of most experiments first."""
    experiments = list(dict.fromkeys(row.experiment for row in rows))
    cells = {(row.series, row.experiment): row for row in rows}
    series = dict.fromkeys(row.series for row in rows)
    present = {name: sum((name, e) in cells for e in experiments) for name in series}
    lines = []
    for name in sorted(series, key=lambda name: (name not in SIGN_OF_NULL, -present[name])):
        found = [cells.get((name, e)) for e in experiments]
        lines.append([name] + [getattr(row, column, None) for row in found for column in COMPARED])
    write_csv(path, ["series"] + [f"{e}: {column}" for e in experiments for column in COMPARED], lines)


def write_csv(path, fields, lines):
    """None becomes an empty field, a step keeps all its digits."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(fields)
        writer.writerows([as_text(value) for value in line] for line in lines)


def as_text(value):
    if value is None:
        return ""
    return f"{value:.15g}" if isinstance(value, float) else str(value)


# Printed ---------------------------------------------------------------------------------------------------


def print_leaders(rows, verdicts):
    """For each experiment, the nulls, the earliest series and those that tell its runs from its controls best, those
    with the smallest p (any) whether or not they lead, as text tables."""
    for experiment in dict.fromkeys(row.experiment for row in rows):
        mine = [row for row in rows if row.experiment == experiment]
        print(f"\n{describe_experiment(mine[0], [v for v in verdicts if v.experiment == experiment])}")
        nulls = [row for row in mine if row.is_null()]
        print("\nnulls: the test accuracy itself under other names; what they show, any series may show")
        print_rows(nulls)
        say_which_are_unseen(nulls)
        changed = [row for row in mine if row.onset_ratio is not None and not row.is_null()]
        print_leading(changed, mine[0])
        if any(row.controls for row in mine):
            print_specific(changed, nulls)
            print_surest(mine)
        else:
            print("no controls that can be compared: how often such a change is a false alarm is unknown")


def describe_experiment(row, verdicts):
    """One line: how many runs of which settings, how many series, and the resolution."""
    counts = {GENERALISING: {}, CONTROL: {}}
    for run, kind, member in dict.fromkeys((v.run, v.kind, v.member) for v in verdicts):
        counts[kind].setdefault(member, []).append(run)
    texts = [
        f"{sum(map(len, members.values()))} {kind}"
        + (f" ({', '.join(f'{member} {len(runs)}' for member, runs in members.items())})" if members else "")
        for kind, members in counts.items()
    ]
    closest = "" if row.resolution_steps is None else f" (about {row.resolution_steps:,.0f} steps at the jump)"
    return (
        f"{row.experiment}: {', '.join(texts)}; {row.searched} series searched; "
        f"leads of fewer than {RESOLUTION} bins{closest} count as 0"
    )


def say_which_are_unseen(nulls):
    unseen = [row.series for row in nulls if row.scale is None]
    if unseen and len(unseen) < len(nulls):
        print(f"not watched, since its median over the baselines is 0: {', '.join(unseen)}")


def before_nulls(rows):
    """What a series comes before that leads; the rows are of one experiment."""
    return f"before all nulls that could be watched ({nulls_watched(rows)} of {len(SIGN_OF_NULL)})"


def nulls_watched(rows):
    return max((row.nulls for row in rows if row.nulls is not None), default=0)


def print_leading(changed, first):
    leading = sorted((row for row in changed if row.leading == "yes"), key=lambda row: row.onset_ratio)
    print(
        f"\n{len(changed)} of {first.searched} series changed in a run whose jump could be watched; "
        f"{len(leading)} lead, {before_nulls(changed)} in more than half of the {first.generalising} generalising runs"
        + (f"; the {min(PRINTED, len(leading))} earliest:" if leading else "")
    )
    print_rows(leading[:PRINTED])


def print_specific(changed, nulls):
    bound = max([0.0] + [excess(row) for row in nulls])
    specific = sorted((row for row in changed if excess(row) > bound), key=excess, reverse=True)
    print(
        f"\n{len(specific)} warn more often than they warn falsely, and by more than the nulls"
        + (f"; the {min(PRINTED, len(specific))} best:" if specific else "")
    )
    print_rows(specific[:PRINTED])


def print_surest(rows):
    """Those that tell the runs from the controls least by luck: they need not change, nor lead."""
    judged = [row for row in rows if row.auroc_p_any is not None and row.auroc_p_any < 1]
    surest = sorted(judged, key=lambda row: (row.auroc_p_any, row.auroc_p))[:PRINTED]
    print(
        f"\n{len(judged)} have a p (any) below 1, leading or not"
        + (f"; the {len(surest)} smallest:" if surest else "")
    )
    print_rows(surest)


def excess(row):
    """Detection rate minus false-alarm rate; -1 where either is unknown."""
    known = row.detection_rate is not None and row.false_alarm_rate is not None
    return row.detection_rate - row.false_alarm_rate if known else -1.0


def print_rows(rows):
    if not rows:
        return
    width = max(len(row.series) for row in rows)
    print(
        f"{'series':{width}} {'':4} {'changed':>7} {'lead (steps)':>13} {'range':>19} {'>nulls':>6} {'warned':>6} "
        f"{'false':>6} {'AUROC':>5} {'p':>6} {'p (any)':>7} {'same step (n)':>13}"
    )
    for row in rows:
        lead = "-" if row.lead_median is None else f"{row.lead_is}{row.lead_median:,.0f}"
        spread = "-" if row.lead_min is None else f"{row.lead_min:,.0f} .. {row.lead_max:,.0f}"
        counts = [f"{n}/{row.generalising}" for n in (row.changed, row.before_nulls)]
        alarms = [f"{row.warned}/{row.watched}", f"{row.false_alarms}/{row.controls}"]
        chances = [number(row.auroc, ".2f"), number(row.auroc_p, ".3f"), number(row.auroc_p_any, ".3f")]
        print(
            f"{row.series:{width}} {row.direction or '-':4} {counts[0]:>7} {lead:>13} {spread:>19} {counts[1]:>6} "
            f"{alarms[0]:>6} {alarms[1]:>6} {chances[0]:>5} {chances[1]:>6} {chances[2]:>7} "
            f"{number(row.auroc_same_step, '.2f') + f' ({row.controls_same_step})':>13}"
        )


def number(value, form):
    return "-" if value is None else format(value, form)

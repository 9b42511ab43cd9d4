"""What does a series say over all runs that are compared: does it lead, does it warn, and is that better than luck?

- Direction of a series: that in which more of the generalising runs change before the jump, else change at all, else
  lean. Everything else counts changes in this direction only, in runs and controls alike. Where a series moves at
  random, this choice flatters its detection rate against its false alarms; the table has those of either direction,
  too, and p allows for it.
- Lead: median and range over the runs that changed. Leading is a series that comes before all nulls that could be
  watched by two bins in more than half of the generalising runs. These are all runs of the same settings that runs.py
  calls so, also those that lack the series, or in which it was measured too rarely to see the jump begin after its
  baseline: in those nothing is seen to lead.
- Watched: those of them in which the series and the jump can be seen. Detection rate: share of these with an alarm two
  bins before the onset of the jump or earlier. False alarms: share of the controls with one in a stretch of training as
  long: from t_mem to t_mem times the median ratio of these ends. A control that ends before, or whose own test accuracy
  rose with an alarm by then, is not counted.
- AUROC: the largest score (1 is the alarm) in these windows, of the generalising runs against the controls. p: the
  share of all ways to call as many of the runs generalising that give as high an AUROC, in either direction; p (any):
  the share of those that give one as high to any of the series searched. At the same step: the AUROC where the controls
  are read up to the median step at which the windows of the runs end; for a control that memorises sooner, a stretch in
  units of t_mem ends sooner, and a change at the same step lies beyond it.
"""
from typing import NamedTuple, Optional

import numpy as np

from grokscope_tools.leads import chance
from grokscope_tools.leads.change_point import BASELINE, RESOLUTION
from grokscope_tools.leads.runs import CONTROL, GENERALISING
from grokscope_tools.leads.verdicts import SIGN_OF_NULL

DIRECTIONS = {1: "up", -1: "down"}


class Row(NamedTuple):
    """One series over all runs of one experiment; None where no run can say."""

    experiment: str
    series: str
    searched: int  # series of this experiment that were watched, the nulls not counted
    scale: Optional[str]
    direction: Optional[str]  # up or down
    generalising: int  # runs of these settings that are compared
    watched: int  # of these, runs in which both the series and the jump could be watched
    changed: int  # of these, runs in which the series changed at all in its direction
    censored: int  # of these, runs in which it began to change in a baseline: "<="
    before: int  # runs in which it came before the jump by the resolution at least
    nulls: Optional[int]  # so many of the nulls could be watched
    before_nulls: int  # runs in which it came before these, too
    leading: Optional[str]  # yes: before these in more than half of the generalising runs
    lead_is: str  # ">=": the median is a lower bound, because of censored onsets
    lead_median: Optional[float]
    lead_min: Optional[float]
    lead_max: Optional[float]
    onset_ratio: Optional[float]  # median of onset / onset of the jump: below 1 the series is first
    resolution_steps: Optional[float]  # RESOLUTION bins before the onset of the jump, median
    first_lead_median: Optional[float]  # of the first change after t_mem, in either direction
    alarm_lead_median: Optional[float]  # onset of the jump minus alarm of the change
    warned: int
    detection_rate: Optional[float]
    detection_low: Optional[float]
    detection_high: Optional[float]
    controls: int
    false_alarms: int
    false_alarm_rate: Optional[float]
    false_alarm_low: Optional[float]
    false_alarm_high: Optional[float]
    false_alarms_by_kind: str
    false_alarms_either: int  # controls with an alarm in either direction
    auroc: Optional[float]
    pairs: int  # of a run and a control that were compared
    auroc_p: Optional[float]
    auroc_p_any: Optional[float]
    smallest_p_any: Optional[str]  # yes: of all series searched (of equal ones that of the smallest p)
    auroc_same_step: Optional[float]
    controls_same_step: int
    onsets: tuple  # (ratio, censored) of each run that changed
    scores: dict  # (rise, fall) of each run and control that was compared

    def sign(self):
        return {"up": 1, "down": -1}.get(self.direction)

    def is_surest(self):
        return self.smallest_p_any == "yes"

    def is_null(self):
        return self.series in SIGN_OF_NULL


def tabulate(verdicts):
    """One Row for each experiment and series, in the order of the verdicts."""
    grouped = {}
    for verdict in verdicts:
        grouped.setdefault(verdict.experiment, {}).setdefault(verdict.series, []).append(verdict)
    rows = []
    for experiment, series in grouped.items():
        searched = sum(name not in SIGN_OF_NULL and any(v.watched for v in vs) for name, vs in series.items())
        generalising = len({v.run for vs in series.values() for v in vs if v.kind == GENERALISING})
        mine = [row_of(experiment, name, searched, generalising, vs) for name, vs in series.items()]
        rows += with_chances(mine, series)
    return rows


def row_of(experiment, series, searched, generalising, verdicts):
    runs = [v for v in verdicts if v.counts()]
    stretch, end = median([v.stretch() for v in runs]), median([v.watched.step[v.window() - 1] for v in runs])
    controls = comparable_controls(verdicts, lambda v: stretch * max(v.t_mem, 1)) if runs else []
    same_step = comparable_controls(verdicts, lambda v: end) if runs else []
    sign = SIGN_OF_NULL.get(series) or direction_of(runs)
    return Row(
        experiment=experiment,
        series=series,
        searched=searched,
        scale=next((v.scale for v in verdicts if v.scale), None),
        direction=DIRECTIONS.get(sign),
        generalising=generalising,
        watched=len(runs),
        controls=len(controls),
        **leads(runs, sign, generalising),
        **alarms(runs, controls, sign),
        **separation(runs, controls, sign),
        auroc_same_step=auroc_of(scores_of(runs, same_step), runs, sign),
        controls_same_step=len(same_step),
    )


def direction_of(runs):
    """The direction (1 or -1) in which more of the runs change before the jump, else change at all, else lean."""

    def weight(sign):
        before, changed = (sum(map(bool, found)) for found in zip(*[(v.before(sign), v.chosen(sign)) for v in runs]))
        return before, changed, sum(min(v.watched.score(sign, v.window()), 1) for v in runs)

    return max((1, -1), key=weight) if runs else None


def comparable_controls(verdicts, end_of):
    """(verdict, bins from t_mem to the step end_of(verdict)) of each control; left out are those that end before, and
    those whose own test accuracy rose with an alarm by then."""
    found = []
    for v in verdicts:
        end = end_of(v)
        if v.kind == CONTROL and v.watched is not None and v.watched.covers(end) and v.moved > end:
            bins = v.watched.bins_until(end)
            found += [(v, bins)] if bins > BASELINE else []
    return found


def leads(runs, sign, generalising):
    """When the series changed, relative to the jump and to the nulls; `runs` are those of all that were watched."""
    pairs = [(v, v.chosen(sign)) for v in runs]
    pairs = [(v, change) for v, change in pairs if change is not None]
    found = [v.lead(change) for v, change in pairs]
    longest = [np.inf if change.censored else lead for (_, change), lead in zip(pairs, found)]
    before_nulls = sum(v.leads_nulls(sign) for v in runs)
    return {
        "changed": len(pairs),
        "censored": sum(change.censored for _, change in pairs),
        "before": sum(bool(v.before(sign)) for v in runs),
        "nulls": min((v.nulls for v in runs), default=None),
        "before_nulls": before_nulls,
        "leading": ("yes" if 2 * before_nulls > generalising else "no") if runs else None,
        "lead_is": ">=" if pairs and median(longest) != median(found) else "",
        "lead_median": median(found),
        "lead_min": min(found, default=None),
        "lead_max": max(found, default=None),
        "onset_ratio": median([v.ratio(change) for v, change in pairs]),
        "resolution_steps": median([v.watched.step[v.jump] - v.watched.step[v.jump - RESOLUTION] for v in runs]),
        "first_lead_median": median([v.lead(v.watched.changes[0]) for v in runs if v.watched.changes]),
        "alarm_lead_median": median([v.watched.step[v.jump] - v.watched.step[c.alarm] for v, c in pairs]),
        "onsets": tuple((v.ratio(change), change.censored) for v, change in pairs),
    }


def alarms(runs, controls, sign):
    """How often it raised an alarm before the jump, and how often in a control."""
    warned = sum(v.watched.alarms(sign, v.window()) for v in runs)
    false = [v.watched.alarms(sign, bins) for v, bins in controls]
    return {
        "warned": warned,
        **rate("detection", warned, len(runs)),
        "false_alarms": sum(false),
        **rate("false_alarm", sum(false), len(controls)),
        "false_alarms_by_kind": by_kind([v.member for v, _ in controls], false),
        "false_alarms_either": sum(v.watched.alarms(1, bins) or v.watched.alarms(-1, bins) for v, bins in controls),
    }


def rate(name, count, of):
    low, high = chance.wilson(count, of)
    return {f"{name}_rate": count / of if of else None, f"{name}_low": low, f"{name}_high": high}


def by_kind(members, false):
    """False alarms of each kind of control, as text: "less_data 3/5; no_decay 0/2"."""
    found = {}
    for member, alarm in zip(members, false):
        found.setdefault(member, []).append(alarm)
    return "; ".join(f"{member} {sum(those)}/{len(those)}" for member, those in found.items())


def separation(runs, controls, sign):
    """How well the largest scores tell the runs from the controls."""
    scores = scores_of(runs, controls)
    return {
        "auroc": auroc_of(scores, runs, sign),
        "pairs": len(runs) * len(controls),
        "auroc_p": None,  # see with_chances()
        "auroc_p_any": None,
        "smallest_p_any": None,
        "scores": scores if runs and controls else {},
    }


def scores_of(runs, controls):
    """{run: (rise, fall)}: the largest scores in the windows, first of the runs, then of the controls."""
    windows = [(v, v.window()) for v in runs] + controls
    return {v.run: (v.watched.score(1, bins), v.watched.score(-1, bins)) for v, bins in windows}


def auroc_of(scores, runs, sign):
    mine = [score[0 if sign == 1 else 1] for score in scores.values()]
    return chance.auroc(mine[: len(runs)], mine[len(runs) :])


def with_chances(rows, verdicts_of):
    """The rows of one experiment, with the chances of their AUROCs among all rows but the nulls."""
    judged = [row for row in rows if row.auroc is not None and not row.is_null()]
    if not judged:
        return rows
    kinds = {v.run: v.kind == GENERALISING for verdicts in verdicts_of.values() for v in verdicts}
    unknown = (np.nan, np.nan)
    scores = np.array([[row.scores.get(run, unknown) for run in kinds] for row in judged])  # [series, runs, 2]
    observed = np.array([row.auroc for row in judged])
    alone, anywhere = chance.chance_of_auroc(np.moveaxis(scores, 2, 0), list(kinds.values()), observed)
    found = {row.series: (float(p_any), float(p)) for row, p, p_any in zip(judged, alone, anywhere)}
    smallest = min(found.values())
    return [with_chance(row, *found[row.series], smallest) if row.series in found else row for row in rows]


def with_chance(row, p_any, p, smallest):
    is_smallest = (p_any, p) == smallest and p_any < 1
    return row._replace(auroc_p=p, auroc_p_any=p_any, smallest_p_any="yes" if is_smallest else "no")


def median(values):
    return float(np.median(values)) if len(values) else None

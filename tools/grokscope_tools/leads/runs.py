"""Which runs can say what changed before the test accuracy did, and which of them are compared?

A run that memorised and generalised (it has t_mem and t_gen) counts as generalising, one that memorised, is done and
did not generalise as a control. Left out are

- runs that never memorised, or ended in the baseline, which ends at about 1.8 t_mem;
- undecided ones without t_gen: not known to be done, or their test accuracy went more than half of the way from its
  value at t_mem to 1, or to 0.8;
- those with too short a delay: the jump began in the baseline, or less than two bins after it.

Runs of one study are compared with one another, else those of one experiment. Generalising runs whose settings differ
in more than seeds are told apart; controls should differ from them in one thing (less data, no weight decay).
"""
from grokscope_tools.leads import change_point
from grokscope_tools.leads.change_point import BASELINE, RESOLUTION
from grokscope_tools.reading.settings import name_without_seed, settings_of

REFERENCE = "test_acc"
GENERALISING, CONTROL = "generalising", "control"
HALF_WAY = 0.5  # of the way of the test accuracy from its value at t_mem to 1
HIGH = 0.8  # a test accuracy that no control reaches


def kind_of(run):
    """What the run counts as: GENERALISING, CONTROL, or the reason why it is left out."""
    transition, reference = run.transition(), run.best_series(REFERENCE)
    if transition.t_mem is None:
        return "left out: it never memorised, or has no accuracies"
    if reference is None:
        return f"left out: it has no {REFERENCE}"
    step, accuracy = change_point.binned(reference.step, reference.values, transition.t_mem)
    if step.size <= BASELINE:
        return "left out: it ended too soon after t_mem"
    if transition.t_gen is None:
        return kind_without_t_gen(run, accuracy)
    return kind_with_t_gen(step, accuracy, transition.t_gen)


def kind_without_t_gen(run, accuracy):
    state = (run.status() or {}).get("state", "not known to be done (it has no STATUS)")
    if state != "done":
        return f"left out: undecided, the run is {state}"
    start, highest = accuracy[0], accuracy.max()
    if highest - start > HALF_WAY * (1 - start) or highest >= HIGH:
        return f"left out: undecided, its {REFERENCE} rose to {highest:.2f}"
    return CONTROL


def kind_with_t_gen(step, accuracy, t_gen):
    jump = change_point.jump_bin(step, accuracy, t_gen)
    if jump is None:
        return f"left out: its {REFERENCE} ends before t_gen"
    if not can_be_dated(jump):
        return (
            "left out: too short a delay, the jump began before the baseline ended "
            f"(step {step[BASELINE - 1]:,.0f}) or within {RESOLUTION} bins of its end"
        )
    return GENERALISING


def can_be_dated(jump):
    """Whether a change can be seen to come before a jump that began in this bin."""
    return jump is not None and jump >= BASELINE + RESOLUTION


def experiment_of(run):
    """The experiment's name, by which runs are pooled."""
    configured = ((run.config() or {}).get("experiment") or {}).get("name")
    return str(run.attrs().get("experiment") or configured or run.name)


def study_of(run):
    """The folder of the study that the run is a member of; None for a run of its own."""
    folder = run.path.resolve().parent
    return folder.parent if folder.name == "members" else None


def pools_of(runs):
    """{name: runs} that are compared with one another: those of one study, else of one experiment."""
    pools = {}
    for run in runs:
        pools.setdefault((experiment_of(run), study_of(run)), []).append(run)
    known = [experiment for experiment, _ in pools]
    names = [
        experiment + (f" ({study.name if study else 'runs'})" if known.count(experiment) > 1 else "")
        for experiment, study in pools
    ]
    return dict(zip(distinct(names), pools.values()))


def members_of(runs):
    """The name of each run's settings, seeds left out: that of the study's member, else of its folder."""
    settings = [settings_of(run) for run in runs]
    first = {key: runs[settings.index(key)] for key in settings}
    names = [name_without_seed(run.name) or run.name for run in first.values()]
    named = dict(zip(first, distinct(names)))
    return [named[key] if key else "settings unknown" for key in settings]


def distinct(names):
    """The names, those that were there before numbered."""
    return [name + (f" #{names[: i + 1].count(name)}" if name in names[:i] else "") for i, name in enumerate(names)]

#!/usr/bin/env python3
"""Did the spectrum know first? For each stored series: when did it change, relative to the jump in test accuracy, and
how often is such a change a false alarm?

All series are treated alike, with constants that were fixed on invented series. In short (in full: configs/lead_lag;
the formulas: grokscope_tools/leads/change_point.py; which runs count: runs.py beside it):

- Runs that memorised and generalised are compared with controls: runs of the same study, else of the same experiment,
  that memorised, are done, and did not generalise.
- Changes. From t_mem on, a straight line in log10(step) through all earlier values predicts the next one. The summed
  errors raise an alarm at a fixed boundary, upwards or downwards; an observer who sees nothing later could then have
  known. The onset is where the change began; "<=": then or before. The watch starts again after each alarm.
- Jump: the rise of the test accuracy that leads to t_gen, found by the same test at the steps of the series.
- Lead: steps from the onset of the last change before the jump to that of the jump; without one before it, that of the
  first change, 0 or negative; ">=": at least. "Before" means two bins at least: 13 % of the step,
  or two tracking intervals where these are longer. Only changes in one direction count, that in
  which more of the generalising runs change before the jump.
- Nulls: the test accuracy itself, written in three ways. Leading is a series that changes before all of them that
  could be watched, by two bins, in more than half of all generalising runs of its settings.
- Warned: of the generalising runs in which series and jump could be watched, those with an alarm before the jump. False:
  controls with one in a stretch of training as long, in units of t_mem. AUROC: of the height of the score before the
  jump, 0.5 is chance; p: how often other labels of the same runs give as high a one to this series, p (any): to any of
  the series searched. Same step: the AUROC where the controls are read up to the same step, not the same multiple of
  t_mem; where the two differ much, the length of the stretch tells the runs apart.

It shows an order of changes, and whether a change tells runs that will generalise from runs that will not. It does not
show that a change causes the jump, nor anything of changes before or right after t_mem, nor of an experiment without
controls; and of several hundred series on few runs the best is luck unless p (any) says otherwise: choose series on
one experiment and judge them on another.
"""
import collections
from pathlib import Path

import grokscope_io  # first: it finds a Python that has the packages
from grokscope_tools.command_line.options import add_figures, add_runs, make_parser
from grokscope_tools.leads.rows import tabulate
from grokscope_tools.leads.runs import CONTROL, GENERALISING, experiment_of, kind_of
from grokscope_tools.leads.tables import print_leaders, write_tables
from grokscope_tools.leads.verdicts import judge_all

REASONS = 4  # that the error repeats; all are printed run by run


def describe(run, kind):
    """Says what the run counts as, or why it is left out."""
    steps = ", ".join(
        f"{name} {'never' if step is None else format(step, ',.0f')}"
        for name, step in zip(("t_mem", "t_gen"), run.transition())
    )
    print(f"{run.path}: {experiment_of(run)}, {kind} ({steps})")


def why_nothing_is_judged(kinds, patterns):
    """That no run has such a series, or the commonest reasons for which runs were left out."""
    if GENERALISING in kinds or CONTROL in kinds:
        return f"(no run has one that --series {' '.join(patterns)} names), see `h5ls -r metrics.h5` for the names"
    reasons = collections.Counter(kinds).most_common()
    told = "; ".join(f"{count} {reason}" for reason, count in reasons[:REASONS])
    return f"({told}{'; ...' if len(reasons) > REASONS else ''}), give other runs or let these train on"


def parse_arguments(argv):
    parser = make_parser(
        __doc__,
        "Writes for each experiment a table and a figure, lead_lag_<experiment>.csv, .png, .pdf (and a figure of its "
        "layers), and over all lead_lag_all.csv, .png, .pdf, lead_lag.csv (all rows of all experiments) and "
        "lead_lag_runs.csv (a row for each run and series). Exit codes: 0 done, "
        "2 wrong usage or no run to judge, 3 unreadable files or an unwritable folder.",
    )
    add_runs(parser)
    parser.add_argument(
        "--series",
        nargs="+",
        default=["*"],
        metavar="GLOB",
        help="names in metrics.h5 (default: all but accuracies, checks, timing, full spectra and copies); what is "
        "named takes part in any case, vectors with all their components, or one: 'eigenvalues_top_k[7]'",
    )
    add_figures(parser, Path("lead_lag"))
    return parser.parse_args(argv)


def main(argv=None):
    arguments = parse_arguments(argv)
    from grokscope_tools.leads import figures  # matplotlib takes a second that --help need not wait for

    runs = grokscope_io.open_runs(arguments.runs)
    kinds = [kind_of(run) for run in runs]
    for run, kind in zip(runs, kinds):
        describe(run, kind)
    verdicts = judge_all(runs, arguments.series)
    if not verdicts:
        raise grokscope_io.ToolError("no series can be judged " + why_nothing_is_judged(kinds, arguments.series))
    rows = tabulate(verdicts)
    with grokscope_io.writing_to(arguments.save_dir) as folder:
        written = write_tables(folder, rows, verdicts)
        written += figures.draw_all(rows, verdicts, folder, arguments.formats)
    print_leaders(rows, verdicts)
    print(f"\nwritten to {arguments.save_dir}: {', '.join(written)}")
    return 0


if __name__ == "__main__":
    grokscope_io.run_tool(main)

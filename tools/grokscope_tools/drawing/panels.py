"""How do training and the GOP's scalars go? Panels over the optimizer step.

Every panel of every figure is a function that draws one question into given axes; spectra.py, layers.py, subspace.py
and observables.py hold the others. run_figures.py arranges them into figures; other tools reuse them. A panel without
data says why.
"""
import numpy as np

from grokscope_tools.drawing import style

T_MEM_DASHES, T_GEN_DASHES = ":", "-."  # of the lines that mark the transition


def time_panel(ax, run, title, lines, log_y=False, legend=True, axis_of=None):
    """Draws (series or its name, label[, style]) lines against the step, with the run's transition; a missing
    or empty one is left out, and if all are, the panel says why. The step axis is that of the Series
    `axis_of` where one is given: panels on top of each other then agree."""
    ax.set_title(title)
    found, reasons = [], []
    for i, (series, label, *given) in enumerate(lines):
        name = series if isinstance(series, str) else label
        series = run.series(series) if isinstance(series, str) else series
        if series is None or not series.step.size:
            reasons.append(f"{name}: {'not in metrics.h5' if series is None else 'nothing tracked yet'}")
        elif not drawable(series.values, log_y).any():
            reasons.append(f"{name}: {why_not_drawable(series.values)}")
        else:
            found.append((series, label, given[0] if given else style.line_style(i)))
    if not found:
        style.say_empty(ax, "\n".join(["no data"] + reasons[:4]))
        return
    notes = []
    scaled_by = [axis_of] if axis_of is not None and axis_of.step.size else [series for series, *_ in found]
    style.step_axis(ax, np.concatenate([series.step for series in scaled_by]))
    for series, label, look in found:
        notes += style.draw_line(ax, series.step, series.values, label, log_y, **look)
    style.value_axis(ax, log_y)
    mark_transition(ax, run)
    style.note(ax, notes)
    ax.set_xlabel("optimizer step")
    if legend:
        style.legend_above(ax)


def drawable(values, log_y):
    return np.isfinite(values) & ((values > 0) | (not log_y))


def why_not_drawable(values):
    if np.isnan(values).all():
        return "all values are NaN"
    return "no value is above 0" if np.isfinite(values).any() else "no value is finite"


def dashes_of_transition(run):
    """[(name, step, dashes)] of the lines at t_mem and t_gen; the step is None where it was not reached."""
    transition = run.transition()
    return [("mem", transition.t_mem, T_MEM_DASHES), ("gen", transition.t_gen, T_GEN_DASHES)]


def mark_transition(ax, run, **look):
    """Vertical lines at t_mem and t_gen; transition_legend() explains them."""
    for _, step, dashes in dashes_of_transition(run):
        if step is not None:
            ax.axvline(
                step, **{"color": style.GREY, "linestyle": dashes, "linewidth": 1, "zorder": 1, **look}
            )


def transition_legend(fig, run):
    """One line below the figure: what the vertical lines mean, by which rule."""
    entries = []
    for name, step, dashes in dashes_of_transition(run):
        when = "not reached" if step is None else f"step {step:,.0f}"
        entries.append((f"$t_{{\\mathrm{{{name}}}}}$: {when}", "none" if step is None else dashes))
    entries.append((f"rule: {run.transition().rule}", "none"))
    handles = [
        style.plt.Line2D([], [], color=style.GREY, linestyle=dashes, linewidth=1, label=label)
        for label, dashes in entries
    ]
    style.legend_below(fig, handles)


# Training -----------------------------------------------------------------

TRAIN_LOOK, TEST_LOOK = style.line_style(0), style.line_style(1)


def loss(ax, run):
    pair = [
        (run.best_series("train_loss"), "train", TRAIN_LOOK),
        (run.best_series("test_loss"), "test", TEST_LOOK),
    ]
    time_panel(ax, run, "Loss", pair, log_y=True)


def accuracy(ax, run, axis_of=None):
    """At every evaluation; the step axis as in time_panel()."""
    pair = [
        (run.best_series("train_acc"), "train", TRAIN_LOOK),
        (run.best_series("test_acc"), "test", TEST_LOOK),
    ]
    time_panel(ax, run, "Accuracy", pair, axis_of=axis_of)
    if ax.lines:
        ax.set_ylim(-0.04, 1.04)


def weight_norm(ax, run):
    """All norms that the training loop recorded (total, per layer)."""
    names = [name for name in run.names("training") if "norm" in name.rsplit("/", 1)[-1]][:6]
    lines = [(name, name.split("/", 1)[1].replace("_", " ")) for name in names]
    time_panel(
        ax, run, "Weight norm", lines or [("training/weight_norm", "weight norm")], legend=len(lines) > 1
    )


def gap(ax, run):
    """Train minus test accuracy; for a run without accuracies, test over train loss."""
    train, test = run.best_series("train_acc"), run.best_series("test_acc")
    if comparable(train, test):
        time_panel(
            ax,
            run,
            "Accuracy gap, train − test",
            [(train._replace(values=train.values - test.values), "gap")],
            legend=False,
        )
        return
    train, test = run.best_series("train_loss"), run.best_series("test_loss")
    line = (None, "train and test accuracy or loss")
    if comparable(train, test):
        with np.errstate(divide="ignore", invalid="ignore"):
            line = (train._replace(values=test.values / train.values), "ratio")
    time_panel(ax, run, "Loss gap, test / train", [line], log_y=True, legend=False)


def comparable(train, test):
    return (
        train is not None
        and test is not None
        and train.values.shape == test.values.shape
        and np.isfinite(train.values + test.values).any()
    )


# GOP metrics -----------------------------------------------------------------


def trace(ax, run):
    time_panel(ax, run, "Trace", [("gop_trace", "trace")], log_y=True, legend=False)


def norms(ax, run):
    time_panel(
        ax, run, "Norms", [("gop_frobenius_norm", "Frobenius"), ("gop_spectral_norm", "spectral")], log_y=True
    )


def effective_ranks(ax, run):
    time_panel(
        ax,
        run,
        "Effective ranks",
        [
            ("gop_stable_rank", "stable"),
            ("gop_participation_ratio", "particip."),
            ("gop_entropy_rank", "entropy"),
        ],
        log_y=True,
    )


def rank(ax, run):
    time_panel(ax, run, "Numerical rank", [("gop_rank", "rank")], legend=False)


def log_pseudo_determinant(ax, run):
    time_panel(ax, run, "Log pseudo-determinant", [("gop_log_pseudo_determinant", "log pdet")], legend=False)


def alignment(ax, run):
    time_panel(
        ax,
        run,
        "Directions",
        [("gop_mean_gradient_alignment", "alignment"), ("gop_subspace_overlap", "subspace overlap")],
    )
    if ax.lines:
        ax.set_ylim(-0.04, 1.04)


def top_eigenvalues(ax, run, count=20, legend=True):
    """The largest eigenvalues against the step: as many as are stored apart, of `count` at most."""
    series = run.spectra()
    if series is None or not (series.values > 0).any():
        ax.set_title("Top eigenvalues")
        style.say_empty(ax, f"no data\n{run.why_no_spectrum()}")
        return
    k = min(count, (run.series("eigenvalues_top_k") or series).values.shape[1])
    lines = [
        (series._replace(values=series.values[:, i]), f"$\\lambda_{{{i + 1}}}$", style.ordered_style(i, k))
        for i in range(k)
        if np.isfinite(series.values[:, i]).any()
    ]
    time_panel(ax, run, "Top eigenvalues", lines, log_y=True, legend=False)
    if legend:
        handles, labels = ax.get_legend_handles_labels()
        shown = sorted({*range(min(5, len(handles))), *range(4, len(handles), 5), len(handles) - 1})
        ax.legend(
            [handles[i] for i in shown],
            [labels[i] for i in shown],
            loc="center left",
            bbox_to_anchor=(1.0, 0.5),
        )

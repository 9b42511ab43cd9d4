"""Do the figures still look as they did when somebody looked at them?

Each figure is drawn small from an invented run and compared with reference/<name>.png, which was looked at.
After a wanted change: reference_images_test.py --write [NAME...], look at every changed picture, commit it.
"""
import contextlib
import io
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent.parent / "tools"), str(HERE)]

import animate  # noqa: E402
import compare_experiments  # noqa: E402
import grokscope_io  # noqa: E402
import h5py  # noqa: E402
import lead_lag_case  # noqa: E402
import numpy as np  # noqa: E402
import synthetic_study  # noqa: E402
from grokscope_tools.drawing import run_figures, study_figures, style  # noqa: E402
from grokscope_tools.leads import figures as lead_figures  # noqa: E402
from grokscope_tools.leads.rows import tabulate  # noqa: E402
from grokscope_tools.leads.verdicts import judge_all  # noqa: E402
from grokscope_tools.reading.study_table import Study  # noqa: E402
from synthetic_run import Shape, make_run  # noqa: E402

style.plt.rcParams["figure.max_open_warning"] = 0  # all are drawn before they are saved
REFERENCE = HERE / "reference"
DPI = 45
CELL, WINDOW = 4, 8  # pixels of a cell, cells of a window
# Mean difference of the cells of a window, of 1. The same drawing makes 0. Of 401 lines that were hidden one by one, 10 made less,
# which coincide with others or have no length; the median is .007, the faintest trail of the film makes .0009.
TOLERANCE = 0.0003


# {run: (its Shape, figures besides the summary)}
AWKWARD = {
    "one_epoch": (dict(tracked=1, state="running"),),
    "gap": (dict(gap=(20, 35), with_gop=False), "spectrum_evolution"),
    "all_nan": (dict(tracked=9, gap=(0, 9), with_gop=False),),
    "zeros": (dict(tracked=9, scale=0), "subspace_rotation"),
    "rank_one": (dict(rank=1, examples=1), "eigenvalue_spectrum_grokking"),
}


def store_vectors(folder, known):
    """Adds eigenvectors_top_k to the stored epochs: the eigenspaces turn from one pair of axes to another."""
    for i, epoch in enumerate(known["gradients"]):
        with h5py.File(folder / f".segments/{epoch}-{epoch}.h5", "a") as file:
            group = file[f"gop_full/epoch_{epoch}"]
            parameters = known["gradients"][epoch].shape[1]
            vectors, angle = np.zeros((parameters, 4)), 0.5 * i
            for j in range(4):
                vectors[j, j], vectors[10 + j, j] = np.cos(angle), np.sin(angle)
            group["eigenvectors_top_k"] = vectors


def complete_run(folder):
    known = make_run(folder, Shape(gop_epochs=tuple(range(0, 1200, 120))))
    store_vectors(folder, known)
    return grokscope_io.open_run(folder)


def figures(folder):
    """{name: figure} of everything that is compared."""
    run = complete_run(folder / "complete")
    found = {name: draw(run, [])[0] for name, draw in run_figures.FIGURES.items()}
    for name, (shape, *others) in AWKWARD.items():
        make_run(folder / name, Shape(**shape))
        for figure in ("summary", *others):
            found[f"{figure}_{name}"] = run_figures.FIGURES[figure](grokscope_io.open_run(folder / name), [])[0]
    groups = [
        compare_experiments.Group("complete", [run]),
        compare_experiments.Group("gap", [grokscope_io.open_run(folder / "gap")]),
    ]
    found["comparison"] = compare_experiments.draw_comparison("gop_trace", groups, "t_gen")[0]
    film = animate.Film(run, animate.frames_of(run, 240)[0])
    film.show(40)
    found["film"] = film.figure
    found.update(lead_lag_figures(folder / "leads"))
    found.update(figures_of_studies(folder / "studies"))
    return found


def figures_of_studies(folder):
    synthetic_study.phase_grid(folder / "phases")
    synthetic_study.decay_study(folder / "decays")
    rows = [synthetic_study.member("dense", seed, 100 + 9 * seed, 5000 + 900 * seed) for seed in range(3)]
    rows += [synthetic_study.member("ticket", t_gen=400.0), synthetic_study.member("random", t_gen=np.nan)]
    synthetic_study.make_study(folder / "rows", rows)
    phases, decays, members = (Study(folder / name) for name in ("phases", "decays", "rows"))
    return {
        "study_phase": study_figures.study_phase(phases)[0],
        "study_times": study_figures.study_times(decays)[0],
        "study_times_curves": study_figures.study_times(phases)[0],
        "study_times_rows": study_figures.study_times(members)[0],
        "study_losses": study_figures.study_losses(decays)[0],
    }


def lead_lag_figures(folder):
    case = lead_lag_case.Case()
    case.folder = folder
    case.write_experiment()
    verdicts = judge_all(grokscope_io.open_runs([str(folder)]))
    rows = tabulate(verdicts)
    whole = lead_figures.whole_model(rows, verdicts)
    return {
        "lead_lag": lead_figures.experiment_figure("invented", whole),
        "lead_lag_all": lead_figures.overview(rows, verdicts),
    }


def draw_all(folder, names=()):
    """Writes every figure (those of these names, where some are given) as folder/<name>.png, small; {name: figure}."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stdout(io.StringIO()):
        drawn = {name: fig for name, fig in figures(Path(scratch)).items() if name in names or not names}
        for name, fig in drawn.items():
            style.save_figure(fig, folder, name, ["png"], DPI)
    return drawn


def cells(path):
    """The picture in grey, averaged over cells of CELL x CELL pixels; from 0 to 1."""
    picture = style.plt.imread(path)[..., :3].mean(axis=2)
    rows, cols = (n // CELL for n in picture.shape)
    return picture[: rows * CELL, : cols * CELL].reshape(rows, CELL, cols, CELL).mean(axis=(1, 3))


def difference(drawn, expected, place=np.s_[:, :]):
    """The mean difference in that window of `place` (rows, columns of cells) where two pictures differ most; infinite when
    their sizes differ by more than a cell."""
    a, b = cells(drawn), cells(expected)
    if any(abs(m - n) > 1 for m, n in zip(a.shape, b.shape)):
        return np.inf
    rows, cols = (min(m, n) for m, n in zip(a.shape, b.shape))
    apart = np.abs(a[:rows, :cols] - b[:rows, :cols])[place]
    # Sums over all windows, those that stick out among them, as differences of sums from the corner.
    sums = np.pad(np.pad(apart, WINDOW).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    windows = sums[WINDOW:, WINDOW:] - sums[:-WINDOW, WINDOW:] - sums[WINDOW:, :-WINDOW] + sums[:-WINDOW, :-WINDOW]
    return float(windows.max()) / WINDOW**2


def hide_top_lines(fig):
    """Hides of every panel the line that is drawn last, under no other; returns the panels that have one."""
    panels = []
    for ax in fig.axes:
        lines = [line for line in ax.lines if line.get_transform() == ax.transData and np.isfinite(line.get_ydata()).any()]
        if lines:
            max(reversed(lines), key=lambda line: line.zorder).set_visible(False)
            panels.append(ax)
    return panels


def cells_of(ax):
    """Which rows and columns of cells a panel has."""
    box, height = ax.get_window_extent(), ax.figure.get_figheight() * ax.figure.dpi
    ends = np.array([[height - box.y1, height - box.y0], [box.x0, box.x1]]) * DPI / ax.figure.dpi / CELL
    return tuple(slice(int(first), int(last) + 1) for first, last in ends)


class ReferenceTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        cls.drawn = Path(scratch.name)
        cls.figures = draw_all(cls.drawn)

    def test_every_figure_looks_as_it_did(self):
        names = {path.name for path in self.drawn.iterdir()}
        self.assertEqual(names, {path.name for path in REFERENCE.iterdir()})
        for name in sorted(names):
            with self.subTest(name):
                self.assertLess(difference(self.drawn / name, REFERENCE / name), TOLERANCE)

    def test_a_missing_line_is_seen(self):
        """One of every panel of every figure, by itself: the difference is that of the panel alone."""
        with tempfile.TemporaryDirectory() as scratch:
            for name, fig in self.figures.items():
                panels = hide_top_lines(fig)
                path = Path(scratch) / f"{name}.png"
                fig.savefig(path, dpi=DPI)
                for ax in panels:
                    with self.subTest(name, panel=ax.get_title(loc="left")):
                        self.assertGreater(difference(path, self.drawn / path.name, cells_of(ax)), TOLERANCE)

    def test_another_picture_is_seen(self):
        self.assertGreater(difference(REFERENCE / "summary.png", REFERENCE / "summary_gap.png"), TOLERANCE)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        draw_all(REFERENCE, sys.argv[2:])
    else:
        unittest.main()

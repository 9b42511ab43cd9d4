"""Which options do the tools share, and what do their --help texts look like?"""
import argparse
import textwrap
from pathlib import Path

FORMATS = ("png", "pdf", "svg")


def make_parser(description, epilog=""):
    """A parser that shows the description as it is written, and the epilog (files, exit codes) in lines."""
    return argparse.ArgumentParser(
        description=description,
        epilog=textwrap.fill(epilog, 79),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_run(parser):
    parser.add_argument(
        "--results_dir", required=True, type=Path, metavar="D", help="the run directory (holds metrics.h5)"
    )


def add_runs(parser, name="runs", **settings):
    parser.add_argument(
        name, nargs="+", metavar="D", help="run directories, or folders and globs that hold some", **settings
    )


def add_figures(parser, save_dir=None, words="default: %(default)s"):
    parser.add_argument("--save_dir", type=Path, default=save_dir, metavar="S", help=f"where the figures go ({words})")
    parser.add_argument(
        "--formats", nargs="+", choices=FORMATS, default=["png", "pdf"], help="default: png pdf"
    )

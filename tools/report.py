#!/usr/bin/env python3
"""What came out of these runs? Writes one HTML file that opens anywhere, without a network.

It holds configuration, claim against result (of runs and of the studies that they are members of), the figures of
these studies, interactive plots (drag or wheel to zoom, hover, linear and logarithmic axes, a layer picker), timing
and memory, provenance and warnings. The file stays below 20 MB: series are reduced to what a screen can show (the
smallest and the largest value of each stretch and the edges of gaps are kept), of very many runs only the more
important series are taken, in the end figures and provenance are left out, and the page says so. Where thousands of
runs take more all the same, a note on stderr says so.
"""
import sys
from pathlib import Path

import grokscope_io  # first: it finds a Python that has the packages
from grokscope_tools.command_line.options import add_runs, make_parser
from grokscope_tools.page.document import MOST_BYTES, page
from grokscope_tools.reading.study_table import is_study


def parse_arguments(argv):
    parser = make_parser(
        __doc__,
        "Exit codes: 0 written, 2 wrong usage or no run there, 3 unreadable files or an "
        "unwritable folder.",
    )
    add_runs(parser)
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
    size = len(text.encode())
    if size >= MOST_BYTES:
        print(f"note: {output} has more than {MOST_BYTES / 1e6:.0f} MB, a report of fewer runs is smaller", file=sys.stderr)
    print(f"{output}  ({len(runs)} run{'s' if len(runs) > 1 else ''}, {size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    grokscope_io.run_tool(main)

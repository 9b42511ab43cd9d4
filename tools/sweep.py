#!/usr/bin/env python3
"""Which runs make up this sweep? Writes a run list: every combination of configurations and values, one run a line.

    tools/sweep.py configs/09_levi_linear.yaml training.lr=0.01,0.02 data.n_train=1111,2000 --output runs.txt

Values: a comma list, lin:FIRST:LAST:COUNT or log:FIRST:LAST:COUNT. Commas within brackets, braces or quotes belong to a
value. A line is what follows `grokscope run`; slurm/array.sbatch runs line k as task k. It knows the syntax of overrides
and no key; --check asks the program.
"""
import itertools
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

from grokscope_tools.command_line.options import make_parser
from grokscope_tools.command_line.process import ENVIRONMENT_ERROR, ToolError, run_tool

SHOWN_PROBLEMS = 5


def split_values(text):
    """Splits at the commas that stand outside of brackets, braces and quotes."""
    values, depth, quote, start = [], 0, "", 0
    for i, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "[{":
            depth += 1
        elif letter in "]}":
            depth -= 1
        elif letter == "," and depth == 0:
            values.append(text[start:i])
            start = i + 1
        if depth < 0:
            break
    if quote or depth != 0:
        raise ToolError(f"'{text}' has an open bracket or quote (its end cannot be found), close it")
    return values + [text[start:]]


def spaced_values(kind, text):
    """The values of lin:FIRST:LAST:COUNT or log:FIRST:LAST:COUNT, as short texts, both ends included."""
    try:
        first, last, count = (convert(word) for convert, word in zip((float, float, int), text.split(":")))
        if text.count(":") != 2 or count < 2 or (kind == "log" and (first <= 0 or last <= 0)):
            raise ValueError
    except ValueError:
        raise ToolError(
            f"'{kind}:{text}' is no range (FIRST:LAST:COUNT with COUNT of 2 or more, positive ends for log), "
            "write log:1e-4:1e-1:7"
        ) from None
    shares = [i / (count - 1) for i in range(count)]
    if kind == "log":
        return [f"{first * (last / first) ** share:.6g}" for share in shares]
    return [f"{first + (last - first) * share:.6g}" for share in shares]


def axis_of(argument):
    """The overrides that key=VALUES stands for: ["training.lr=0.01", "training.lr=0.02"]."""
    key, _, text = argument.partition("=")
    if not re.fullmatch(r"[A-Za-z_][\w.]*", key):
        raise ToolError(f"'{argument}' sets no key ('{key}' is no name), write section.key=value,value")
    spaced = re.match(r"(lin|log):(.*)", text)
    values = spaced_values(*spaced.groups()) if spaced else [value.strip() for value in split_values(text)]
    if "" in values:
        raise ToolError(f"'{argument}' has an empty value (nothing would be set), remove a comma or write null")
    repeated = sorted({value for value in values if values.count(value) > 1})
    if repeated:
        raise ToolError(f"'{argument}' repeats {repeated[0]} (two runs would share a folder), name each value once")
    return [f"{key}={value}" for value in values]


def run_lines(configurations, axes):
    """One list of words a run: the configuration, then its overrides; the last axis varies fastest."""
    keys = [axis[0].partition("=")[0] for axis in axes]
    for key in keys:
        if keys.count(key) > 1:
            raise ToolError(f"{key} is given twice (one would overrule the other), give its values in one list")
    return [list(words) for words in itertools.product(configurations, *axes)]


def program_to_check():
    program = os.environ.get("GROKSCOPE", "build/grokscope")
    found = program if os.access(program, os.X_OK) else shutil.which("grokscope")
    if found is None:
        raise ToolError(
            f"--check found no grokscope ({program} is not there, nor is one in PATH), build it or name it in GROKSCOPE",
            ENVIRONMENT_ERROR,
        )
    return found


def check(lines):
    """Asks grokscope about every run: a mistake, or two runs with one folder, is a ToolError."""
    program, problems, folders = program_to_check(), [], {}
    for words in lines:
        result = subprocess.run([program, "check", *words], capture_output=True, text=True, check=False)
        if result.returncode != 0:
            problems.append(f"{shlex.join(words)}: {result.stderr.strip()}")
            continue
        folder = re.search(r"^ *run directory +(.*)$", result.stdout, re.MULTILINE)
        other = folders.setdefault(folder.group(1), words) if folder else words
        if other is not words:
            problems.append(
                f"{shlex.join(words)} and {shlex.join(other)} share {folder.group(1)} (what differs names no folder), "
                "sweep storage.output_dir with it"
            )
    if problems:
        shown = "\n".join(problems[:SHOWN_PROBLEMS])
        raise ToolError(f"{len(problems)} of {len(lines)} runs would fail:\n{shown}")


def parse_arguments(arguments):
    parser = make_parser(__doc__)
    parser.add_argument("words", nargs="+", metavar="CONFIG or key=values", help="what to combine")
    parser.add_argument("--output", type=Path, help="the run list to write (default: the terminal)")
    parser.add_argument("--check", action="store_true", help="ask grokscope check about every run first")
    parser.add_argument("--at-once", type=int, default=4, help="runs at the same time, for the sbatch line (4)")
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parse_arguments(arguments)
    configurations = [word for word in options.words if "=" not in word]
    missing = [name for name in configurations if not Path(name).is_file()]
    if missing or not configurations:
        name = missing[0] if missing else "a configuration"
        raise ToolError(f"{name} is missing (a run starts from one), name a file such as configs/09_levi_linear.yaml")
    lines = run_lines(configurations, [axis_of(word) for word in options.words if "=" in word])
    if options.check:
        check(lines)
    text = "".join(shlex.join(words) + "\n" for words in lines)
    if options.output is None:
        print(text, end="")
        return 0
    options.output.write_text(text, encoding="utf-8")
    print(f"{len(lines)} runs: sbatch --array=1-{len(lines)}%{options.at_once} slurm/array.sbatch {options.output}")
    return 0


if __name__ == "__main__":
    run_tool(main)

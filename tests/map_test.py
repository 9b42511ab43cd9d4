#!/usr/bin/env python3
"""Is src/README.md, the map, true? Reads its two tables and checks every #include and every room's CMakeLists.txt.

Prints each offence as file:line, what stands there and what is allowed. Run by ctest as `map`; needs Python alone.
"""
import re
import sys
import tempfile
import unittest
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
SOURCES = {".cpp", ".hpp", ".in"}
INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^>"]+)[>"]')
EVERYWHERE = ["fmt"]


def read_table(text, first_heading):
    """Rows of the Markdown table whose first heading is the given one, without heading and rule."""
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith(f"| {first_heading} |"):
            break
    next(lines, None)
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


class Map:
    """The two tables: rooms in dependency order, and the headers behind each third party's name."""

    def __init__(self, repository):
        text = (repository / "src" / "README.md").read_text()
        self.headers = {name: re.findall(r"`([^`]+)`", cell) for name, cell in read_table(text, "third party")}
        self.rooms = {}
        for folder, _, rooms, parties in read_table(text, "folder"):
            self.rooms[folder.strip("`")] = (rooms.strip("-").split(), parties.strip("-").replace(",", " ").split())

    def problems(self):
        """What is wrong with the tables themselves: unknown names, and a room that does not stand above its user."""
        above = set()
        for folder, (rooms, parties) in self.rooms.items():
            for room in set(rooms) - above:
                yield f"src/README.md: {folder} may include {room} (which does not stand above it in the table)"
            for party in set(parties) - set(self.headers):
                yield f"src/README.md: {folder} names {party} (which has no row in the table of headers)"
            above.add(folder.split("/")[-1])

    def party_of(self, header):
        for party, prefixes in self.headers.items():
            for prefix in prefixes:
                if header == prefix or (prefix.endswith("/") and header.startswith(prefix)):
                    return party
        return None


def room_of(path):
    """The row of the map that a path relative to the repository belongs to."""
    if path.parts[0] == "experiments":
        return "experiments"
    return "/".join(path.parts[:2])


def sources(repository):
    for top in ("src", "experiments"):
        for path in sorted((repository / top).rglob("*")):
            if path.suffix in SOURCES and path.relative_to(repository).parts[:2] != ("src", "cmake"):
                yield path.relative_to(repository)


def resolve(repository, include):
    """The file that a quoted include means, relative to the repository; None when there is none."""
    for path in (Path("src") / include, Path(include)):
        if (repository / path).is_file() or (repository / f"{path}.in").is_file():
            return path
    return None


def is_standard(header):
    return "." not in header and "/" not in header


class Checker:
    def __init__(self, repository):
        self.repository = repository
        self.map = Map(repository)
        self.offences = list(self.map.problems())
        self.uses = {}  # file -> files that it includes, to find cycles of headers

    def check(self):
        for folder in sorted((self.repository / "src").iterdir()):
            if folder.is_dir() and folder.name != "cmake" and f"src/{folder.name}" not in self.map.rooms:
                self.offences.append(f"src/README.md: src/{folder.name} has no row")
        for folder in self.map.rooms:
            if not (self.repository / folder).exists():
                self.offences.append(f"src/README.md: {folder} does not exist")
        for path in sources(self.repository):
            self.check_file(path)
        for folder in self.map.rooms:
            self.check_cmake(folder)
        self.check_cycles()
        return self.offences

    def check_file(self, path):
        room = room_of(path)
        if room not in self.map.rooms:
            return  # its folder is already reported
        for number, line in enumerate((self.repository / path).read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if match:
                check = self.check_quoted if match[1] == '"' else self.check_angled
                check(path, room, f"{path}:{number}", match[2])

    def check_quoted(self, path, room, where, include):
        target = resolve(self.repository, include)
        if target is None:
            self.offences.append(f'{where}: "{include}" is no file of src or of the repository')
            return
        self.uses.setdefault(path, set()).add(target)
        target_room = room_of(target)
        allowed = self.map.rooms[room][0]
        if target_room != room and target_room.split("/")[-1] not in allowed:
            self.offences.append(f'{where}: {room} includes "{include}" (it may include: {" ".join(allowed) or "-"})')
        elif room == "experiments" and len(path.parts) > 2 and target.parts[0] == "experiments":
            if target.parts[1] != path.parts[1]:
                self.offences.append(f'{where}: "{include}" belongs to another experiment (what two share moves down)')

    def check_angled(self, path, room, where, header):
        allowed = EVERYWHERE + self.map.rooms[room][1]
        if not is_standard(header) and self.map.party_of(header) not in allowed:
            self.offences.append(f"{where}: {room} includes <{header}> (third party allowed here: {' '.join(allowed)})")

    def check_cmake(self, folder):
        """A room links exactly the rooms that its row names."""
        path = self.repository / folder / "CMakeLists.txt"
        if not path.is_file():
            return
        linked = set(re.findall(r"\bgs_(\w+)", path.read_text())) - {folder.split("/")[-1]}
        named = set(self.map.rooms[folder][0])
        for room in sorted(linked ^ named):
            verb = "links, but its row in src/README.md does not name," if room in linked else "does not link"
            self.offences.append(f"{folder}/CMakeLists.txt: {verb} {room}")

    def check_cycles(self):
        done, path = set(), []

        def visit(file):
            if file in path:
                self.offences.append("a cycle of includes: " + " -> ".join(map(str, path[path.index(file):] + [file])))
            elif file not in done:
                path.append(file)
                for used in sorted(self.uses.get(file, ())):
                    visit(used)
                path.pop()
                done.add(file)

        for file in sorted(self.uses):
            visit(file)


class ThisRepository(unittest.TestCase):
    def test_follows_its_map(self):
        checker = Checker(REPOSITORY)
        self.assertEqual("\n".join(checker.check()), "")
        self.assertGreater(sum(map(len, checker.uses.values())), 100, "hardly any #include was found")


class BrokenRepositories(unittest.TestCase):
    """Each rule is broken once, in a small repository that otherwise follows its map."""

    README = (
        "| folder | question | may include | third party |\n|---|---|---|---|\n"
        "| `src/base` | a | - | - |\n| `src/comm` | b | base | MPI |\n| `experiments` | c | base | - |\n\n"
        "| third party | headers |\n|---|---|\n| fmt | `fmt/` |\n| MPI | `mpi.h` |\n"
    )
    FILES = {
        "src/README.md": README,
        "src/base/error.hpp": "#include <string>\n#include <fmt/format.h>\n",
        "src/comm/peers.hpp": '#include "base/error.hpp"\n#include <mpi.h>\n',
        "src/comm/CMakeLists.txt": "grokscope_room(comm USES gs_base)\n",
        "experiments/01_a/a.hpp": '#include "base/error.hpp"\n',
        "experiments/02_b/b.hpp": "",
    }

    def offences(self, **changes):
        """What is found when the files named by their paths are replaced."""
        with tempfile.TemporaryDirectory() as folder:
            for name, text in {**self.FILES, **changes}.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return Checker(Path(folder)).check()

    def test_nothing_broken(self):
        self.assertEqual(self.offences(), [])

    def test_include_of_a_room_below(self):
        found = self.offences(**{"src/base/error.hpp": '\n#include "comm/peers.hpp"\n'})
        self.assertEqual(found[0], 'src/base/error.hpp:2: src/base includes "comm/peers.hpp" (it may include: -)')

    def test_third_party_of_another_room(self):
        found = self.offences(**{"src/base/error.hpp": "#include <mpi.h>\n"})
        self.assertEqual(found, ["src/base/error.hpp:1: src/base includes <mpi.h> (third party allowed here: fmt)"])

    def test_unknown_third_party(self):
        self.assertRegex(self.offences(**{"src/comm/peers.hpp": "#include <boost/any.hpp>\n"})[0], "boost/any.hpp")

    def test_missing_file(self):
        self.assertRegex(self.offences(**{"src/comm/peers.hpp": '#include "base/gone.hpp"\n'})[0], "is no file")

    def test_experiment_of_another_experiment(self):
        found = self.offences(**{"experiments/01_a/a.hpp": '#include "experiments/02_b/b.hpp"\n'})
        self.assertRegex(found[0], "^experiments/01_a/a.hpp:1: .* another experiment")

    def test_experiment_that_sees_ranks(self):
        found = self.offences(**{"experiments/01_a/a.hpp": '#include "comm/peers.hpp"\n'})
        self.assertRegex(found[0], "experiments includes \"comm/peers.hpp\"")

    def test_folder_without_a_row(self):
        self.assertEqual(self.offences(**{"src/new/a.hpp": ""}), ["src/README.md: src/new has no row"])

    def test_row_without_a_folder(self):
        row = "| `src/comm` |"
        readme = self.README.replace(row, f"| `src/gone` | x | - | - |\n{row}")
        self.assertEqual(self.offences(**{"src/README.md": readme}), ["src/README.md: src/gone does not exist"])

    def test_row_that_names_a_later_one(self):
        readme = self.README.replace("| a | - |", "| a | comm |")
        self.assertRegex(self.offences(**{"src/README.md": readme})[0], "does not stand above")

    def test_linked_but_not_named(self):
        found = self.offences(**{"src/base/CMakeLists.txt": "grokscope_room(base USES gs_comm)\n"})
        self.assertRegex(found[0], "src/base/CMakeLists.txt: links, .* comm")

    def test_named_but_not_linked(self):
        found = self.offences(**{"src/comm/CMakeLists.txt": "grokscope_room(comm)\n"})
        self.assertEqual(found, ["src/comm/CMakeLists.txt: does not link base"])

    def test_headers_in_a_circle(self):
        files = {"src/base/error.hpp": '#include "base/text.hpp"\n', "src/base/text.hpp": '#include "base/error.hpp"\n'}
        self.assertRegex(self.offences(**files)[0], "^a cycle of includes")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])

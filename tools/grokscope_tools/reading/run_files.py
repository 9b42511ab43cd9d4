"""How does a run directory answer, file by file? Opens its files, keeps them open, and says which commit they are of.

What is not there is None; a file that cannot be read is a ToolError. It must know nothing of what the files hold.
"""
import collections
import json
import os
import time
import weakref
from pathlib import Path

import h5py

from grokscope_tools.command_line.process import ENVIRONMENT_ERROR, ToolError

OPEN_FILES = 32  # of all runs together: a study has hundreds
METRICS, GOP_FULL, GOP_LAYERS, DATA = "metrics.h5", "gop_full.h5", "gop_layers.h5", "data.h5"
STUDY = "study.h5"

recently_used = collections.OrderedDict()  # {(id of a RunFiles, file name): weak reference to it}, the oldest first


class RunFiles:
    """The files of one run directory, read lazily. A file stays open until refresh(), or until OPEN_FILES others have been
    asked since; all that it answers meanwhile belongs to one commit. Where a file that was closed for others has been
    replaced when it is asked again, everything is read anew. refresh() moves on to the newest commit."""

    def __init__(self, folder):
        self.path = Path(folder)
        self.files_ = {}
        self.stamps_ = {}  # of the files that were opened since refresh(): which file it was
        self.cache_ = {}

    @property
    def name(self):
        return self.path.resolve().name

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.refresh()

    def refresh(self):
        """Closes the files and forgets what was read: the next question sees the newest commit."""
        for name in list(self.files_):
            self.close_(name)
        self.stamps_.clear()
        self.cache_.clear()

    def read_(self, file_name, question):
        """Answers `question(file)`; None when the file is not there. A file that is just being replaced may
        fail once: it is opened again."""
        for attempt in (1, 2):
            try:
                return question(self.file_(file_name))
            except (OSError, RuntimeError) as error:
                self.close_(file_name)
                if attempt == 2:
                    if not (self.path / file_name).exists():
                        return None
                    raise ToolError(
                        f"{self.path / file_name} cannot be read ({error}), check it with h5ls; a started "
                        "run restores its published files when it is resumed",
                        ENVIRONMENT_ERROR,
                    ) from error
            if (self.path / file_name).exists():
                time.sleep(0.2)

    def file_(self, name):
        """The open file; the one that was not asked for longest is closed where too many are open."""
        if name not in self.files_:
            stamp = stamp_of(self.path / name)
            if self.stamps_.get(name, stamp) != stamp:
                self.refresh()
            self.files_[name], self.stamps_[name] = h5py.File(self.path / name, "r"), stamp
        if name != DATA:  # that one is handed out by data()
            recently_used[id(self), name] = weakref.ref(self)
            recently_used.move_to_end((id(self), name))
        while len(recently_used) > OPEN_FILES:
            (_, oldest), owner = recently_used.popitem(last=False)
            if owner() is not None:
                owner().close_(oldest)
        return self.files_[name]

    def close_(self, name):
        file = self.files_.pop(name, None)
        if file is not None:
            file.close()
        recently_used.pop((id(self), name), None)

    def read_text_(self, file_name):
        try:
            return (self.path / file_name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise ToolError(
                f"{self.path / file_name} cannot be read ({error}), check its permissions", ENVIRONMENT_ERROR
            ) from error

    def read_json_(self, file_name):
        text = self.read_text_(file_name)
        try:
            return None if text is None else json.loads(text)
        except json.JSONDecodeError as error:
            raise ToolError(
                f"{self.path / file_name} is not JSON ({error}), resume the run to write it again",
                ENVIRONMENT_ERROR,
            ) from error


def stamp_of(path):
    """What tells a file from one that replaces it; None when missing."""
    try:
        facts = os.stat(path)
    except FileNotFoundError:
        return None
    return facts.st_ino, facts.st_mtime_ns, facts.st_size

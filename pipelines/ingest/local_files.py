"""Files of a local folder, links followed: a real file once, and no way round in a circle.

Java takes names by its locale and follows a link that leads back forty times over; Python lists
bytes, and knows what it has seen.
"""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from pipelines.errors import LandingError

logger = logging.getLogger(__name__)

_LEGAL_IN_A_LINK = re.compile(r"[A-Za-z0-9_\-!.~'()*:@&=+$,;/]")


@dataclass(frozen=True)
class Found:
    """A file as it was found; `path` is how it was come by, through links."""

    path: str
    modified_ms: int
    length: int


def is_hidden(name: str) -> bool:
    """Tell whether a file or folder is none to Spark: half written, or another program's."""
    if name.startswith(("_metadata", "_common_metadata")):
        return True
    is_partition = name.startswith("_") and "=" in name
    return (name.startswith(("_", ".")) and not is_partition) or name.endswith("._COPYING_")


def find_files(roots: Iterable[str], known: Collection[str] = ()) -> list[Found]:
    """Return the files in and below `roots` (files or folders), each real file once.

    Where several names lead to one file, the one that is no link counts; of links, one that is
    among `known` (paths that were read before, or folders of such), else the first by name. A hard
    link is a file of its own: both names are real. Empty files are passed over.
    """
    search = _Search(frozenset(_with_folders(known)))
    search.through(sorted(roots))
    return sorted(search.found, key=lambda one: one.path)


def link_of(path: str) -> str:
    """Write a local path as Java writes the URI `file:<path>`: what is no letter of a URI escaped.

    Letters beyond ASCII stand for themselves, but for blanks and control characters.
    """
    return "file:" + "".join(map(_escaped, path))


def as_text(path: str) -> str | None:
    """Return a name as UTF-8 text, or None where its bytes are none."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return None
    return path


def shown(path: str) -> str:
    """Write a name for people and tables: a byte that is no text by its number, in hexadecimal."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def has_other_letters(root: str) -> bool:
    """Tell whether a name in or below a folder has letters beyond ASCII."""
    names = (name for _, folders, files in os.walk(root) for name in (*folders, *files))
    return any(not name.isascii() for name in names)


_JAVA_BLANKS = "\u00a0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)


def _escaped(letter: str) -> str:
    is_odd = letter.isascii() or letter in _JAVA_BLANKS or "\x80" <= letter <= "\x9f"
    if _LEGAL_IN_A_LINK.match(letter) or not is_odd:
        return letter
    return "".join(f"%{byte:02X}" for byte in letter.encode("utf-8"))


def _with_folders(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        while path and path != "/":
            yield path
            path = path.rpartition("/")[0]


@dataclass
class _Search:
    known: frozenset[str]
    found: list[Found] = field(default_factory=list)
    seen: set[tuple[int, int]] = field(default_factory=set)
    """Real folders, by device and number."""
    real_files: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)

    def through(self, roots: Iterable[str]) -> None:
        """Go through what is no link first: its names win."""
        for root in roots:
            self._take(root, is_link=os.path.islink(root))  # noqa: PTH114
        while self.links:
            # Links may lead to more links: each round begins with those that were used before.
            self.links.sort(key=lambda path: (path not in self.known, path))
            self._follow(self.links.pop(0))

    def _take(self, path: str, *, is_link: bool) -> None:
        if is_link:
            self.links.append(path)
        else:
            self._follow(path)

    def _follow(self, path: str) -> None:
        try:
            facts = os.stat(path)  # noqa: PTH116
        except OSError as error:
            # It leads nowhere, or round in a circle: it is told when it is opened.
            logger.debug("%s: %s", shown(path), error)
            facts = os.lstat(path)
        if stat.S_ISDIR(facts.st_mode):
            self._folder(path, (facts.st_dev, facts.st_ino))
        elif stat.S_ISREG(facts.st_mode) or stat.S_ISLNK(facts.st_mode):
            self._file(path, facts)
        else:
            logger.warning("%s is neither a file nor a folder; it is passed by", shown(path))

    def _folder(self, path: str, number: tuple[int, int]) -> None:
        if number in self.seen:
            return
        self.seen.add(number)
        try:
            with os.scandir(path) as entries:
                inside = sorted((entry.name, entry.is_symlink()) for entry in entries)
        except OSError as error:
            raise LandingError(
                f"the folder {shown(path)} can't be listed: {error.strerror}. Let the user that "
                "runs ingest read it, or move it out of the landing folder."
            ) from error
        for name, is_link in inside:
            if not is_hidden(name):
                self._take(f"{path.rstrip('/')}/{name}", is_link=is_link)

    def _file(self, path: str, facts: os.stat_result) -> None:
        real = os.path.realpath(path)
        if is_hidden(path.rpartition("/")[2]) or real in self.real_files:
            return
        self.real_files.add(real)
        if facts.st_size:
            # As Java has it: whole milliseconds, those that have passed.
            self.found.append(Found(path, facts.st_mtime_ns // 1_000_000, facts.st_size))

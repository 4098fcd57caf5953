"""The data files of a folder, and which of them are deliveries of one table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import LandingError
from pipelines.ingest.csv_text import header_of
from pipelines.ingest.dialect import Dialect
from pipelines.ingest.drift import BadFile
from pipelines.ingest.local_files import Found, as_text, find_files
from pipelines.ingest.opened import read_chunks
from pipelines.profiling.dialects import EncodingEvidence, Finding, head_of, separator_of

_FORMATS = {
    "csv": (".csv", ".tsv", ".txt", ".tab", ".dat"),
    "json": (".json", ".jsonl", ".ndjson"),
    "parquet": (".parquet", ".pq", ".parq"),
}
_PACKED = (".gz", ".bz2", ".xz", ".zst", ".deflate", ".snappy")
_NOT_READ = {
    ".zip": "a zip archive: unpack it (`unzip`), or deliver .gz files",
    ".xlsx": "a workbook of Excel: save each sheet as CSV (UTF-8)",
    ".xls": "a workbook of Excel: save each sheet as CSV (UTF-8)",
    ".tar": "an archive: unpack it",
    ".sqlite": "a database: export its tables as CSV or Parquet",
    ".db": "a database: export its tables as CSV or Parquet",
}
ALIKE = 0.6
"""Share of two headers' names that are in both, from which they are of one table."""


@dataclass(frozen=True)
class DataFile:
    """A file, and how it is written. `names` are a header's (CSV), or fields (Parquet)."""

    path: str
    """Below the folder."""
    found: Found
    format: str
    names: tuple[str, ...] = ()
    encoding: Finding | None = None
    separator: Finding | None = None

    @property
    def written(self) -> tuple[str, ...]:
        """What must be the same in all files of a source."""
        one, other = self.encoding, self.separator
        plain = {"utf-8", "ascii"}
        encoding = "utf-8" if one and one.value in plain else one.value if one else ""
        return self.format, encoding, other.value if other else ""


@dataclass(frozen=True)
class Table:
    """Files that are deliveries of one table."""

    files: tuple[DataFile, ...]
    path: str
    """Folder or glob below the folder that finds these files, and no others."""

    @property
    def format(self) -> str:
        """The format of its files."""
        return self.files[0].format

    @property
    def names(self) -> tuple[str, ...]:
        """All names of its files' headers, those of the first file first."""
        return tuple(dict.fromkeys(name for file in self.files for name in file.names))

    @property
    def drifts(self) -> bool:
        """Whether some file lacks a name that another one has."""
        return any(set(file.names) != set(self.names) for file in self.files)

    @property
    def num_bytes(self) -> int:
        """The files' length."""
        return sum(file.found.length for file in self.files)


@dataclass(frozen=True)
class Folder:
    """What a folder holds: tables, the largest first, and files that can't be read, with why."""

    root: str
    tables: tuple[Table, ...]
    aside: dict[str, str]


def look_into(root: Path) -> Folder:
    """Find the tables in a folder. Raises LandingError where there is no file that can be read."""
    if not root.is_dir():
        raise LandingError(
            f"{root} is {'a file' if root.exists() else 'not there'}; expected a folder with data "
            "files: --from FOLDER."
        )
    files: list[DataFile] = []
    aside: dict[str, str] = {}
    for found in find_files([str(root)]):
        path = str(Path(found.path).relative_to(root))
        try:
            files.append(_data_file(path, found))
        except (BadFile, ValueError, UnicodeError) as error:
            aside[path] = str(error)
    if not files:
        raise LandingError(_nothing(root, aside))
    return Folder(str(root), tuple(_tables(files)), aside)


def _nothing(root: Path, aside: dict[str, str]) -> str:
    said = "; ".join(f"{path}: {why}" for path, why in list(aside.items())[:5])
    known = " ".join(ending for endings in _FORMATS.values() for ending in endings)
    return (
        f"{root} holds no file that can be read{f' ({said})' if said else ''}; expected data files "
        f"there ({known}, packed ones too), or another folder: --from FOLDER."
    )


def _data_file(path: str, found: Found) -> DataFile:
    name = as_text(path)
    if name is None:
        raise ValueError("its name is no UTF-8 text; give it another one")
    kind = format_of(name)
    if kind == "parquet":
        return DataFile(path, found, kind, _fields(found.path))
    if kind == "json":
        return DataFile(path, found, kind)
    uri = f"file:{found.path}"
    evidence = EncodingEvidence()
    for chunk in read_chunks(uri):
        evidence.add(chunk)
    encoding = evidence.finding()
    separator = separator_of(head_of(read_chunks(uri), encoding.value))
    options = {"encoding": encoding.value, "sep": separator.value}
    names = header_of(uri, Dialect.of(options)).header
    return DataFile(path, found, kind, names, encoding, separator)


def format_of(path: str) -> str:
    """Return csv, json or parquet; raise ValueError, with what to do, for another file."""
    plain = path.lower()
    for packed in _PACKED:
        plain = plain.removesuffix(packed)
    for kind, endings in _FORMATS.items():
        if plain.endswith(endings):
            return kind
    for ending, why in _NOT_READ.items():
        if plain.endswith(ending):
            raise ValueError(why)
    known = ", ".join(ending for endings in _FORMATS.values() for ending in endings)
    raise ValueError(f"no data file by its ending; expected one of {known}")


def _fields(path: str) -> tuple[str, ...]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(path).names
    except (pa.ArrowInvalid, OSError) as error:
        raise BadFile(f"damaged: {str(error).splitlines()[0][:200]}") from error
    return tuple(name for name in names if not re.fullmatch(r"__index_level_\d+__", name))


def _tables(files: Sequence[DataFile]) -> list[Table]:
    groups: list[list[DataFile]] = []
    for file in files:
        for group in groups:
            if _is_of(file, group):
                group.append(file)
                break
        else:
            groups.append([file])
    all_paths = [file.path for file in files]
    found = [Table(tuple(one), path_of([file.path for file in one], all_paths)) for one in groups]
    return sorted(found, key=lambda one: -one.num_bytes)


def _is_of(file: DataFile, group: Sequence[DataFile]) -> bool:
    """Tell whether a file is one more delivery of a group's table."""
    first = group[0]
    if file.written != first.written:
        return False
    if file.format == "json":
        return _stem(file.path) == _stem(first.path)
    ours, theirs = set(file.names), set(first.names)
    return len(ours & theirs) >= ALIKE * len(ours | theirs)


def _stem(path: str) -> str:
    """Return a path without what differs from delivery to delivery: digits, and what is between."""
    folder, _, name = path.rpartition("/")
    stem = re.sub(r"[\d_.-]*\d[\d_.-]*", "#", name.partition(".")[0])
    return f"{re.sub(r'[0-9]+', '#', folder)}/{stem}"


def path_of(paths: Sequence[str], all_paths: Iterable[str]) -> str:
    """Return the folder or glob that finds `paths` and none else of `all_paths`.

    Raises LandingError where none does.
    """
    others = set(all_paths) - set(paths)
    folder = _common_folder(paths)
    if folder and not any(other.startswith(f"{folder}/") for other in others):
        return _escaped(folder)
    below = f"{_escaped(folder)}/" if folder else ""
    names = [path.removeprefix(f"{folder}/") if folder else path for path in paths]
    if not any("/" in name for name in names):
        for glob in _globs(names):
            if not any(_matches(f"{below}{glob}", other) for other in others):
                return f"{below}{glob}"
    raise LandingError(
        f"{len(paths)} files of one table, the first {paths[0]}, lie among files of others. Put "
        "each table's files into a folder of its own."
    )


def _common_folder(paths: Sequence[str]) -> str:
    folders = [path.split("/")[:-1] for path in paths]
    common: list[str] = []
    for parts in zip(*folders, strict=False):
        if len(set(parts)) > 1:
            break
        common.append(parts[0])
    return "/".join(common)


def _globs(names: Sequence[str]) -> list[str]:
    """Return globs that all names match: by their ending alone, then by their beginning, too."""
    endings = {name[name.find(".") :] if "." in name else "" for name in names}
    first = "." + next(iter(endings)).split(".")[1] if all(endings) else ""
    same = all(ending.startswith(first) for ending in endings)
    ending = _escaped(next(iter(endings))) if len(endings) == 1 else f"{first}*" if same else ""
    begin = names[0].partition(".")[0]
    for name in names[1:]:
        while not name.startswith(begin):
            begin = begin[:-1]
    stem = re.sub(r"\d[\d_.-]*$", "", begin)
    return [f"*{ending}", f"{_escaped(stem)}*{ending}", f"{_escaped(begin)}*{ending}"]


def _escaped(name: str) -> str:
    """Return a name as a glob that matches it: `?` for letters that mean something in globs."""
    return re.sub(r"[\[\]{}*?\\]", "?", name)


def _matches(glob: str, path: str) -> bool:
    pattern = re.escape(glob).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
    return re.fullmatch(pattern, path) is not None


def sampled(files: Sequence[DataFile], most_bytes: int) -> tuple[DataFile, ...]:
    """Return the files to look at: all, or some spread evenly over their names."""
    size = sum(file.found.length for file in files)
    if size <= most_bytes:
        return tuple(files)
    wanted = max(1, int(len(files) * most_bytes / size))
    step = len(files) / wanted
    return tuple(files[int(place * step)] for place in range(wanted))

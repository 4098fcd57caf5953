"""Takes a subject out of Delta's log: statistics of files that held it, conditions that name it.

A table's versions stay listed and in order; statistics are a help to readers that may be missing.
Content in, content out.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from pipelines.lake.log_text import documents

if TYPE_CHECKING:
    import pyarrow as pa

GONE = "(erased)"
_OF_FILES = ("add", "remove", "cdc")
_STATISTICS = ("stats", "stats_parsed")


@dataclass(frozen=True)
class Unreadable:
    """Files of a table that are gone: `erased` now, or not among those `stored` any more.

    Nobody reads their statistics, and those of files that an earlier VACUUM removed may name a
    subject, too, if only by the beginning of a long text.
    """

    erased: frozenset[str]
    stored: frozenset[str]

    def __contains__(self, name: object) -> bool:
        if name in self.erased:
            return True
        is_elsewhere = str(name).startswith("/") or ":" in str(name)
        return name not in self.stored and not is_elsewhere


def redact_commit(
    text: str, files: Container[str], is_named_in: Callable[[str], bool]
) -> str | None:
    """Return a commit (or a checkpoint of JSON lines) without the subject; None if unchanged.

    `files` are names relative to the table. `is_named_in` tells whether a text names the subject.
    """
    lines, is_changed = [], False
    for line, action in documents(text, "a commit"):
        changed = _redact_files(action, files, is_named_in)
        changed = _redact_info(action.get("commitInfo"), is_named_in) or changed
        lines.append(json.dumps(action, separators=(",", ":")) if changed else line)
        is_changed = is_changed or changed
    return "\n".join(lines) + "\n" if is_changed else None


def _redact_files(
    action: dict[str, Any], files: Container[str], is_named_in: Callable[[str], bool]
) -> bool:
    changed = False
    for kind in _OF_FILES:
        file = action.get(kind)
        if not file:
            continue
        for name in _STATISTICS:
            said = file.get(name)
            if said and (unquote(file["path"]) in files or is_named_in(_text(said))):
                del file[name]
                changed = True
    return changed


def _redact_info(info: dict[str, Any] | None, is_named_in: Callable[[str], bool]) -> bool:
    changed = False
    for name, value in (info or {}).get("operationParameters", {}).items():
        if is_named_in(_text(value)):
            assert info is not None  # it has parameters
            info["operationParameters"][name] = GONE
            changed = True
    return changed


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def redact_checkpoint(
    content: bytes, files: Container[str], is_named_in: Callable[[str], bool]
) -> bytes | None:
    """Return a Parquet checkpoint (or sidecar) without the subject; None if unchanged.

    Statistics of `files` go, and others that name it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(pa.BufferReader(content))
    is_changed = False
    for kind in _OF_FILES:
        if kind not in table.column_names:
            continue
        column = table.column(kind).combine_chunks()
        redacted = _without_statistics(column, files, is_named_in)
        if redacted is not None:
            place = table.column_names.index(kind)
            table = table.set_column(place, pa.field(kind, redacted.type), redacted)
            is_changed = True
    if not is_changed:
        return None
    written = io.BytesIO()
    pq.write_table(table, written, compression="snappy")
    return written.getvalue()


def _without_statistics(
    column: pa.Array, files: Container[str], is_named_in: Callable[[str], bool]
) -> pa.Array | None:
    import pyarrow as pa
    import pyarrow.compute as pc

    names = [field.name for field in column.type]
    paths = pc.struct_field(column, "path").to_pylist()
    said = [pc.struct_field(column, name).to_pylist() for name in _STATISTICS if name in names]
    is_erased = pa.array(
        [
            path is not None
            and any(one[at] is not None for one in said)
            and (unquote(path) in files or any(is_named_in(_text(one[at])) for one in said))
            for at, path in enumerate(paths)
        ]
    )
    if not pc.any(is_erased).as_py():
        return None
    children = []
    for field in column.type:
        child = pc.struct_field(column, field.name)
        if field.name in _STATISTICS:
            # Taken by index: `if_else` knows no nested types.
            kept = [None if gone else at for at, gone in enumerate(is_erased.to_pylist())]
            child = child.take(pa.array(kept, pa.int64()))
        children.append(child)
    return pa.StructArray.from_arrays(children, fields=list(column.type), mask=column.is_null())

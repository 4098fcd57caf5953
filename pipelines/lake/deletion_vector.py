"""Deletion vectors: which rows of a file are deleted.

Formats: "Deletion Vectors" in Delta's protocol document, and the portable serialisation of Roaring
bitmaps (32-bit bitmaps, one for each value of a row index's upper 32 bits).
"""

from __future__ import annotations

import struct
import uuid
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.errors import LakeError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pipelines.lake.storage import TableFiles

_Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
_Z85_VALUE = {letter: value for value, letter in enumerate(_Z85)}
_UUID_LENGTH = 20  # a UUID's 16 bytes in Z85
_MAGIC = 1681511377
_COOKIE, _COOKIE_WITH_RUNS = 12346, 12347
_RUNS_NEED_NO_OFFSETS_BELOW = 4
_ARRAY_AT_MOST = 4096


@dataclass(frozen=True, slots=True)
class DeletionVector:
    """A file's deletion vector as the log describes it.

    `storage` is `u` (a file named by a UUID), `p` (an absolute path) or `i` (inline).
    `num_deleted` is the number of deleted rows.
    """

    storage: str
    path_or_inline: str
    offset: int | None
    num_bytes: int
    num_deleted: int

    @classmethod
    def from_log(cls, action: dict[str, Any]) -> DeletionVector:
        """Read the descriptor of an `add` or `remove` action."""
        return cls(
            storage=action["storageType"],
            path_or_inline=action["pathOrInlineDv"],
            offset=action.get("offset"),
            num_bytes=int(action["sizeInBytes"]),
            num_deleted=int(action["cardinality"]),
        )

    @property
    def unique_id(self) -> str:
        """What tells a file with this vector from the same file with another."""
        suffix = "" if self.offset is None else f"@{self.offset}"
        return f"{self.storage}{self.path_or_inline}{suffix}"

    @property
    def file(self) -> str:
        """Name of the file that holds the vector, relative to the table or absolute."""
        if self.storage == "p":
            return self.path_or_inline
        folder, name = self.path_or_inline[:-_UUID_LENGTH], self.path_or_inline[-_UUID_LENGTH:]
        stem = f"deletion_vector_{uuid.UUID(bytes=_from_z85(name))}.bin"
        return f"{folder}/{stem}" if folder else stem

    def deleted_rows(self, files: TableFiles) -> NDArray[np.int64]:
        """Return the indices of the deleted rows in the file, in rising order."""
        if self.storage == "i":
            rows = read_bitmaps(_from_z85(self.path_or_inline)[: self.num_bytes])
        elif self.storage in ("u", "p"):
            # Before the bitmaps stands their length, behind them their checksum, 4 bytes each.
            block = files.read(self.file, self.offset or 0, self.num_bytes + 8)
            bitmaps = block[4 : 4 + self.num_bytes]
            if struct.unpack(">i", block[:4])[0] != self.num_bytes or zlib.crc32(
                bitmaps
            ) != int.from_bytes(block[4 + self.num_bytes :], "big"):
                raise LakeError(
                    f"the deletion vector {self.file} of {files.table} is damaged: its length or "
                    "checksum is not what was written. Restore the file, or rewrite the table."
                )
            rows = read_bitmaps(bitmaps)
        else:
            raise LakeError(
                f"a deletion vector of {files.table} has storage type '{self.storage}'; expected "
                "one of 'u', 'p', 'i'. REORG TABLE ... APPLY (PURGE) makes the table readable."
            )
        if len(rows) != self.num_deleted:
            raise LakeError(
                f"a deletion vector of {files.table} marks {len(rows)} rows, its table's log "
                f"says {self.num_deleted}. REORG TABLE ... APPLY (PURGE) rewrites the file."
            )
        return rows


def _from_z85(text: str) -> bytes:
    words = []
    for start in range(0, len(text), 5):
        value = 0
        for letter in text[start : start + 5]:
            value = value * 85 + _Z85_VALUE[letter]
        words.append(value.to_bytes(4, "big"))
    return b"".join(words)


def read_bitmaps(content: bytes) -> NDArray[np.int64]:
    """Return the numbers in a serialised RoaringBitmapArray, in rising order."""
    import numpy as np

    magic, count = struct.unpack_from("<iq", content, 0)
    if magic != _MAGIC:
        raise LakeError(
            f"a deletion vector starts with {magic}; expected {_MAGIC} (portable Roaring bitmaps). "
            "REORG TABLE ... APPLY (PURGE) makes the table readable."
        )
    at, parts = 12, [np.empty(0, np.int64)]
    for _ in range(count):
        (high,) = struct.unpack_from("<i", content, at)
        values, at = _read_bitmap(content, at + 4)
        parts.append(values + (high << 32))
    return np.concatenate(parts)


def _read_bitmap(content: bytes, at: int) -> tuple[NDArray[np.int64], int]:
    """Return the numbers in one 32-bit Roaring bitmap, and where it ends."""
    import numpy as np

    (cookie,) = struct.unpack_from("<I", content, at)
    has_runs = cookie & 0xFFFF == _COOKIE_WITH_RUNS
    if has_runs:
        size = (cookie >> 16) + 1
        flags = np.frombuffer(content, np.uint8, (size + 7) // 8, at + 4)
        is_run = np.unpackbits(flags, count=size, bitorder="little").astype(bool)
        at += 4 + len(flags)
    elif cookie == _COOKIE:
        (size,) = struct.unpack_from("<I", content, at + 4)
        is_run = np.zeros(size, bool)
        at += 8
    else:
        raise LakeError(f"a deletion vector holds no Roaring bitmap: it starts with {cookie}")
    header = np.frombuffer(content, "<u2", 2 * size, at).astype(np.int64)
    at += 4 * size
    if not has_runs or size >= _RUNS_NEED_NO_OFFSETS_BELOW:
        at += 4 * size
    parts = [np.empty(0, np.int64)]
    for key, last, run in zip(header[::2], header[1::2], is_run, strict=True):
        values, at = _read_container(content, at, int(last) + 1, run=bool(run))
        parts.append(values + (key << 16))
    return np.concatenate(parts), at


def _read_container(
    content: bytes, at: int, count: int, *, run: bool
) -> tuple[NDArray[np.int64], int]:
    import numpy as np

    values: NDArray[np.int64]
    if run:
        (runs,) = struct.unpack_from("<H", content, at)
        pairs = np.frombuffer(content, "<u2", 2 * runs, at + 2).astype(np.int64)
        starts, lengths = pairs[::2], pairs[1::2] + 1
        shifts: NDArray[np.int64] = starts - (np.cumsum(lengths) - lengths)
        values = np.repeat(shifts, lengths) + np.arange(lengths.sum(), dtype=np.int64)
        return values, at + 2 + 4 * int(runs)
    if count <= _ARRAY_AT_MOST:
        values = np.frombuffer(content, "<u2", count, at).astype(np.int64)
        return values, at + 2 * count
    bits = np.unpackbits(np.frombuffer(content, np.uint8, 8192, at), bitorder="little")
    values = np.flatnonzero(bits).astype(np.int64)
    return values, at + 8192

"""Landing files as Python reads them: their bytes from any store, unpacked by the name's ending."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from pipelines.errors import LandingError
from pipelines.ingest.drift import BadFile
from pipelines.lake.storage import file_system, local_path

_NOT_READ, _DAMAGED = "can't be read: ", "damaged: "
CHUNK = 4 * 2**20
"""Bytes that are read at a time."""


def read_chunks(uri: str, start: int = 0) -> Iterator[bytes]:
    """Yield a file's content in order, from byte `start` on where it is not compressed.

    Raises BadFile where it can't be read, or its compressed data are broken or end too early.
    """
    packed = next((kind for ending, kind in _PACKED.items() if uri.endswith(ending)), None)
    try:
        with open_bytes(uri) as stream:
            if start:
                stream.seek(start)
            yield from _pieces_of(stream) if packed is None else _unpacked(packed, stream)
    except OSError as error:
        said = error.strerror or next(iter(str(error).splitlines()), type(error).__name__)
        raise BadFile(f"{_NOT_READ}{said[:200]}") from error


def _unpacked(packed: Callable[[Any], Iterator[bytes]], stream: Any) -> Iterator[bytes]:
    try:
        yield from packed(stream)
    except EOFError as error:
        raise BadFile(f"{_DAMAGED}its compressed data end too early") from error
    except (OSError, ValueError, zlib.error, lzma.LZMAError) as error:
        said = next(iter(str(error).splitlines()), type(error).__name__)
        raise BadFile(f"{_DAMAGED}{said[:200]}") from error


def is_packed(uri: str) -> bool:
    """Tell whether a file is compressed, by its name."""
    return uri.endswith(tuple(_PACKED))


def open_bytes(uri: str) -> Any:
    """Open a file on the store that its URI names."""
    local = local_path(uri)
    if local is not None:
        return local.open("rb")
    try:
        system, path = file_system(uri)
    except ImportError as error:
        raise LandingError(
            f"{uri} can't be opened from Python, which reads CSV files: {error}. Install fsspec's "
            "package for this store (docs/stores.md)."
        ) from error
    return system.open(path, "rb")


def _pieces_of(stream: Any) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK):
        yield bytes(chunk)


def _deflated(stream: Any) -> Iterator[bytes]:
    unpack = zlib.decompressobj()
    for chunk in _pieces_of(stream):
        left = chunk
        while left:
            unpack = zlib.decompressobj() if unpack.eof else unpack
            yield unpack.decompress(left)
            left = unpack.unused_data
    yield unpack.flush()
    if not unpack.eof:
        raise EOFError


def _one_behind_another(new: Callable[[], Any], stream: Any) -> Iterator[bytes]:
    """Unpack texts that were compressed each by itself, and raise for what is none behind them.

    Python's own files of these kinds pass over whatever follows the first, if it isn't one.
    """
    unpack = new()
    for chunk in _pieces_of(stream):
        left = chunk
        while left:
            if unpack.eof:
                left = left.lstrip(b"\0")  # Zeros between and behind them are filling, to `xz`.
                unpack = new() if left else unpack
                continue
            yield unpack.decompress(left, CHUNK)
            left = unpack.unused_data
            while not (unpack.eof or unpack.needs_input):
                yield unpack.decompress(b"", CHUNK)
                left = unpack.unused_data
    if not unpack.eof:
        raise EOFError


def _zstd(stream: Any) -> Iterator[bytes]:
    import pyarrow as pa

    yield from _pieces_of(pa.CompressedInputStream(pa.PythonFile(stream, "r"), "zstd"))


def _snappy(stream: Any) -> Iterator[bytes]:
    """Unpack Hadoop's framing: the block's size, then its parts, each with the size it takes."""
    import pyarrow as pa

    codec = pa.Codec("snappy")

    def taken(size: int) -> bytes:
        found: bytes = stream.read(size)
        if len(found) < size:
            raise EOFError
        return found

    while head := stream.read(4):
        left = int.from_bytes(head + taken(4 - len(head)), "big")
        while left > 0:
            part = taken(int.from_bytes(taken(4), "big"))
            done = codec.decompress(part, _size_of(part), asbytes=True)
            left -= len(done)
            yield done


def _size_of(part: bytes) -> int:
    """Return the size that a part begins with: seven bits a byte, the lowest first."""
    size = 0
    for place, byte in enumerate(part[:5]):
        size |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            break
    return size


def _lz4(_: Any) -> Iterator[bytes]:
    raise BadFile(f"{_DAMAGED}LZ4 is not read here; deliver it compressed as .gz or .zst")


# The streams that they read are closed by whoever opened them.
_PACKED: dict[str, Callable[[Any], Iterator[bytes]]] = {
    ".gz": lambda stream: _pieces_of(gzip.GzipFile(fileobj=stream)),
    ".bz2": partial(_one_behind_another, bz2.BZ2Decompressor),
    ".xz": partial(_one_behind_another, lzma.LZMADecompressor),
    ".deflate": _deflated,
    ".zst": _zstd,
    ".snappy": _snappy,
    ".lz4": _lz4,
}

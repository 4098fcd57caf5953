"""What stands in Delta's log: JSON objects, one a line or written over several; versions told."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.errors import LogDamaged

_WHITESPACE = " \t\r\n"


def documents(content: bytes | str, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each JSON object of a text, with the characters that it is written in.

    Only a line feed ends a line: `str.splitlines` also cuts at U+2028, U+0085 and others, which
    JSON allows inside of a text. Raises LogDamaged where `place`, the file, is cut off or no JSON.
    """
    try:
        text = content if isinstance(content, str) else content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _damaged(place, f"byte {error.start + 1} is no UTF-8") from error
    try:
        found = [(line, json.loads(line)) for line in text.split("\n") if line.strip(_WHITESPACE)]
    except ValueError:
        found = list(_over_lines(text, place))
    if not found:
        raise _damaged(place, "it is empty")
    for written, value in found:
        if not isinstance(value, dict):
            raise _damaged(place, f"{written[:40]!r} is no JSON object")
    yield from found


def _over_lines(text: str, place: str) -> Iterator[tuple[str, Any]]:
    decoder, at = json.JSONDecoder(), 0
    while True:
        while at < len(text) and text[at] in _WHITESPACE:
            at += 1
        if at == len(text):
            return
        try:
            value, end = decoder.raw_decode(text, at)
        except ValueError as error:
            line = text.count("\n", 0, at) + 1
            raise _damaged(
                place, f"the JSON object that begins in line {line} is broken"
            ) from error
        yield text[at:end], value
        at = end


def _damaged(place: str, what: str) -> LogDamaged:
    return LogDamaged(
        f"{place} is damaged: {what}; expected whole JSON objects. A crash or a copy may have cut "
        "it off. Bring the file back from where the table was copied from, or, where it is the "
        "newest commit and nothing writes to the table, take it away: the table is then as it was "
        "one version before."
    )


def what_is_there(
    table: str, wanted: int, commits: Mapping[int, str], checkpoints: Mapping[int, list[str]]
) -> str:
    """Say which versions the log can tell: from a checkpoint, or commit 0, on without a gap."""
    readable = set(checkpoints)
    for at in sorted(commits):
        if at == 0 or at - 1 in readable:
            readable.add(at)
    spans: list[list[int]] = []
    for at in sorted(readable):
        if spans and spans[-1][1] == at - 1:
            spans[-1][1] = at
        else:
            spans.append([at, at])
    told = " and ".join(str(a) if a == b else f"{a} to {b}" for a, b in spans)
    newest = max([*commits, *checkpoints])
    lack = ""
    if wanted <= newest:
        start = max((at for at in checkpoints if at <= wanted), default=-1)
        gone = next(at for at in range(start + 1, wanted + 1) if at not in commits)
        lack = f" The commit {gone} that lies between is not in its log: it was cleaned up or lost."
    versions = "no version" if not told else f"version{'s' if len(readable) > 1 else ''} {told}"
    return (
        f"{table} can't be read at version {wanted}: its log tells {versions}.{lack} "
        "Give a version that is there."
    )

"""What a stage's exit code and last lines mean to who started it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_OURS = "tidemill: "
_FINAL = frozenset({2, 3})
"""Exit codes of wrong usage or settings, and of a rule or a gate that refused."""
_LONGEST = 4000


_REMOTE = re.compile(r"User application exited with status (\d+)|\bexit code: (\d+)", re.IGNORECASE)
"""How YARN and Kubernetes tell of a driver that ran there: spark-submit itself ends with 1."""


def remote_codes(lines: Iterable[str]) -> Iterator[int]:
    """Yield the exit codes of drivers elsewhere that spark-submit tells of."""
    for line in lines:
        for found in _REMOTE.finditer(line):
            yield int(found[1] or found[2])


def is_final(exit_code: int | None) -> bool:
    """Tell whether the same stage, run again, would end the same."""
    return exit_code in _FINAL


def what_was_said(lines: Iterable[str], otherwise: str = "") -> str:
    """Return the error that a stage ended with, in one line, or else `otherwise`.

    The error begins with `tidemill: ` and is the last thing that a stage says.
    """
    kept: list[str] = []
    for line in lines:
        if line.startswith(_OURS):
            kept = []
        elif not kept:
            continue
        kept.append(line.strip())
    return " ".join(kept)[:_LONGEST] if kept else otherwise

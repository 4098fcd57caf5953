"""The access log: one JSON line a request, on stdout. It tells no value of any row."""

from __future__ import annotations

import datetime as dt
import json
import sys
from typing import Any, TextIO


class AccessLog:
    """Writes lines of what was asked and answered."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Write to `stream`, by default to what is stdout at that moment."""
        self._stream = stream

    def __call__(self, **facts: Any) -> None:
        """Write a line: `facts` and the moment (UTC)."""
        at = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        # One call a line: those of several processes don't run into each other.
        line = json.dumps({"at": at, **facts}, ensure_ascii=False) + "\n"
        stream = self._stream or sys.stdout
        stream.write(line)
        stream.flush()


def silent(**_facts: Any) -> None:
    """Write nothing."""

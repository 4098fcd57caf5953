"""Heartbeats of a rank: what tells one that computes from one that hangs."""

from __future__ import annotations

import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.ranks.collective import Signs

_LIBRARIES = tuple({sysconfig.get_paths()[kind] for kind in ("stdlib", "purelib", "platlib")})


class Pulse:
    """What a rank's heartbeats tell of."""

    def __init__(self) -> None:
        self.signs: Signs | None = None
        """None until the rank has joined the others."""
        self._caller = threading.get_ident()

    def beat(self) -> dict[str, Any]:
        """Return a heartbeat: the number of signs, and the line of Python the rank is in."""
        count = self.signs.count if self.signs else 0
        return {"event": "alive", "count": count, "where": _line_of(self._caller)}


@contextmanager
def beating(tell: Callable[[dict[str, Any]], None], seconds: float | None) -> Iterator[Pulse]:
    """Tell a heartbeat every `seconds` from a thread of its own; with None, never.

    A process that was stopped falls silent, one that is stuck goes on telling the same count.
    """
    pulse, ended = Pulse(), threading.Event()

    def beat() -> None:
        while not ended.wait(seconds):
            tell(pulse.beat())

    if seconds is None:
        yield pulse
        return
    thread = threading.Thread(target=beat, name="heartbeats", daemon=True)
    thread.start()
    try:
        yield pulse
    finally:
        ended.set()
        thread.join()


def _line_of(thread: int) -> str:
    """Return the innermost line of a thread that is in no library: `step.py, line 65 (run)`."""
    frame = sys._current_frames().get(thread)
    while frame and frame.f_code.co_filename.startswith(_LIBRARIES):
        frame = frame.f_back
    if frame is None:
        return "an unknown line"
    name = Path(frame.f_code.co_filename).name
    return f"{name}, line {frame.f_lineno} ({frame.f_code.co_name})"

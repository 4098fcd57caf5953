"""Signs of progress: what tells a rank that computes from one that hangs."""

from __future__ import annotations

import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_LIBRARIES = tuple({sysconfig.get_paths()[kind] for kind in ("stdlib", "purelib", "platlib")})


class Signs:
    """Counts what a rank gets done: steps inside compiled loops, and whatever else it notes."""

    def __init__(self) -> None:
        import tensorflow as tf

        with tf.device("CPU:0"):
            self._steps = tf.Variable(0, dtype=tf.int64, trainable=False, name="signs")
        self._others = 0

    def note(self) -> None:
        """Note a sign from Python."""
        self._others += 1

    def note_in_graph(self) -> None:
        """Note a sign each time the compiled function comes by here."""
        self._steps.assign_add(1, read_value=False)

    @property
    def count(self) -> int:
        """Signs so far; any thread may ask, also while a compiled loop runs."""
        return int(self._steps.numpy()) + self._others


class Pulse:
    """What a rank's heartbeats tell of."""

    def __init__(self) -> None:
        self.signs: Signs | None = None
        """None until TensorFlow is there."""
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

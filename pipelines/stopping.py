"""How the command ends when it is interrupted: with one line, soon, and with all it had started.

Every write can be repeated, so the process may end where it stands. What it started may not live
on: the JVM, which ends its Python workers and their ranks, and processes of Python's own.

Imports little, as it stands in front of all other imports.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

_NAMES = {
    signal.SIGINT: "Ctrl-C",
    signal.SIGTERM: "SIGTERM (a scheduler or `kill` asked for it)",
    signal.SIGHUP: "SIGHUP (the terminal is gone)",
}
_QUIET_SECONDS = 1.0
_GRACE_SECONDS = 4.0
_LOOK_SECONDS = 1.0

_is_command = False
_stopping = threading.Lock()


def install() -> None:
    """Be the command: from now on signals end this process and all that it has started.

    To be called in the main thread. A signal that is ignored (`nohup`, `&` in a script) stays so.
    Under spark-submit the end of its JVM, which started this process, is an end as well.
    """
    global _is_command  # noqa: PLW0603 - signal handlers belong to the whole process
    _is_command = True
    for number in _NAMES:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _on_signal)
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        end_with_parent()


def take_back() -> None:
    """Take Ctrl-C back from Spark, which puts its own answer in place as it starts."""
    if _is_command and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _on_signal)


def said(number: int, by: str = "") -> str:
    """Return the line of an interrupted command."""
    name = by or _NAMES.get(signal.Signals(number), f"signal {number}")
    return f"stopped by {name}. The same command goes on from what is done."


def stop(number: int, by: str = "") -> None:
    """End this process, if it is the command, and all that it has started; else do nothing.

    `by` says what ended it where that was no signal.
    """
    if not _is_command or not _stopping.acquire(blocking=False):
        return
    # A second Ctrl-C would break off the first one's work.
    with contextlib.suppress(ValueError):  # only the main thread may say so
        for one in _NAMES:
            signal.signal(one, signal.SIG_IGN)
    with contextlib.suppress(OSError, ValueError):
        show_cursor = "\x1b[?25h" if sys.stderr.isatty() else ""
        os.write(2, f"{show_cursor}tidemill: {said(number, by)}\n".encode())
    _silence()
    with contextlib.suppress(Exception):
        end_descendants(_close_spark)
    os._exit(128 + number)


def end_descendants(ask: Callable[[], float]) -> None:
    """Ask what this process started to end, give it the seconds that `ask` returns, kill the rest.

    Looked at before: a process whose parent has ended is no descendant of ours any more.
    """
    import psutil

    me = psutil.Process()
    family = me.children(recursive=True)
    _, alive = psutil.wait_procs(family, timeout=ask())
    # Parents before their children, as they are listed: Spark's script, whose child is gone, would
    # go on, and say what it lacks.
    for one in dict.fromkeys([*filter(alive.__contains__, family), *me.children(recursive=True)]):
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    psutil.wait_procs(alive, timeout=1)


def _on_signal(number: int, _frame: FrameType | None) -> None:
    stop(number)


def _silence() -> None:
    """Let other threads of this process, which find Spark gone, say nothing of it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)


def _close_spark() -> float:
    """Let a JVM that is up end by itself, quietly; return the seconds that it may take.

    It then deletes its temporary files. One that is just starting can't be talked to.
    """
    context = getattr(sys.modules.get("pyspark.core.context"), "SparkContext", None)
    gateway = getattr(context, "_gateway", None)
    process = getattr(gateway, "proc", None)
    if process is None:
        return 0.0
    asking = threading.Thread(target=_quieten, args=(context,), daemon=True)
    asking.start()
    asking.join(_QUIET_SECONDS)
    process.stdin.close()
    return _GRACE_SECONDS


def _quieten(context: Any) -> None:
    """Tell Spark to log nothing more; in a thread, as the main one may be amid another call."""
    with contextlib.suppress(Exception):
        level = context._jvm.org.apache.logging.log4j.Level.OFF
        context._jvm.org.apache.logging.log4j.core.config.Configurator.setRootLevel(level)
        context._jvm.org.apache.spark.util.Utils.setLogLevel(level)


def end_with_parent() -> None:
    """Have this process, a helper of the command, end soon after the one that started it."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    """End when the process that started this one does."""
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    if not _is_command:
        os._exit(1)
    stop(signal.SIGTERM, "the end of spark-submit")

"""What a person sees while a run goes on: bars at a terminal, plain log lines elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pipelines.run import Progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

logger = logging.getLogger(__name__)

Event = dict[str, Any]
_NOT_NUMBERS = ("event", "epoch", "epochs", "step", "steps", "stage")


def numbers(event: Event) -> str:
    """Return the measured values of an event: `loss=0.512 val_loss=0.498`."""
    parts = []
    for key, value in event.items():
        if key in _NOT_NUMBERS or isinstance(value, bool):
            continue
        if isinstance(value, float):
            parts.append(f"{key}={value:.4g}")
        elif isinstance(value, int):
            parts.append(f"{key}={value:,}")
    return " ".join(parts)


def _of(event: Event, what: str) -> str:
    return f"{what} {event.get(what, '?')}/{event.get(f'{what}s', '?')}"


def log_lines(event: Event) -> None:
    """Write epochs, notes and failures to the log; steps and finished stages have no line here.

    (A stage logs its own line when it is done.)
    """
    kind = event["event"]
    if kind == "epoch":
        logger.info("%s: %s", _of(event, "epoch"), numbers(event))
    elif kind == "note":
        logger.info("%s", event["text"])
    elif kind == "chapter":
        logger.info("== %s", event["text"])
    elif kind == "stage_failed":
        logger.info("%s failed after %.1f s", event["stage"], event["seconds"])


class TerminalProgress:
    """Stages tick off line by line; below them what runs now, with bars for epochs and steps."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        self._console = console
        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[said]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._stage: TaskID | None = None
        self._epochs: TaskID | None = None
        self._steps: TaskID | None = None
        is_unicode = "utf" in (console.encoding or "").lower()
        self._tick, self._cross = ("✓", "✗") if is_unicode else ("ok", "failed")

    def __call__(self, event: Event) -> None:
        """Show an event."""
        show: Callable[[Event], None] | None = getattr(self, f"_on_{event['event']}", None)
        if show is not None:
            show(event)

    def start(self) -> None:
        """Begin to draw."""
        self._bars.start()

    def stop(self) -> None:
        """Take the bars away; what was printed stays."""
        self._bars.stop()

    def _on_starting(self, event: Event) -> None:
        self._stage = self._bars.add_task(f"starting {event['what']}", total=None, said="")

    def _on_stage_started(self, event: Event) -> None:
        self._clear()
        self._stage = self._bars.add_task(event["stage"], total=None, said="")

    def _on_stage_done(self, event: Event) -> None:
        self._clear()
        # Counts of single tables (`flights.rows_in`) are in the log and in the stage's result.
        counts = {key: n for key, n in event["counts"].items() if n and "." not in key}
        said = f"{numbers(counts)} in {event['seconds']:.1f} s".strip()
        said = "done before" if event["before"] else said
        self._print(f"[green]{self._tick}[/] {event['stage']:<10}", said)

    def _on_stage_failed(self, event: Event) -> None:
        self._clear()
        self._print(f"[red]{self._cross}[/] {event['stage']:<10}", f"{event['seconds']:.1f} s")

    def _on_epoch(self, event: Event) -> None:
        if self._epochs is None:
            self._epochs = self._bars.add_task("epochs", total=event.get("epochs"), said="")
        self._bars.update(self._epochs, completed=event["epoch"], said=numbers(event))

    def _on_step(self, event: Event) -> None:
        if self._steps is None:
            self._steps = self._bars.add_task("steps", total=event.get("steps"), said="")
        self._bars.update(
            self._steps,
            total=event.get("steps"),
            completed=event["step"],
            said=f"of epoch {event.get('epoch', '?')} {numbers(event)}",
        )

    def _on_note(self, event: Event) -> None:
        self._print("  ", str(event["text"]))

    def _on_chapter(self, event: Event) -> None:
        self._print("[bold]==[/]", str(event["text"]))

    def _print(self, head: str, said: str) -> None:
        from rich.markup import escape

        self._console.print(f"{head} {escape(said)}", highlight=False, soft_wrap=True)

    def _clear(self) -> None:
        for task in (self._stage, self._epochs, self._steps):
            if task is not None:
                self._bars.remove_task(task)
        self._stage = self._epochs = self._steps = None


@contextmanager
def showing(console: Console) -> Iterator[Progress]:
    """Give the progress that fits the console: bars where a person watches, else log lines."""
    if not console.is_terminal:
        yield log_lines
        return
    progress = TerminalProgress(console)
    progress.start()
    try:
        yield progress
    finally:
        progress.stop()

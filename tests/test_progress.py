import io
import logging

import pytest
from rich.console import Console

from pipelines.progress import TerminalProgress, numbers, showing

COUNTS = {"rows_in": 3, "dropped": 0, "flights.rows_in": 3}
DONE = {"event": "stage_done", "stage": "clean", "counts": COUNTS, "seconds": 0.5}
EPOCH = {"event": "epoch", "epoch": 2, "epochs": 8, "loss": 0.51234, "val_loss": 0.5}


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=100, _environ={"TERM": "xterm"})


def test_the_numbers_of_an_event_are_what_was_measured():
    assert numbers({**EPOCH, "rows": 12345, "is_best": True}) == (
        "loss=0.5123 val_loss=0.5 rows=12,345"
    )


def test_without_a_terminal_epochs_are_log_lines(caplog):
    caplog.set_level(logging.INFO, "pipelines")
    with showing(Console(file=io.StringIO())) as progress:
        progress({"event": "starting", "what": "Spark"})
        progress({"event": "stage_started", "stage": "train"})
        progress(EPOCH)
        progress({"event": "step", "epoch": 2, "step": 5, "steps": 10})
        progress({"event": "note", "text": "rank 1 was lost"})
        progress({"event": "stage_failed", "stage": "train", "seconds": 1.25})
    assert caplog.messages == [
        "epoch 2/8: loss=0.5123 val_loss=0.5",
        "rank 1 was lost",
        "train failed after 1.2 s",
    ]


def test_at_a_terminal_a_finished_stage_is_ticked_off():
    console = terminal()
    with showing(console) as progress:
        progress({"event": "chapter", "text": "all arrives"})
        progress({"event": "stage_started", "stage": "clean"})
        progress({**DONE, "before": False})
        progress({"event": "stage_started", "stage": "train"})
        progress({"event": "stage_failed", "stage": "train", "seconds": 3.0})
    said = console.file.getvalue()
    assert "clean      rows_in=3 in 0.5 s" in said
    assert " all arrives\n" in said
    assert "train      3.0 s" in said


def test_at_a_terminal_epochs_and_steps_have_bars():
    progress = TerminalProgress(terminal())
    progress({"event": "stage_started", "stage": "train"})
    progress({"event": "step", "epoch": 3, "step": 5, "steps": 10})
    progress(EPOCH)
    _, steps, epochs = progress._bars.tasks
    assert (steps.completed, steps.total) == (5, 10)
    assert (epochs.completed, epochs.total) == (2, 8)
    assert epochs.fields["said"] == "loss=0.5123 val_loss=0.5"
    progress({**DONE, "before": True})
    assert progress._bars.tasks == []


@pytest.mark.parametrize("event", [{"event": "something new"}, {"event": "step", "step": 1}])
def test_events_that_are_not_known_or_not_whole_do_no_harm(event):
    TerminalProgress(terminal())(event)
    with showing(Console(file=io.StringIO())) as progress:
        progress(event)

"""The loop on rows in memory, in one process."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import NotFiniteLoss, TrainingError
from pipelines.training.checkpoint import Checkpoints
from tests.training.memory import Events, MemoryRows, settings, train

pytestmark = pytest.mark.tensorflow


class Stopped(Exception):
    """Stands for whatever ends a process."""


def stop_at(epoch: int, step: int):
    def on_step(rank: int, now: int, at: int) -> None:
        if (now, at) == (epoch, step):
            raise Stopped

    return on_step


def same_weights(one, other) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one.weights, other.weights, strict=True))


def test_a_training_learns_more_than_a_constant_guess(tmp_path: Path) -> None:
    chosen = settings(epochs=12, options={"hidden": [16, 8]})
    trained = train(tmp_path, chosen)
    found, constant = trained.evaluation["metrics"], trained.evaluation["constant"]
    assert found["log_loss"] < constant["log_loss"] - 0.05
    assert found["roc_auc"] > 0.7
    assert constant["roc_auc"] == 0.5
    assert trained.history[-1]["loss"] < trained.history[0]["loss"]
    assert [epoch["epoch"] for epoch in trained.history] == list(range(1, 13))


def test_the_same_training_twice_gives_the_same_weights_bit_for_bit(tmp_path: Path) -> None:
    assert same_weights(train(tmp_path / "one", settings()), train(tmp_path / "other", settings()))


def test_another_seed_gives_other_weights(tmp_path: Path) -> None:
    assert not same_weights(
        train(tmp_path / "one", settings()), train(tmp_path / "other", settings(seed=2))
    )


RESUMED = settings(
    checkpoint_steps=3,
    early_stopping={"patience": 3},
    optimizer={"name": "adamw", "schedule": "cosine", "warmup_steps": 4, "clip_norm": 1.0},
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory):
    return train(tmp_path_factory.mktemp("undisturbed"), RESUMED)


@pytest.mark.parametrize(("epoch", "step"), [(1, 0), (1, 6)])
def test_a_training_that_was_stopped_ends_as_if_it_had_not_been(
    tmp_path: Path, undisturbed, epoch: int, step: int
) -> None:
    chosen = RESUMED
    with pytest.raises(Stopped):
        train(tmp_path / "stopped", chosen, on_step=stop_at(epoch, step))
    events = Events()
    resumed = train(tmp_path / "stopped", chosen, events=events)
    assert same_weights(undisturbed, resumed)
    timing = ("seconds", "waiting_share", "waiting_share_max", "rows_per_second")
    assert [{k: v for k, v in one.items() if k not in timing} for one in resumed.history] == [
        {k: v for k, v in one.items() if k not in timing} for one in undisturbed.history
    ]
    assert "going on from a checkpoint" in events.of("note")[0]["text"]
    assert (events.of("step")[0]["epoch"], events.of("step")[0]["step"] > step) == (epoch + 1, True)


def test_a_checkpoint_of_other_settings_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        train(tmp_path, settings(), on_step=stop_at(1, 0))
    with pytest.raises(TrainingError, match="seed was 1, now 5"):
        train(tmp_path, settings(seed=5))


def test_ranks_and_restarts_may_change_between_checkpoints(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        train(tmp_path, settings(), on_step=stop_at(1, 0))
    train(tmp_path, settings(ranks=4, max_restarts=5, rank_wait=1, checkpoint_steps=2))


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    rows = MemoryRows(64, poisoned_row=64 * 5 + 1)
    with pytest.raises(NotFiniteLoss, match="in epoch 1, step 6 of 8"):
        train(tmp_path, settings(checkpoint_steps=2), rows)
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == ["checkpoint-00000-0000002", "checkpoint-00000-0000004"]


def test_a_validation_loss_that_is_no_number_stops_too(tmp_path: Path) -> None:
    rows = MemoryRows(64, poisoned_validation=True)
    with pytest.raises(NotFiniteLoss, match="the validation loss of epoch 1 is"):
        train(tmp_path, settings(), rows)


def test_early_stopping_ends_with_the_best_weights(tmp_path: Path) -> None:
    chosen = settings(
        epochs=40,
        options={"hidden": [64, 32]},
        optimizer={"learning_rate": 0.05},
        early_stopping={"monitor": "val_loss", "patience": 2},
    )
    trained = train(tmp_path, chosen)
    losses = [epoch["val_loss"] for epoch in trained.history]
    assert len(losses) < 40
    assert trained.best_epoch == 1 + int(np.argmin(losses)) == len(losses) - 2
    best_only = train(
        tmp_path / "best",
        settings(
            **{
                **chosen.model_dump(),
                "epochs": trained.best_epoch,
                "early_stopping": None,
            }
        ),
    )
    assert same_weights(trained, best_only)


def test_the_best_weights_survive_a_stop_that_comes_after_them(tmp_path: Path) -> None:
    chosen = settings(
        epochs=40,
        options={"hidden": [64, 32]},
        optimizer={"learning_rate": 0.05},
        early_stopping={"monitor": "val_loss", "patience": 3},
    )
    whole = train(tmp_path / "whole", chosen)
    assert whole.best_epoch == len(whole.history) - 3
    with pytest.raises(Stopped):
        train(tmp_path / "stopped", chosen, on_step=stop_at(whole.best_epoch + 1, 0))
    resumed = train(tmp_path / "stopped", chosen)
    assert (resumed.best_epoch, len(resumed.history)) == (whole.best_epoch, len(whole.history))
    assert same_weights(resumed, whole)


def test_early_stopping_can_watch_roc_auc(tmp_path: Path) -> None:
    chosen = settings(epochs=4, early_stopping={"monitor": "val_roc_auc", "patience": 9})
    trained = train(tmp_path, chosen)
    values = [epoch["val_roc_auc"] for epoch in trained.history]
    assert trained.best_epoch == 1 + int(np.argmax(values))


def test_events_tell_epochs_and_steps(tmp_path: Path) -> None:
    events = Events()
    train(tmp_path, settings(epochs=2), events=events)
    assert [(e["epoch"], e["epochs"]) for e in events.of("epoch")] == [(1, 2), (2, 2)]
    last = events.of("step")[-1]
    assert (last["epoch"], last["step"], last["steps"]) == (2, 8, 8)
    assert json.dumps(events.told)


def test_the_share_of_positives_is_that_of_the_training_split(tmp_path: Path) -> None:
    from sklearn.metrics import log_loss

    from tests.training.memory import some_rows

    trained = train(tmp_path, settings(epochs=1))
    rate = float(some_rows(500, 1)["label"].mean())
    labels = some_rows(200, 3)["label"]
    expected = log_loss(labels, np.full(200, rate))
    assert trained.evaluation["constant"]["log_loss"] == pytest.approx(expected, rel=1e-6)


def test_a_penalty_does_not_count_in_the_loss_that_is_shown(tmp_path: Path) -> None:
    frozen = {"name": "sgd", "learning_rate": 1e-12, "momentum": 0}
    plain = train(tmp_path / "a", settings(epochs=1, options={"hidden": [8]}, optimizer=frozen))
    punished = train(
        tmp_path / "b", settings(epochs=1, options={"hidden": [8], "l2": 0.5}, optimizer=frozen)
    )
    assert punished.history[0]["loss"] == pytest.approx(plain.history[0]["loss"], rel=1e-6)


def test_a_number_can_be_the_label(tmp_path: Path) -> None:
    trained = train(tmp_path, settings(loss="mse", epochs=2, early_stopping={"patience": 2}))
    assert set(trained.evaluation["metrics"]) == {"mse", "mae", "r2"}
    assert trained.evaluation["metrics"]["mse"] < trained.evaluation["constant"]["mse"] * 1.2


def test_only_the_newest_two_checkpoints_stay(tmp_path: Path) -> None:
    train(tmp_path, settings())
    assert len(list(tmp_path.glob("checkpoint-*"))) == 2
    Checkpoints(str(tmp_path), {}).clear()
    assert list(tmp_path.iterdir()) == []


def test_of_a_large_split_every_kth_row_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(tmp_path / "whole", settings(epochs=1)).evaluation
    # 200 rows are 400 values: a label and an output each.
    monkeypatch.setattr("pipelines.training.loop.JUDGED_VALUES", 150)
    part = train(tmp_path / "part", settings(epochs=1)).evaluation
    assert (whole["num_rows"], part["num_rows"]) == (200, 67)
    assert part["metrics"]["log_loss"] == pytest.approx(whole["metrics"]["log_loss"], rel=0.3)

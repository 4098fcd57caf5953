"""What can be known to be wrong with a training's rows before any rank starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.encoding.kind import ModelInput
from pipelines.errors import PlanError, SchemaError
from pipelines.lake.snapshot import take_snapshot
from pipelines.training.rows import FeedRows
from tests.training.delta import SPLITS, write_training_set
from tests.training.memory import INPUTS, settings


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory: pytest.TempPathFactory):
    path: Path = tmp_path_factory.mktemp("rows") / "table"
    write_training_set(path)
    return {split: take_snapshot(str(path), where={"_split": split}) for split in SPLITS}


def test_rows_that_can_be_read_pass(snapshots) -> None:
    FeedRows(snapshots, INPUTS, settings(ranks=4)).check()


def test_a_column_the_version_lacks_is_named(snapshots) -> None:
    inputs = [*INPUTS, ModelInput(name="x9", dtype="float32", kind="numeric")]
    with pytest.raises(SchemaError, match=r"table at version 6 has no column 'x9'\."):
        FeedRows(snapshots, inputs, settings()).check()


def test_a_batch_that_leaves_a_rank_without_rows_is_refused(snapshots) -> None:
    with pytest.raises(PlanError, match="batch of 3 rows leaves some of 4 ranks without a row"):
        FeedRows(snapshots, INPUTS, settings(ranks=4, batch_size=3)).check()


def test_the_rows_are_read_by_as_many_threads_as_the_rank_has_cores(snapshots, monkeypatch):
    from pipelines.feed import dataset

    seen = []
    monkeypatch.setattr(dataset, "make_dataset", lambda *_, threads, **__: seen.append(threads))
    rows = FeedRows(snapshots, INPUTS, settings()).with_threads(3)
    rows.training(0, 0, 1, 0)
    rows.evaluation("test", 0, 1)
    assert seen == [3, 3]

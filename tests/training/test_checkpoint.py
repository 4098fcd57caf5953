from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import TrainingError
from pipelines.training.checkpoint import Checkpoints, Progress

FACTS = {"seed": 1, "versions": {"gold.toy": 3}}


def save(folder: Path, epoch: int, step: int) -> None:
    weights = [np.full((2, 2), epoch, np.float32), np.array(step, np.int64)]
    Checkpoints(str(folder), FACTS).save(
        Progress(epoch=epoch, step=step), {"weights": weights, "optimizer": [np.ones(1)]}
    )


def test_the_newest_checkpoint_comes_back_whole(tmp_path: Path) -> None:
    save(tmp_path, 1, 0)
    save(tmp_path, 1, 12)
    found = Checkpoints(str(tmp_path), FACTS).last()
    assert found is not None
    assert (found.progress.epoch, found.progress.step) == (1, 12)
    assert found.arrays["weights"][0].dtype == np.float32
    np.testing.assert_array_equal(found.arrays["weights"][1], 12)


def test_without_a_checkpoint_there_is_none(tmp_path: Path) -> None:
    assert Checkpoints(str(tmp_path / "nothing"), FACTS).last() is None


def test_a_checkpoint_without_manifest_was_never_finished(tmp_path: Path) -> None:
    save(tmp_path, 1, 0)
    save(tmp_path, 2, 0)
    (tmp_path / "checkpoint-00002-0000000" / "manifest.json").unlink()
    found = Checkpoints(str(tmp_path), FACTS).last()
    assert found is not None
    assert found.progress.epoch == 1


def test_a_checkpoint_cut_short_is_passed_over(tmp_path: Path) -> None:
    save(tmp_path, 1, 0)
    save(tmp_path, 2, 0)
    arrays = tmp_path / "checkpoint-00002-0000000" / "arrays.npz"
    arrays.write_bytes(arrays.read_bytes()[:-10])
    found = Checkpoints(str(tmp_path), FACTS).last()
    assert found is not None
    assert found.progress.epoch == 1


def test_checkpoints_beyond_a_hundred_epochs_keep_their_order(tmp_path: Path) -> None:
    save(tmp_path, 99, 0)
    save(tmp_path, 100, 0)
    found = Checkpoints(str(tmp_path), FACTS).last()
    assert found is not None
    assert found.progress.epoch == 100


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    save(tmp_path, 1, 0)
    manifest = tmp_path / "checkpoint-00001-0000000" / "manifest.json"
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**content, "format_version": 99}))
    with pytest.raises(TrainingError, match="checkpoint format 99, expected 2"):
        Checkpoints(str(tmp_path), FACTS).last()


def test_a_checkpoint_of_other_table_versions_is_begun_anew_not_refused_for_ever(
    tmp_path: Path, caplog
) -> None:
    save(tmp_path, 1, 0)
    save(tmp_path, 1, 12)
    now = {**FACTS, "versions": {"gold.toy": 5}, "inputs": [["x", "numeric", None, None]]}
    assert Checkpoints(str(tmp_path), now).last() is None
    assert "this training reads {'gold.toy': 5} and begins anew" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_of_other_settings_is_refused_with_both(tmp_path: Path) -> None:
    save(tmp_path, 1, 0)
    for other in ({"seed": 2}, {"seed": 2, "versions": {"gold.toy": 5}}):
        with pytest.raises(TrainingError, match=r"other settings: seed was 1, now 2\. Go back"):
            Checkpoints(str(tmp_path), {**FACTS, **other}).last()

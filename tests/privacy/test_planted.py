"""Planted values are looked for in every file of a lake, in all that was said, in event logs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.privacy.planted import PLANTED, find

SECRET = "the secret of the planted test, thirty-two letters and more"


def run_planted(folder: Path, project: Path, protect_at: str, *more: str) -> str:
    """Run the pipeline in a process of its own; return all that it said."""
    profile = str(project / "conf" / "spark" / "local.conf")
    done = subprocess.run(
        [sys.executable, "-m", "tests.privacy.planted", str(folder), protect_at, profile, *more],
        capture_output=True,
        text=True,
        cwd=project,
        env={**os.environ, "TIDEMILL_SECRET_K1": SECRET, "PYTHONPATH": str(project)},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.mark.spark
def test_no_planted_value_is_anywhere(tmp_path: Path, project: Path) -> None:
    said = run_planted(tmp_path, project, "ingest")

    lake, events = tmp_path / "lake", tmp_path / "events"
    assert find([lake, events], PLANTED) == {}
    assert [word for word in PLANTED if word in said] == []
    assert find([lake, events], (SECRET,)) == {}
    assert SECRET not in said
    # What was searched is what there is to search: formats, checkpoints, the plans of the run.
    names = [file.name for file in lake.rglob("*")]
    assert any(name.endswith(".checkpoint.parquet") for name in names)
    assert find([events], ("TIDEMILL_SECRET_K1",)) != {}
    assert find([lake / "silver" / "customers"], ("***", "1984", "k1:")) != {}
    rejected = find([lake / "bronze" / "customers_rejected"], ("row ", "a.csv", "b.csv"))
    assert rejected != {}


@pytest.mark.slow
def test_the_search_finds_what_is_not_protected(tmp_path: Path, project: Path) -> None:
    run_planted(tmp_path, project, "clean")

    lake = tmp_path / "lake"
    found = find([lake], PLANTED)
    layers = {Path(name).relative_to(lake).parts[0] for name in found}
    assert layers == {"bronze"}
    assert any(name.endswith(".parquet") and "_delta_log" not in name for name in found)
    # Rows of bronze have no statistics; that checkpoints are looked into, their schema shows.
    assert any(".checkpoint.parquet" in name for name in find([lake], ("postcode",)))


@pytest.mark.slow
@pytest.mark.tensorflow
def test_no_planted_value_is_in_models_reports_or_mlflow(tmp_path: Path, project: Path) -> None:
    said = run_planted(tmp_path, project, "ingest", "whole")

    assert find([tmp_path / "lake", tmp_path / "events"], (*PLANTED, SECRET)) == {}
    assert [word for word in (*PLANTED, SECRET) if word in said] == []
    kinds = {file.suffix for file in (tmp_path / "lake").rglob("*")}
    assert {".db", ".keras", ".html", ".parquet", ".json"} <= kinds

"""The Python of README and docs runs as it stands there, on a small lake in `data/lake`."""

from __future__ import annotations

import datetime as dt
import re
import textwrap
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipelines.config.load import load_pipeline
from pipelines.registry.bundle import save_bundle
from tests.bundles import small_bundle
from tests.conftest import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
DAY = dt.date(2013, 1, 1)
KEY = {"flight_date": DAY, "carrier": "UA", "flight": "1", "origin": "EWR"}


def python_blocks(text: str) -> list[str]:
    """The fenced Python blocks of a page, those in lists too."""
    found = re.findall(r"^( *)```python\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(body) for _, body in found]


BLOCKS = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(python_blocks(page.read_text(encoding="utf-8")))
]


@pytest.fixture
def small_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tables of the flights with a few rows each, where the pages say they lie."""
    from deltalake import write_deltalake

    lake = tmp_path / "data" / "lake"
    rows = 40
    training = {
        "_position": pa.array(range(rows), pa.int64()),
        "_split": ["train"] * rows,
        "distance": pa.array(np.arange(rows), pa.float32()),
        "carrier": pa.array(np.arange(rows) % 3, pa.int32()),
        "_label": pa.array(np.arange(rows) % 2, pa.float32()),
    }
    keys = {name: [value] for name, value in KEY.items()}
    for _ in range(4):
        for table in ("silver/flights", "gold/flights"):
            row = {**keys, "distance": [1400.0], "is_late": [1]}
            write_deltalake(lake / table, pa.table(row), mode="append")
    write_deltalake(lake / "gold" / "flights_training", pa.table(training))
    said = {**keys, "scoring_date": [DAY], "prediction": [0.5]}
    write_deltalake(lake / "predictions" / "flights_late", pa.table(said))
    bundle = small_bundle(tmp_path)
    save_bundle(str(lake / "_training" / "flights" / "RUN" / "bundle"), bundle)
    monkeypatch.setattr("pipelines.explore.Explorer.champion", lambda _: bundle)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "pipelines.explore.load_pipeline",
        lambda name, env, overrides, _: load_pipeline(name, env, overrides, str(lake)),
    )
    return lake


@pytest.mark.spark
@pytest.mark.tensorflow
@pytest.mark.parametrize("block", BLOCKS)
def test_the_python_of_a_page_runs_as_it_stands_there(spark, small_lake, block):
    names: dict[str, object] = {"__name__": "example"}
    exec(compile(block, "a page's example", "exec"), names)
    if "dataset" in names:
        assert sum(len(y) for _, y in names["dataset"]) == 40
    if "flights" in names:
        assert names["flights"].predictions().count() >= 1
    if "predictor" in names:
        assert len(names["found"].prediction) == len(names["rows"]) == 4


def test_examples_are_found_in_lists_too():
    assert python_blocks("- x:\n\n  ```python\n  a = 1\n  ```\n```python\nb\n```\n") == [
        "a = 1\n",
        "b\n",
    ]
    assert len(BLOCKS) >= 2

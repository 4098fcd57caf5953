"""MLflow's store as the lake keeps it, whatever server the environment names."""

from __future__ import annotations

import pytest

from pipelines.lake.catalog import Lake


@pytest.fixture(scope="module", autouse=True)
def no_server():
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return Lake(str(tmp_path_factory.mktemp("lake")))

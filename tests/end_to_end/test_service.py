"""`tidemill serve` in a process of its own says what `score` wrote into the lake."""

import math
import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from pipelines.lake.read import latest_version, read_at
from tests.end_to_end.conftest import SCORED

pytestmark = [pytest.mark.spark, pytest.mark.tensorflow, pytest.mark.end_to_end]


@pytest.fixture
def service(project, whole, first_results, tmp_path):
    """The address of a service over the whole lake; at the end it stops within its grace."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = ["serve", "flights", "--env", "test", "--lake", whole.lake.root]
    main = "from pipelines.cli import main; main()"
    log = (tmp_path / "log").open("w+")
    process = subprocess.Popen(
        [sys.executable, "-c", main, *arguments, "--port", str(port)],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project)},
        stdout=log,
        stderr=log,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 300
        while True:
            try:
                httpx.get(f"{address}/ping").raise_for_status()
                break
            except httpx.TransportError:
                assert process.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.5)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
        log.close()
    assert code == 0


def test_the_service_says_what_batch_scoring_wrote(spark, whole, service):
    lake, date = whole.lake, whole.pipeline.featurize.date
    key = list(whole.pipeline.featurize.key)
    features, predictions = (
        read_at(spark, lake, table, latest_version(spark, lake, table))
        .where(f"{date} = DATE'{SCORED}'")
        .orderBy(*key)
        .collect()
        for table in ("gold.flights", "predictions.flights_late")
    )
    asked = [{name: _plain(value) for name, value in row.asDict().items()} for row in features]
    answer = httpx.post(f"{service}/predict", json={"rows": asked}, timeout=120)
    assert answer.status_code == 200, answer.text
    found, version = answer.json()["predictions"], int(answer.json()["model_version"])
    predictions = [row for row in predictions if row["model_version"] == version]
    assert len(found) == len(predictions) > 500
    assert [one["prediction"] for one in found] == pytest.approx(
        [row["prediction"] for row in predictions], abs=1e-5
    )
    assert [one["predicted_class"] for one in found] == [
        row["predicted_class"] for row in predictions
    ]


def _plain(value):
    """A value as JSON has it."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.isoformat() if hasattr(value, "isoformat") else value

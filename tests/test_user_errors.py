"""What Spark quotes of a Python worker is told as the error that it was."""

from __future__ import annotations

import pytest

from pipelines.errors import BundleError, ScoringError
from pipelines.user_errors import _told_by_worker

QUOTED = """[PYTHON_EXCEPTION] An exception was thrown from the Python worker:
Traceback (most recent call last):
  File "x.py", line 1, in load
TypeError: Could not locate class 'Gate'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "workers.py", line 75, in predictor
pipelines.errors.{raised}

\tat org.apache.spark.api.python.BasePythonRunner.handle(PythonRunner.scala:1)
"""


@pytest.mark.parametrize(
    ("raised", "kind", "said"),
    [
        (
            "BundleError: the model of run r can't be loaded",
            BundleError,
            "the model of run r can't",
        ),
        ("ScoringError: the image\nof a row", ScoringError, "the image\nof a row"),
    ],
)
def test_an_error_of_ours_in_a_worker_is_that_error(raised, kind, said):
    found = _told_by_worker(QUOTED.format(raised=raised))
    assert type(found) is kind
    assert str(found).startswith(said)
    assert "org.apache" not in str(found)


@pytest.mark.parametrize("raised", ["nearest: no error", "NoSuchError: x"])
def test_what_is_no_error_of_ours_is_left_to_spark(raised):
    assert _told_by_worker(QUOTED.format(raised=raised)) is None

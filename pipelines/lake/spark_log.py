"""What Spark itself writes to stderr, where the command says the same in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from pipelines.errors import wants_traces

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_OF_FAILED_JOBS = tuple(
    f"org.apache.spark.{name}"
    for name in (
        *("executor.Executor", "scheduler.TaskSetManager", "util.Utils", "api.python.PythonRunner"),
        *("sql.delta.files.DeltaFileFormatWriter", "sql.execution.datasources.FileFormatWriter"),
        "sql.execution.datasources.v2",
    )
)
"""Loggers that tell of a task that failed, each with the trace that the job's error has too."""


@contextmanager
def failures_untold(spark: SparkSession, *, always: bool = False) -> Iterator[None]:
    """Have the driver's log leave out the traces of jobs that fail: an exception has them.

    They stay where traces are wanted (`--debug`), unless `always`: they may quote values that
    nobody may see. On a cluster the executors' own logs have them in any case.
    """
    jvm: Any = spark.sparkContext._jvm
    if jvm is None or (wants_traces() and not always):
        yield
        return
    log4j = jvm.org.apache.logging.log4j
    before = {name: log4j.LogManager.getLogger(name).getLevel() for name in _OF_FAILED_JOBS}
    for name in before:
        log4j.core.config.Configurator.setLevel(name, log4j.Level.OFF)
    try:
        yield
    finally:
        # A session that ended meanwhile has an error of its own to tell.
        with suppress(Exception):
            for name, level in before.items():
                log4j.core.config.Configurator.setLevel(name, level)

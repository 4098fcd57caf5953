"""Starts ranks in a Spark barrier stage, and starts them again when one is lost.

Spark does not retry a failed barrier stage: a stage whose tasks talk to each other can't go on
without one of them. The driver does it, and the ranks go on from their last checkpoint.
"""

from __future__ import annotations

import logging
import pickle
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines import errors
from pipelines.errors import TidemillError, TrainingError
from pipelines.training.rank import Attempt, Task, run_rank
from pipelines.training.report import Listener, RankState

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

logger = logging.getLogger(__name__)
_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Ranks:
    """How many ranks are wanted, and what to do where they can't be had.

    After a loss the launch waits `wait` seconds for `size` ranks, then goes on with the largest
    number of ranks that divides `streams`.
    """

    size: int
    streams: int = 12
    wait: float = 120.0
    max_restarts: int = 2


def launch(
    spark: SparkSession,
    task: Task,
    ranks: Ranks,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> Any:
    """Run `task` on all ranks at once and return what rank 0's returned.

    `task` is pickled and called with a `Rank` in a Python worker of its own per rank. Lost workers
    and broken connections lead to a restart, errors of the task itself don't. Raises TrainingError
    when there are too few slots, or when the restarts are used up: it names the first cause.
    """
    host = spark.conf.get("spark.driver.host") or "127.0.0.1"
    bind = spark.conf.get("spark.driver.bindAddress", host) or host
    tell = progress or _ignore
    listener = Listener(host, bind, tell)
    first: TidemillError | None = None
    try:
        for number in range(ranks.max_restarts + 1):
            size = _size(spark, ranks, restarted=number > 0)
            attempt = Attempt(number, size, _threads(spark, size), listener.address)
            listener.begin(number)
            try:
                return _run(spark, task, attempt)
            except Exception as error:
                failed = listener.first_failure()
                cause = _as_error(failed, error)
                if _is_final(failed, error):
                    raise cause from error
                first = first or cause
                logger.warning("attempt %d: %s", number + 1, cause)
                if number < ranks.max_restarts:
                    text = f"{cause} Starting again from the last checkpoint."
                    tell({"event": "note", "text": text})
    finally:
        listener.close()
    raise TrainingError(
        f"training failed {ranks.max_restarts + 1} times. The first time: {first} "
        "The last checkpoint is kept: the same run goes on from it. Raise `train.max_restarts` "
        "where workers are lost by nature."
    ) from first


def _ignore(event: dict[str, Any]) -> None:
    """Take an event and do nothing with it."""


def available_slots(spark: SparkSession) -> int:
    """Return how many tasks Spark can run at the same time with the executors there are."""
    context = spark.sparkContext._jsc.sc()
    profile = context.resourceProfileManager().defaultResourceProfile()
    return int(context.maxNumConcurrentTasks(profile))


def largest_divisor(streams: int, at_most: int) -> int:
    """Return the largest number of ranks, at most `at_most`, that divides the streams; or 0."""
    fitting = [size for size in range(1, min(streams, at_most) + 1) if streams % size == 0]
    return max(fitting, default=0)


def _is_one_jvm(spark: SparkSession) -> bool:
    master = spark.sparkContext.master
    return master == "local" or str(master).startswith("local[")


def _size(spark: SparkSession, ranks: Ranks, *, restarted: bool) -> int:
    """Wait for the slots wanted; return how many ranks to launch."""
    deadline = time.monotonic() + (0 if _is_one_jvm(spark) else ranks.wait)
    found = available_slots(spark)
    while found < ranks.size and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        found = available_slots(spark)
    if found >= ranks.size:
        return ranks.size
    fewer = largest_divisor(ranks.streams, found)
    if restarted and fewer:
        logger.warning("going on with %d ranks instead of %d", fewer, ranks.size)
        return fewer
    master = spark.sparkContext.master
    raise TrainingError(
        f"`train.ranks: {ranks.size}` needs {ranks.size} slots at the same time, but Spark "
        f"({master}) has {found}. Set `train.ranks` to {fewer or 1}, or start Spark with "
        f"{'`--master local[' + str(ranks.size) + ']`' if _is_one_jvm(spark) else 'more cores'}."
    )


def _threads(spark: SparkSession, size: int) -> int:
    """Return the threads of one rank: what Spark gives a task.

    In one JVM nobody else uses the other slots while the ranks run: they share those too.
    """
    cores = int(spark.conf.get("spark.task.cpus", "1") or 1)
    if _is_one_jvm(spark):
        return max(cores, available_slots(spark) * cores // size)
    return cores


def _run(spark: SparkSession, task: Task, attempt: Attempt) -> Any:
    context = spark.sparkContext
    group = f"tidemill ranks, attempt {attempt.number + 1} {attempt.address.token[:8]}"

    def as_rank(_: Iterable[int]) -> Iterable[bytes]:
        from pyspark import BarrierTaskContext

        barrier = BarrierTaskContext.get()
        result = run_rank(barrier, attempt, task)
        if barrier.partitionId() == 0:
            yield pickle.dumps(result)

    context.setJobGroup(group, f"{attempt.size} ranks", interruptOnCancel=True)
    try:
        rows = context.parallelize(range(attempt.size), attempt.size).barrier()
        collected = rows.mapPartitions(as_rank).collect()
    except BaseException:
        # Also Ctrl-C: ranks must not outlive the launch.
        context.cancelJobGroup(group)
        raise
    finally:
        for name in ("spark.jobGroup.id", "spark.job.description", "spark.job.interruptOnCancel"):
            context.setLocalProperty(name, None)  # type: ignore[arg-type]
    return pickle.loads(collected[0])


def _as_error(failed: RankState | None, error: Exception) -> TidemillError:
    """Return the error that says which rank failed, where, and why."""
    if failed is None:
        return TrainingError(f"Spark could not run the ranks: {_first_line(error)}")
    if failed.ended == "lost":
        return TrainingError(
            f"{failed.place} was lost: its process ended without a word (killed, out of memory, "
            "or its executor went away)."
        )
    kind = getattr(errors, str(failed.failure["kind"]), None)
    if isinstance(kind, type) and issubclass(kind, TidemillError):
        return kind(failed.failure["message"])
    logger.debug("%s: %s", failed.place, failed.failure["traceback"])
    return TrainingError(
        f"{failed.place} failed: {failed.failure['kind']}: {failed.failure['message']}"
    )


def _is_final(failed: RankState | None, error: Exception) -> bool:
    if failed is None:
        # No rank came as far as its first line: its Python lacks a package, or worse.
        return "PythonException" in str(error)
    return bool(failed.failure.get("is_final"))


def _first_line(error: Exception) -> str:
    """Return what Python said in a worker, or else the first line of Spark's message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    python = [line for line in lines if re.match(r"\w[\w.]*(Error|Exception): ", line)]
    return (python or lines or [type(error).__name__])[0][:500]

"""Starts ranks in a Spark barrier stage, and starts them again when one is lost.

Spark does not retry a failed barrier stage: a stage whose tasks talk to each other can't go on
without one of them. The driver does it, and the ranks go on from their last checkpoint.
"""

from __future__ import annotations

import logging
import pickle
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines import errors
from pipelines.errors import TidemillError, TrainingError
from pipelines.ranks.backend import Backend
from pipelines.ranks.final import is_known_final, kind_told
from pipelines.ranks.gpus import task_profile
from pipelines.ranks.rank import Attempt, Task, run_rank
from pipelines.ranks.report import Listener, RankState, watching
from pipelines.ranks.slots import (
    check_allocation,
    is_one_jvm,
    largest_divisor,
    threads_of_rank,
    wait_for_slots,
)

if TYPE_CHECKING:
    from pyspark import RDD, SparkContext
    from pyspark.resource import ResourceProfile
    from pyspark.sql import SparkSession

    from pipelines.config.train import Train

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ranks:
    """How many ranks are wanted, and what to do where they can't be had.

    After a loss the launch waits `wait` seconds for `size` ranks, then goes on with the largest
    number of ranks that divides `streams`. Ranks without a sign of progress for `hang_timeout`
    seconds are stopped, and count as lost. Each rank has `gpus` GPUs of its own.
    """

    size: int
    streams: int = 12
    wait: float = 120.0
    max_restarts: int = 2
    hang_timeout: float | None = 600.0
    gpus: int = 0

    @classmethod
    def of(cls, settings: Train) -> Ranks:
        """Return what the settings of `train` ask for."""
        return cls(
            size=settings.ranks,
            streams=settings.streams,
            wait=settings.rank_wait,
            max_restarts=settings.max_restarts,
            hang_timeout=settings.hang_timeout,
            gpus=settings.resources.gpu,
        )


def launch(
    spark: SparkSession,
    task: Task,
    ranks: Ranks,
    backend: Backend,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> Any:
    """Run `task` on all ranks at once and return what rank 0's returned.

    `task` is pickled and called with a `Rank` in a Python worker of its own per rank, which
    `backend` has made ready. Lost workers,
    hanging ones, broken connections and whatever else may pass lead to a restart; errors that would
    come again (`ranks.final` lists them) don't. Raises TrainingError when there are too few
    slots or GPUs, or when the restarts are used up: it names the first cause.
    """
    check_allocation(spark)
    profile = task_profile(spark, ranks.gpus)
    host = spark.conf.get("spark.driver.host") or "127.0.0.1"
    bind = spark.conf.get("spark.driver.bindAddress", host) or host
    tell = progress or _ignore
    listener = Listener(host, bind, tell)
    first: TidemillError | None = None
    try:
        for number in range(ranks.max_restarts + 1):
            size = _size(spark, ranks, profile, restarted=number > 0)
            attempt = Attempt(
                number=number,
                size=size,
                threads=threads_of_rank(spark, size),
                address=listener.address,
                backend=backend,
                gpus=ranks.gpus,
                hang_timeout=ranks.hang_timeout,
            )
            listener.begin(number, size)
            try:
                return _run(spark, task, attempt, profile, listener)
            except Exception as error:
                failed = listener.first_failure()
                cause = _as_error(failed, error, ranks.hang_timeout)
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


def _size(
    spark: SparkSession, ranks: Ranks, profile: ResourceProfile | None, *, restarted: bool
) -> int:
    """Wait for the slots wanted; return how many ranks to launch."""
    found = wait_for_slots(spark, ranks.size, ranks.wait, profile)
    if found >= ranks.size:
        return ranks.size
    fewer = largest_divisor(ranks.streams, found)
    if restarted and fewer:
        logger.warning("going on with %d ranks instead of %d", fewer, ranks.size)
        return fewer
    master = spark.sparkContext.master
    slots = f"slots with {ranks.gpus} GPUs each" if ranks.gpus else "slots"
    if is_one_jvm(spark):
        more = f"`--master local[{ranks.size}]`"
    else:
        more = "more GPUs or cores" if ranks.gpus else "more cores"
    raise TrainingError(
        f"`train.ranks: {ranks.size}` needs {ranks.size} {slots} at the same time, but Spark "
        f"({master}) has {found}. Set `train.ranks` to {fewer or 1}, or start Spark with {more}."
    )


def _run(
    spark: SparkSession,
    task: Task,
    attempt: Attempt,
    profile: ResourceProfile | None,
    listener: Listener,
) -> Any:
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
        rows = context.parallelize(range(attempt.size), attempt.size)
        if profile is not None:
            rows = rows.withResources(profile)
        ranks = rows.barrier().mapPartitions(as_rank)
        _for_own_workers(context, ranks, attempt)
        # Spark kills the Python workers of a cancelled job, also those that were stopped.
        with watching(listener, attempt.hang_timeout, lambda: context.cancelJobGroup(group)):
            collected = ranks.collect()
    except BaseException:
        # Also Ctrl-C: ranks must not outlive the launch.
        context.cancelJobGroup(group)
        raise
    finally:
        for name in ("spark.jobGroup.id", "spark.job.description", "spark.job.interruptOnCancel"):
            context.setLocalProperty(name, None)  # type: ignore[arg-type]
    return pickle.loads(collected[0])


def _for_own_workers(context: SparkContext, ranks: RDD[bytes], attempt: Attempt) -> None:
    """Have tasks run in Python workers that nothing else runs in.

    A worker that has used TensorFlow keeps its threads and its GPUs, and Spark reuses workers
    whose environment is the same. With GPUs each launch gets fresh ones: Spark may deal out other
    addresses the next time.
    """
    name = "TIDEMILL_RANK"
    gpus = f", GPUs of {attempt.address.token[:8]} {attempt.number}" if attempt.gpus else ""
    context.environment[name] = f"{attempt.threads} threads{gpus}"
    try:
        _ = ranks._jrdd  # takes the environment over
    finally:
        context.environment.pop(name)


def _as_error(
    failed: RankState | None, error: Exception, hang_timeout: float | None
) -> TidemillError:
    """Return the error that says which rank failed, where, and why."""
    if failed is None:
        return TrainingError(f"Spark could not run the ranks: {_first_line(error)}")
    if failed.ended == "lost":
        return TrainingError(
            f"{failed.place} was lost: its process ended without a word (killed, out of memory, "
            "or its executor went away)."
        )
    if failed.ended == "hung":
        return TrainingError(_hung(failed, hang_timeout))
    kind = getattr(errors, str(failed.failure["kind"]), None)
    if isinstance(kind, type) and issubclass(kind, TidemillError):
        return kind(failed.failure["message"])
    logger.debug("%s: %s", failed.place, failed.failure["traceback"])
    return TrainingError(
        f"{failed.place} failed: {failed.failure['kind']}: {failed.failure['message']}"
    )


def _hung(failed: RankState, hang_timeout: float | None) -> str:
    if failed.failure["is_answering"]:
        state = f"its process is alive, in {failed.where}"
    else:
        state = "its process does not answer (stopped, swapping, or its machine out of reach)"
    return (
        f"{failed.place} hung: no rank has moved for {hang_timeout:g} seconds "
        f"(`train.hang_timeout`), and {state}."
    )


def _is_final(failed: RankState | None, error: Exception) -> bool:
    if failed is None:
        # No rank came as far as its first line: its Python lacks a package, or Spark failed.
        told = kind_told(str(error))
        return is_known_final(error) or (told is not None and is_known_final(told))
    return bool(failed.failure.get("is_final"))


def _first_line(error: Exception) -> str:
    """Return what Python said in a worker, or else the first line of Spark's message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    python = [line for line in lines if re.match(r"\w[\w.]*(Error|Exception): ", line)]
    return (python or lines or [type(error).__name__])[0][:500]

"""What Spark has for ranks: slots at the same time, and cores for each of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pipelines.errors import SettingsError

if TYPE_CHECKING:
    from pyspark.resource import ResourceProfile
    from pyspark.sql import SparkSession

_POLL_SECONDS = 1.0
_DYNAMIC = "spark.dynamicAllocation.enabled"


def is_one_jvm(spark: SparkSession) -> bool:
    """Whether driver and tasks share one JVM: `local[N]`."""
    master = str(spark.sparkContext.master)
    return master == "local" or master.startswith("local[")


def check_allocation(spark: SparkSession) -> None:
    """Raise SettingsError where executors come and go, which a barrier stage refuses."""
    if str(spark.sparkContext.getConf().get(_DYNAMIC, "false")).lower() == "true":
        raise SettingsError(
            f"`{_DYNAMIC}: true`: ranks need all their executors at once, and Spark's barrier "
            "stages exclude it. Set it to false for `train`, with a fixed number of executors "
            "(`spark.executor.instances`)."
        )


def available_slots(spark: SparkSession, profile: ResourceProfile | None = None) -> int:
    """Return how many tasks Spark can run at the same time with the executors there are."""
    context = spark.sparkContext._jsc.sc()
    if profile is None:
        asked = context.resourceProfileManager().defaultResourceProfile()
    else:
        asked = profile._java_resource_profile
    return int(context.maxNumConcurrentTasks(asked))


def wait_for_slots(
    spark: SparkSession, wanted: int, seconds: float, profile: ResourceProfile | None
) -> int:
    """Return the number of slots, once it is the one wanted or `seconds` have passed.

    In one JVM none will come: nothing is waited for.
    """
    deadline = time.monotonic() + (0 if is_one_jvm(spark) else seconds)
    found = available_slots(spark, profile)
    while found < wanted and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        found = available_slots(spark, profile)
    return found


def largest_divisor(streams: int, at_most: int) -> int:
    """Return the largest number of ranks, at most `at_most`, that divides the streams; or 0."""
    fitting = [size for size in range(1, min(streams, at_most) + 1) if streams % size == 0]
    return max(fitting, default=0)


def threads_of_rank(spark: SparkSession, size: int) -> int:
    """Return the threads of one of `size` ranks: what Spark gives a task.

    In one JVM nobody else uses the other slots while the ranks run: they share those too.
    """
    cores = int(spark.conf.get("spark.task.cpus", "1") or 1)
    if is_one_jvm(spark):
        return max(cores, available_slots(spark) * cores // size)
    return cores

"""GPUs for ranks: executors own them, a profile of the barrier stage's tasks asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.errors import SettingsError
from pipelines.ranks.slots import is_one_jvm

if TYPE_CHECKING:
    from pyspark.resource import ResourceProfile
    from pyspark.sql import SparkSession

_AMOUNT = "spark.executor.resource.gpu.amount"


def task_profile(spark: SparkSession, gpus: int) -> ResourceProfile | None:
    """Return what a rank's task asks of Spark, or None where it asks for nothing special.

    Only the tasks: a profile with executor resources needs dynamic allocation, which a barrier
    stage refuses. Raises SettingsError where the application's executors have too few GPUs.
    """
    if not gpus:
        return None
    if is_one_jvm(spark):
        master = spark.sparkContext.master
        raise SettingsError(
            f"`train.resources.gpu: {gpus}`: Spark ({master}) deals out no GPUs in one JVM. "
            "Expected a cluster whose executors own GPUs (conf/spark/gpu.conf); or, for one rank "
            "on this machine's GPU, `train.resources.gpu: 0` and CUDA_VISIBLE_DEVICES=0."
        )
    owned = int(spark.sparkContext.getConf().get(_AMOUNT, "0") or 0)
    if owned < gpus:
        raise SettingsError(
            f"`train.resources.gpu: {gpus}`: this application's executors own {owned} GPUs each "
            f"(`{_AMOUNT}`). Expected at least {gpus}: start it with a profile that asks for them, "
            "see conf/spark/gpu.conf."
        )
    from pyspark.resource import ResourceProfileBuilder, TaskResourceRequests

    cores = int(spark.conf.get("spark.task.cpus", "1") or 1)
    requests = TaskResourceRequests().cpus(cores).resource("gpu", gpus)
    profile = ResourceProfileBuilder().require(requests).build
    # Spark answers questions only about a profile that some data set has asked for.
    spark.sparkContext.emptyRDD().withResources(profile)
    return profile

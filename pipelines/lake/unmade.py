"""Tables whose making was cut off: a log without a commit is no table, and is cleared away.

Delta makes a table's log folder first and its first commit last. A driver that is killed between
the two (or a disk that runs full) leaves a folder that Delta itself takes for a table it can't
find.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from pipelines.errors import LakeError
from pipelines.lake.delta_log import LOG, holds_version
from pipelines.lake.files import file_system

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

logger = logging.getLogger(__name__)

_FIRST = f"{0:020d}.json"


def is_made(spark: SparkSession, place: str) -> bool:
    """Tell whether a folder is a Delta table: its log holds a commit, or a checkpoint of some."""
    system, log = file_system(spark, f"{place}/{LOG}")
    _, first = file_system(spark, f"{place}/{LOG}/{_FIRST}")
    if system.exists(first) and system.getFileStatus(first).getLen() > 0:
        return True
    if not system.exists(log):
        return False
    # The first commits of an old table were cleaned away; its log may be long, and is listed once.
    return holds_version(
        str(one.getPath().getName()) for one in system.listStatus(log) if one.getLen() > 0
    )


def clear_unmade(spark: SparkSession, place: str) -> None:
    """Take away what the making of a table left that never came to its first commit.

    To be called with the table's lock. Raises LakeError where the folder holds anything else:
    rows that no commit names may be somebody's, and a table made over them would hide them.
    """
    system, folder = file_system(spark, place)
    if not system.exists(folder) or is_made(spark, place):
        return
    leftovers, others = _files(system, folder)
    if others:
        raise LakeError(
            f"{place} is no Delta table, but it is not empty: it holds {len(others)} files, such "
            f"as {others[0]}, and its {LOG} holds no commit that names them. If they are a table "
            f"whose {LOG} was lost, bring that back from a copy; else move the folder away. Then "
            "run the same command again."
        )
    for path in leftovers:
        system.delete(path, False)
    _delete_empty(system, folder)
    jvm: Any = spark.sparkContext._jvm
    jvm.org.apache.spark.sql.delta.DeltaLog.invalidateCache(spark._jsparkSession, folder)
    logger.info("%s: cleared what a run left that was stopped while it made the table", place)


def _files(system: Any, folder: Any) -> tuple[list[Any], list[str]]:
    """Return the files that Delta leaves by the way, and the names of all others."""
    leftovers, others = [], []
    files: Any = system.listFiles(folder, True)
    while files.hasNext():
        one = files.next()
        path = one.getPath()
        name = str(path.getName())
        is_first = name == _FIRST and one.getLen() == 0
        if is_first or name.endswith((".tmp", ".crc")):
            leftovers.append(path)
        else:
            others.append(name)
    return leftovers, others


def _delete_empty(system: Any, folder: Any) -> None:
    """Delete folders from the innermost; one that has a file by now stays, as another's."""
    for one in system.listStatus(folder):
        if one.isDirectory():
            _delete_empty(system, one.getPath())
    if not list(system.listStatus(folder)):
        system.delete(folder, False)

"""Opening a run and running stages in it; what a user caused becomes an error a user can read."""

from __future__ import annotations

import datetime as dt
import errno
import importlib
import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.config import Pipeline
from pipelines.errors import (
    FeatureError,
    LakeError,
    SettingsError,
    TidemillError,
    UsageError,
    nearest,
)
from pipelines.lake import files
from pipelines.lake.catalog import Lake
from pipelines.lake.session import spark_session
from pipelines.run import Progress, Run, StageResult, Stopwatch, new_run_id, resolve_place

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

logger = logging.getLogger(__name__)

STAGES = ("ingest", "clean", "featurize", "normalize", "train", "promote", "score", "monitor")
"""All stages, in the order in which data passes them."""


def open_run(
    pipeline: Pipeline,
    *,
    date: dt.date | None = None,
    since: dt.date | None = None,
    run_id: str | None = None,
    progress: Progress | None = None,
    spark: SparkSession | None = None,
    profile: str = "local",
) -> Run:
    """Return a run of `pipeline`: dates and lake checked, Spark started unless given.

    `profile` names the file in `conf/spark/` that a new session is made from.
    """
    if since is not None and date is None:
        raise UsageError(f"--since {since} is the first day of a range; give its last with --date.")
    if since is not None and date is not None and since > date:
        raise UsageError(f"the range is empty: --since {since} lies after --date {date}.")
    lake = Lake(resolve_place(pipeline.root, pipeline.lake))
    check_lake(lake)
    if spark is None:
        # Python workers must be of this environment, also where nobody activated it.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        spark = spark_session(pipeline.root, f"tidemill {pipeline.name}", profile)
    run = Run(pipeline, spark, lake, run_id or new_run_id(pipeline.name), date, since)
    return run if progress is None else replace(run, progress=progress)


def check_lake(lake: Lake) -> None:
    """Make the folder of a local lake; raise LakeError where nothing can be written into it."""
    if not lake.is_local:
        return
    folder = Path(lake.local_root)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise LakeError(
            f"the lake can't be written: {folder}: {error.strerror}. "
            "Give another place with --lake, or mend the folder's permissions."
        ) from error


def run_stage(stage: str, run: Run, *, once: bool = False) -> StageResult:
    """Run one stage and keep its result under the run id.

    With `once`, a stage that finished before under this run id is not run again: its stored
    result is returned. Progress hears `stage_started` and `stage_done` around it.
    """
    if stage not in STAGES:
        raise UsageError(
            f"no stage '{stage}'; stages are {', '.join(STAGES)}.{nearest(stage, list(STAGES))}"
        )
    run.progress({"event": "stage_started", "stage": stage})
    place = f"{run.lake.runs(run.run_id)}/{stage}.result.json"
    stored = files.read_text(run.spark, place) if once else None
    if stored is not None:
        result = StageResult(**json.loads(stored))
        logger.info("%s %s: done before by run %s", stage, run.pipeline.name, run.run_id)
    else:
        module = importlib.import_module(f"pipelines.stages.{stage}")
        watch = Stopwatch()
        try:
            with user_errors(stage, run):
                result = module.run(run)
                files.write_text(run.spark, place, result.to_json())
        except BaseException:
            run.progress({"event": "stage_failed", "stage": stage, "seconds": watch.seconds})
            raise
    run.progress(
        {
            "event": "stage_done",
            "stage": stage,
            "line": result.line(),
            "seconds": result.seconds,
            "before": stored is not None,
        }
    )
    return result


_USERS_ERRNO = {
    errno.EACCES: "may not be written or read",
    errno.EPERM: "may not be written or read",
    errno.EROFS: "is on a file system that is read-only",
    errno.ENOSPC: "has no space left",
    errno.EDQUOT: "is over its quota",
    errno.ENOTDIR: "leads through a file that is no folder",
}
_USERS_WORDS = {
    "AccessControlException": "may not be written or read",
    "AccessDeniedException": "may not be written or read",
    "Permission denied": "may not be written or read",
    "Mkdirs failed to create": "may not be written",
    "Read-only file system": "is on a file system that is read-only",
    "No space left on device": "has no space left",
    "Disk quota exceeded": "is over its quota",
}
"""Words in a Java exception that mean: the place, not the program, is at fault."""


@contextmanager
def user_errors(stage: str, run: Run) -> Iterator[None]:
    """Turn errors that a user caused into a TidemillError; let all others through."""
    try:
        yield
    except TidemillError:
        raise
    except OSError as error:
        what = _USERS_ERRNO.get(error.errno or 0)
        if what is None:
            raise
        raise LakeError(
            f"{stage}: {error.filename or run.lake.root} {what} ({error.strerror}). "
            "Mend that, or give another lake with --lake, then run the stage again."
        ) from error
    except Exception as error:
        translated = _translate(error, stage, run)
        if translated is None:
            raise
        raise translated from error


def _translate(error: Exception, stage: str, run: Run) -> TidemillError | None:
    if not type(error).__module__.startswith(("pyspark.", "py4j.")):
        return None
    text = str(error)
    for words, what in _USERS_WORDS.items():
        if words in text:
            line = next(line for line in text.splitlines() if words in line).strip()
            return LakeError(
                f"{stage}: a place below {run.lake.root} {what} ({line[:200]}). "
                "Mend that, or give another lake with --lake, then run the stage again."
            )
    from pyspark.errors import AnalysisException

    if isinstance(error, AnalysisException) and stage in ("clean", "featurize"):
        said = text.split("\n\nJVM stacktrace")[0].split(";\n")[0].strip()
        where = f"`{stage}` in conf/{run.pipeline.name}/pipeline.yml"
        kind = SettingsError if stage == "clean" else FeatureError
        return kind(f"{stage}: Spark can't read an SQL expression: {said}\nLook at {where}.")
    return None

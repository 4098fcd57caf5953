"""Opening a run and running stages in it; what a user caused becomes an error a user can read."""

from __future__ import annotations

import datetime as dt
import importlib
import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.config import Pipeline
from pipelines.errors import (
    LakeError,
    SettingsError,
    TidemillError,
    TrackingError,
    TrainingError,
    UsageError,
)
from pipelines.fingerprint import code_hash, fingerprint
from pipelines.lake import files
from pipelines.lake.catalog import Lake
from pipelines.lake.lock import write_lock
from pipelines.lake.places import absolute, relative
from pipelines.lake.session import spark_session
from pipelines.lake.spark_log import failures_untold
from pipelines.lake.tenant import confine_links
from pipelines.lineage.attempts import Attempt, record_failed, record_stopped
from pipelines.lineage.records import Hashes, RunRecord, keep
from pipelines.run import Done, Progress, Run, StageResult, Stopwatch, new_run_id, resolve_place
from pipelines.stages.catalog import STAGES
from pipelines.stages.stage import Stage
from pipelines.user_errors import may_quote_clear_values, user_errors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

logger = logging.getLogger(__name__)

_PATIENCE_SECONDS = 3600.0
_UTC = ("UTC", "Etc/UTC", "GMT", "Z", "+00:00")


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
    for place in (lake.root, resolve_place(pipeline.root, pipeline.landing)):
        confine_links(place)
    if spark is None:
        # Python workers must be of this environment, also where nobody activated it.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        # Spark's own bar would write over ours.
        settings = {"spark.ui.showConsoleProgress": "false"}
        spark = spark_session(pipeline.root, f"tidemill {pipeline.name}", profile, **settings)
    check_session(spark)
    files.check_store(spark, lake)
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


def check_session(spark: SparkSession) -> None:
    """Raise SettingsError unless the session counts times in UTC, as all tables do."""
    zone = spark.conf.get("spark.sql.session.timeZone")
    if zone not in _UTC:
        raise SettingsError(
            f"Spark's session is in the time zone {zone}; expected UTC, which all `*_at` columns "
            "are in. Set `spark.sql.session.timeZone UTC` in the Spark profile, or give it to "
            "spark-submit with --conf."
        )


def run_stage(stage: str, run: Run, *, once: bool = False) -> StageResult:
    """Run one stage and keep its result under the run id.

    With `once`, a stage that finished before under this run id, with the same settings, code and
    dates, is not run again: its stored result is returned. Progress hears `stage_started` and
    then `stage_done` or `stage_failed`.
    """
    known = STAGES[stage]
    run.progress({"event": "stage_started", "stage": stage})
    result = stored_result(stage, run) if once else None
    was_done = result is not None
    if result is None:
        result = _run(known, run)
    else:
        logger.info("%s %s: done before by run %s", stage, run.pipeline.name, run.run_id)
    run.progress(
        {
            "event": "stage_done",
            "stage": stage,
            "counts": result.counts,
            "seconds": result.seconds,
            "before": was_done,
        }
    )
    return result


def stored_result(stage: str, run: Run) -> StageResult | None:
    """Return the result this run already has for a stage; None where the stage must run.

    It must run where it never finished, where settings, code or dates have changed since, or
    where a table that it wrote is gone.
    """
    try:
        stored = files.read_json(run.spark, _result_place(stage, run), "the stage runs again")
    except LakeError as error:
        logger.warning("%s of run %s runs again: %s", stage, run.run_id, error)
        return None
    if stored is None or stored["fingerprint"] != _fingerprint(stage, run):
        return None
    result = StageResult(**absolute(run.lake, stored["result"]))
    for table, version in result.written.items():
        log = f"{run.lake.path(table)}/_delta_log/{version:020d}.json"
        if not files.exists(run.spark, log):
            logger.info("%s: %s@%d is gone, so the stage runs again", stage, table, version)
            return None
    return result


def _run(stage: Stage, run: Run) -> StageResult:
    watch = Stopwatch()
    try:
        with user_errors(stage, run), one_at_a_time(stage, run):
            result = _attempt(stage, run)
    except BaseException as error:
        passing = (TrainingError, TrackingError)
        if isinstance(error, TidemillError) and not isinstance(error, passing):
            # The message asks for a change of input or settings; a retry under the same run id
            # must see it. A run that was killed keeps what it resolved, and so does a training
            # that broke off, or that MLflow could not be told of: it goes on from its checkpoint.
            run.forget(stage.name)
        run.progress({"event": "stage_failed", "stage": stage.name, "seconds": watch.seconds})
        raise
    return result


def _attempt(stage: Stage, run: Run) -> StageResult:
    """Run a stage and record it, whether it comes to its end or fails."""
    run = replace(run, lake=run.lake.signed(run.run_id))
    before = record_stopped(run, stage.name, stage.side_by_side)
    for text in before:
        run.progress({"event": "note", "text": text})
    hashes = Hashes(_fingerprint(stage.name, run), code_hash())
    started_at = dt.datetime.now(dt.UTC)
    attempt = Attempt.of(run, stage.name, started_at, hashes)
    attempt.begin(run)
    try:
        with user_errors(stage, run), _spark_quiet(stage, run):
            result = work(stage, run)
    except Exception as error:
        record_failed(run, attempt, error)
        raise
    if before:
        result.details["earlier_attempts"] = before
    keep(run, RunRecord.of(run, result, started_at, hashes))
    stored = {"fingerprint": hashes.settings, "result": relative(run.lake, asdict(result))}
    content = json.dumps(stored, sort_keys=True, default=str)
    files.write_text(run.spark, _result_place(stage.name, run), content)
    attempt.end(run)
    return result


def work(stage: Stage, run: Run) -> StageResult:
    """Have a stage do its work; return what it did, checked and told of in the log.

    Nothing is recorded of it. Raises the stage's fault when all else is told.
    """
    watch, module = Stopwatch(), importlib.import_module(stage.place)
    done: Done = module.run(replace(run, writes=stage.writes_tables(run.tables)))
    result = StageResult.of(stage.name, run, done, watch.seconds)
    check_equations(stage, result)
    logger.info("%s", result.line())
    if done.fault is not None:
        raise done.fault
    return result


@contextmanager
def one_at_a_time(stage: Stage, run: Run) -> Iterator[None]:
    """Have a stage's second run wait for its first one, so that it sees what that has done.

    On a lake of this machine, that is: elsewhere Delta's own conflict check is what there is.
    Those that may run side by side wait only for one of the same run id.
    """
    if stage.side_by_side:
        place = f"{run.lake.runs(run.run_id)}/{stage.name}"
    else:
        place = run.lake.checkpoint(run.pipeline.name, stage.name, "all")
    with write_lock(place, _PATIENCE_SECONDS, f"{stage.name} of run {run.run_id}"):
        yield


def _spark_quiet(stage: Stage, run: Run) -> AbstractContextManager[None]:
    """Have Spark's log leave to us what is to be told of jobs that fail."""
    return failures_untold(run.spark, always=may_quote_clear_values(stage, run))


def _result_place(stage: str, run: Run) -> str:
    return f"{run.lake.runs(run.run_id)}/{stage}.result.json"


def _fingerprint(stage: str, run: Run) -> str:
    return fingerprint(run.pipeline, *STAGES.depends_on(stage), date=run.date, since=run.since)


def check_equations(stage: Stage, result: StageResult) -> None:
    """Raise LakeError where a stage's numbers don't add up: a row was lost on its way.

    `ingest` and `clean` hold theirs themselves, before they move their progress on.
    """
    for equation in stage.equations:
        names = {equation.total, *equation.parts}
        if names <= set(result.counts) and not equation.holds(result.counts):
            raise LakeError(
                f"{result.stage} of {result.pipeline} lost count of its rows: "
                f"{equation.said(result.counts)} does not hold. Expected every row to be accounted "
                "for. The run was not recorded; run it again, and report it if it happens again."
            )

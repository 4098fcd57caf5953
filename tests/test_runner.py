import contextlib
import datetime as dt
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from pipelines import errors, runner
from pipelines.errors import FeatureError, LakeError, QualityError, SettingsError, UsageError
from pipelines.lake.write import append_once
from pipelines.lineage.records import read_records
from pipelines.lineage.show import origin_in, run_lines
from pipelines.run import Done, Versions
from pipelines.runner import open_run, run_stage
from pipelines.stages.catalog import STAGES

pytestmark = pytest.mark.spark


@pytest.fixture
def stage(monkeypatch):
    """A function that puts a function in the place of a stage, and returns the calls of it."""

    def put(name, work=None):
        calls = []

        def run(run):
            calls.append(run)
            if work:
                work(run)
            return Done(counts={"rows_out": 2})

        module = ModuleType(f"pipelines.stages.{name}")
        module.run = run
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return calls

    return put


def test_every_stage_is_there_and_can_be_imported():
    from importlib import import_module

    for stage in STAGES:
        assert callable(import_module(stage.place).run)


def test_a_stage_is_called_and_heard_of(open_test_run, stage):
    calls, heard = stage("clean"), []
    run = open_test_run(progress=heard.append)
    assert run_stage("clean", run).counts == {"rows_out": 2}
    assert [replace(one, writes=None) for one in calls] == [run]
    assert [event["event"] for event in heard] == ["stage_started", "stage_done"]


def test_once_returns_the_stored_result_of_the_same_run(open_test_run, stage):
    calls = stage("clean")
    first = run_stage("clean", open_test_run(run_id="one"), once=True)
    assert run_stage("clean", open_test_run(run_id="one"), once=True) == first
    assert len(calls) == 1
    run_stage("clean", open_test_run(run_id="two"), once=True)
    assert len(calls) == 2


def test_once_runs_again_when_settings_it_depends_on_changed(open_test_run, stage):
    calls = stage("normalize")
    run_stage("normalize", open_test_run(run_id="one"), once=True)
    later = open_test_run(run_id="one", overrides=["train.epochs=9"])
    run_stage("normalize", later, once=True)
    assert len(calls) == 1
    changed = open_test_run(run_id="one", overrides=["normalize.file_rows=9"])
    run_stage("normalize", changed, once=True)
    assert len(calls) == 2


def test_once_runs_again_for_another_date(open_test_run, stage):
    calls = stage("featurize")
    for day in (1, 1, 2):
        run = open_test_run(run_id="one", date=dt.date(2013, 1, day))
        run_stage("featurize", run, once=True)
    assert len(calls) == 2


def test_once_runs_again_where_a_written_table_is_gone(open_test_run, monkeypatch):
    calls = []

    def work(run):
        calls.append(run)
        return Done(written={"silver.flights": 0})

    module = ModuleType("pipelines.stages.clean")
    module.run = work
    monkeypatch.setitem(sys.modules, module.__name__, module)
    run = open_test_run(run_id="one")
    run_stage("clean", run, once=True)
    run_stage("clean", run, once=True)
    assert len(calls) == 2
    run.spark.range(3).write.format("delta").save(run.lake.path("silver.flights"))
    run_stage("clean", run, once=True)
    assert len(calls) == 2


def test_once_runs_again_where_the_stored_result_is_torn(open_test_run, stage):
    calls, run = stage("clean"), open_test_run(run_id="one")
    run_stage("clean", run, once=True)
    Path(run.lake.runs("one"), "clean.result.json").write_text('{"fingerprint": ')
    run_stage("clean", run, once=True)
    assert len(calls) == 2


def test_a_failed_stage_is_not_done(open_test_run, stage):
    def refuse(run):
        raise QualityError("3 rows are bad")

    stage("clean", refuse)
    heard = []
    run = open_test_run(run_id="one", progress=heard.append)
    with pytest.raises(QualityError):
        run_stage("clean", run, once=True)
    assert heard[-1]["event"] == "stage_failed"
    calls = stage("clean")
    run_stage("clean", run, once=True)
    assert len(calls) == 1


def test_a_stage_that_failed_is_recorded_with_what_it_had_written(open_test_run, stage):
    def write_and_refuse(run):
        append_once(run.spark.range(3), run.lake, "silver.flights", "test", 0)
        raise QualityError("row 4711 is bad")

    stage("clean", write_and_refuse)
    with pytest.raises(QualityError, match="4711"):
        run_stage("clean", open_test_run(run_id="one", date=dt.date(2013, 1, 2)))
    run = open_test_run(run_id="two")
    [failed] = read_records(run.lake)
    assert (failed.run_id, failed.stage, failed.status) == ("one", "clean", "failed")
    assert failed.error == (
        "QualityError: A quality rule of severity `fail` was broken; nothing was written."
    )
    assert (failed.date, failed.written) == ("2013-01-02", {"silver.flights": 1})
    assert failed.counts == {"silver.flights.rows": 3}
    assert list(run_lines([failed]))[-1].endswith(
        "one  silver.flights@1 FAILED: QualityError: A quality rule of severity `fail` was broken; "
        "nothing was written."
    )
    _, origin = origin_in([run.lake], "silver.flights", None)
    assert origin.run == failed
    stage("clean")
    heard = []
    run_stage("clean", open_test_run(run_id="one", progress=heard.append))
    assert [event["event"] for event in heard] == ["stage_started", "stage_done"]
    assert [one.status for one in read_records(run.lake)] == ["failed", "done"]


@pytest.mark.parametrize(
    ("retry", "whose"),
    [("one", "this run"), ("two", "run one, which was stopped before its end,")],
)
def test_what_a_killed_attempt_wrote_is_told_and_recorded_by_who_comes_next(
    open_test_run, stage, retry, whose
):
    def write_and_end(run):
        bronze = {"bronze": {"flights": {"version": 7, "id": "x"}}}
        run.resolve(Versions, "clean", lambda: Versions(bronze))
        append_once(run.spark.range(31_000), run.lake, "silver.flights", "test", 0)
        raise SystemExit  # of a process that is gone nobody hears more

    stage("clean", write_and_end)
    with pytest.raises(SystemExit):
        run_stage("clean", open_test_run(run_id="one"))
    stage("clean")
    heard = []
    run = open_test_run(run_id=retry, progress=heard.append)
    result = run_stage("clean", run)
    said = f"an earlier attempt of {whose} wrote: silver.flights@1 (+31,000 rows)"
    assert {"event": "note", "text": said} in heard
    assert result.details["earlier_attempts"] == [said]
    stopped, done = read_records(run.lake)
    assert (stopped.run_id, stopped.status, stopped.read) == (
        "one",
        "stopped",
        {"bronze.flights": 7},
    )
    assert (stopped.written, done.status) == ({"silver.flights": 1}, "done")
    assert "earlier_attempts" not in run_stage("clean", run).details


def test_another_training_that_may_be_alive_is_not_taken_for_a_killed_one(open_test_run, stage):
    def end(run):
        raise SystemExit

    stage("train", end)
    with pytest.raises(SystemExit):
        run_stage("train", open_test_run(run_id="one"))
    stage("train")
    assert "earlier_attempts" not in run_stage("train", open_test_run(run_id="two")).details
    [said] = run_stage("train", open_test_run(run_id="one")).details["earlier_attempts"]
    assert said == "an earlier attempt of this run wrote: nothing"


def test_an_unknown_stage_is_refused_with_the_nearest(open_test_run):
    with pytest.raises(UsageError, match=r"no stage 'claen'.* Did you mean 'clean'"):
        run_stage("claen", open_test_run())


def test_a_file_that_may_not_be_written_is_the_lakes_error(open_test_run, stage):
    def refuse(run):
        raise PermissionError(13, "Permission denied", "/lake/x")

    stage("clean", refuse)
    with pytest.raises(LakeError, match=r"clean: /lake/x may not be written or read"):
        run_stage("clean", open_test_run())


def test_a_place_spark_may_not_write_is_the_lakes_error(open_test_run, stage, tmp_path):
    (tmp_path / "file").write_text("no folder")

    def write(run):
        run.spark.range(1).write.parquet(f"{tmp_path}/file/table")

    stage("clean", write)
    with pytest.raises(LakeError, match="clean: a place below"):
        run_stage("clean", open_test_run())


@pytest.mark.parametrize(("name", "kind"), [("clean", SettingsError), ("featurize", FeatureError)])
def test_sql_that_spark_can_not_read_is_said_without_a_trace(open_test_run, stage, name, kind):
    stage(name, lambda run: run.spark.range(1).selectExpr("no_such_column + 1"))
    with pytest.raises(kind) as caught:
        run_stage(name, open_test_run())
    said = str(caught.value)
    assert "no_such_column" in said
    assert "JVM" not in said
    assert f"Look at `{name}` in conf/flights/pipeline.yml." in said


def test_other_errors_are_let_through(open_test_run, stage):
    stage("clean", lambda run: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        run_stage("clean", open_test_run())


def test_a_lake_below_a_file_is_refused_before_spark_starts(tmp_path):
    from pipelines.config.load import load_pipeline

    (tmp_path / "file").write_text("no folder")
    pipeline = load_pipeline("flights", lake=f"{tmp_path}/file/lake")
    with pytest.raises(LakeError, match=r"the lake can't be written: .*--lake"):
        open_run(pipeline)


def test_dates_that_make_no_range_are_refused():
    from pipelines.config.load import load_pipeline

    pipeline = load_pipeline("flights")
    day = dt.date(2013, 1, 5)
    with pytest.raises(UsageError, match="give its last with --date"):
        open_run(pipeline, since=day)
    with pytest.raises(UsageError, match="--since 2013-01-05 lies after --date 2013-01-04"):
        open_run(pipeline, since=day, date=dt.date(2013, 1, 4))


def test_a_session_in_another_time_zone_is_refused(spark, open_test_run):
    spark.conf.set("spark.sql.session.timeZone", "Europe/Berlin")
    try:
        with pytest.raises(SettingsError, match=r"zone Europe/Berlin; expected UTC.*timeZone UTC"):
            open_test_run()
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")


@pytest.mark.parametrize(
    ("error", "is_kept"),
    [
        (errors.TrackingError("MLflow does not answer"), True),
        (errors.TrainingError("a rank was lost"), True),
        (KeyboardInterrupt(), True),
        (errors.EmptySplit("no rows"), False),
    ],
)
def test_a_retry_goes_on_with_what_was_resolved_unless_its_input_is_to_be_mended(
    monkeypatch, error, is_kept
):
    forgotten = []

    def fail(*_):
        raise error

    for name in ("user_errors", "one_at_a_time"):
        monkeypatch.setattr(runner, name, lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(runner, "_attempt", fail)
    run = SimpleNamespace(forget=forgotten.append, progress=lambda _: None)
    with pytest.raises(type(error)):
        runner._run(STAGES["train"], run)
    assert forgotten == ([] if is_kept else ["train"])

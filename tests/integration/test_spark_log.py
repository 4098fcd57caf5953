"""Spark's own log: no credential is in it, and no trace of what a command tells by itself."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from pipelines.lake.spark_log import failures_untold
from pipelines.runner import run_stage
from tests.conftest import ROOT

SECRET = "hunter2-hunter2"


@pytest.fixture(scope="module")
def formatted(spark):
    """A function that returns what Spark's log writes of a message and of an exception's."""
    jvm = spark.sparkContext._jvm
    settings = jvm.java.util.Properties()
    file = str(ROOT / "conf" / "spark" / "log4j2.properties")
    settings.load(jvm.java.io.FileInputStream(file))
    pattern = settings.getProperty("appender.stderr.layout.pattern")
    log4j = jvm.org.apache.logging.log4j
    builder = log4j.core.layout.PatternLayout.newBuilder().withPattern(pattern)
    always = settings.getProperty("appender.stderr.layout.alwaysWriteExceptions", "true")
    layout = builder.withAlwaysWriteExceptions(always == "true").build()

    def write(message: str, cause: str | None = None) -> str:
        event = log4j.core.impl.Log4jLogEvent.newBuilder().setLoggerName("org.apache.spark.X")
        event = event.setLevel(log4j.Level.WARN).setMessage(log4j.message.SimpleMessage(message))
        if cause is not None:
            event = event.setThrown(jvm.java.io.IOException(cause))
        return layout.toSerializable(event.build())

    return write


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (f"http://alice:{SECRET}@host:5000/api", "http://***@host:5000/api"),
        (f"(http://a:{SECRET}@c, https://{SECRET}@f)", "(http://***@c, https://***@f)"),
        (f"s3a://AKIAABCDEFGHIJKLMNOP:{SECRET}/x+y@bucket/lake", "s3a://***@bucket/lake"),
        (f"jdbc:postgresql://u:{SECRET}@h/db", "jdbc:postgresql://***@h/db"),
        (
            f"jdbc:postgresql://h/db?password={SECRET}&x=1",
            "jdbc:postgresql://h/db?password=***&x=1",
        ),
        (f"jdbc:sqlserver://h;passWord={SECRET};x=1", "jdbc:sqlserver://h;passWord=***;x=1"),
        (f"https://x.blob/c?sv=1&sig={SECRET}&se=2", "https://x.blob/c?sv=1&sig=***&se=2"),
        (f"fs.s3a.secret.key={SECRET}", "fs.s3a.secret.key=***"),
        (f"-Djavax.net.ssl.keyStorePassword={SECRET}", "-Djavax.net.ssl.keyStorePassword=***"),
        ("key AKIAABCDEFGHIJKLMNOP", "key ***"),
    ],
)
def test_a_credential_is_hidden_in_messages_and_traces(formatted, said, shown):
    lines = formatted(said, f"can't reach {said}").splitlines()
    assert lines[0].endswith(f"WARN X: {shown}")
    assert lines[1] == f"java.io.IOException: can't reach {shown}"
    assert SECRET not in "".join(lines)


@pytest.mark.parametrize(
    "said",
    [
        "file:/tmp/a@b/lake and file:///tmp/a@b/lake, hdfs://nn:8020/home/a@b/lake",
        "abfss://container@account.dfs.core.windows.net/lake",
        "http://tracking.example:5000/path@v1",
        "Lost task 0.0 in stage 3.0 (TID 4) (192.0.2.2 executor driver): x=1, tokens=3",
    ],
)
def test_what_is_no_credential_stays_as_it_is(formatted, said):
    assert formatted(said).rstrip("\n").endswith(f"WARN X: {said}")


def tells(spark, logger: str = "org.apache.spark.executor.Executor") -> bool:
    """Return whether a logger of Spark's would write an error."""
    log4j = spark.sparkContext._jvm.org.apache.logging.log4j
    return log4j.LogManager.getLogger(logger).isErrorEnabled()


@pytest.mark.parametrize(
    "logger",
    [
        "org.apache.spark.executor.Executor",
        "org.apache.spark.scheduler.TaskSetManager",
        "org.apache.spark.sql.execution.datasources.v2.DataWritingSparkTask",
        "org.apache.spark.sql.execution.datasources.v2.OverwriteByExpressionExec",
        "org.apache.spark.sql.delta.files.DeltaFileFormatWriter",
    ],
)
def test_traces_of_failed_jobs_are_left_out_of_the_log_unless_they_are_wanted(
    spark, monkeypatch, logger
):
    monkeypatch.setenv("TIDEMILL_DEBUG", "0")
    assert tells(spark, logger)
    with failures_untold(spark):
        assert not tells(spark, logger)
    assert tells(spark, logger)
    monkeypatch.setenv("TIDEMILL_DEBUG", "1")
    with failures_untold(spark):
        assert tells(spark, logger)
    with failures_untold(spark, always=True):
        assert not tells(spark, logger)
    assert tells(spark, logger)


@pytest.mark.parametrize(
    ("stage", "overrides", "is_told"),
    [
        ("ingest", [], True),
        ("score", ["privacy.sources.planes.tailnum=mask"], True),
        # A cast that fails quotes its value.
        ("ingest", ["privacy.sources.planes.tailnum=mask"], False),
        ("clean", ["privacy.sources.planes.tailnum=mask"], False),
    ],
)
def test_what_may_quote_a_marked_value_is_in_no_log_even_where_traces_are_wanted(
    spark, open_test_run, monkeypatch, stage, overrides, is_told
):
    monkeypatch.setenv("TIDEMILL_DEBUG", "1")
    told = []

    def run(run):
        told.append(tells(spark))
        raise ValueError("of the stage")

    module = ModuleType(f"pipelines.stages.{stage}")
    module.run = run
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with pytest.raises(ValueError, match="of the stage"):
        run_stage(stage, open_test_run(overrides=overrides))
    assert told == [is_told]
    assert tells(spark)

"""Settings of a Spark profile, or of Hadoop's files, reach no file that ingest reads."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator

import pandas as pd
import pytest

from pipelines.config.ingest import Source
from pipelines.ingest.session import _SETTINGS
from tests.integration.test_ingest import T0, Place

pytestmark = pytest.mark.spark

HARMFUL = {
    "spark.sql.files.ignoreCorruptFiles": "true",
    "spark.sql.files.ignoreMissingFiles": "true",
    "spark.sql.legacy.parquet.nanosAsLong": "false",
    "spark.sql.files.maxPartitionNum": "1",
    "spark.sql.parquet.mergeSchema": "true",
    "spark.sql.parquet.binaryAsString": "true",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "false",
    "spark.sql.parquet.int96AsTimestamp": "false",
    "spark.sql.parquet.int96TimestampConversion": "true",
    "spark.sql.parquet.datetimeRebaseModeInRead": "LEGACY",
    "spark.sql.parquet.int96RebaseModeInRead": "LEGACY",
    "spark.sql.parquet.fieldId.read.enabled": "true",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.ansi.enabled": "false",
    "spark.sql.caseSensitive": "true",
    "mapreduce.input.linerecordreader.line.maxlength": "20",
}
HARMLESS = {
    "spark.sql.adaptive.enabled",
    "spark.sql.debug.maxToStringFields",
    "spark.sql.execution.arrow.maxRecordsPerBatch",
}


@pytest.fixture
def harmed(spark) -> Iterator[None]:
    """Set all of them where a profile would, for every new session."""
    conf, hadoop = (
        spark.sparkContext._jsc.sc().conf(),
        spark.sparkContext._jsc.hadoopConfiguration(),
    )
    before = {name: conf.get(name, None) for name in HARMFUL}
    for name, value in HARMFUL.items():
        conf.set(name, value)
        if name.startswith("mapreduce."):
            hadoop.set(name, value)
    yield
    for name, value in before.items():
        conf.remove(name) if value is None else conf.set(name, value)
        if name.startswith("mapreduce."):
            hadoop.unset(name)


def test_every_setting_of_the_session_is_tried_with_the_value_that_would_harm():
    assert set(_SETTINGS) == set(HARMFUL) | HARMLESS
    assert all(_SETTINGS[name] != value for name, value in HARMFUL.items())


@pytest.mark.usefixtures("harmed")
def test_no_setting_of_a_profile_passes_over_a_file_or_changes_a_value(spark, tmp_path):
    place = Place(
        spark,
        tmp_path,
        {
            "lines": Source(path="lines", format="json", columns=("a", "b")),
            "typed": Source(path="typed", format="parquet", columns=("n", "day", "raw", "at")),
            "old": Source(path="old", format="parquet", columns=("at",)),
        },
    )
    long = "x" * 100
    place.put("lines/1.json", f'{{"a": 1, "b": "{long}"}}\n{{"a": 2}}\n')
    at = dt.datetime(2024, 3, 31, 2, 30)
    frame = pd.DataFrame({"n": [1], "day": [dt.date(1500, 3, 1)], "raw": [b"\xff"]})
    folder = place.landing / "typed"
    folder.mkdir(parents=True)
    frame.assign(at=pd.to_datetime([at])).to_parquet(folder / "1.parquet")
    whole = (folder / "1.parquet").read_bytes()
    (folder / "2.parquet").write_bytes(whole[:200] + b"\x00" * 60 + whole[260:])
    (place.landing / "old").mkdir()
    old = pd.DataFrame({"at": pd.to_datetime(["1800-03-01"])})
    old.to_parquet(place.landing / "old" / "1.parquet", use_deprecated_int96_timestamps=True)
    for file in place.landing.glob("*/*.parquet"):
        os.utime(file, (T0, T0))
    outcomes = place.ingest()
    assert place.rows("lines", "a", "b") == [("1", long), ("2", None)]
    assert place.rows("typed", "n", "day", "raw", "at") == [
        (1, dt.date(1500, 3, 1), bytearray(b"\xff"), at)
    ]
    assert list(outcomes["typed"].rejected) == ["typed/2.parquet"]
    assert place.rows("old", "CAST(at AS string)") == [("1800-03-01 00:00:00",)]

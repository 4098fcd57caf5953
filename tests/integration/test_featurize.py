"""`featurize` on real Delta tables: pinned versions, slices, repeated runs, clock changes."""

import datetime as dt
from itertools import pairwise

import pytest
from chispa import assert_df_equality
from pyspark.sql import functions as F

from pipelines.errors import FeatureError, SchemaError, TableNotFound
from pipelines.lake.catalog import Lake
from pipelines.lake.read import latest_version, read_at
from pipelines.lake.write import replace_slice
from pipelines.runner import run_stage
from tests.features.silver import silver_tables

pytestmark = pytest.mark.spark

NOV_2, NOV_4 = dt.date(2013, 11, 2), dt.date(2013, 11, 4)
COUNTS = {NOV_2: 689, dt.date(2013, 11, 3): 902, NOV_4: 978}


def write_silver(run, landing, days=None):
    """Write the silver tables of a landing folder, of flights and outcomes only some days."""
    for name, df in silver_tables(run.spark, landing, run.pipeline).items():
        if days and "flight_date" in df.columns:
            df = df.where(F.col("flight_date").between(*days))
        replace_slice(df, run.lake, name, "true")


def gold(run, version=None):
    at = latest_version(run.spark, run.lake, "gold.flights") if version is None else version
    return read_at(run.spark, run.lake, "gold.flights", at)


@pytest.fixture(scope="module")
def november(spark, project, flights_landing, tmp_path_factory):
    """A lake with the features of three days in November; clocks go back on the second."""
    from pipelines.config.load import load_pipeline
    from pipelines.runner import open_run

    lake = Lake(str(tmp_path_factory.mktemp("november")))
    pipeline = load_pipeline("flights", lake=lake.root, root=project)

    def opened(date=None, since=None, overrides=(), run_id=None):
        pipeline = load_pipeline("flights", None, list(overrides), lake.root, project)
        return open_run(pipeline, date=date, since=since, run_id=run_id, spark=spark)

    run = open_run(pipeline, spark=spark)
    write_silver(run, flights_landing(NOV_4), (NOV_2 - dt.timedelta(days=8), NOV_4))
    opened.result = run_stage("featurize", opened(NOV_4, NOV_2))
    return opened


def test_each_flight_of_the_days_is_one_row(november):
    result, run = november.result, november()
    assert result.counts["rows_out"] == sum(COUNTS.values())
    assert result.counts["days"] == 3
    assert set(result.read) == set(run.pipeline.featurize.reads)
    rows = {
        row["flight_date"]: row["count"]
        for row in gold(run).groupBy("flight_date").count().collect()
    }
    assert rows == COUNTS


def test_a_label_is_null_while_its_outcome_is_not_there(november):
    last = gold(november()).groupBy("flight_date").agg(F.count("is_late").alias("known"))
    known = {row["flight_date"]: row["known"] for row in last.collect()}
    assert known[NOV_4] == 0
    assert 0 < known[NOV_2] <= COUNTS[NOV_2]


def test_values_agree_with_the_files_on_the_day_the_clocks_go_back(november):
    run = november()
    row = (
        gold(run)
        .where("flight_date = DATE'2013-11-03' AND sched_minute BETWEEN 900 AND 910")
        .orderBy("prediction_at", "carrier", "flight", "origin")
        .first()
    )
    # 15:00 is UTC-5 that day, two hours before it is 13:00.
    minute = row["sched_minute"] - 900
    predicted_at = row["prediction_at"].astimezone(dt.UTC)
    assert predicted_at == dt.datetime(2013, 11, 3, 18, minute, tzinfo=dt.UTC)
    silver = {
        name: read_at(run.spark, run.lake, name, latest_version(run.spark, run.lake, name))
        for name in run.pipeline.featurize.reads
    }
    observed = silver["silver.weather"].where(
        f"origin = '{row['origin']}' AND observed_at = TIMESTAMP '2013-11-03 17:00:00'"
    )
    seen = observed.select("temp", "humid", "pressure").first()
    assert (row["temp"], row["humid"], row["pressure"]) == tuple(seen)
    # What was reported on the morning of the third at six, and in the six mornings before.
    known = silver["silver.outcomes"].where(
        f"carrier = '{row['carrier']}' AND reported_at <= TIMESTAMP '2013-11-03 18:00:00'"
    )
    for window, since in (("1d", "2013-11-03"), ("7d", "2013-10-28")):
        reported = known.where(f"reported_at > TIMESTAMP '{since} 00:00:00'")
        late, arrived = reported.agg(
            F.count_if(F.col("arr_delay") >= 15), F.count("arr_delay")
        ).first()
        everyone = silver["silver.outcomes"].where(
            f"reported_at BETWEEN TIMESTAMP '{since} 00:00:00' AND TIMESTAMP '2013-11-03 18:00:00'"
        )
        overall = everyone.agg(F.mean((F.col("arr_delay") >= 15).cast("int"))).first()[0]
        assert row[f"late_rate_{window}"] == pytest.approx(overall)
        assert row[f"carrier_late_rate_{window}"] == pytest.approx(
            (late + 10 * overall) / (arrived + 10)
        )


def test_before_six_in_the_morning_only_the_report_of_the_day_before_is_known(november):
    rates = {
        row["flight_date"]: row["rates"]
        for row in gold(november())
        .groupBy("flight_date")
        .agg(F.sort_array(F.collect_set(F.round("late_rate_1d", 9))).alias("rates"))
        .collect()
    }
    assert [len(of_day) for of_day in rates.values()] == [2, 2, 2]
    days = sorted(rates)
    for day, after in pairwise(days):
        assert set(rates[day]) & set(rates[after])


def test_a_day_made_alone_or_again_gives_the_same_rows(november):
    run = november(NOV_2)
    before = gold(run)
    result = run_stage("featurize", run)
    assert result.counts["rows_out"] == COUNTS[NOV_2]
    assert_df_equality(
        gold(run).orderBy("flight_date", "carrier", "flight", "origin"),
        before.orderBy("flight_date", "carrier", "flight", "origin"),
    )


def test_a_day_without_flights_leaves_no_rows_and_says_so(november):
    result = run_stage("featurize", november(dt.date(2013, 12, 24)))
    assert result.counts["rows_out"] == 0
    assert result.details["note"].startswith("no rows for 2013-12-24 to 2013-12-24")
    assert gold(november()).count() == sum(COUNTS.values())


# --- the stage's own promises, on small queries ---


ALL = "SELECT *, timestamp(day) AS prediction_at FROM silver.sales"
RANGE = f"{ALL} WHERE day BETWEEN :since AND :until"
FIRST, SECOND = dt.date(2024, 1, 1), dt.date(2024, 1, 2)


def sell(spark, lake, rows):
    df = spark.createDataFrame(rows, "day date, item string, n int")
    return replace_slice(df, lake, "silver.sales", "true")


def sold(spark, lake):
    version = latest_version(spark, lake, "gold.sales")
    rows = read_at(spark, lake, "gold.sales", version).orderBy("day", "item").collect()
    return [(row["day"], row["item"], row["n"]) for row in rows]


def test_without_a_date_the_whole_table_is_made_anew_with_the_columns_of_the_query(
    featurizing, spark, lake
):
    sell(spark, lake, [(FIRST, "a", 1), (SECOND, "a", 2)])
    result = run_stage("featurize", featurizing(RANGE))
    assert result.details == {"since": "2024-01-01", "until": "2024-01-02"}
    assert result.counts == {
        "rows_computed": 2, "rows_out": 2, "days": 2, "rows_without_label": 2,
    }  # fmt: skip
    sell(spark, lake, [(SECOND, "a", 5)])
    wider = RANGE.replace("*,", "*, n * 2 AS twice,")
    run_stage("featurize", featurizing(wider))
    assert sold(spark, lake) == [(SECOND, "a", 5)]


def test_a_range_replaces_its_days_and_no_others(featurizing, spark, lake):
    sell(spark, lake, [(FIRST, "a", 1), (SECOND, "a", 2)])
    run_stage("featurize", featurizing(RANGE))
    sell(spark, lake, [(FIRST, "a", 10), (SECOND, "b", 20)])
    result = run_stage("featurize", featurizing(RANGE, date=SECOND))
    assert result.date == "2024-01-02"
    assert sold(spark, lake) == [(FIRST, "a", 1), (SECOND, "b", 20)]


def test_a_retry_of_a_run_reads_the_versions_it_resolved_whatever_came_since(
    featurizing, spark, lake
):
    pinned = sell(spark, lake, [(FIRST, "a", 1)])
    first = run_stage("featurize", featurizing(RANGE, run_id="one"))
    sell(spark, lake, [(FIRST, "a", 2)])
    again = run_stage("featurize", featurizing(RANGE, run_id="one"))
    assert first.read == again.read == {"silver.sales": pinned}
    assert sold(spark, lake) == [(FIRST, "a", 1)]
    run_stage("featurize", featurizing(RANGE, run_id="two"))
    assert sold(spark, lake) == [(FIRST, "a", 2)]


@pytest.mark.parametrize(
    ("sql", "error", "message"),
    [
        (ALL, FeatureError, "1 feature rows are of days outside 2024-01-02: "),
        (f"{RANGE} UNION ALL {RANGE}", FeatureError, "2 feature rows have only 1 different keys"),
        (RANGE.replace("*,", "*, 1 AS one,"), SchemaError, "'one' is new"),
        (RANGE.replace("sales", "sale"), FeatureError, "Did you mean 'silver.sales'"),
    ],
)
def test_rows_that_must_not_be_written_leave_the_table_as_it_was(
    featurizing, spark, lake, sql, error, message
):
    sell(spark, lake, [(FIRST, "a", 1), (SECOND, "a", 2)])
    run_stage("featurize", featurizing(RANGE))
    version = latest_version(spark, lake, "gold.sales")
    with pytest.raises(error, match=message):
        run_stage("featurize", featurizing(sql, date=SECOND))
    assert latest_version(spark, lake, "gold.sales") == version


def test_before_clean_has_run_the_missing_table_is_named(featurizing):
    with pytest.raises(TableNotFound, match=r"silver.sales .* Run `tidemill clean shop` first"):
        run_stage("featurize", featurizing(RANGE))


def test_an_input_without_rows_has_no_days(featurizing, spark, lake):
    sell(spark, lake, [])
    with pytest.raises(FeatureError, match="hold no rows, so there are no days"):
        run_stage("featurize", featurizing(RANGE))

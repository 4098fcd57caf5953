"""What an increment costs beside the whole: ingest, clean and featurize on a year of flights.

The flights of 2013 are copied under other flight numbers until there are as many rows as asked for,
so that work is measured and not start-up. All is done in one warm session, in a process of its own.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks.measure import Figure, Helper, say, side_by_side

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from pipelines.run import Run

ROOT = Path(__file__).resolve().parents[2]
ROWS = 10_000_000
FLIGHTS_OF_2013 = 336_776


def measure(folder: str, rows: int, only: str) -> Iterator[Figure]:
    """Measure one of `ingest`, `clean`, `featurize`."""
    place = f"{folder}/increments"
    with Helper("tests.benchmarks.increments", os.environ) as session:

        def ask(way: str) -> dict[str, Any]:
            return session.ask(way=way, folder=place, rows=rows)

        say(f"{only}: {ask(f'prepare_{only}')['rows']:,} rows to work on")
        yield from {"ingest": _ingest, "clean": _clean, "featurize": _featurize}[only](ask)


def _ingest(ask: Any) -> Iterator[Figure]:
    ways = ("plain", "ingest")
    for way in ways:
        ask(way)
    found = side_by_side({way: lambda way=way: ask(way)["rows_per_second"] for way in ways})
    yield Figure(
        "ingest_vs_plain",
        found["ingest"] / found["plain"],
        "rows/s of ingest over a plain copy, spark.read.csv(schema).write.format('delta')",
        at_least=0.7,
    )


def _clean(ask: Any) -> Iterator[Figure]:
    ways = ("whole_year", "new_month")
    ask("new_month")
    found = side_by_side({way: lambda way=way: ask(way)["seconds"] for way in ways})
    yield Figure(
        "clean_incremental_share",
        found["new_month"] / found["whole_year"],
        "seconds to clean one new month over those for the whole year",
        at_most=0.3,
    )


def _featurize(ask: Any) -> Iterator[Figure]:
    ways = ("all_days", "changed_day")
    found = side_by_side({way: lambda way=way: ask(way)["seconds"] for way in ways})
    yield Figure(
        "featurize_one_day_share",
        found["changed_day"] / found["all_days"],
        "seconds to recompute one changed day over a full recompute",
        at_most=0.2,
    )


# --- in the process that holds the session ---


def serve(request: dict[str, Any]) -> dict[str, Any]:
    """Prepare or do one thing; return how long it took."""
    from pipelines.lake.session import spark_session

    spark = spark_session(ROOT, "benchmarks", **{"spark.ui.showConsoleProgress": "false"})
    spark.sparkContext.setLogLevel("ERROR")
    folder, rows = Path(request["folder"]), int(request["rows"])
    folder.mkdir(parents=True, exist_ok=True)
    done: dict[str, Any] = globals()[f"_do_{request['way']}"](spark, folder, rows)
    return done


def _do_prepare_ingest(spark: SparkSession, folder: Path, rows: int) -> dict[str, Any]:
    """Land the year's schedules: a folder a month, CSV files as Spark writes them."""
    landing = folder / "landing/schedules"
    if not landing.exists():
        year = _year(spark, rows)
        for month in range(1, 13):
            of_month = year.where(f"month = {month}").coalesce(1)
            of_month.write.option("header", "true").csv(str(landing / f"{month:02}"))
    return {"rows": _copies(rows) * FLIGHTS_OF_2013}


def _do_plain(spark: SparkSession, folder: Path, rows: int) -> dict[str, Any]:
    columns = _pipeline(folder).ingest.sources["schedules"].columns
    schema = ", ".join(f"`{name}` string" for name in columns)
    out = _fresh(folder / "plain")
    start = time.perf_counter()
    files = spark.read.option("header", "true").option("recursiveFileLookup", "true").schema(schema)
    files.csv(str(folder / "landing/schedules")).write.format("delta").save(str(out))
    return _rate(rows, start)


def _do_ingest(spark: SparkSession, folder: Path, rows: int) -> dict[str, Any]:
    run = _run(spark, folder, _fresh(folder / "ingested"))
    start = time.perf_counter()
    _stage("ingest", run)
    return _rate(rows, start)


def _do_prepare_clean(spark: SparkSession, folder: Path, rows: int) -> dict[str, Any]:
    """Make a lake with eleven months cleaned, and the twelfth in bronze."""
    found = _do_prepare_ingest(spark, folder, rows)
    lake = folder / "before_december"
    if not lake.exists():
        december, aside = folder / "landing/schedules/12", folder / "landing_later"
        december.rename(aside)
        run = _run(spark, folder, lake)
        _stage("ingest", run)
        _stage("clean", run)
        aside.rename(december)
        _stage("ingest", _run(spark, folder, lake))
    return found


def _do_new_month(spark: SparkSession, folder: Path, rows: int) -> dict[str, Any]:
    return _clean_copy(spark, folder, rows // 15, ())


def _do_whole_year(spark: SparkSession, folder: Path, rows: int) -> dict[str, Any]:
    without = ("silver", "quarantine", "_state/flights/clean")
    return _clean_copy(spark, folder, rows, without)


def _clean_copy(
    spark: SparkSession, folder: Path, at_least: int, without: tuple[str, ...]
) -> dict[str, Any]:
    """Clean a copy of the lake; files are linked, since Delta never writes into one."""
    lake = _fresh(folder / "cleaned")
    shutil.copytree(folder / "before_december", lake, copy_function=os.link)
    for part in without:
        shutil.rmtree(lake / part)
    run = _run(spark, folder, lake)
    start = time.perf_counter()
    cleaned = _stage("clean", run)["rows_in"]
    seconds = time.perf_counter() - start
    if cleaned < at_least:
        raise RuntimeError(f"only {cleaned:,} rows were cleaned; expected {at_least:,} or more")
    return {"seconds": seconds}


def _do_prepare_featurize(spark: SparkSession, folder: Path, rows: int) -> dict[str, Any]:
    """Make the silver tables of the year, in files by date as daily deliveries leave them."""
    import datetime as dt

    from pipelines.lake.write import replace_slice
    from pipelines.landing.flights import deliver
    from tests.features.silver import silver_tables

    lake = folder / "silver_only"
    run = _run(spark, folder, lake, whole=True)
    if not (lake / "silver").exists():
        real = folder / "real"
        deliver(real, dt.date(2014, 1, 3))
        for name, df in silver_tables(spark, real, run.pipeline).items():
            wide = df
            if "flight_date" in df.columns:
                wide = _copied(spark, df, rows).repartitionByRange(24, "flight_date")
            replace_slice(wide, run.lake, name, "true")
    return {"rows": _copies(rows) * FLIGHTS_OF_2013}


def _do_all_days(spark: SparkSession, folder: Path, rows: int) -> dict[str, Any]:
    lake = _fresh(folder / "featurized")
    shutil.copytree(folder / "silver_only", lake, copy_function=os.link)
    run = _run(spark, folder, lake, whole=True)
    start = time.perf_counter()
    _stage("featurize", run)
    return {"seconds": time.perf_counter() - start}


def _do_changed_day(spark: SparkSession, folder: Path, rows: int) -> dict[str, Any]:
    """Correct the last day's outcomes in the lake just featurized, and bring gold up to date."""
    lake = folder / "featurized"
    change = "SET arr_delay = arr_delay + 1 WHERE flight_date = DATE'2013-12-31'"
    spark.sql(f"UPDATE delta.`{lake}/silver/outcomes` {change}")
    run = _run(spark, folder, lake, whole=True)
    start = time.perf_counter()
    counts = _stage("featurize", run)
    if counts["days"] != 1:
        raise RuntimeError(f"{counts['days']} days were made again; expected the one that changed")
    return {"seconds": time.perf_counter() - start}


def _year(spark: SparkSession, rows: int) -> DataFrame:
    from pipelines.landing.flights import SCHEDULE_COLUMNS
    from pipelines.landing.source import read_frame

    frame = read_frame("flights")[list(SCHEDULE_COLUMNS)]
    return _copied(spark, spark.createDataFrame(frame.astype(str)), rows)


def _copied(spark: SparkSession, flights: DataFrame, rows: int) -> DataFrame:
    """Return flights under as many further numbers and tail numbers as make up the rows."""
    from pyspark.sql import functions as F

    kind = flights.schema["flight"].dataType
    number = F.col("flight").cast("int") + F.col("copy") * 10_000
    more: dict[str, Any] = {"flight": number.cast(kind)}
    if "tailnum" in flights.columns:
        more["tailnum"] = F.when(F.col("copy") == 0, F.col("tailnum")).otherwise(
            F.concat("tailnum", F.lit("-"), F.col("copy").cast("string"))
        )
    copies = spark.range(_copies(rows)).select(F.col("id").cast("int").alias("copy"))
    return flights.crossJoin(F.broadcast(copies)).withColumns(more).drop("copy")


def _copies(rows: int) -> int:
    return -(-rows // FLIGHTS_OF_2013)


def _pipeline(folder: Path, whole: bool = False) -> Any:
    """Return the pipeline of flights: all of it, or the schedules alone."""
    from pipelines.config.load import load_pipeline
    from pipelines.config.table_rules import References

    overrides = [f"landing={folder / 'landing'}"]
    pipeline = load_pipeline("flights", None, overrides, str(folder / "lake"), ROOT)
    if whole:
        return pipeline
    sources = {"schedules": pipeline.ingest.sources["schedules"]}
    flights = pipeline.clean.entities["flights"]
    # Without the tables they refer to.
    own = [rule for rule in flights.table_rules if not isinstance(rule, References)]
    entities = {"flights": flights.model_copy(update={"table_rules": own})}
    return pipeline.model_copy(
        update={
            "ingest": pipeline.ingest.model_copy(update={"sources": sources}),
            "clean": pipeline.clean.model_copy(update={"entities": entities}),
        }
    )


def _run(spark: SparkSession, folder: Path, lake: Path, whole: bool = False) -> Run:
    from pipelines.runner import open_run

    pipeline = _pipeline(folder, whole).model_copy(update={"lake": str(lake)})
    return open_run(pipeline, spark=spark)


def _stage(stage: str, run: Run) -> dict[str, int]:
    from pipelines.runner import run_stage

    return dict(run_stage(stage, run).counts)


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def _rate(rows: int, start: float) -> dict[str, Any]:
    return {"rows_per_second": _copies(rows) * FLIGHTS_OF_2013 / (time.perf_counter() - start)}

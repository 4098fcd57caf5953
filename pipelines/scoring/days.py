"""Which days are scored, and whether their rows all have a prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pyspark.sql import functions as F

from pipelines.errors import ScoringError
from pipelines.features.covered import read_covered
from pipelines.features.days import Days, described, intersected
from pipelines.features.grain import by_feature_date, joined
from pipelines.lake.changes import table_id
from pipelines.lake.read import latest_version

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

    from pipelines.lake.opened import OpenedLake
    from pipelines.run import Run


class Wanted(NamedTuple):
    """The feature rows to have predictions, and how many; all those of the days."""

    rows: DataFrame
    num_rows: int
    days: Days


def wanted_rows(run: Run, features: DataFrame, source: str) -> Wanted:
    """Return the rows of `run.since`..`run.date`; without a date, of the newest day.

    `source` names the table to people. Raises ScoringError where it is empty, or was never made for
    the days asked for.
    """
    date = run.pipeline.featurize.date
    last = run.date
    if last is None:
        row = features.select(F.max(date)).head()
        last = row[0] if row else None
    if last is None:
        raise ScoringError(f"{source} is empty: there is no date to score.")
    days = (run.since or last, last)
    rows = features.where(F.col(date).between(*map(F.lit, days)))
    num_rows = rows.count()
    if num_rows == 0:
        _check_covered(run, features, source, days)
    return Wanted(rows, num_rows, days)


def chosen_rows(run: Run, where: str | None, limit: int) -> list[Row]:
    """Return up to `limit` feature rows of `run.date`, or of the newest day, in the key's order.

    `where` is an SQL condition over the columns. Raises ScoringError where there are none.
    """
    table, opened = run.tables.features, _look(run)
    wanted = wanted_rows(run, opened.read(table), opened.named(table))
    rows = wanted.rows.where(where) if where else wanted.rows
    found = rows.orderBy(*run.pipeline.featurize.grain).limit(limit).collect()
    if not found:
        such = f" that fulfil {where}" if where else ""
        raise ScoringError(
            f"{opened.named(table)} has no rows of {wanted.days[1]}{such}. Give another --date or "
            "--where."
        )
    return found


def _look(run: Run) -> OpenedLake:
    """Open the features at their newest version."""
    table = run.tables.features
    version = latest_version(run.spark, run.lake, table, f"featurize {run.pipeline.name}")
    return run.open({str(table): version})


def _check_covered(run: Run, features: DataFrame, source: str, days: Days) -> None:
    """Raise ScoringError unless features have been made for some of the days."""
    date = run.pipeline.featurize.date
    ends = features.select(F.min(date), F.max(date)).head()
    held: list[Days] = [(ends[0], ends[1])] if ends and ends[0] else []
    # Where nothing is noted (a table of other hands), all between its ends counts as made.
    table = table_id(run.spark, run.lake, run.tables.features)
    covered = read_covered(run.spark, run.lake, run.pipeline.name, table) or held
    if held and intersected(covered, [days]):
        return
    made = f"features were made for {described(covered)}" if held else "it is empty"
    raise ScoringError(
        f"{source} holds no rows for {described([days])}; {made}. Run `tidemill featurize` for "
        "that date, or give another --date."
    )


def without_prediction(run: Run, wanted: Wanted, model_version: int) -> tuple[DataFrame, int]:
    """Return the rows that a model version has not predicted yet, and how many they are."""
    scored = _already_scored(run, wanted.days, model_version)
    if scored is None:
        return wanted.rows, wanted.num_rows
    missing = joined(wanted.rows, scored, run.pipeline.featurize.grain, "left_anti")
    return missing, missing.count()


def _already_scored(run: Run, days: Days, model_version: int) -> DataFrame | None:
    """Return the grain of what a model version has predicted, or None without a table."""
    rows = run.standing.read(run.tables.predictions)
    if rows is None:
        return None
    of_model = rows.where(
        F.col("scoring_date").between(*map(F.lit, days)) & (F.col("model_version") == model_version)
    )
    settings = run.pipeline.featurize
    return by_feature_date(of_model, settings.date).select(*settings.grain)


def check_all_scored(run: Run, wanted: Wanted, model_version: int) -> None:
    """Raise ScoringError unless every feature row of the days has one prediction by now."""
    scored = _already_scored(run, wanted.days, model_version)
    assert scored is not None  # it has just been written
    grain = run.pipeline.featurize.grain
    times = scored.groupBy(*grain).agg(F.count(F.lit(1)).alias("_times"))
    found = (
        joined(wanted.rows.select(*grain), times, grain, "left")
        .agg(
            F.count_if(F.col("_times").isNull()), F.count_if(F.col("_times") > 1), F.count(F.lit(1))
        )
        .head()
    )
    assert found is not None  # an aggregate without groups is one row
    lost, doubled, num_rows = found
    if lost or doubled:
        first, last = wanted.days
        raise ScoringError(
            f"of {num_rows} feature rows of {first} to {last}, {lost} have no prediction of model "
            f"version {model_version} in {run.tables.predictions} and {doubled} have several; "
            "expected one each. Run `tidemill score` for these days again."
        )

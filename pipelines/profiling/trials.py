"""Tries casts on a table's values, as `clean` makes them, and counts what they take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pipelines.cleaning.casts import cast_columns
from pipelines.config.columns import Column
from pipelines.profiling.casts import Cast
from pipelines.profiling.counts import in_parts, values_of
from pipelines.profiling.facts import ColumnFacts, NumberFacts, Trial
from pipelines.quality.expressions import analysed

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_UNFIT = 30


def try_casts(
    rows: DataFrame, columns: Sequence[ColumnFacts], casts: Mapping[str, Sequence[Cast]]
) -> list[ColumnFacts]:
    """Add how casts fare on all values of some columns, by name."""
    from pyspark.sql import functions as F

    by_name = {one.name: one for one in columns}
    trials: dict[str, dict[Cast, Trial]] = {one.name: dict(one.trials) for one in columns}
    wanted = [(by_name[name], cast) for name, some in casts.items() for cast in some]
    for part in in_parts(wanted):
        typed = cast_by(rows, part)
        asked = []
        for n in range(len(part)):
            asked += [
                F.count(f"c{n}").alias(f"{n} fits"),
                F.min(f"c{n}").cast("string").alias(f"{n} least"),
                F.max(f"c{n}").cast("string").alias(f"{n} largest"),
            ]
        row = typed.agg(*asked).head()
        assert row is not None  # an aggregate without groups is one row
        for n, (one, cast) in enumerate(part):
            trial = Trial(row[f"{n} fits"], row[f"{n} least"], row[f"{n} largest"])
            trials[one.name][cast] = trial
    return [replace(one, trials=trials[one.name]) for one in columns]


def cast_by(
    rows: DataFrame, wanted: Sequence[tuple[ColumnFacts, Cast]], *, with_texts: bool = False
) -> DataFrame:
    """Return columns `c0`, `c1`, ... of casts, as `clean` makes them, and the texts `t0`, ..."""
    from pyspark.sql import functions as F

    settings = {
        f"c{n}": Column.model_validate(
            {"source": one.name, **({} if cast.derive else cast.settings)}
        )
        for n, (one, cast) in enumerate(wanted)
    }
    texts = {
        f"t{n}": Column(source=one.name)
        for n, (one, cast) in enumerate(wanted)
        if with_texts or cast.derive
    }
    present = rows.withColumns(
        {"_source_file": F.lit(""), "_source_modified_at": F.timestamp_seconds(F.lit(0))}
    )
    typed = cast_columns(present, {**settings, **texts})
    for n, (_, cast) in enumerate(wanted):
        if cast.derive:
            expression = cast.derive.format(column=f"t{n}")
            typed = typed.withColumn(f"c{n}", analysed(typed, expression, "a suggested cast")["v"])
    return typed.select(*settings, *texts)


def with_unfit(
    rows: DataFrame, columns: Sequence[ColumnFacts], casts: Mapping[str, Cast]
) -> list[ColumnFacts]:
    """Add the most frequent values that a column's cast does not take."""
    from pyspark.sql import functions as F

    by_name = {one.name: one for one in columns}
    wanted = [(by_name[name], cast) for name, cast in casts.items()]
    found = {one.name: dict(one.trials) for one in columns}
    for part in in_parts(wanted):
        typed = cast_by(rows, part, with_texts=True)
        texts = {
            one.name: F.when(F.col(f"c{n}").isNull(), F.col(f"t{n}"))
            for n, (one, _) in enumerate(part)
        }
        values = values_of(typed, [one for one, _ in part], texts)
        for one, cast in part:
            trial = one.trial(cast)
            found[one.name][cast] = replace(trial, unfit=values[one.name][:_UNFIT])
    return [replace(one, trials=found[one.name]) for one in columns]


def number_facts(
    rows: DataFrame, wanted: Sequence[tuple[ColumnFacts, Cast, Sequence[str]]]
) -> dict[str, NumberFacts]:
    """Return the figures of columns of numbers; the texts named with each count as missing."""
    from pyspark.sql import functions as F

    found: dict[str, NumberFacts] = {}
    for part in in_parts(wanted):
        typed = cast_by(rows, [(one, cast) for one, cast, _ in part], with_texts=True)
        asked = []
        for n, (_, _, missing) in enumerate(part):
            value = F.col(f"c{n}").cast("double")
            if missing:
                value = F.when(~F.col(f"t{n}").cast("string").isin(*missing), value)
            shares = F.percentile_approx(value, [0.01, 0.25, 0.5, 0.75, 0.99], 1000)
            figures = (F.count(value), F.min(value), shares, F.max(value), F.avg(value))
            asked.append(F.struct(*figures, F.stddev_pop(value)).alias(str(n)))
        row = typed.agg(*asked).head()
        assert row is not None  # an aggregate without groups is one row
        for n, (one, _, _) in enumerate(part):
            count, least, shares, *others = row[n]
            if count:
                found[one.name] = NumberFacts(count, least, *shares, *others)
    return found

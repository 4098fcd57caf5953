import math
import re

import pytest
from pyspark.sql.types import StructType

from pipelines.encoding.kinds.category import FittedCategory
from pipelines.encoding.kinds.cyclical import FittedCyclical
from pipelines.encoding.kinds.hashed import FittedHashed
from pipelines.encoding.kinds.numeric import FittedNumeric
from pipelines.encoding.kinds.sequence import FittedSequence
from pipelines.encoding.spec import FeatureSpec
from pipelines.encoding.to_sql import check_raw_columns, to_sql
from pipelines.errors import FeatureError

pytestmark = [pytest.mark.spark, pytest.mark.compiled]

X = {"column": "x", "raw_type": "double"}
C = {"column": "c", "raw_type": "string"}
QUOTES = 'it\'s \\ "${x}" `y`\n'


def spec(*features) -> FeatureSpec:
    return FeatureSpec(key=("id",), date="day", features=features)


def computed(spark, one: FeatureSpec, rows: list, schema: str = "x double, c string") -> list:
    df = spark.createDataFrame(rows, schema).coalesce(1).selectExpr(*to_sql(one))
    types = {"float32": "float", "int32": "int"}
    assert df.dtypes == [(each.name, types[each.dtype]) for each in one.inputs]
    return [tuple(row) for row in df.collect()]


def test_numbers_are_scaled_and_missing_ones_filled_and_flagged(spark) -> None:
    one = spec(
        FittedNumeric(name="a", center=1.0, spread=2.0, missing=-9.0, missing_flag=True, **X),
        FittedNumeric(name="log", log1p=True, **X),
        FittedNumeric(name="zero", center=3.0, spread=0.0, **X),
        FittedCyclical(name="at", period=4, **X),
    )
    rows = [(3.0, ""), (-5.0, ""), (None, ""), (math.nan, ""), (math.inf, ""), (-math.inf, "")]

    missing = (-9.0, 1.0, 0.0, 0.0, 0.0, 0.0)
    assert computed(spark, one, rows) == [
        (1.0, 0.0, pytest.approx(math.log(4)), 0.0, -1.0, pytest.approx(0, abs=1e-7)),
        (-3.0, 0.0, 0.0, 0.0, -1.0, pytest.approx(0, abs=1e-7)),
        missing, missing, missing, missing,
    ]  # fmt: skip


def test_categories_are_looked_up(spark) -> None:
    one = spec(
        FittedCategory(name="v", vocabulary=("UA", "Zürich", QUOTES, "ua"), **C),
        FittedCategory(name="none", vocabulary=(), **C),
        FittedHashed(name="h", buckets=7, **C),
    )
    texts = ["UA", "ua", "Zürich", QUOTES, "new", "", None]

    found = computed(spark, one, [(0.0, text) for text in texts])

    assert [row[0] for row in found] == [2, 5, 3, 4, 1, 0, 0]
    assert [row[1] for row in found] == [1, 1, 1, 1, 1, 0, 0]
    assert [row[2] == 0 for row in found] == [False] * 5 + [True] * 2
    assert all(0 <= row[2] <= 7 for row in found)


def test_a_category_of_whole_numbers_or_booleans_is_looked_up_as_text(spark) -> None:
    one = spec(
        FittedCategory(name="n", column="n", raw_type="int", vocabulary=("-7", "12")),
        FittedCategory(name="b", column="b", raw_type="boolean", vocabulary=("true",)),
    )

    rows = [(12, True), (-7, False), (0, None), (None, True)]
    assert computed(spark, one, rows, "n int, b boolean") == [(3, 2), (2, 1), (1, 0), (0, 2)]


def test_a_vocabulary_of_thousands_is_found_whole(spark) -> None:
    values = tuple(f"value-{index}" for index in range(5_000))
    one = spec(FittedCategory(name="v", vocabulary=values, **C))

    df = spark.range(6_000).selectExpr("0D AS x", "concat('value-', id) AS c", "id")
    wrong = "v != CASE WHEN id < 5000 THEN id + 2 ELSE 1 END"

    assert df.selectExpr("id", *to_sql(one)).where(wrong).count() == 0


def test_names_with_odd_characters_are_quoted(spark) -> None:
    one = spec(FittedNumeric(name="a `b`", column="my col`s", raw_type="double"))

    assert computed(spark, one, [(2.0,)], "`my col``s` double") == [(2.0,)]


def test_a_table_that_lacks_a_raw_column_is_refused(spark) -> None:
    schema = StructType.fromDDL("xx double")

    with pytest.raises(FeatureError, match=r"'a' reads column 'x', .* lacks"):
        check_raw_columns(spec(FittedNumeric(name="a", **X)), schema)


WHOLE = ["tinyint", "smallint", "int", "bigint"]
NUMBERS = [*WHOLE, "float", "double", "decimal(10,2)", "boolean"]
OTHERS = ["string", "date", "timestamp", "binary"]


@pytest.mark.parametrize("then", [*WHOLE, "string", "date", "boolean"])
@pytest.mark.parametrize("kind", [FittedCategory, FittedHashed, FittedSequence])
def test_a_category_takes_no_column_whose_values_have_another_text_now(kind, then) -> None:
    more = {"buckets": 2} if kind is FittedHashed else {"vocabulary": ("1",)}
    form = "{}"
    if kind is FittedSequence:
        more["length"], form = 3, "array<{}>"
    one = spec(kind(name="a", column="c", raw_type=form.format(then), **more))
    for now in [*NUMBERS, *OTHERS]:
        schema = StructType.fromDDL(f"c {form.format(now)}")
        if now == then or {now, then} <= set(WHOLE):
            check_raw_columns(one, schema)
            continue
        then_said, now_said = re.escape(form.format(then)), re.escape(form.format(now))
        with pytest.raises(
            FeatureError,
            match=rf"'c' was {then_said} when feature 'a' was fitted and is {now_said} now "
            r"\(categories are known by their text\)\. Put its type back in `featurize`: CAST",
        ):
            check_raw_columns(one, schema)


def test_a_number_may_come_as_any_number_and_nothing_else() -> None:
    one = spec(FittedNumeric(name="a", column="c", raw_type="int"))
    for now in NUMBERS:
        check_raw_columns(one, StructType.fromDDL(f"c {now}"))
    for now in OTHERS:
        with pytest.raises(FeatureError, match=f"'c' was int .* and is {now} now"):
            check_raw_columns(one, StructType.fromDDL(f"c {now}"))

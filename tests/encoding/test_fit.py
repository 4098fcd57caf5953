import math
import re

import pytest
from pydantic import TypeAdapter

from pipelines.encoding.fit import fit
from pipelines.encoding.kinds import Feature
from pipelines.encoding.spec import FeatureSpec
from pipelines.encoding.statistics import ColumnStatistics, scaling
from pipelines.errors import EmptySplit, FeatureError

NAN, INFINITY = math.nan, math.inf


def settings(**features) -> dict[str, Feature]:
    adapter = TypeAdapter(Feature)
    return {
        name: adapter.validate_python({"kind": "numeric", **one}) for name, one in features.items()
    }


def fitted(df, **features) -> FeatureSpec:
    return fit(df, settings(**features), key=("id",), date="day", label="y")


pytestmark = pytest.mark.spark

ROWS = [
    # id, x, half, same, nothing, carrier, hour, is_new, amount
    (1, 1.0, 0.5, 7.0, None, "UA", 5, True, "1.5"),
    (2, 2.0, 1.5, 7.0, None, "AA", 6, False, "2.5"),
    (3, 3.0, None, None, None, "UA", 6, None, "3.5"),
    (4, 4.0, NAN, 7.0, NAN, "B6", 6, True, None),
    (5, 10.0, 2.5, 7.0, None, "", None, True, None),
    (6, None, 0.5, 7.0, None, None, 7, True, None),
]
SCHEMA = (
    "id int, x double, half double, same double, nothing double, carrier string, hour int, "
    "is_new boolean, amount string"
)


@pytest.fixture(scope="module")
def rows(spark):
    df = spark.createDataFrame(ROWS, SCHEMA)
    return df.withColumn("amount", df["amount"].cast("decimal(5,2)")).coalesce(2)


@pytest.fixture(scope="module")
def spec(rows) -> dict:
    one = fitted(
        rows,
        standard={"column": "x"},
        minmax={"column": "x", "scale": "minmax", "impute": "median"},
        robust={"column": "x", "scale": "robust", "impute": 10},
        raw={"column": "x", "scale": "none", "impute": "zero"},
        log={"column": "x", "log1p": True, "scale": "minmax", "impute": 1},
        half={"missing_flag": True},
        same={},
        nothing={"missing_flag": True, "scale": "none"},
        carrier={"kind": "category"},
        often={"kind": "category", "column": "carrier", "min_count": 2},
        one={"kind": "category", "column": "carrier", "max_size": 2},
        hour={"kind": "category"},
        clock={"kind": "cyclical", "column": "hour", "period": 24},
        is_new={},
        amount={"scale": "minmax"},
        tail={"kind": "hashed", "column": "carrier", "buckets": 10},
    )
    assert one.num_rows == 6
    return {feature.name: feature for feature in one.features}


def test_standard_scaling_takes_mean_and_population_deviation(spec) -> None:
    assert spec["standard"].center == 4.0
    assert spec["standard"].spread == pytest.approx(math.sqrt(10), rel=1e-9)
    assert spec["standard"].missing == 0.0


def test_minmax_scaling_takes_the_range_and_imputes_the_median(spec) -> None:
    assert (spec["minmax"].center, spec["minmax"].spread) == (1.0, 9.0)
    assert spec["minmax"].missing == pytest.approx((3 - 1) / 9)


def test_robust_scaling_takes_quartiles_and_imputes_a_number(spec) -> None:
    assert (spec["robust"].center, spec["robust"].spread) == (3.0, 2.0)
    assert spec["robust"].missing == (10 - 3) / 2


def test_without_scaling_values_stay(spec) -> None:
    assert (spec["raw"].center, spec["raw"].spread, spec["raw"].missing) == (0.0, 1.0, 0.0)


def test_log1p_comes_before_statistics_and_for_an_imputed_number_too(spec) -> None:
    low, high = math.log(2), math.log(11)
    assert spec["log"].center == pytest.approx(low)
    assert spec["log"].spread == pytest.approx(high - low)
    assert spec["log"].missing == pytest.approx(0.0)


def test_nan_counts_as_missing(spec) -> None:
    assert spec["half"].center == 1.25


def test_a_constant_column_has_no_spread(spec) -> None:
    assert (spec["same"].center, spec["same"].spread, spec["same"].missing) == (7.0, 0.0, 0.0)


def test_an_all_missing_column_becomes_zero_however_it_is_scaled(spec) -> None:
    assert (spec["nothing"].spread, spec["nothing"].missing) == (0.0, 0.0)


def test_a_vocabulary_goes_by_count_then_name_without_missing_ones(spec) -> None:
    assert spec["carrier"].vocabulary == ("UA", "AA", "B6")
    assert spec["often"].vocabulary == ("UA",)
    assert spec["one"].vocabulary == ("UA", "AA")


def test_whole_numbers_booleans_and_decimals_are_taken(spec) -> None:
    assert spec["hour"].vocabulary == ("6", "5", "7")
    assert spec["is_new"].center == pytest.approx(0.8)
    assert (spec["amount"].center, spec["amount"].spread) == (1.5, 2.0)
    assert spec["amount"].raw_type == "decimal(5,2)"


LISTS = [
    # xs, ws
    ([1.0, 2.0, 9.0], ["b", "a", "q", "q"]),
    ([None, NAN], ["b", None, ""]),
    ([3.0], []),
    ([], ["b"]),
    (None, None),
]


def test_an_array_is_scaled_by_all_values_that_are_kept(spark) -> None:
    rows = spark.createDataFrame(LISTS, "xs array<double>, ws array<string>").coalesce(2)
    array = {"kind": "array", "column": "xs", "length": 2}
    features = fitted(
        rows,
        first={**array, "impute": 4, "mask": True},
        last={**array, "keep": "last", "scale": "minmax", "impute": "zero"},
        raw={**array, "scale": "none", "impute": "mean"},
    )
    first, last, raw = features.features
    assert features.num_rows == 5
    assert (first.center, first.spread) == pytest.approx((2.0, math.sqrt(2 / 3)), rel=1e-9)
    assert first.missing == pytest.approx(2 / math.sqrt(2 / 3), rel=1e-9)
    assert (last.center, last.spread, last.missing) == (2.0, 7.0, -2 / 7)
    assert (raw.center, raw.spread, raw.missing) == (0.0, 1.0, 2.0)


def test_a_sequence_s_vocabulary_counts_the_elements_that_are_kept(spark) -> None:
    rows = spark.createDataFrame(LISTS, "xs array<double>, ws array<string>").coalesce(2)
    words = {"kind": "sequence", "column": "ws", "length": 2}
    spec = fitted(
        rows.selectExpr("*", "get(ws, 0) AS first_word", "array_size(xs) AS n"),
        first=words,
        last={**words, "keep": "last", "min_count": 2},
        most={**words, "max_size": 1},
        hashed={**words, "buckets": 5},
        other={"kind": "category", "column": "first_word"},
        n={"scale": "none"},
    )
    vocabularies = {f.name: getattr(f, "vocabulary", None) for f in spec.features}
    assert vocabularies == {
        "first": ("b", "a"), "last": ("q",), "most": ("b",), "hashed": (), "other": ("b",),
        "n": None,
    }  # fmt: skip
    assert spec.num_rows == 5


def test_arrays_of_nothing_become_zero_and_infinity_is_refused(spark) -> None:
    nothing = spark.createDataFrame([(None,), ([],), ([None],)], "xs array<float>")
    one = fitted(nothing, xs={"kind": "array", "length": 3}).features[0]
    assert (one.spread, one.missing) == (0.0, 0.0)
    infinite = spark.createDataFrame([([INFINITY, 1.0, -INFINITY],)], "xs array<float>")
    with pytest.raises(FeatureError, match="'xs' is infinite in 2 elements of the training split"):
        fitted(infinite, xs={"kind": "array", "length": 3})


def test_each_column_is_read_once(spark, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("pipelines.encoding.fit_query._COLUMNS_AT_A_TIME", 2)
    numbers = [f"id * {index} + 0.5D AS x{index}" for index in range(5)]
    spark.range(100).selectExpr(
        "id", *numbers, "concat('c', id % 3) AS c", "array(id, 1) AS xs", "array('a', 'b') AS ws"
    ).write.parquet(f"{tmp_path}/rows")
    columns = [f"x{index}" for index in range(5)]
    collected, frame = [], type(spark.range(1))
    collect = frame.collect
    monkeypatch.setattr(frame, "collect", lambda df: collected.append(df) or collect(df))

    spec = fitted(
        spark.read.parquet(f"{tmp_path}/rows"), **{column: {} for column in columns},
        c={"kind": "category"}, most={"kind": "category", "column": "c", "min_count": 34},
        xs={"kind": "array", "length": 1, "scale": "minmax"},
        ws={"kind": "sequence", "length": 1},
    )  # fmt: skip

    plans = "".join(df._jdf.queryExecution().sparkPlan().toString() for df in collected)
    read = re.findall(r"(\w+):", " ".join(re.findall(r"ReadSchema: struct<(.*)>", plans)))
    assert sorted(read) == ["c", *sorted(["ws", *columns]), "xs"]
    spreads = [one.spread for one in spec.features[:5]]
    assert spreads == pytest.approx([index * 28.8660700477 for index in range(5)], rel=1e-9)
    assert spec.num_rows == 100
    assert [one.vocabulary for one in spec.features[5:7]] == [("c0", "c1", "c2"), ("c0",)]
    assert (spec.features[7].spread, spec.features[8].vocabulary) == (99.0, ("a",))


def test_the_spread_of_rows_over_tasks_does_not_matter(spark) -> None:
    rows = spark.range(5_000).selectExpr(
        "id * 0.1D + 1e6 AS x", "sqrt(id) AS y", "concat('c', id % 7) AS c"
    )
    features = {"x": {}, "y": {"scale": "robust", "impute": "mean"}, "c": {"kind": "category"}}

    specs = {
        fitted(rows.repartition(parts, "x"), **features).to_json() for parts in (1, 3)
    } | {fitted(rows.orderBy("c"), **features).to_json()}  # fmt: skip

    assert len(specs) == 1


def test_no_rows_are_an_empty_split(rows) -> None:
    for empty in (rows.where("id > 100"), rows.sparkSession.createDataFrame([], SCHEMA)):
        for features in ({"x": {}}, {"carrier": {"kind": "category"}}):
            with pytest.raises(EmptySplit, match="the training split holds no rows"):
                fitted(empty, **features)


def test_infinity_is_refused_with_the_column(spark) -> None:
    rows = spark.createDataFrame([(1.0,), (-INFINITY,)], "x double")

    with pytest.raises(FeatureError, match="'speed' can't be fitted: column 'x' is infinite in 1 "):
        fitted(rows, speed={"column": "x", "scale": "none"})


def test_values_near_the_largest_double_are_refused(spark) -> None:
    rows = spark.createDataFrame([(1.7e308,), (-1.7e308,)], "x double")

    with pytest.raises(FeatureError, match="feature 'x' can't be scaled: its statistics are not"):
        fitted(rows, x={"scale": "minmax"})


def test_an_absent_column_is_refused_with_the_nearest_one(rows) -> None:
    with pytest.raises(
        FeatureError, match=r"'carier', which the .* lacks\. Did you mean 'carrier'"
    ):
        fitted(rows, carier={"kind": "category"})


@pytest.mark.parametrize(
    ("sql", "feature", "said"),
    [
        ("DATE '2013-01-01'", {}, r"\(numeric\) can't take column 'x' of type date"),
        ("'a'", {}, r"\(numeric\) can't take column 'x' of type string"),
        ("'a'", {"kind": "cyclical", "period": 7}, r"\(cyclical\) can't take"),
        ("1.5D", {"kind": "category"}, r"\(category\) can't take column 'x' of type double"),
        ("1L", {"kind": "hashed", "buckets": 3}, r"\(hashed\) can't take .* type bigint"),
        ("array(1)", {"kind": "category"}, r"\(category\) can't take .* array<int>"),
        ("1", {"kind": "array", "length": 2}, r"\(array\) can't take .* type int"),
        ("array('a')", {"kind": "array", "length": 2}, r"\(array\) can't .* array<string>"),
        ("array(1.5D)", {"kind": "sequence", "length": 2}, r"\(sequence\) .* array<double>"),
    ],
)  # fmt: skip
def test_a_column_of_the_wrong_type_is_refused(spark, sql: str, feature: dict, said: str) -> None:
    with pytest.raises(FeatureError, match=said + ".*; expected (an array of )?one of"):
        fitted(spark.range(1).selectExpr(f"{sql} AS x"), x=feature)


def test_an_image_is_a_binary_column(spark) -> None:
    image = {"kind": "image", "height": 8, "width": 9, "channels": 3}
    one = fitted(spark.sql("SELECT X'89' AS file"), picture={**image, "column": "file"})
    assert one.inputs[0].shape == (8, 9, 3)
    with pytest.raises(FeatureError, match=r"\(image\) .* type string; expected binary: whole PNG"):
        fitted(spark.sql("SELECT 'a' AS file"), file=image)


def test_a_boundless_vocabulary_is_refused(rows, monkeypatch) -> None:
    monkeypatch.setattr("pipelines.encoding.fit.MAX_VOCABULARY", 2)

    with pytest.raises(FeatureError, match=r"'carrier' has more than 2 values\. Set `max_size`"):
        fitted(rows, carrier={"kind": "category"})


def test_digits_that_depend_on_the_order_of_sums_are_dropped() -> None:
    one = ColumnStatistics(2, mean=1000.1234567890123, std=0.12345678901234567, min=0.0, max=2e3)
    two = ColumnStatistics(2, mean=1000.1234567890125, std=0.12345678901234569, min=0.0, max=2e3)

    assert scaling("x", "standard", "mean", one) == scaling("x", "standard", "mean", two)
    assert scaling("x", "standard", "mean", one).center == 1000.123456789

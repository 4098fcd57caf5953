"""normalize on real Delta tables: run twice, its files, its spec, refused input."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F

from pipelines.config.featurize import Featurize
from pipelines.config.load import load_pipeline
from pipelines.config.normalize import Normalize
from pipelines.errors import EmptySplit, FeatureError, SettingsError, TableNotFound
from pipelines.lake.read import latest_version, read_at
from pipelines.run import Run
from pipelines.runner import work
from pipelines.stages.catalog import STAGES
from pipelines.training_set.split import key_hash
from pipelines.training_set.store import load_fold_spec, load_spec, split_column

pytestmark = pytest.mark.spark

SPLIT = {
    "by": "date",
    "train": ["2013-01-01", "2013-01-03"],
    "validation": ["2013-01-04", "2013-01-04"],
    "test": ["2013-01-05", "2013-01-05"],
}
FEATURES = {
    "x": {"kind": "numeric", "missing_flag": True},
    "carrier": {"kind": "category"},
}
GOLD = "day date, carrier string, flight int, is_late int, x double"
KEY = ("day", "carrier", "flight")
TRAINING = "gold.flights_training"
FOLDS = "gold.flights_training_folds"


def day(number: int) -> dt.date:
    return dt.date(2013, 1, number)


ROWS = [
    (day(1), "UA", 1, 1, 1.0),
    (day(1), "UA", 2, 0, 3.0),
    (day(2), "AA", 1, 0, None),
    (day(3), "UA", 1, 1, 5.0),
    (day(3), "UA", 9, None, 1000.0),  # cancelled: no part in fitting
    (day(4), "B6", 1, 1, 9.0),
    (day(5), "AA", 1, 0, 1.0),
    (day(5), None, 2, 0, 3.0),
    (day(6), "UA", 1, None, 3.0),  # in no split
]


class Workshop:
    """A lake with gold.flights, and the settings that make flights_training of it."""

    def __init__(self, spark, lake, project):
        self.spark, self.lake = spark, lake
        self._flights = load_pipeline("flights", None, [], lake.root, project)
        self._runs = 0

    def gold(self, rows=ROWS, schema=GOLD):
        df = self.spark.createDataFrame(rows, schema) if isinstance(rows, list) else rows
        df.write.format("delta").mode("overwrite").save(self.lake.path("gold.flights"))

    def run(self, *, run_id=None, label="is_late", folds=None, key=KEY, **settings):
        featurize = Featurize(
            table="flights", sql=("f.sql",), reads={}, key=key,
            date="day", label=label,
        )  # fmt: skip
        settings = {"training_set": "flights_training", "split": SPLIT, "features": FEATURES,
                    **settings}  # fmt: skip
        pipeline = self._flights.model_copy(
            update={
                "featurize": featurize,
                "normalize": Normalize.model_validate(settings),
                "train": self._flights.train.model_copy(update={"folds": folds}),
            }
        )
        self._runs += 1
        run = Run(pipeline, self.spark, self.lake, run_id or f"run{self._runs}")
        return work(STAGES["normalize"], run)

    def rows(self):
        found = self.spark.read.format("delta").load(self.lake.path(TRAINING))
        return found.orderBy("split", "_position")

    def files(self):
        """Each file as (split, positions in its order, rows of its row groups)."""
        found = (
            self.spark.read.format("delta")
            .load(self.lake.path(TRAINING))
            .groupBy("split", F.input_file_name().alias("path"))
            .agg(F.min("_position").alias("first"))
            .orderBy("split", "first")
            .collect()
        )
        files = []
        for row in found:
            with pq.ParquetFile("/" + row["path"].split(":", 1)[1].lstrip("/")) as file:
                positions = file.read(columns=["_position"])["_position"].to_pylist()
                groups = [file.metadata.row_group(k).num_rows for k in range(file.num_row_groups)]
                files.append((row["split"], positions, groups))
        return files

    def with_dictionary(self) -> set[str]:
        """Columns that some file keeps a dictionary for."""
        found = set()
        for path in Path(self.lake.path(TRAINING)).glob("*/*.parquet"):
            group = pq.ParquetFile(path).metadata.row_group(0)
            for place in range(group.num_columns):
                column = group.column(place)
                if column.has_dictionary_page or "RLE_DICTIONARY" in column.encodings:
                    found.add(column.path_in_schema)
        return found


@pytest.fixture
def workshop(spark, lake, project):
    return Workshop(spark, lake, project)


def test_rows_with_a_label_are_split_transformed_and_counted(workshop) -> None:
    workshop.gold()

    result = workshop.run()

    assert result.counts == {
        "rows_in": 9, "rows_unlabelled": 1, "train": 4, "validation": 1, "test": 2, "outside": 1,
        "rows_out": 7,
    }  # fmt: skip
    assert result.read == {"gold.flights": 0}
    assert result.written == {TRAINING: latest_version(workshop.spark, workshop.lake, TRAINING)}
    rows = workshop.rows()
    assert [(field.name, field.dataType.simpleString()) for field in rows.schema.fields] == [
        ("split", "string"), ("_position", "bigint"), ("day", "date"),
        ("_key_carrier", "string"), ("flight", "int"), ("_label", "float"),
        ("x", "float"), ("x_is_missing", "float"), ("carrier", "int"),
    ]  # fmt: skip
    # mean 3 and deviation sqrt(8/3) of 1, 3, 5; UA before AA by count; B6 was never seen.
    far = pytest.approx(2 / (8 / 3) ** 0.5)
    found = {
        (row["split"], row["day"].day, row["_key_carrier"], row["flight"]): (
            row["_label"], row["x"], row["x_is_missing"], row["carrier"],
        )
        for row in rows.collect()
    }  # fmt: skip
    assert found == {
        ("train", 1, "UA", 1): (1.0, pytest.approx(-2 / (8 / 3) ** 0.5), 0.0, 2),
        ("train", 1, "UA", 2): (0.0, 0.0, 0.0, 2),
        ("train", 2, "AA", 1): (0.0, 0.0, 1.0, 3),
        ("train", 3, "UA", 1): (1.0, far, 0.0, 2),
        ("validation", 4, "B6", 1): (1.0, pytest.approx(6 / (8 / 3) ** 0.5), 0.0, 1),
        ("test", 5, "AA", 1): (0.0, pytest.approx(-2 / (8 / 3) ** 0.5), 0.0, 3),
        ("test", 5, None, 2): (0.0, 0.0, 0.0, 0),
    }


def test_a_second_run_on_the_same_input_writes_nothing(workshop) -> None:
    workshop.gold()
    first = workshop.run()

    second = workshop.run()

    assert second.written == first.written
    assert second.counts == first.counts
    assert (first.details["is_new"], second.details["is_new"]) == (True, False)


def test_other_settings_or_another_input_make_a_new_version_with_its_own_spec(workshop) -> None:
    workshop.gold()
    first = workshop.run().written[TRAINING]
    workshop.gold([*ROWS, (day(3), "B6", 7, 0, 3.0)])

    second = workshop.run().written[TRAINING]
    third = workshop.run(features={"x": FEATURES["x"]}).written[TRAINING]

    assert first < second < third
    specs = [
        load_spec(workshop.spark, workshop.lake, "flights", TRAINING, version)
        for version in (first, second, third)
    ]
    assert [spec.num_rows for spec in specs] == [4, 5, 5]
    assert [len(spec.features) for spec in specs] == [2, 2, 1]
    assert specs[1].features[1].vocabulary == ("UA", "AA", "B6")
    assert workshop.rows().columns[-2:] == ["x", "x_is_missing"]


def test_a_retried_run_stays_on_the_version_it_resolved(workshop) -> None:
    workshop.gold()
    workshop.run(run_id="mine")
    workshop.gold([*ROWS, (day(3), "B6", 7, 0, 3.0)])

    again = workshop.run(run_id="mine")

    assert again.read == {"gold.flights": 0}
    assert again.details["is_new"] is False


def test_files_hold_ranges_of_positions_and_row_groups_of_the_rows_asked_for(workshop) -> None:
    many = workshop.spark.range(2_000).selectExpr(
        "date_add(DATE '2013-01-01', CAST(id % 5 AS INT)) AS day", "concat('c', id % 9) AS carrier",
        "CAST(id AS INT) AS flight", "CAST(id % 2 AS INT) AS is_late", "sqrt(id) AS x",
    )  # fmt: skip
    workshop.gold(many)
    sizes = {"file_rows": 500, "row_group_rows": 150}

    workshop.run(**sizes)
    files, rows = workshop.files(), workshop.rows().collect()

    splits = {"train": 1200, "validation": 400, "test": 400}
    for split, num_rows in splits.items():
        positions = [place for name, some, _ in files if name == split for place in some]
        assert positions == list(range(num_rows))
    assert len([name for name, _, _ in files if name == "train"]) == 3
    for _, positions, groups in files:
        assert len(positions) <= 500
        assert groups[:-1] == [150] * (len(groups) - 1)
        assert 0 < groups[-1] <= 150

    assert workshop.with_dictionary() >= {"carrier"}
    assert not workshop.with_dictionary() & {"x", "x_is_missing", "_label"}

    # Written anew from other lay-outs of the same rows, in a session that shuffles otherwise: the
    # same rows, positions, files and row groups.
    usual = workshop.spark.conf.get("spark.sql.shuffle.partitions")
    for laid_out, shuffled in ((many.repartition(13, "x"), "7"), (many.coalesce(1), "1")):
        workshop.gold(laid_out)
        workshop.spark.conf.set("spark.sql.shuffle.partitions", shuffled)
        try:
            workshop.run(**sizes)
        finally:
            workshop.spark.conf.set("spark.sql.shuffle.partitions", usual)
        assert workshop.rows().collect() == rows
        assert workshop.files() == files


def test_a_split_by_hash_needs_no_dates(workshop) -> None:
    many = workshop.spark.range(400).selectExpr(
        "CAST(NULL AS DATE) AS day", "concat('c', id % 9) AS carrier",
        "CAST(id AS INT) AS flight", "id % 2 = 0 AS is_late", "sqrt(id) AS x",
    )  # fmt: skip
    workshop.gold(many)

    counts = workshop.run(split={"by": "hash", "validation": 0.25, "test": 0.25}).counts

    assert counts["train"] + counts["validation"] + counts["test"] == 400
    assert 160 < counts["train"] < 240


@pytest.mark.parametrize(
    ("days", "name", "found"),
    [
        ([4, 5], "train", r"train: 0, validation: 1, test: 2, .* in no split: 0\."),
        ([1, 5], "validation", "train: 2, validation: 0, test: 2"),
        ([1, 4], "test", "2013-01-01 to 2013-01-04; found train: 2, validation: 1, test: 0"),
    ],
)
def test_an_empty_split_is_refused_with_what_is_there(workshop, days, name, found) -> None:
    workshop.gold([row for row in ROWS if row[0].day in days])

    with pytest.raises(EmptySplit, match=f"the {name} split .2013-01-0.* has no .*{found}"):
        workshop.run()

    with pytest.raises(TableNotFound):
        latest_version(workshop.spark, workshop.lake, TRAINING)


def test_a_features_table_without_rows_is_refused(workshop) -> None:
    workshop.gold([])

    with pytest.raises(EmptySplit, match="holds no rows at all"):
        workshop.run()


def test_columns_that_settings_name_must_be_there(workshop) -> None:
    with pytest.raises(TableNotFound, match="Run `tidemill featurize flights` first"):
        workshop.run()
    workshop.gold()

    with pytest.raises(FeatureError, match=r"no column 'late', .* Did you mean 'is_late'\?"):
        workshop.run(label="late")
    with pytest.raises(FeatureError, match="the label 'carrier' is of type string; expected a num"):
        workshop.run(label="carrier")
    with pytest.raises(SettingsError, match=r"`featurize\.label` names no column"):
        workshop.run(label=None)
    with pytest.raises(FeatureError, match="feature 'y' reads column 'y'"):
        workshop.run(features={"y": {"kind": "numeric"}})


def test_no_row_enters_the_statistics_of_the_fold_it_judges(workshop) -> None:
    # One extreme row, in the block that judges fold 2: it would move mean and spread of `x`.
    rows = [(day(number), "UA", flight, flight % 2, float(flight))
            for number in range(1, 6) for flight in range(1, 5)]  # fmt: skip
    rows.append((day(3), "XX", 9, 1, 1e6))
    workshop.gold(rows)

    result = workshop.run(folds=3)

    specs = [
        load_fold_spec(workshop.spark, workshop.lake, "flights", FOLDS, result.written[FOLDS], fold)
        for fold in (1, 2, 3)
    ]
    assert [spec.num_rows for spec in specs] == [4, 8, 13]
    # Of 1, 2, 3, 4 alone, until the row has moved into the past of fold 3.
    assert [spec.features[0].center for spec in specs[:2]] == [2.5, 2.5]
    assert specs[2].features[0].center > 70_000
    assert [spec.features[1].vocabulary for spec in specs] == [("UA",), ("UA",), ("UA", "XX")]
    found = workshop.spark.read.format("delta").load(workshop.lake.path(FOLDS))
    shown = {
        split: sorted(row["x"] for row in found.where(f"split = '{split}'").collect())
        for split in ("train-2", "validation-2")
    }
    deviation = 1.25**0.5
    scaled = [(x - 2.5) / deviation for x in (1, 2, 3, 4)]
    assert shown["train-2"] == pytest.approx(sorted(2 * scaled))
    assert shown["validation-2"] == pytest.approx([*scaled, (1e6 - 2.5) / deviation])
    assert not found.where(f"day > DATE '{day(4)}'").count(), "the test split stays unseen"
    assert [one["validation_rows"] for one in result.details["folds"]] == [4, 5, 4]


def test_folds_stand_beside_their_training_set_and_are_made_anew_with_it(workshop) -> None:
    workshop.gold()
    alone = workshop.run()
    first = workshop.run(folds=2)
    assert first.written[TRAINING] == alone.written[TRAINING], "folds don't touch the training set"
    assert workshop.run(folds=2).written == first.written
    more = workshop.run(folds=3)
    assert more.written[TRAINING] == first.written[TRAINING]
    assert more.written[FOLDS] > first.written[FOLDS]
    positions = workshop.spark.read.format("delta").load(workshop.lake.path(FOLDS))
    for row in positions.groupBy("split").agg(F.sort_array(F.collect_list("_position"))).collect():
        assert row[1] == list(range(len(row[1])))


def test_rows_of_a_carrier_and_day_lie_by_both_where_every_reader_finds_them(workshop) -> None:
    """A lake of an older release goes on: its training set was partitioned by `_split`."""
    import pandas as pd

    workshop.gold([(day(1 + n % 5), f"c{n // 5}", n, n % 2, float(n)) for n in range(40)])
    place = workshop.lake.path(TRAINING)
    old = workshop.spark.sql("SELECT 'train' AS _split, 0L AS _position, 1.0F AS _label")
    old.write.format("delta").partitionBy("_split").save(place)
    assert split_column(old.schema) == "_split"
    # Five rows have the same key: by the key alone they were one bucket, too large for a file.
    x = {"x": {"kind": "numeric"}}
    result = workshop.run(key=("carrier",), features=x, file_rows=3)
    assert result.counts["rows_out"] == 40
    seen = pd.read_parquet(place)  # as every reader but Delta sees it
    assert seen["split"].value_counts().to_dict() == {"train": 24, "validation": 8, "test": 8}

    table = read_at(workshop.spark, workshop.lake, TRAINING, result.written[TRAINING])
    assert split_column(table.schema) == "split"
    hashed = f"{key_hash(('carrier', 'day'), 'position')}"
    order = f"row_number() OVER (PARTITION BY split ORDER BY {hashed}) - 1"
    numbered = table.selectExpr("_position", f"{order} AS wanted")
    assert not numbered.where("_position <> wanted").count()

    own = {**x, "split": {"kind": "numeric", "column": "flight"}}
    again = workshop.run(key=("carrier",), features=own)
    table = read_at(workshop.spark, workshop.lake, TRAINING, again.written[TRAINING])
    assert split_column(table.schema) == "split_", "a feature has the name `split`"
    assert {"split", "split_"} <= set(table.columns)


def test_an_empty_fold_is_refused(workshop) -> None:
    workshop.gold([row for row in ROWS if row[0].day != 2])
    with pytest.raises(EmptySplit, match=r"fold 1 of 3 \(trains on 2013-01-01 to 2013-01-01, jud"):
        workshop.run(folds=3)


def test_a_table_that_normalize_did_not_write_has_no_spec(workshop) -> None:
    workshop.gold()

    with pytest.raises(FeatureError, match="was not written by `normalize`"):
        load_spec(workshop.spark, workshop.lake, "flights", "gold.flights", 0)


def test_the_training_set_keeps_statistics_of_positions_in_deltas_log(workshop) -> None:
    workshop.gold()
    version = workshop.run().written[TRAINING]

    log = f"{workshop.lake.path(TRAINING)}/_delta_log/{version:020d}.json"
    stats = [row["stats"] for row in workshop.spark.read.json(log).select("add.stats").collect()]

    assert all('"minValues":{"_position":0}' in each for each in stats if each)
    assert read_at(workshop.spark, workshop.lake, TRAINING, version).count() == 7

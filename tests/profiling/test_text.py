"""The settings' text is what settings may be, whatever names and values a table has."""

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.config.document import read_document
from pipelines.config.pipeline import Pipeline
from pipelines.profiling.casts import Cast
from pipelines.profiling.facts import Relation, TableFacts
from pipelines.profiling.features import LeftOut, features_of
from pipelines.profiling.names import plain_names
from pipelines.profiling.nested import reading
from pipelines.profiling.page import page, shape
from pipelines.profiling.plan import Day, Key, Plan, split_by_key
from pipelines.profiling.query import query_text
from pipelines.profiling.roles import label_of
from pipelines.profiling.text import assumptions, pipeline_text
from pipelines.profiling.types import Typed
from pipelines.profiling.yaml_lines import flow, scalar
from tests.profiling.facts import column

plain_text = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029\x85\ufeff"),
    max_size=20,
)


def settings_of(text):
    return read_document(text, "pipeline.yml").values


def plan(label_values=("ja", "nein"), task=None, names=("Alter", "Straße", "bought"), **changes):
    values = {
        names[0]: [str(20 + n % 40) for n in range(100)],
        names[1]: [("Allee", "Weg", "Ring")[n % 3] for n in range(100)],
        names[2]: [label_values[n % len(label_values)] for n in range(100)],
    }
    plain = plain_names(names)
    columns = {plain[name]: Typed(column(name, texts)) for name, texts in values.items()}
    first, second, last = columns
    columns[first] = replace(columns[first], cast=Cast("int"), why=("100 of 100 values are int",))
    label = label_of(last, columns[last], task=task)
    facts = TableFacts(100, tuple(one.column for one in columns.values()), distinct_rows=98)
    features = [*features_of(first, columns[first]), *features_of(second, columns[second])]
    split, why = split_by_key(100)
    found = Plan(
        name="shop",
        landing="data/shop",
        source={"path": "*.csv", "columns": [name or "x" for name in names]},
        source_why={"path": "1 file"},
        facts=facts,
        columns=columns,
        key=Key((), "no column tells rows apart"),
        day=Day("", False, "no column has a day in every row"),
        label_name=last,
        label=label,
        features=features,
        left_out=[LeftOut("note", "empty")],
        split=split,
        split_why=why,
        relations=[Relation(first, 0.7)],
    )
    return replace(found, **changes)


def test_the_text_is_a_pipeline_with_a_reason_beside_each_choice():
    text = pipeline_text(plan())
    pipeline = Pipeline.model_validate(settings_of(text))
    assert pipeline.featurize.label == "bought_label"
    assert pipeline.featurize.key == ("row_id",)
    assert pipeline.clean.entities["shop"].columns["strasse"].source == "Straße"
    assert "alter: {source: Alter, type: int} # 100 of 100 values are int" in text
    assert "# note: left out: empty" in text
    assert "1 is 'ja' (50), the word for yes" in text


def test_the_query_gives_key_day_features_and_label():
    text = query_text(plan())
    assert "_order_file_at AS `prediction_at`" in text
    assert "WHEN 'nein' THEN 0\n    WHEN 'ja' THEN 1" in text
    assert "WHERE `delivered_on` BETWEEN :since AND :until" in text


@pytest.mark.parametrize(
    ("values", "task", "loss", "metric"),
    [
        (("ja", "nein"), None, "binary_crossentropy", "roc_auc"),
        (("a", "b", "it's"), None, "categorical_crossentropy", "accuracy"),
    ],
)
def test_loss_metric_and_gate_fit_the_task(values, task, loss, metric):
    pipeline = Pipeline.model_validate(settings_of(pipeline_text(plan(values, task))))
    assert (pipeline.train.loss, pipeline.promote.metric) == (loss, metric)
    assert pipeline.train.classes == (len(values) if len(values) > 2 else None)
    assert set(pipeline.train.class_names) == set(values)


def test_a_number_is_learnt_scaled_and_judged_by_r2():
    found = plan()
    price = Typed(column("bought", [str(n * 10) for n in range(100)]), Cast("int"))
    found = replace(
        found, label=label_of("bought", price), columns={**found.columns, "bought": price}
    )
    pipeline = Pipeline.model_validate(settings_of(pipeline_text(found)))
    assert (pipeline.train.loss, pipeline.train.scale_label) == ("mse", True)
    assert (pipeline.promote.metric, pipeline.promote.threshold) == ("r2", 0.0)
    assert "CAST(`bought` AS DOUBLE) AS `bought`" in query_text(found)


def test_a_rare_yes_lowers_the_threshold():
    values = ("nein",) * 9 + ("ja",)
    pipeline = Pipeline.model_validate(settings_of(pipeline_text(plan(values))))
    assert pipeline.score.threshold == pytest.approx(0.1)


def test_rows_with_a_day_are_split_and_read_by_it():
    found = plan()
    days = [f"2024-01-{1 + n % 28:02d}" for n in range(100)]
    columns = {**found.columns, "day": Typed(column("day", days), Cast("date"))}
    split = {
        "by": "date",
        "train": [dt.date(2024, 1, 1), dt.date(2024, 1, 19)],
        "validation": [dt.date(2024, 1, 20), dt.date(2024, 1, 22)],
        "test": [dt.date(2024, 1, 23), dt.date(2024, 1, 28)],
    }
    source = {**found.source, "columns": [*found.source["columns"], "day"]}
    found = replace(
        found, columns=columns, day=Day("day", False, "asked for"), split=split, source=source
    )
    pipeline = Pipeline.model_validate(settings_of(pipeline_text(found)))
    assert pipeline.featurize.date == "day"
    assert pipeline.clean.entities["shop"].columns["day"].missing.action == "quarantine"
    assert "CAST(`day` AS TIMESTAMP) AS `prediction_at`" in query_text(found)


@given(plain_text, plain_text, st.lists(plain_text, min_size=2, max_size=4, unique=True))
def test_whatever_headers_and_values_say_the_text_stays_a_pipeline(first, second, values):
    values = [value.strip() for value in values if value.strip()]
    if len({*values}) < 2 or len({first.strip(), second.strip(), "bought", ""}) < 4:
        return
    found = plan(tuple(dict.fromkeys(values)), names=(first.strip(), second.strip(), "bought"))
    loaded = settings_of(pipeline_text(found))
    assert loaded["ingest"]["sources"]["shop"]["columns"] == [
        first.strip(),
        second.strip(),
        "bought",
    ]
    assert loaded["clean"]["entities"]["shop"]["key"] == ["row_id"]


@given(st.text(max_size=30))
def test_each_text_comes_back_from_yaml_as_it_was(text):
    if any(char in text for char in "\ufeff\ud800"):
        return
    assert settings_of(f"a: {scalar(text)}\n") == {"a": text}
    assert settings_of(f"a: {flow([text, {'b': text}])}\n") == {"a": [text, {"b": text}]}


def test_what_was_assumed_is_said_in_a_line_each():
    said = assumptions(plan())
    assert said[0] == "rows: 100, of which 100 % have a label"
    assert all("\n" not in line for line in said)


def test_the_page_shows_each_column_and_what_to_look_at(tmp_path):
    found = plan(notes=["closed_on: a leak: it knows <the label>"])
    text = page(found)
    for name in ("alter", "strasse", "Straße", "bought"):
        assert name in text
    assert "it knows &lt;the label&gt;" in text
    assert "http" not in text, "the page stands alone"
    assert Path(tmp_path).exists()


@pytest.mark.parametrize(
    ("text", "made"), [("AB-1234", "a-9"), ("Straße 5b", "a 9a"), ("12.05.2024", "9.9.9")]
)
def test_a_shape_says_where_letters_and_digits_stand(text, made):
    assert shape(text) == made


def test_values_inside_objects_are_derived_as_their_type():
    found = plan()
    sql = reading("place", ("zip",))
    inside = replace(column("place.size", ["1", "2"] * 50), read_by=sql)
    columns = {
        **found.columns,
        "place": Typed(replace(column("place", ["{}"] * 100), is_taken_apart=True)),
        "place_size": Typed(inside, Cast("double"), ("n/a",)),
    }
    source = {**found.source, "columns": [*found.source["columns"], "place"]}
    text = pipeline_text(replace(found, columns=columns, source=source))
    entity = Pipeline.model_validate(settings_of(text)).clean.entities["shop"]
    assert "place_size" not in entity.columns
    assert entity.derive["place_size"] == f"CAST(nullif({sql}, 'n/a') AS DOUBLE)"
    assert "place_size" not in entity.derive["row_id"]

"""Values that no setting can have, wherever they stand: tried on every field of all settings."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from pipelines.config.load import load_pipeline
from pipelines.config.pipeline import Pipeline
from pipelines.errors import SettingsError


def parts(kind: Any) -> Iterator[Any]:
    yield kind
    for one in get_args(kind):
        yield from parts(one)


def models(model: type[BaseModel], seen: set[type[BaseModel]]) -> set[type[BaseModel]]:
    if model not in seen:
        seen.add(model)
        for field in model.model_fields.values():
            for kind in parts(field.annotation):
                if isinstance(kind, type) and issubclass(kind, BaseModel):
                    models(kind, seen)
    return seen


NUMBERS = sorted(
    (
        (model, name)
        for model in models(Pipeline, set())
        for name, field in model.model_fields.items()
        if float in parts(field.annotation)
    ),
    key=lambda one: (one[0].__name__, one[1]),
)


def test_the_tree_of_settings_is_looked_at_whole():
    names = {(model.__name__, field) for model, field in NUMBERS}
    assert {("Optimizer", "learning_rate"), ("Promote", "threshold"), ("Outliers", "min")} <= names
    assert len(names) > 25


@pytest.mark.parametrize(("model", "field"), NUMBERS)
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_no_number_of_any_setting_is_nan_or_infinite(model, field, number):
    for value in (number, [number], [number, number], {"0": number}, str(number)):
        with pytest.raises(ValidationError) as caught:
            model.model_validate({field: value})
        assert any(error["loc"][:1] == (field,) for error in caught.value.errors()), value


@pytest.mark.parametrize("number", [".nan", ".inf", "-.inf", "nan", "1.0e+999"])
def test_the_file_and_an_override_are_refused_with_their_place(shop, shop_yml, number):
    root = shop(shop_yml.replace("threshold: 0.5", f"threshold: {number}"))
    line = next(n for n, one in enumerate(shop_yml.splitlines(), 1) if "threshold" in one)
    with pytest.raises(SettingsError, match=rf"^conf/shop/pipeline\.yml:{line}: .*finite"):
        load_pipeline("shop", root=root)
    override = f"train.optimizer.learning_rate={number}"
    with pytest.raises(SettingsError, match=r"^--set train\.optimizer\.learning_rate=.*finite"):
        load_pipeline("shop", overrides=[override], root=shop())


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("description=no", "YAML reads an unquoted `no` so. If it is text, quote it: 'no'."),
        ("description=", "Nothing stands behind the key; an empty text is ''."),
        ("train.model={a: b}", "YAML reads an unquoted `{a: b}` so."),
        ("train.options={a: decimal(1,2)}", "Quote it: 'decimal(1,2)'."),
        ("train.options=[[[", "not valid YAML: while parsing a flow"),
        ("description=a\x00b", "the character U+0000 can't stand in YAML"),
        ("description=" + "[" * 3000, "more than 50 lists or mappings stand in one another"),
    ],
)
def test_an_override_is_read_as_a_file_is(shop, override, said):
    with pytest.raises(SettingsError) as caught:
        load_pipeline("shop", overrides=[override], root=shop())
    assert str(caught.value).startswith(f"--set {override}: ")
    assert said in str(caught.value)


PATHS = ["../../x", "a/b", "", "_x", "a b", "x" * 101, "a.b", "1a", "a`b", "..", "ä/", "C:x"]


@pytest.mark.parametrize("name", PATHS)
def test_what_becomes_a_table_has_no_name_that_leads_elsewhere(shop, shop_yml, name):
    for setting in ("normalize.training_set", "featurize.table", "score.model"):
        with pytest.raises(SettingsError, match=rf"{setting}: '.*' can't be a name here"):
            load_pipeline("shop", overrides=[f'{setting}="{name}"'], root=shop())
    source = ("    orders: {path", f'    "{name}": {{path')
    entity = ("    orders:\n", f'    "{name}":\n')
    for old, new in (source, entity):
        with pytest.raises(SettingsError, match="can't be a name here: it becomes a table"):
            load_pipeline("shop", root=shop(shop_yml.replace(old, new)))


@pytest.mark.parametrize("place", ["", " ", "a\\0b", "a\\nb", "\\x7f", "s3a://b/\\r"])
@pytest.mark.parametrize("setting", ["lake", "landing"])
def test_a_place_has_a_name_and_no_control_characters(shop, setting, place):
    with pytest.raises(SettingsError, match=rf"{setting}: .*(names no folder|holds the character)"):
        load_pipeline("shop", overrides=[f'{setting}="{place}"'], root=shop())


def test_an_empty_lake_of_the_command_line_is_no_folder(shop):
    with pytest.raises(SettingsError, match=r"^--lake : lake: .*is a variable of the shell not"):
        load_pipeline("shop", lake="", root=shop())


@pytest.mark.parametrize("path", ["a\\0b", "a\\nb"])
@pytest.mark.parametrize("setting", ["ingest.sources.orders.path", "featurize.sql"])
def test_no_path_below_a_place_has_control_characters(shop, setting, path):
    value = f'["{path}"]' if setting.endswith("sql") else f'"{path}"'
    with pytest.raises(SettingsError, match=rf"{setting}.*holds the character U\+000"):
        load_pipeline("shop", overrides=[f"{setting}={value}"], root=shop())


@pytest.mark.parametrize("place", [".", "a b", "50%", "ü", "s3a://bucket/x", "file:/x", "~/x"])
def test_other_names_of_places_are_taken(shop, place):
    assert load_pipeline("shop", lake=place, root=shop()).lake == place


@pytest.mark.parametrize("name", ["visits", "flights_2013", "Umsätze", "x" * 100])
def test_names_of_letters_digits_and_underscores_are_taken(shop, name):
    pipeline = load_pipeline("shop", overrides=[f"normalize.training_set={name}"], root=shop())
    assert pipeline.normalize.training_set == name


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("exists(select 1 from csv.`/etc/passwd`)", "has `csv.`/etc/passwd``"),
        ("amount in (select amount from silver.orders)", "reads `silver.orders`"),
        ("java_method('java.lang.System', 'getenv', 'X') = 'y'", "has `java_method(...)`"),
        ("Reflect('java.util.UUID', 'randomUUID') is null", "has `Reflect(...)`"),
        ("input_file_name() like '%x%'", "has `input_file_name(...)`"),
        ("exists(select * from read_files('/etc'))", "has `read_files(...)`"),
    ],
)
def test_an_expression_that_reads_a_file_is_refused_with_its_place(
    shop, shop_yml, expression, said
):
    quoted = expression.replace("'", "''")
    key = "      key: order_id\n"
    for text in (
        shop_yml.replace(key, f"{key}      rules: [{{name: r, check: '{quoted}'}}]\n", 1),
        shop_yml.replace(key, f"{key}      delete_when: '{quoted}'\n", 1),
        shop_yml.replace(key, f"{key}      derive: {{d: '{quoted}'}}\n", 1),
        shop_yml.replace("{silver.orders: day}", f"{{silver.orders: '{quoted}'}}"),
    ):
        with pytest.raises(SettingsError) as caught:
            load_pipeline("shop", root=shop(text))
        assert str(caught.value).startswith("conf/shop/pipeline.yml:")
        assert said in str(caught.value)


@pytest.mark.parametrize(
    "expression",
    [
        "extract(year from day) = 2013",
        "trim(both ' ' from name) is distinct from 'select x from y'",
        "`from` > `select` -- select a from csv.`x`",
        "amount > (select max(v) from values (1), (2) as t(v))",
    ],
)
def test_an_expression_over_its_own_row_is_taken(shop, shop_yml, expression):
    quoted = expression.replace("'", "''")
    rules = f"      rules: [{{name: r, check: '{quoted}'}}]\n"
    text = shop_yml.replace("      key: order_id\n", f"      key: order_id\n{rules}", 1)
    assert load_pipeline("shop", root=shop(text)).clean.entities["orders"].rules[0].check

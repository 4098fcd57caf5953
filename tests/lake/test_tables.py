"""The catalog of tables: what it names, and that nobody else does."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise

import pytest

from pipelines.config.load import load_pipeline
from pipelines.errors import SettingsError
from pipelines.lake.catalog import LAYERS, Table
from pipelines.lake.tables import PipelineTables, is_rejected, ledger_of, rejected, silver
from tests.conftest import ROOT
from tests.house import found_in_package

_CATALOGS = ("lake/catalog.py", "lake/tables.py", "config/names.py")
_NAME = re.compile(rf"(?:{'|'.join(LAYERS)})\.\w+")
_BEGINNING = re.compile(rf"(?:.*[\s'`(])?(?:{'|'.join(LAYERS)})\.", re.DOTALL)


def names_written(code: str) -> Iterator[str]:
    """Yield what looks like a table's name in the strings of a module, docstrings left out."""
    tree = ast.parse(code)
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    parts = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) not in said | parts and _NAME.fullmatch(node.value):
                yield node.value
        elif isinstance(node, ast.JoinedStr) and id(node) not in said:
            yield from _in_pieces(node.values)
        elif _makes_a_table(node):
            yield ast.unparse(node)


def _makes_a_table(node: ast.AST) -> bool:
    is_one = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Table"
    return is_one and isinstance(node.args[0], ast.Constant)


def _in_pieces(pieces: list[ast.expr]) -> Iterator[str]:
    """Yield names of which a piece of an f-string is the layer or its beginning."""
    for one, following in pairwise(pieces):
        if isinstance(one, ast.Constant) and isinstance(following, ast.FormattedValue):
            is_name = bool(_BEGINNING.fullmatch(str(one.value)))
        elif isinstance(one, ast.FormattedValue) and isinstance(following, ast.Constant):
            of_layer = ast.unparse(one.value).endswith("layer")
            is_name = of_layer and str(following.value).startswith(".")
        else:
            is_name = False
        if is_name:
            yield f"{ast.unparse(one)}{ast.unparse(following)}"


@pytest.mark.parametrize(
    ("code", "is_one"),
    [
        ("table = f'gold.{name}'", True),
        ("raise E(f'there is no silver.{name} yet')", True),
        ("for layer in ('silver',): x = f'{layer}.{name}'", True),
        ("TABLE = Table('gold', name)", True),
        ("TABLE = 'monitoring.runs'", True),
        ("'''It reads `silver.flights`.'''", False),
        ("help='As `silver.flights`.'", False),
        ("f'{silver.name} of {gold}'", False),
        ("Table.parse(text)", False),
        ("Table(layer, name)", False),
    ],
)
def test_a_name_that_is_put_together_is_seen(code: str, is_one: bool) -> None:
    assert bool(list(names_written(code))) == is_one


def test_no_table_is_named_outside_the_catalog() -> None:
    found = found_in_package(names_written, but=_CATALOGS)
    assert found == {}, "ask pipelines.lake.tables for it"


def test_a_pipeline_knows_its_tables_in_the_order_of_the_datas_way() -> None:
    found = [str(table) for table in PipelineTables(load_pipeline("weather", root=ROOT)).every]
    assert found == [
        *("bronze.observations", "bronze.observations_rejected"),
        *("silver.observations", "quarantine.observations", "gold.temperatures"),
        *("gold.temperatures_training", "gold.temperatures_training_folds"),
        *("predictions.temperatures", "monitoring.temperatures_quality"),
        *("monitoring.temperatures_drift", "monitoring.temperatures_performance"),
        "bronze.observations_files",
        *("monitoring.runs", "monitoring.erasures", "monitoring.quarantine_releases"),
    ]
    assert len(found) == len(set(found))


def test_tables_of_a_pipeline_whose_model_is_called_alike_are_not_its_own() -> None:
    own = PipelineTables(load_pipeline("flights", overrides=["score.model=flights"], root=ROOT))
    other = PipelineTables(load_pipeline("flights", root=ROOT))
    assert own.drift == Table("monitoring", "flights_drift")
    assert other.drift not in own.every


def test_a_table_says_what_tells_its_rows_apart_and_is_the_same_by_its_name() -> None:
    tables = PipelineTables(load_pipeline("flights", root=ROOT))
    assert tables.predictions == Table.parse("predictions.flights_late")
    assert tables.predictions.key[-2:] == ("scoring_date", "model_version")
    assert tables.silver("airlines").key == ("carrier",)
    assert silver("airlines") == tables.silver("airlines")
    assert (tables.predictions.is_record, tables.features.is_record) == (True, False)
    assert [str(table) for table in tables.every if table.has_change_feed and table.is_merged] == [
        f"silver.{name}" for name in tables.pipeline.clean.entities
    ]


def test_tables_of_a_source_find_each_other() -> None:
    assert ledger_of("bronze.visits") == Table("bronze", "visits_files")
    assert is_rejected(rejected("visits"))
    assert not any(map(is_rejected, ("bronze.visits", "silver.visits_rejected")))


@pytest.mark.parametrize("clash", ["flights_training", "flights_training_folds"])
def test_features_in_the_training_sets_place_are_refused(clash: str) -> None:
    with pytest.raises(SettingsError, match=rf"featurize.table: {clash}.*expected two names"):
        load_pipeline("flights", overrides=[f"featurize.table={clash}"], root=ROOT)

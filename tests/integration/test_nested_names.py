"""Names inside of structs of Parquet files, which other programs write in any letters."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest

from pipelines.config.column_names import nested_name
from tests.integration.test_ingest import Place
from tests.integration.test_parquet_files import put, source

pytestmark = pytest.mark.spark

LETTERS = " ,;{}()=`'\"<>:.%/\\\n\tÄß名_-a1"


@pytest.fixture
def place(spark, tmp_path) -> Place:
    return Place(spark, tmp_path, {})


def _plain(value):
    """A value of Spark's, as pyarrow's `to_pylist` has it, fields by their place."""
    if hasattr(value, "__fields__"):
        return tuple(map(_plain, value))
    if isinstance(value, dict):
        return [(_plain(key), _plain(one)) for key, one in value.items()]
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _made_up(names: random.Random, depth: int) -> tuple[pa.DataType, list]:
    """A type with structs in it, and three values of it as `_plain` returns them."""
    kind = names.choice(["struct", "list", "map"]) if depth else "int"
    if kind == "int":
        return pa.int64(), [1, None, 3]
    if kind == "list":
        inside, values = _made_up(names, depth - 1)
        return pa.list_(inside), [values, [], [values[0]]]
    if kind == "map":
        inside, values = _made_up(names, depth - 1)
        return pa.map_(pa.string(), inside), [[("k", values[0])], [], [("l", values[2])]]
    made: dict[str, str] = {}
    for _ in range(3):
        name = "".join(names.choices(LETTERS, k=names.randint(1, 4)))
        made.setdefault(nested_name(name, len(made) + 1).lower(), name)
    inside, values = zip(*(_made_up(names, depth - 1) for _ in made), strict=True)
    fields = [pa.field(name, one) for name, one in zip(made.values(), inside, strict=True)]
    return pa.struct(fields), list(zip(*values, strict=True))


def _for_arrow(kind: pa.DataType, value):
    if value is None:
        return None
    if pa.types.is_struct(kind):
        pairs = zip(kind, value, strict=True)
        return [(field.name, _for_arrow(field.type, one)) for field, one in pairs]
    if pa.types.is_map(kind):
        return [(key, _for_arrow(kind.item_type, one)) for key, one in value]
    return [_for_arrow(kind.value_type, one) for one in value] if pa.types.is_list(kind) else value


def test_values_under_any_names_inside_of_a_column_are_kept(place):
    names = random.Random(20261128)
    kinds, wanted = [], {}
    for number in range(14):
        kind, values = _made_up(names, names.randint(1, 3))
        if pa.types.is_integer(kind):
            continue
        column = f"c{number}"
        kinds.append(pa.field(column, kind))
        wanted[column] = values
    place.sources = {"odd": source("odd", *wanted)}
    arrays = [
        pa.array([_for_arrow(one.type, value) for value in wanted[one.name]], one.type)
        for one in kinds
    ]
    put(place, "odd/1.parquet", pa.table(arrays, schema=pa.schema(kinds)))
    put(place, "odd/2.parquet", pa.table(arrays, schema=pa.schema(kinds)).slice(0, 1))
    assert place.ingest()["odd"].rejected == {}
    rows = place.table("odd").orderBy("_source_file").collect()
    for column, values in wanted.items():
        found = [_plain(row[column]) for row in rows]
        assert sorted(found, key=str) == sorted([*values, values[0]], key=str), column


@pytest.mark.parametrize("pair", [("a", "A"), ("a b", "a_b"), ("a;", "a,"), ("é", "É")])
def test_fields_that_would_have_one_name_put_their_file_aside(place, pair):
    struct = pa.struct([pa.field(name, pa.int64()) for name in pair])
    both = pa.array([[(pair[0], 1), (pair[1], 2)]], struct)
    place.sources = {"both": source("both", "s", "n")}
    put(place, "both/1.parquet", pa.table({"s": both, "n": [1]}))
    one = pa.array([{pair[0]: 1}])
    put(place, "both/2.parquet", pa.table({"s": one, "n": [2]}))
    outcome = place.ingest()["both"]
    ours = (
        f"columns differ from those declared: one name for several in 's' {pair[0]!r}, {pair[1]!r}"
    )
    spark_s = f"a type that can't be read: [COLUMN_ALREADY_EXISTS] The column `{pair[0].lower()}`"
    assert list(outcome.rejected) == ["both/1.parquet"]
    assert outcome.rejected["both/1.parquet"].startswith((ours, spark_s))
    assert outcome.rows == 1

"""Many generated JSON and Parquet files at once: each value is equal, or its record put aside."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import os
import random
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.config.ingest import Source
from pipelines.ingest.json_lines import OVER_LINES
from tests.integration.test_ingest import T0, Place

pytestmark = [
    pytest.mark.spark,
    pytest.mark.compiled,
    # pyarrow 14 makes pandas' times with a zone by a class that pandas 2.3 warns about.
    pytest.mark.filterwarnings("ignore:DatetimeTZBlock is deprecated:DeprecationWarning"),
]

LETTERS = (
    "ab\"'\\/,;:{}[] \t\u00e4\u00df\u20ac\u2028\u2029\u0085\u00a0\ufeff\ufffd\U0001f600\0\x1f\n\r"
)
NUMBERS = ("0", "-0", "1.10", "1e400", "-1.5E-7", "12345678901234567890123", "0.1000", "NaN")
BROKEN = ("{", "[1]", "null", '"text"', "{'a':1}", '{"a":1,"a":2}', '{"a":01}', '{"a":"\\ud800"}')
EPOCH = dt.datetime(1970, 1, 1)


class Drawn(random.Random):
    """Values that are drawn."""

    def text(self) -> str:
        return "".join(self.choices(LETTERS, k=self.randrange(8)))

    def pair(self) -> tuple[str, str | None]:
        """A value as JSON, and the text that bronze should have of it."""
        kind = self.randrange(6)
        if kind == 0:
            return "null", None
        if kind == 1:
            number = self.choice(NUMBERS)
            return number, number
        if kind == 2:
            value = self.choice(["true", "false"])
            return value, value
        if kind == 3:
            inner = self.text()
            number = self.choice(NUMBERS)
            key, written = json.dumps(self.text()), json.dumps(inner, ensure_ascii=False)
            spaced = f"{{ {key} : [ {number} , {json.dumps(inner)},{{}} ] }}"
            return (
                spaced,
                f"{{{json.dumps(json.loads(key), ensure_ascii=False)}:[{number},{written},{{}}]}}",
            )
        text = self.text()
        return json.dumps(text, ensure_ascii=self.random() < 0.5), text


def json_file(drawn: Drawn) -> tuple[bytes, list[tuple[str | None, ...]], list[str]]:
    """A file's content, the rows that should come of it, and its lines that should not."""
    lines, rows, broken = [], [], []
    for _ in range(drawn.randrange(1, 12)):
        if drawn.random() < 0.1:
            lines.append(drawn.choice(["", " ", "\t\r", "[]"]))
            continue
        if drawn.random() < 0.1:
            broken.append(drawn.choice(BROKEN))
            lines.append(broken[-1])
            continue
        objects = []
        for _ in range(drawn.choice([1, 1, 1, 2, 3])):
            pairs = {key: drawn.pair() for key in drawn.sample("abc", drawn.randrange(4))}
            rows.append(tuple(pairs[key][1] if key in pairs else None for key in "abc"))
            inside = ", ".join(f'"{key}": {value}' for key, (value, _) in pairs.items())
            objects.append(f"{{{inside}}}")
        is_array = drawn.random() < 0.3
        lines.append(
            f"[{','.join(objects)}]" if is_array else drawn.choice(["", " "]).join(objects)
        )
    text = drawn.choice(["\n", "\r\n"]).join(lines) + drawn.choice(["", "\n"])
    content = text.encode("utf-8", "surrogatepass")
    return b"\xef\xbb\xbf" + content if drawn.random() < 0.2 else content, rows, broken


def moment(drawn: Drawn) -> dt.datetime:
    return EPOCH + dt.timedelta(microseconds=drawn.randrange(-(10**15), 4 * 10**15))


KINDS: dict[str, tuple[pa.DataType, Callable[[Drawn], Any]]] = {
    "int64": (pa.int64(), lambda drawn: drawn.randrange(-(2**63), 2**63)),
    "uint32": (pa.uint32(), lambda drawn: drawn.randrange(2**32)),
    "double": (pa.float64(), lambda drawn: drawn.choice([drawn.gauss(0, 1e9), -0.0, 5e-324])),
    "text": (pa.string(), lambda drawn: drawn.text()),
    "flag": (pa.bool_(), lambda drawn: drawn.random() < 0.5),
    "decimal": (
        pa.decimal128(20, 3),
        lambda drawn: Decimal(drawn.randrange(-(10**19), 10**19)) / 1000,
    ),
    "day": (pa.date32(), lambda drawn: moment(drawn).date()),
    "nanos": (pa.timestamp("ns"), moment),
    "nanos_utc": (pa.timestamp("ns", "UTC"), lambda drawn: moment(drawn).replace(tzinfo=dt.UTC)),
    "micros": (pa.timestamp("us"), moment),
    "millis": (pa.timestamp("ms"), lambda drawn: moment(drawn).replace(microsecond=123_000)),
    "list": (
        pa.list_(pa.int64()),
        lambda drawn: [drawn.choice([None, 1, -7])] * drawn.randrange(3),
    ),
    "bytes": (pa.binary(), lambda drawn: drawn.randbytes(3)),
}


def parquet_file(drawn: Drawn, file: Any, kind: str) -> list[tuple[Any, ...]]:
    """Write a file of one type; return its rows."""
    arrow, draw = KINDS[kind]
    share = drawn.choice([0.0, 0.3, 1.0])
    size = drawn.choice([0, 1, 3, 20])
    values = [None if drawn.random() < share else draw(drawn) for _ in range(size)]
    is_untyped = share == 1.0 and drawn.random() < 0.5 and kind != "list"
    column = pa.nulls(size) if is_untyped else pa.array(values, arrow)
    numbers = list(range(size))
    table = pa.table({"v": column, "n": numbers})
    if drawn.random() < 0.3 and kind not in ("decimal", "list", "uint32", "day", "bytes"):
        frame = table.to_pandas(types_mapper=pd.ArrowDtype if kind == "int64" else None)
        frame.to_parquet(file, index=drawn.random() < 0.5)
        return list(zip(values, numbers, strict=True))
    pq.write_table(
        table,
        file,
        compression=drawn.choice(["snappy", "gzip", "zstd", "none"]),
        use_dictionary=drawn.random() < 0.5,
        data_page_version=drawn.choice(["1.0", "2.0"]),
        version=drawn.choice(["2.4", "2.6"]) if not kind.startswith("nanos") else "2.6",
        write_statistics=drawn.random() < 0.8,
    )
    return list(zip(values, numbers, strict=True))


def check(place: Place, num_json: int, num_parquet: int) -> None:
    """Make files, ingest them in one run, and look for each value."""
    drawn = Drawn(num_json)
    place.sources = {"json": Source(path="json", format="json", columns=("a", "b", "c"))}
    rows: dict[str, list[Any]] = defaultdict(list)
    broken: dict[str, list[str]] = defaultdict(list)
    for number in range(num_json):
        content, good, bad = json_file(drawn)
        name = f"json/{number}.json"
        rows[name], broken[name] = good, bad
        is_packed = drawn.random() < 0.2
        place.put(
            name + (".gz" if is_packed else ""), gzip.compress(content) if is_packed else content
        )
        if is_packed:
            rows[f"{name}.gz"], broken[f"{name}.gz"] = rows.pop(name), broken.pop(name)
    for kind in KINDS:
        place.sources[kind] = Source(path=kind, format="parquet", columns=("n", "v"))
        (place.landing / kind).mkdir(parents=True)
        for number in range(num_parquet // len(KINDS)):
            file = place.landing / kind / f"{number}.parquet"
            rows[f"{kind}/{number}.parquet"] = parquet_file(drawn, file, kind)
            os.utime(file, (T0, T0))
    outcomes = place.ingest()
    # A file without one whole record, whose last lines begin a value, is put aside as a whole.
    for path in {path for one in outcomes.values() for path in one.rejected}:
        assert outcomes["json"].rejected[path] == OVER_LINES
        assert "{" in broken.pop(path)
        assert rows.pop(path) == []

    found: dict[str, list[Any]] = defaultdict(list)
    for row in place.table("json").orderBy("_source_file", "_row").collect():
        found[row["_source_file"]].append((row["a"], row["b"], row["c"]))
    for kind in KINDS:
        table = place.table(kind)
        type_of = dict(table.dtypes)
        value = "v" if "v" in type_of else "null AS v"
        value = "CAST(v AS TIMESTAMP_NTZ) AS v" if type_of.get("v") == "timestamp" else value
        for row in table.selectExpr(value, "n", "_source_file", "_row").collect():
            found[row["_source_file"]].append((normal(row["v"]), row["n"]))
    for path, expected in rows.items():
        is_json = path.startswith("json/")
        wanted = expected if is_json else [(normal(value), n) for value, n in expected]
        assert (
            found[path] if is_json else sorted(found[path], key=lambda row: row[1])
        ) == wanted, path
    aside: dict[str, list[str]] = defaultdict(list)
    for row in place.table("json_rejected").collect():
        assert row["reason"]
        aside[row["_source_file"]].append(row["raw"])
    assert {path: sorted(lines) for path, lines in broken.items() if lines} == {
        path: sorted(lines) for path, lines in aside.items()
    }


def normal(value: Any) -> Any:
    """A value as it is compared: 0.0 and -0.0 differ, a moment is one whatever its zone."""
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=None)
    return bytes(value) if isinstance(value, bytearray) else value


def test_every_value_of_generated_files_is_equal_or_put_aside(spark, tmp_path):
    check(Place(spark, tmp_path), 200, 10 * len(KINDS))


@pytest.mark.slow
def test_every_value_of_ten_thousand_generated_files_is_equal_or_put_aside(spark, tmp_path):
    check(Place(spark, tmp_path), 5_000, 385 * len(KINDS))

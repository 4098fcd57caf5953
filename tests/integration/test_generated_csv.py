"""Generated CSV files of many writers, dialects, encodings and compressions, through one ingest."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import random
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipelines.config.ingest import Source
from pipelines.ingest.source import ingest_sources
from pipelines.lake.catalog import Lake

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

COLUMNS = ("id", "a", "b")
Row = tuple[str, str, str]


@dataclass(frozen=True)
class Kind:
    """Files that one source reads: their dialect, encoding and the letters of their values."""

    separator: str
    quote: str
    encoding: str
    letters: str
    writers: tuple[str, ...] = ("csv", "pandas")

    @property
    def source(self) -> Source:
        return Source(
            path=f"files_{KINDS.index(self)}",
            columns=COLUMNS,
            options={"sep": self.separator, "quote": self.quote, "encoding": self.encoding},
        )


KINDS = [
    Kind(
        ",",
        '"',
        "utf-8",
        "ab 1,\"'\\\n\r\t\u2028\u0085\xe9\U0001f600\x00",
        ("csv", "pandas", "arrow"),
    ),
    Kind(";", "'", "cp1252", "ab 1;\"'\\\n\xe9\u20ac\xfc"),
    Kind("\t", '"', "utf-16", 'ab 1\t"\\\n\r\u2028\xe9\U0001f600'),
]
PACK = {
    "": lambda content: content,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}


def value(chance: random.Random, kind: Kind, ends: str) -> str:
    text = "".join(chance.choices(kind.letters, k=chance.choice([0, 1, 2, 5, 9])))
    # A bare CR before LF is no value any reader could tell from a line's end.
    return text.replace("\r", "") if ends == "\n" else text


def written(chance: random.Random, kind: Kind, rows: list[Row], ends: str) -> str:
    writer = chance.choice(kind.writers)
    quoting = chance.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
    if writer == "arrow":
        return by_arrow(rows, chance.choice(["needed", "all_valid"]))
    if writer == "pandas":
        import pandas as pd

        frame = pd.DataFrame(rows, columns=list(COLUMNS))
        return str(
            frame.to_csv(
                index=False,
                sep=kind.separator,
                quotechar=kind.quote,
                quoting=quoting,
                lineterminator=ends,
            )
        )
    out = io.StringIO(newline="")
    to = csv.writer(
        out,
        delimiter=kind.separator,
        quotechar=kind.quote,
        quoting=quoting,
        lineterminator=ends,
    )
    to.writerows([COLUMNS, *rows])
    return out.getvalue().removesuffix(chance.choice(["", ends]))


def by_arrow(rows: list[Row], style: str) -> str:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    columns = zip(*rows, strict=True) if rows else [[], [], []]
    table = pa.table(
        dict(zip(COLUMNS, (pa.array(column, pa.string()) for column in columns), strict=True))
    )
    sink = pa.BufferOutputStream()
    arrow_csv.write_csv(table, sink, arrow_csv.WriteOptions(quoting_style=style))
    return sink.getvalue().to_pybytes().decode()


def deliver(landing: Path, num_files: int, seed: int) -> dict[str, list[Row]]:
    """Write files below the landing folder; return their rows by path. Some gz files are cut."""
    chance = random.Random(seed)
    found: dict[str, list[Row]] = {}
    for number in range(num_files):
        kind = chance.choice(KINDS)
        ends = chance.choice(["\n", "\r\n"])
        rows = [
            (str(at), value(chance, kind, ends), value(chance, kind, ends))
            for at in range(chance.choice([0, 1, 3, 20]))
        ]
        text = written(chance, kind, rows, ends)
        mark = "\ufeff" if kind.encoding == "utf-8" and chance.random() < 0.2 else ""
        ending = chance.choice(list(PACK))
        path = f"{kind.source.path}/{number}.csv{ending}"
        content = PACK[ending]((mark + text).encode(kind.encoding))
        if ending == ".gz" and chance.random() < 0.1:
            content, rows = content[: len(content) // 2], []
            path = path.replace("/", "/cut_")
        (landing / path).parent.mkdir(parents=True, exist_ok=True)
        (landing / path).write_bytes(content)
        found[path] = rows
    return found


@pytest.mark.parametrize(
    "num_files", [300, pytest.param(10_000, marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_every_value_of_generated_files_is_equal_or_its_file_is_put_aside(
    spark: SparkSession, tmp_path: Path, num_files: int
) -> None:
    expected = deliver(tmp_path / "landing", num_files, seed=num_files)
    lake = Lake(str(tmp_path / "lake"))
    sources = {kind.source.path: kind.source for kind in KINDS}
    outcomes = ingest_sources(spark, lake, "toy", str(tmp_path / "landing"), sources)
    rejected = {path for outcome in outcomes.values() for path in outcome.rejected}
    assert rejected == {path for path in expected if "cut_" in path}
    assert sum(outcome.malformed for outcome in outcomes.values()) == 0
    found: dict[str, list[Row]] = {path: [] for path in expected}
    for name in sources:
        table = spark.read.format("delta").load(lake.path(f"bronze.{name}"))
        for row in table.select("_source_file", *COLUMNS, "_row").orderBy("_row").collect():
            found[row[0]].append((row[1], row[2] or "", row[3] or ""))
    assert found == expected

"""Odd names and odd packing: a file is read whole, or put aside with a reason, in any format."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import zlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.config.ingest import Source
from tests.integration.test_ingest import T0, Place

pytestmark = pytest.mark.spark

NAMES = [
    "10:00:00", "a:b[1]{2}*?", "u\u0308 (1)", "\u00fc (1)", "a%20b#c?", "x\ny", "t\tb\\c",
    "\U0001f600\u3000\u00a0\u2028\u00ad", "-", "a+b&c=d;e,f",
]  # fmt: skip


@pytest.mark.parametrize("folder", ["plain", "of:[all] {kinds}"])
def test_a_file_is_read_under_whatever_name_it_comes(spark, tmp_path, folder):
    place = Place(spark, tmp_path / folder, {})
    place.sources = {
        kind: Source(path=kind, format=kind, columns=("a",)) for kind in ("csv", "json", "parquet")
    }
    for number, name in enumerate(NAMES):
        place.put(f"csv/{name}.csv", f"a\n{number}\n")
        place.put(f"json/{name}.json", json.dumps({"a": number}))
        file = place.put(f"parquet/{name}.parquet", b"-")
        pq.write_table(pa.table({"a": [number]}), pa.OSFile(str(file), "wb"))
        os.utime(file, (T0, T0))
    outcomes = place.ingest()
    for kind, outcome in outcomes.items():
        bad = [name for name in NAMES if ":" in name and kind != "csv"]
        assert set(outcome.rejected) == {f"{kind}/{name}.{kind}" for name in bad}
        assert all(why.startswith("its name has a colon") for why in outcome.rejected.values())
        expected = [
            (str(number), f"{kind}/{name}.{kind}")
            for number, name in enumerate(NAMES)
            if name not in bad
        ]
        rows = place.rows(kind, "CAST(a AS string)", "_source_file")
        assert rows == sorted(expected, key=str)


def test_a_compressed_json_file_is_read_to_its_end_or_put_aside(spark, tmp_path):
    place = Place(spark, tmp_path, {"json": Source(path="json", format="json", columns=("a",))})
    one, two = b'{"a":1}\n\n', b'{"a":2}'
    packed = {"gz": gzip.compress, "bz2": bz2.compress, "deflate": zlib.compress}
    for ending, pack in packed.items():
        place.put(f"json/one.{ending}", pack(one + two))
        place.put(f"json/two.{ending}", pack(one) + pack(two))
        place.put(f"json/more.{ending}", pack(one) + b"and more")
        place.put(f"json/cut.{ending}", pack(one * 500 + os.urandom(500).hex().encode())[:-40])
    place.put("json/x.xz", lzma.compress(one))
    place.put("json/frame.lz4", b"\x04\x22\x4d\x18" + b"x" * 60)
    place.put("json/frame.snappy", b"\xff\x06\x00\x00sNaPpY" + b"x" * 60)
    outcome = place.ingest()["json"]
    files: dict[str, list[str]] = {}
    for value, file in place.rows("json", "a", "_source_file"):
        files.setdefault(file, []).append(value)
    whole = {file for file, values in files.items() if values == ["1", "2"]}
    assert whole == set(files), "no file is read in part"
    assert {f"json/one.{ending}" for ending in packed} | {"json/two.gz", "json/two.bz2"} <= whole
    delivered = {f"json/{file.name}" for file in (place.landing / "json").iterdir()}
    assert set(outcome.rejected) == delivered - whole
    assert all(why.startswith(("damaged: ", "JSON is")) for why in outcome.rejected.values())

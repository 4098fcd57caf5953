"""Fitting and applying a feature spec beside a pipeline of Spark's MLlib that does the same."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tests.benchmarks.measure import Figure, Helper, side_by_side

ROWS = 3_000_000
NUMBERS = [f"n{i:02}" for i in range(20)]
CATEGORIES = {"c0": 5, "c1": 20, "c2": 100, "c3": 500, "c4": 1000}
"""Name and number of values."""


def normalize(folder: str, rows: int = ROWS) -> Iterator[Figure]:
    """Fit and transform, both to their last value, from the same Delta table, in a warm session."""
    path = f"{folder}/raw"
    with Helper(__name__, os.environ) as helper:
        helper.ask(do="make", path=path, rows=rows)

        def seconds(way: str) -> float:
            return float(helper.ask(do=way, path=path)["seconds"])

        found = side_by_side({way: lambda way=way: seconds(way) for way in ("mllib", "ours")})
    yield Figure(
        "normalize_vs_mllib",
        found["mllib"] / found["ours"],
        f"fit + transform, 4/5 of {rows:,} rows, 20 numbers, 5 categories: MLlib's over ours",
        at_least=1.5,
    )


def serve(request: Mapping[str, Any]) -> dict[str, Any]:
    """Do one thing in the helper's session."""
    if request["do"] == "make":
        make(request["path"], request["rows"])
        for way in ("mllib", "ours"):  # warm: classes loaded, code compiled
            WAYS[way](_training_rows(request["path"]).limit(100_000))
        return {}
    start = time.perf_counter()
    WAYS[request["do"]](_training_rows(request["path"]))
    return {"seconds": time.perf_counter() - start}


def _training_rows(path: str) -> Any:
    """Return four fifths of the rows, as a split by hash takes them."""
    return session().read.format("delta").load(path).where("pmod(xxhash64(id), 5) < 4")


@cache
def session() -> Any:
    """Start the session of the profile `local`."""
    from pipelines.lake.session import spark_session

    settings = {"spark.ui.showConsoleProgress": "false"}
    return spark_session(Path(__file__).resolve().parents[2], "bench", "local", **settings)


def make(path: str, rows: int) -> None:
    """Write raw features: numbers of different scales, 5 % of them missing, and categories."""
    numbers = [
        f"IF(rand({i}) < 0.05, NULL, randn({100 + i}) * {10 ** (i % 5)} + {i}) AS {name}"
        for i, name in enumerate(NUMBERS)
    ]
    texts = [
        # The square makes some values far more frequent than others.
        f"IF(rand({200 + i}) < 0.02, NULL, "
        f"concat('value-', CAST(floor(pow(rand({300 + i}), 2) * {size}) AS STRING))) AS {name}"
        for i, (name, size) in enumerate(CATEGORIES.items())
    ]
    frame = session().range(0, rows, 1, 8).selectExpr("id", *numbers, *texts)
    frame.write.format("delta").save(path)


def ours(raw: Any) -> None:
    """Fit with two queries, transform with one select."""
    from pipelines.encoding.fit import fit
    from pipelines.encoding.kinds.category import Category
    from pipelines.encoding.kinds.numeric import Numeric
    from pipelines.encoding.to_sql import to_sql

    features = {name: Numeric() for name in NUMBERS}
    features |= {name: Category(kind="category") for name in CATEGORIES}  # type: ignore[misc]
    spec = fit(raw, features, key=["id"], date="id", label=None)
    finish(raw.selectExpr(*to_sql(spec)))


def mllib(raw: Any) -> None:
    """Impute, index, assemble, scale, assemble, as its guide shows."""
    from pyspark.ml import Pipeline
    from pyspark.ml.feature import Imputer, StandardScaler, StringIndexer, VectorAssembler

    imputed = [f"{name}_imputed" for name in NUMBERS]
    indices = [f"{name}_index" for name in CATEGORIES]
    stages = [
        Imputer(inputCols=NUMBERS, outputCols=imputed, strategy="mean"),
        StringIndexer(inputCols=list(CATEGORIES), outputCols=indices, handleInvalid="keep"),
        VectorAssembler(inputCols=imputed, outputCol="numbers"),
        StandardScaler(inputCol="numbers", outputCol="scaled", withMean=True, withStd=True),
        VectorAssembler(inputCols=["scaled", *indices], outputCol="features"),
    ]
    finish(Pipeline(stages=stages).fit(raw).transform(raw).select("features"))


def finish(frame: Any) -> None:
    """Compute every value of a frame, and keep none."""
    frame.write.format("noop").mode("overwrite").save()


WAYS = {"ours": ours, "mllib": mllib}

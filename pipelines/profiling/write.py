"""Writes a pipeline's folder: its settings, its query, and the page of what was found."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from pipelines import stopping
from pipelines.config import check
from pipelines.config.load import load_pipeline
from pipelines.config.names import TableName
from pipelines.errors import SettingsError, UsageError
from pipelines.lake.session import spark_session
from pipelines.profiling.asked import Asked
from pipelines.profiling.draft import draft, find_table
from pipelines.profiling.page import page
from pipelines.profiling.plan import Plan
from pipelines.profiling.query import query_text
from pipelines.profiling.text import assumptions, pipeline_text

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FILES = ("pipeline.yml", "features.sql", "profile.html")


def check_name(root: Path, name: str, *, is_replaced: bool = False) -> None:
    """Raise UsageError where no pipeline can be called so, or one is."""
    try:
        TypeAdapter(TableName).validate_python(name)
    except ValidationError:
        name = name[:100]
        raise UsageError(
            f"'{name}' can't be a pipeline's name; expected small letters, digits and `_`, a "
            "letter first, such as sales_2025."
        ) from None
    if not name.isascii() or name != name.lower() or name.endswith(("_files", "_rejected")):
        raise UsageError(
            f"'{name}' can't be a pipeline's name; expected small letters, digits and `_`, a "
            "letter first, with no `_files` or `_rejected` behind it, such as sales_2025."
        )
    folder = root / "conf" / name
    if folder.exists() and not is_replaced:
        raise UsageError(
            f"conf/{name} is there already. Take another name, or write over the files of an "
            "earlier init with --replace."
        )


def write_pipeline(
    asked: Asked, profile: str, tell: Callable[[str], None], spark: SparkSession | None = None
) -> list[str]:
    """Write `conf/<name>/`; return what to say of it. It is there whole, or not at all."""
    found = find_table(asked)
    if spark is None:
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        settings = {"spark.ui.showConsoleProgress": "false"}
        spark = spark_session(asked.root, f"tidemill init {asked.name}", profile, **settings)
        stopping.take_back()
    plan = draft(spark, asked, found, tell)
    folder = asked.root / "conf" / asked.name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{asked.name}-") as made:
        for name, text in zip(FILES, _texts(plan), strict=True):
            (Path(made) / name).write_text(text, encoding="utf-8")
        folder.mkdir(exist_ok=True)
        for name in FILES:
            shutil.move(Path(made) / name, folder / name)
    _check(asked)
    said = [f"conf/{asked.name}: {', '.join(FILES)}", *assumptions(plan)]
    return [*said, f"`tidemill run {asked.name}` runs it."]


def _texts(plan: Plan) -> tuple[str, str, str]:
    return pipeline_text(plan), query_text(plan), page(plan)


def _check(asked: Asked) -> None:
    """Raise SettingsError where what was written is no pipeline: a fault of ours, told as one."""
    try:
        pipeline = load_pipeline(asked.name, root=asked.root)
        check.check_files(pipeline)
        check.check_queries(pipeline)
    except SettingsError as error:
        raise SettingsError(
            f"{error}\nThis is a fault of `tidemill init`: conf/{asked.name} was written and does "
            "not fit. Mend it there, and report it."
        ) from error

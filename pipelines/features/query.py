"""Feature queries: SQL files or a Python function, over tables at the versions a run resolved.

SQL files have these named parameters: `:since` and `:until`, the first and last day asked for,
and `:timezone`, the pipeline's. A table is read as `silver.<name>`, a file before as `<file>`.
"""

from __future__ import annotations

import datetime as dt
import importlib
import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import FeatureError, SettingsError, nearest
from pipelines.features.references import as_written, bind_tables, count_words, view_name
from pipelines.lake.confined_sql import check_places, check_query

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    Query = Callable[["Tables", dt.date, dt.date], DataFrame]


class Tables(dict[str, "DataFrame"]):
    """Readable tables by name, `silver.flights`; another name is refused with the nearest one."""

    def __missing__(self, name: str) -> DataFrame:
        known = sorted(self)
        raise FeatureError(
            f"the feature function reads {name}, which is not in `featurize.reads`; readable are "
            f"{known}.{nearest(name, known)}"
        )


@dataclass(frozen=True)
class Span:
    """The days asked for, both ends included, and the zone they are days of."""

    since: dt.date
    until: dt.date
    timezone: str = "UTC"


@dataclass(frozen=True)
class SqlFile:
    """One query: its name, which is that of its view, and its text."""

    name: str
    text: str

    @classmethod
    def read(cls, folder: Path, name: str) -> SqlFile:
        """Read a file of the pipeline's folder."""
        path = folder / name
        if not path.is_file():
            known = sorted(file.name for file in folder.glob("*.sql"))
            raise SettingsError(
                f"`featurize.sql` names '{name}', but {path} does not exist; the folder has "
                f"{known}.{nearest(name, known)}"
            )
        return cls(path.stem, path.read_text(encoding="utf-8").strip().rstrip(";"))


def run_sql(files: list[SqlFile], tables: Tables, span: Span, keep: ExitStack) -> DataFrame:
    """Return the rows of the last file; those before it are views for the ones that follow.

    All `tables` belong to one session, which gets the views: give them one of their own. A view
    that is read more than once is computed once and kept until `keep` closes.
    """
    for name, df in tables.items():
        df.createOrReplaceTempView(view_name(name))
    texts = [bind_tables(file.text, tables, f"{file.name}.sql") for file in files]
    session = next(iter(tables.values())).sparkSession
    readable = [*map(view_name, tables), *(file.name for file in files)]
    args = {"since": span.since, "until": span.until, "timezone": span.timezone}
    for position, (file, text) in enumerate(zip(files, texts, strict=True)):
        try:
            check_query(session, text, readable, f"{file.name}.sql can't be run: it")
        except SettingsError as error:
            raise FeatureError(str(error)) from None
        try:
            df = _query(session.sql, file.name, text, args)
        except FeatureError as error:
            raise FeatureError(as_written(str(error), tables)) from error
        if position == len(files) - 1:
            return df
        later = "\n".join(texts[position + 1 :])
        if count_words(later, [file.name])[file.name] > 1:
            keep.callback(df.persist().unpersist)
        df.createOrReplaceTempView(file.name)
    raise FeatureError("`featurize.sql` is empty; expected at least one SQL file")


def _query(
    sql: Callable[..., DataFrame], name: str, text: str, args: Mapping[str, object]
) -> DataFrame:
    from pyspark.errors import AnalysisException, IllegalArgumentException

    try:
        return sql(text, args=dict(args))
    except (AnalysisException, IllegalArgumentException) as error:
        said = re.split(r"\n\n(?:== SQL|JVM stacktrace)|;\n'", str(error).strip())[0]
        raise FeatureError(f"{name}.sql can't be run: {said}") from error


def run_function(name: str, tables: Tables, span: Span) -> DataFrame:
    """Return the rows of `module:function`, called with the tables and the first and last day."""
    rows = load_function(name)(tables, span.since, span.until)
    return check_places(rows, f"`featurize.function: {name}`")


def load_function(name: str) -> Query:
    """Import `module:function`; raise SettingsError where it is not there."""
    module_name, _, function_name = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # A module that is there, but lacks one it imports, is a fault of the code, not the name.
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise SettingsError(
            f"`featurize.function: {name}`: no module '{module_name}' on Python's path; expected "
            "`module:function`"
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        known = [key for key, value in vars(module).items() if callable(value) and key[0] != "_"]
        raise SettingsError(
            f"`featurize.function: {name}`: module '{module_name}' has no function "
            f"'{function_name}'; expected `module:function`.{nearest(function_name, known)}"
        )
    result: Query = function
    return result

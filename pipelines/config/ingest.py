"""Settings of `ingest`: the sources a pipeline reads from its landing folder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from pipelines.config.column_names import QUARANTINE_S_OWN, column_name, column_names
from pipelines.config.names import PathBelow, TableName
from pipelines.config.reader_options import check_options
from pipelines.settings import Settings, known_zone

_DATABASES = (
    "postgresql",
    "mysql",
    "mariadb",
    "sqlserver",
    "oracle",
    "db2",
    "redshift",
    "snowflake",
    "trino",
    "clickhouse",
)
_OTHERS_VARIABLES = ("TIDEMILL_", "AWS_", "AZURE_", "GOOGLE_", "MLFLOW_")


def _plain(path: str) -> str:
    return path.replace("\\", "").replace("[.]", ".")


class Jdbc(Settings):
    """A table of a database, read by a column that grows.

    Rows are read whose `incremental` value is at least the largest one in bronze, less those that
    are there. A row that becomes visible later than others with greater values (a transaction that
    took long) is not seen: choose a column that the database sets when it commits, or let runs keep
    a distance to it by a view.
    """

    url: str
    """As `jdbc:postgresql://host:5432/database`, without user and password."""
    table: str
    """Table or view, with its schema: `public.orders`."""
    incremental: str
    """Column that grows with each new or changed row: a number, a date or a time, never null."""
    user_env: str | None = None
    """Variable of the environment that holds the user's name."""
    password_env: str | None = None
    """Variable of the environment that holds the password."""
    fetch_rows: int = Field(10_000, ge=1)
    """Rows that the database hands over at a time."""

    @field_validator("url")
    @classmethod
    def _url_is_jdbc(cls, value: str) -> str:
        if not value.startswith("jdbc:"):
            raise ValueError("expected an address as `jdbc:postgresql://host:5432/database`")
        kind = value.split(":")[1].lower()
        if kind not in _DATABASES:
            # Derby, which Spark brings along, and its like read and make files wherever they can.
            raise ValueError(
                f"`jdbc:{kind}` is no database that is reached over the network; expected one of "
                f"{', '.join(_DATABASES)}"
            )
        return value

    @field_validator("user_env", "password_env")
    @classmethod
    def _variable_is_of_a_database(cls, value: str | None) -> str | None:
        if value is not None and value.upper().startswith(_OTHERS_VARIABLES):
            raise ValueError(
                f"'{value}' is no database's: it would be sent to the host of `url`. Give the "
                "user and the password in variables of their own, such as ORDERS_PASSWORD"
            )
        return value


class Source(Settings):
    """One kind of landing file, or a database table; it fills the table `bronze.<source>`."""

    path: PathBelow = ""
    """Folder or glob below the landing folder."""
    jdbc: Jdbc | None = None
    """The database table to read, in place of files."""
    format: Literal["csv", "json", "parquet"] = "csv"
    """csv with a header; json with one record a line, in UTF-8; parquet."""
    columns: tuple[str, ...]
    """Columns every file must have, in any order. Bronze keeps them as text (CSV, JSON). A header's
    name that a table can't hold may stand here too: blanks, brackets, commas and the like become
    `_` in the table (`Umsatz in €` is the column `Umsatz_in_€`)."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Columns that are called otherwise in the files, each with the name there, as
    `{revenue: Umsatz in €}`; the column itself stands in `columns`."""
    delivery: Literal["append", "upsert", "full_snapshot"] = "append"
    """How deliveries relate: new rows only; rows that replace those of the same key; all rows."""
    timezone: str | None = None
    """IANA name of the zone of its times without an offset; the pipeline's by default."""
    on_change: Literal["fail", "correction"] = "fail"
    """What a changed file under a known path means: stop the run, or read it again."""
    schema_drift: Literal["aside", "fail", "add", "ignore"] = "aside"
    """What a file means whose columns are not the declared ones. `aside`: it is put aside whole,
    the others go on. `fail`: the run stops before anything is written. `add`: new columns come into
    the table (null in older rows), a missing one is null. `ignore`: new columns are left out, a
    missing one is null. Another order is never drift. Of Parquet files, `add` and `ignore` read a
    narrower type as the table's (int as bigint); files of a wider or another type are put aside.
    Rows that are in the table stay as they are, whatever comes."""
    max_rejected: float = Field(default=0.5, ge=0, le=1)
    """Share of a run's new files, and of their records, that may be put aside; beyond it the run
    ends with exit code 3, after everything is written. From 20 on; fewer are too many only where
    nothing good came of the run, or has come of the source yet. 1 allows all."""
    options: dict[str, str] = Field(default_factory=dict)
    """How the files are written: `sep`, `quote`, `escape`, `encoding`, `lineSep`, `nullValue` and
    the like of CSV; options that could lose or change rows unseen are refused."""

    @model_validator(mode="before")
    @classmethod
    def _columns_of_headers(cls, data: Any) -> Any:
        """Make columns of names that stand in `columns` as headers have them."""
        columns = data.get("columns") if isinstance(data, dict) else None
        headers = data.get("headers", {}) if isinstance(data, dict) else None
        if not isinstance(columns, list | tuple) or not isinstance(headers, dict):
            return data
        if data.get("jdbc") is not None or not all(isinstance(name, str) for name in columns):
            return data
        made = {name: column_name(name, place) for place, name in enumerate(columns, 1)}
        names: dict[str, str] = {}
        for name, column in made.items():
            if names.setdefault(column, name) != name:
                raise ValueError(
                    f"'{names[column]}' and '{name}' of `columns` would both be the table's column "
                    f"'{column}'; name one of them otherwise: another word in `columns`, and in "
                    f"`headers` that word with the name in the files"
                )
        named = {column: name for name, column in made.items() if name != column}
        columns = [made[name] for name in columns]
        return {**data, "columns": columns, **({"headers": named | headers} if named else {})}

    def header_of(self, column: str) -> str:
        """Return what the files call a column."""
        return self.headers.get(column, column)

    @property
    def renamed(self) -> dict[str, str]:
        """Names in the files that are others in the table, each with its column."""
        return {name: column for column, name in self.headers.items() if name != column}

    def columns_of(self, header: Sequence[str]) -> tuple[str, ...]:
        """Return the column of each name in a header, declared or not."""
        named = {name.strip(): column for column, name in self.headers.items()}
        return tuple(column_names(header, named, self.columns))

    @field_validator("timezone")
    @classmethod
    def _zone_exists(cls, value: str | None) -> str | None:
        return value if value is None else known_zone(value)

    @field_validator("path")
    @classmethod
    def _path_stays_below(cls, value: str) -> str:
        # Braces and backslashes are read by Hadoop's globs: `{a,../b}` leads out as `../b` does,
        # and `{/.,a}./b` makes `/../b` of its pieces.
        pieces = re.split(r"[/{},]", _plain(value))
        is_joined = "{" in value and "." in pieces
        if value.startswith("/") or ":" in value or ".." in pieces or is_joined:
            raise ValueError(f"'{value}' leads out of the landing folder; give a path below it")
        if not value.strip("/"):
            raise ValueError("a source needs a folder or glob of its own below the landing folder")
        return value.rstrip("/")

    @field_validator("columns")
    @classmethod
    def _columns_have_names_of_their_own(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("name at least one column")
        seen: set[str] = set()
        for name in value:
            if name.startswith("_") or "`" in name or name != name.strip():
                raise ValueError(
                    f"'{name}' can't be a column of bronze: names with `_` at their beginning are "
                    "ingest's own, and backticks and outer spaces are refused"
                )
            if name.lower() in QUARANTINE_S_OWN:
                raise ValueError(
                    f"'{name}' can't be a column of a source: quarantine keeps its own under this "
                    "name, beside the source's"
                )
            if name.lower() in seen:
                raise ValueError(f"'{name}' is there twice (Spark takes upper case for lower)")
            seen.add(name.lower())
        return value

    @model_validator(mode="after")
    def _headers_are_columns(self) -> Source:
        names: dict[str, str] = {}
        for column, name in self.headers.items():
            if column not in self.columns:
                raise ValueError(
                    f"`headers.{column}` is none of `columns`; expected a column, with its name in "
                    f"the files: {', '.join(self.columns[:8])}"
                )
            if name.strip() in names:
                raise ValueError(
                    f"`headers.{column}` and `headers.{names[name.strip()]}` are both '{name}' in "
                    "the files; expected a name for one column"
                )
            names[name.strip()] = column
        for column in self.columns:
            if names.get(column, column) != column and column not in self.headers:
                raise ValueError(
                    f"'{column}' of `columns` is what `headers.{names[column]}` takes from the "
                    "files; name one of the two otherwise"
                )
        return self

    @model_validator(mode="after")
    def _files_or_a_table(self) -> Source:
        if self.jdbc is None:
            if not self.path:
                raise ValueError("name the `path` of its files, or a database table as `jdbc`")
            return self
        given = {
            "path",
            "format",
            "options",
            "on_change",
            "schema_drift",
            "headers",
            "max_rejected",
        } & self.model_fields_set
        if given:
            raise ValueError(
                f"`jdbc` reads a table; `{sorted(given)[0]}` is for files, leave it out"
            )
        if self.delivery == "full_snapshot":
            raise ValueError(
                "`delivery: full_snapshot` doesn't go with `jdbc`, which reads what is new; "
                "expected append or upsert"
            )
        if self.jdbc.incremental not in self.columns:
            raise ValueError(
                f"`jdbc.incremental: {self.jdbc.incremental}` must be among `columns`: by it the "
                "next run knows where to go on"
            )
        return self

    @model_validator(mode="after")
    def _options_fit(self) -> Source:
        check_options(self.format, self.options)
        return self


class Ingest(Settings):
    """Settings of the stage `ingest`."""

    sources: dict[TableName, Source]

    @field_validator("sources")
    @classmethod
    def _sources_name_tables(cls, value: dict[str, Source]) -> dict[str, Source]:
        for name in value:
            if name.endswith(("_files", "_rejected")):
                raise ValueError(
                    f"'{name}' can't name a source: it becomes a table of bronze, and those that "
                    "end with _files or _rejected are ingest's own"
                )
        return value

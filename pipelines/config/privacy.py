"""Settings of `privacy`: which columns of which source hold personal data, and what is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from pipelines.errors import nearest
from pipelines.settings import Settings

if TYPE_CHECKING:
    from pipelines.config.clean import Clean
    from pipelines.config.ingest import Ingest

_NUMBERS = ("tinyint", "byte", "smallint", "short", "int", "integer", "bigint", "long")


class Mark(Settings):
    """What is kept of a marked column. `drop` and `pseudonymize` may stand alone, as a word."""

    action: Literal["drop", "mask", "pseudonymize", "generalize"]
    """drop: nothing; mask: `***` and the last `keep` letters; pseudonymize: the key's id and
    HMAC-SHA-256, the same for the same value; generalize: less exact, see `to`."""
    keep: int | None = Field(None, ge=0)
    """Letters that stay: the last ones with `mask` (by default none), the first ones with
    `generalize` to a `prefix`. A text of at most `keep` letters stays whole in the latter."""
    to: Literal["year", "prefix"] | None = None
    """What `generalize` leaves: the year of a date, or the first letters of a text (postcode)."""
    format: str | None = None
    """Pattern of the dates of which `year` is left (`dd.MM.yyyy`); by default they begin with the
    year. What can't be read becomes `(unreadable)`, which no number or date can be cast from."""

    @model_validator(mode="after")
    def _parts_fit(self) -> Mark:
        if (self.action == "generalize") != (self.to is not None):
            raise ValueError("`to: year` or `to: prefix` goes with `action: generalize`")
        if self.to == "prefix" and not self.keep:
            raise ValueError("`to: prefix` needs `keep`, the number of letters that stay")
        if self.keep is not None and self.action != "mask" and self.to != "prefix":
            raise ValueError("`keep` is for `action: mask` and `to: prefix`")
        if self.format is not None and self.to != "year":
            raise ValueError("`format` is for `to: year`")
        return self


def _as_mark(value: Any) -> Any:
    return {"action": value} if isinstance(value, str) else value


Marks = dict[str, Annotated[Mark, BeforeValidator(_as_mark, json_schema_input_type=Mark | str)]]
"""Marks by column of a source."""


class Privacy(Settings):
    """Personal data: marked columns are protected before anything is written to silver."""

    protect_at: Literal["clean", "ingest"] = "clean"
    """`clean`: bronze keeps clear values, no table after it does. `ingest`: bronze has none
    either, and of a malformed record nothing but its file, its position and a keyed hash."""
    keys: tuple[str, ...] = ()
    """Ids of the secret keys, oldest first; the last one is in use. A key itself is in the
    environment, of Spark's executors too: `TIDEMILL_SECRET_<ID>`. Rotate by appending an id."""
    sources: dict[str, Marks] = Field(default_factory=dict)
    """Marked columns, by source: `passengers: {email: pseudonymize}`."""

    @field_validator("keys")
    @classmethod
    def _ids_are_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            if not (one.isidentifier() and one.isascii() and one.islower() and len(one) <= 16):
                raise ValueError(
                    f"'{one}' is no key id; expected a short name such as k1. The key itself is "
                    "in the environment, never here"
                )
            if value.count(one) > 1:
                raise ValueError(f"the key id '{one}' stands twice")
        return value

    @model_validator(mode="after")
    def _keys_are_there(self) -> Privacy:
        marks = [mark for marked in self.sources.values() for mark in marked.values()]
        needs_key = self.protect_at == "ingest" or any(m.action == "pseudonymize" for m in marks)
        if marks and needs_key and not self.keys:
            raise ValueError(
                "`privacy.keys` is empty, but `pseudonymize` and `protect_at: ingest` need a key; "
                "give its id, as [k1], and the key itself as TIDEMILL_SECRET_K1 in the environment"
            )
        return self

    def protects_at_ingest(self, source: str) -> bool:
        """Tell whether bronze rows of a source must hold no clear value of its marked columns."""
        return self.protect_at == "ingest" and bool(self.sources.get(source))


def check_marks(privacy: Privacy, ingest: Ingest, clean: Clean) -> None:
    """Raise ValueError where marks name what isn't there, or leave what silver can't hold."""
    for name, marks in privacy.sources.items():
        where = f"`privacy.sources.{name}`"
        if name not in ingest.sources:
            raise ValueError(f"{where} is no source.{nearest(name, list(ingest.sources))}")
        source = ingest.sources[name]
        for column in marks:
            if column not in source.columns:
                raise ValueError(
                    f"{where} marks '{column}', which is no column of the source."
                    f"{nearest(column, list(source.columns))}"
                )
        if privacy.protects_at_ingest(name):
            if source.jdbc is not None:
                raise ValueError(
                    f"`privacy.protect_at: ingest` covers files; source '{name}' is a database "
                    "table. Hide its marked columns by a view of the database, or use `clean`"
                )
            if source.schema_drift == "add":
                raise ValueError(
                    f"`ingest.sources.{name}.schema_drift: add` doesn't go with `privacy."
                    "protect_at: ingest`: a new column would be in bronze before it is marked"
                )
    for name, entity in clean.entities.items():
        for column, treatment in entity.columns.items():
            mark = privacy.sources.get(entity.source, {}).get(treatment.source or column)
            what = f"`clean.entities.{name}.columns.{column}`"
            if mark is None:
                continue
            if mark.action == "drop":
                raise ValueError(f"{what} reads a column that `privacy` drops; leave it out")
            allowed = ("string", *_NUMBERS) if mark.to == "year" else ("string",)
            if treatment.type not in allowed:
                raise ValueError(
                    f"{what} is of type {treatment.type}, but what `privacy` leaves of it is "
                    f"{' or '.join(allowed[:4])}"
                )

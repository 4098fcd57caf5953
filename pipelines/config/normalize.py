"""Settings of `normalize`: how raw features become model inputs, and who trains on what."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipelines.config.names import TableName
from pipelines.encoding.kinds import Feature
from pipelines.settings import Settings

Range = tuple[dt.date, dt.date]


class DateSplit(Settings):
    """Splits by the features table's date column; both ends of a range belong to it."""

    by: Literal["date"]
    train: Range
    validation: Range
    test: Range

    @model_validator(mode="after")
    def _in_order(self) -> DateSplit:
        ranges = (self.train, self.validation, self.test)
        days = [day for one in ranges for day in one]
        touching = self.train[1] == self.validation[0] or self.validation[1] == self.test[0]
        if days != sorted(days) or touching:
            received = ", ".join(f"{first} to {last}" for first, last in ranges)
            raise ValueError(
                "`split` ranges must not overlap and go train, validation, test; received "
                f"{received}"
            )
        return self


class HashSplit(Settings):
    """Splits by a hash (xxHash64) of the key: the same key is always in the same split."""

    by: Literal["hash"]
    validation: float = Field(0.1, gt=0, lt=1)
    test: float = Field(0.1, gt=0, lt=1)
    salt: str = ""
    """Another text gives another split of the same keys."""

    @model_validator(mode="after")
    def _some_left(self) -> HashSplit:
        if self.validation + self.test >= 1:
            raise ValueError(
                f"`split.validation` and `split.test` ({self.validation} + {self.test}) must leave "
                "rows for training: their sum must be below 1"
            )
        return self


Split = Annotated[DateSplit | HashSplit, Field(discriminator="by")]


class Normalize(Settings):
    """Settings of the stage `normalize`, which writes `gold.<training_set>`."""

    training_set: TableName
    split: Split
    features: dict[str, Feature] = Field(min_length=1)
    row_group_rows: int = Field(32_768, ge=1)
    """Rows of a Parquet row group in the training set."""
    file_rows: int = Field(262_144, ge=1)
    """Rows of a file in the training set, at most."""

"""Settings of `normalize`: how raw features become model inputs, and who trains on what."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipelines.config.base import Settings

Range = tuple[dt.date, dt.date]


class Numeric(Settings):
    """A number: optional log1p, imputation, then scaling; one float32 column.

    Order: log1p(max(x, 0)) if `log1p`; missing -> the fitted `impute` statistic (of the log1p
    values); scaling with statistics of the training split's present values. A spread of zero
    scales to 0.0. An all-null column becomes 0.0 with its missing flag set.
    """

    kind: Literal["numeric"] = "numeric"
    column: str | None = None
    """Raw feature column; the feature's own name by default."""
    log1p: bool = False
    scale: Literal["standard", "minmax", "robust", "none"] = "standard"
    """(x - mean) / std; (x - min) / (max - min); (x - median) / (q75 - q25); x."""
    impute: Literal["mean", "median", "zero"] | float = "mean"
    missing_flag: bool = False
    """Adds the float32 column `<feature>_is_missing`."""


class Cyclical(Settings):
    """A number that wraps around; two float32 columns `<feature>_sin` and `<feature>_cos`.

    Missing values become (0, 0), which is no point of the circle.
    """

    kind: Literal["cyclical"]
    column: str | None = None
    period: float = Field(gt=0)


class Category(Settings):
    """A category looked up in a fitted vocabulary; one int32 column.

    0 is missing, 1 is out of vocabulary, 2.. are the values by falling count, then by name.
    """

    kind: Literal["category"]
    column: str | None = None
    min_count: int = Field(1, ge=1)
    max_size: int | None = Field(None, ge=1)


class Hashed(Settings):
    """A category of many values: 1 + CRC32(UTF-8 bytes) mod `buckets`; 0 is missing. int32."""

    kind: Literal["hashed"]
    column: str | None = None
    buckets: int = Field(ge=2)


Feature = Annotated[Numeric | Cyclical | Category | Hashed, Field(discriminator="kind")]


class DateSplit(Settings):
    """Splits by the features table's date column; both ends of a range belong to it."""

    by: Literal["date"]
    train: Range
    validation: Range
    test: Range

    @model_validator(mode="after")
    def _in_order(self) -> DateSplit:
        days = [*self.train, *self.validation, *self.test]
        if days != sorted(days) or self.train[1] == self.validation[0]:
            raise ValueError(
                "`split` ranges must not overlap and go train, validation, test"
            )
        return self


class HashSplit(Settings):
    """Splits by a hash of the key: the same key is always in the same split."""

    by: Literal["hash"]
    validation: float = Field(0.1, gt=0, lt=1)
    test: float = Field(0.1, gt=0, lt=1)
    salt: str = ""


Split = Annotated[DateSplit | HashSplit, Field(discriminator="by")]


class Normalize(Settings):
    """Settings of the stage `normalize`, which writes `gold.<training_set>`."""

    training_set: str
    split: Split
    features: dict[str, Feature]
    row_group_rows: int = Field(65_536, ge=1)
    """Rows of a Parquet row group in the training set."""
    file_rows: int = Field(262_144, ge=1)
    """Rows of a file in the training set, at most."""

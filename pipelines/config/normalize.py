"""Settings of `normalize`: how raw features become model inputs, and who trains on what."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipelines.config.base import Settings
from pipelines.config.names import TableName

Range = tuple[dt.date, dt.date]


class Numeric(Settings):
    """A number: optional log1p, imputation, then scaling; one float32 column.

    Order: log1p(max(x, 0)) if `log1p`; missing -> the fitted `impute` statistic (of the log1p
    values); scaling with statistics of the training split's present values. A spread of zero
    scales to 0.0. An all-null column becomes 0.0 with its missing flag set.
    Missing is null or NaN; infinity stops the fit, and counts as missing afterwards.
    """

    kind: Literal["numeric"] = "numeric"
    column: str | None = None
    """Raw feature column; the feature's own name by default."""
    log1p: bool = False
    scale: Literal["standard", "minmax", "robust", "none"] = "standard"
    """(x - mean) / std; (x - min) / (max - min); (x - median) / (q75 - q25); x. The standard
    deviation is the population's (divided by the number of values)."""
    impute: Literal["mean", "median", "zero"] | Annotated[float, Field(allow_inf_nan=False)] = (
        "mean"
    )
    """A statistic of the training split, or a number in the raw column's unit."""
    missing_flag: bool = False
    """Adds the float32 column `<feature>_is_missing`."""


class Cyclical(Settings):
    """A number that wraps around; two float32 columns `<feature>_sin` and `<feature>_cos`.

    Missing values become (0, 0), which is no point of the circle.
    """

    kind: Literal["cyclical"]
    column: str | None = None
    period: float = Field(gt=0, allow_inf_nan=False)


class Category(Settings):
    """A category looked up in a fitted vocabulary; one int32 column.

    0 is missing (null or empty text), 1 is out of vocabulary, 2.. are the values by falling count
    in the training split, then by name.
    """

    kind: Literal["category"]
    column: str | None = None
    min_count: int = Field(1, ge=1)
    max_size: int | None = Field(None, ge=1)


class Hashed(Settings):
    """A category of many values: 1 + CRC32(UTF-8 bytes) mod `buckets`; 0 is missing. int32.

    An empty text is missing too.
    """

    kind: Literal["hashed"]
    column: str | None = None
    buckets: int = Field(ge=2)


class NumericArray(Settings):
    """An array of numbers; one float32 list of `length` values a row.

    A longer array keeps its first or last values, a shorter one (null counts as empty) is padded
    with 0.0 at its end. Scaling takes one set of statistics, of all present values that are kept
    in the training split. A missing element (null or NaN) becomes the scaled `impute`.
    """

    kind: Literal["array"]
    column: str | None = None
    length: int = Field(ge=1)
    keep: Literal["first", "last"] = "first"
    scale: Literal["standard", "minmax", "none"] = "standard"
    """(x - mean) / std; (x - min) / (max - min); x."""
    impute: Literal["mean", "zero"] | Annotated[float, Field(allow_inf_nan=False)] = "mean"
    mask: bool = False
    """Adds the float32 list `<feature>_is_present`: 1.0 where a value was, else 0.0."""


class Sequence(Settings):
    """An array of categories; one int32 list of `length` indices a row.

    A longer array keeps its first or last elements, a shorter one is padded with 0 at its end.
    Indices are those of `category`, from a vocabulary of the training split's kept elements: 0
    is missing, 1 out of vocabulary; with `buckets` they are those of `hashed`.
    """

    kind: Literal["sequence"]
    column: str | None = None
    length: int = Field(ge=1)
    keep: Literal["first", "last"] = "first"
    min_count: int = Field(1, ge=1)
    max_size: int | None = Field(None, ge=1)
    buckets: int | None = Field(None, ge=2)
    """Hash buckets, in place of a vocabulary."""

    @model_validator(mode="after")
    def _one_way(self) -> Sequence:
        if self.buckets is not None and (self.max_size is not None or self.min_count > 1):
            raise ValueError(
                "`buckets` hashes without a vocabulary; leave out `min_count` and `max_size`"
            )
        return self


class Image(Settings):
    """A binary column of PNG or JPEG files; float32 (height, width, channels) in 0..1.

    The training set keeps the bytes as they are. They are decoded, and resized bilinearly where
    their size differs, batch by batch on their way to the model. So a rank holds some windows of
    encoded images (`train.window_rows` x the size of one, a few times), and a row group of them
    while it is read (`row_group_rows`): make both small where images are large.
    """

    kind: Literal["image"]
    column: str | None = None
    height: int = Field(ge=1)
    width: int = Field(ge=1)
    channels: Literal[1, 3] = 1


Feature = Annotated[
    Numeric | Cyclical | Category | Hashed | NumericArray | Sequence | Image,
    Field(discriminator="kind"),
]


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

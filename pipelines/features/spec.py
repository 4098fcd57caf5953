"""FeatureSpec: how every model input is computed from raw feature columns, with fitted numbers.

The one definition of a feature. `to_sql` compiles it for Spark, `to_keras` for TensorFlow.
Imports neither of them.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from pipelines.config.base import Settings
from pipelines.errors import FeatureError

FORMAT_VERSION = 1
MISSING = 0
"""Index of a missing value in int32 inputs."""
OUT_OF_VOCABULARY = 1
"""Index of a category that training did not see (often enough)."""
NUMBER_TYPES = ("boolean", "tinyint", "smallint", "int", "bigint", "float", "double", "decimal")
"""Raw types that count as numbers; of a parametrised type (`decimal(10,2)`) the first word."""
TEXT_TYPES = ("string", "date", "boolean", "tinyint", "smallint", "int")
"""Raw types whose text can be a category. Others have no single exact text, or one that a
float64 can't hold."""


RESERVED = ("numeric", "category", "row", "label", "weight")
"""Names of the feed's own arrays; lists and images stand beside them under names of their own."""


def base_type(raw_type: str) -> str:
    """Return `decimal` for `decimal(10,2)`, and plain types as they are."""
    return raw_type.partition("(")[0]


def element_type(raw_type: str) -> str | None:
    """Return the elements' type of an array type, `decimal` for `array<decimal(10,2)>`."""
    if not raw_type.startswith("array<"):
        return None
    return base_type(raw_type.removeprefix("array<").removesuffix(">"))


class ModelInput(Settings):
    """One input of a model: a column of the training set, a key of the model's input dict."""

    name: str
    dtype: Literal["float32", "int32"]
    kind: Literal["numeric", "category", "array", "sequence", "image"]
    cardinality: int | None = None
    """Of a category or a sequence of them: indices are 0 .. cardinality - 1."""
    shape: tuple[int, ...] = ()
    """Of one row: () for numeric and category, (length,) for an array of floats and a sequence of
    indices (0 = padded or missing), (height, width, channels) for an image, 0 to 1."""
    mask: str | None = None
    """Of an array: name of the array input that is 1.0 where a value was, 0.0 where it was padded
    or missing."""


class _Fitted(Settings):
    name: str
    column: str
    """Raw feature column."""
    raw_type: str
    """Spark's name of the raw column's type when it was fitted."""


class FittedNumeric(_Fitted):
    """value = (x - center) / spread, x being log1p(max(raw, 0)) if `log1p`; missing = `missing`.

    Missing is null, NaN or infinite. A `spread` of 0 makes every value 0.0.
    """

    kind: Literal["numeric"] = "numeric"
    log1p: bool = False
    center: float = 0.0
    spread: float = 1.0
    missing: float = 0.0
    """Value of a missing one, scaled already."""
    missing_flag: bool = False

    def inputs(self) -> list[ModelInput]:
        """Return the value and, if asked for, the flag."""
        names = [self.name, f"{self.name}_is_missing"][: 1 + self.missing_flag]
        return [ModelInput(name=name, dtype="float32", kind="numeric") for name in names]


class FittedCyclical(_Fitted):
    """sin and cos of 2 pi raw / period; (0, 0) where raw is missing (null, NaN, infinite)."""

    kind: Literal["cyclical"] = "cyclical"
    period: float

    def inputs(self) -> list[ModelInput]:
        """Return sine and cosine."""
        names = [f"{self.name}_sin", f"{self.name}_cos"]
        return [ModelInput(name=name, dtype="float32", kind="numeric") for name in names]


class FittedCategory(_Fitted):
    """0 for missing (null or empty text), 1 for out of vocabulary, else 2 + place in it."""

    kind: Literal["category"] = "category"
    vocabulary: tuple[str, ...]
    """By falling count in the training split, then by name."""

    def inputs(self) -> list[ModelInput]:
        """Return the index."""
        size = len(self.vocabulary) + 2
        return [ModelInput(name=self.name, dtype="int32", kind="category", cardinality=size)]


class FittedHashed(_Fitted):
    """0 for missing (null or empty text), else 1 + CRC32(UTF-8 bytes) mod buckets."""

    kind: Literal["hashed"] = "hashed"
    buckets: int

    def inputs(self) -> list[ModelInput]:
        """Return the index."""
        size = self.buckets + 1
        return [ModelInput(name=self.name, dtype="int32", kind="category", cardinality=size)]


class FittedArray(_Fitted):
    """`length` values (x - center) / spread; a missing element is `missing`, padding is 0.0.

    Missing is null, NaN or infinite. A `spread` of 0 makes every value 0.0.
    """

    kind: Literal["array"] = "array"
    length: int
    keep: Literal["first", "last"] = "first"
    center: float = 0.0
    spread: float = 1.0
    missing: float = 0.0
    """Value of a missing element, scaled already."""
    mask: bool = False

    def inputs(self) -> list[ModelInput]:
        """Return the values and, if asked for, their mask."""
        mask = f"{self.name}_is_present" if self.mask else None
        shape = (self.length,)
        found = [ModelInput(name=self.name, dtype="float32", kind="array", shape=shape, mask=mask)]
        if mask:
            found.append(ModelInput(name=mask, dtype="float32", kind="array", shape=shape))
        return found


class FittedSequence(_Fitted):
    """`length` indices, each as of a `FittedCategory` or, with `buckets`, a `FittedHashed`."""

    kind: Literal["sequence"] = "sequence"
    length: int
    keep: Literal["first", "last"] = "first"
    vocabulary: tuple[str, ...] = ()
    buckets: int | None = None

    def inputs(self) -> list[ModelInput]:
        """Return the indices."""
        size = len(self.vocabulary) + 2 if self.buckets is None else self.buckets + 1
        return [
            ModelInput(
                name=self.name,
                dtype="int32",
                kind="sequence",
                cardinality=size,
                shape=(self.length,),
            )
        ]


class FittedImage(_Fitted):
    """A PNG or JPEG file, decoded by `features.images`."""

    kind: Literal["image"] = "image"
    height: int
    width: int
    channels: Literal[1, 3]

    def inputs(self) -> list[ModelInput]:
        """Return the image."""
        shape = (self.height, self.width, self.channels)
        return [ModelInput(name=self.name, dtype="float32", kind="image", shape=shape)]


FittedFeature = Annotated[
    FittedNumeric
    | FittedCyclical
    | FittedCategory
    | FittedHashed
    | FittedArray
    | FittedSequence
    | FittedImage,
    Field(discriminator="kind"),
]


class FeatureSpec(Settings):
    """All features of a model, fitted on a training split, in the order of the settings."""

    format_version: int = FORMAT_VERSION
    key: tuple[str, ...]
    date: str
    label: str | None = None
    num_rows: int = 0
    """Rows of the training split it was fitted on."""
    features: tuple[FittedFeature, ...]

    @property
    def inputs(self) -> list[ModelInput]:
        """Model inputs in the order of the features."""
        return [each for feature in self.features for each in feature.inputs()]

    @property
    def raw_columns(self) -> list[str]:
        """Raw feature columns, each once, in the order of their first use."""
        return list(dict.fromkeys(feature.column for feature in self.features))

    def to_json(self) -> str:
        """Return the spec as JSON text; equal specs give equal texts."""
        return self.model_dump_json(indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> FeatureSpec:
        """Read what `to_json` wrote. Raises FeatureError for anything else or anything newer."""
        try:
            version = json.loads(text)["format_version"]
        except (ValueError, KeyError, TypeError) as error:
            raise FeatureError(
                "this is no feature spec: expected a JSON object with `format_version`, "
                f"received {text[:60]!r}"
            ) from error
        if version != FORMAT_VERSION:
            raise FeatureError(
                f"the feature spec has format version {version}; this release reads version "
                f"{FORMAT_VERSION}. Use the release that wrote it, or run `normalize` again."
            )
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise FeatureError(f"the feature spec is damaged: {error}") from error


def check_names(spec: FeatureSpec) -> None:
    """Refuse two model inputs of one name, and names that the training set needs itself."""
    counts = Counter(each.name for each in spec.inputs)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise FeatureError(
            f"two features give the model input '{twice[0]}'. Rename one of them in "
            "`normalize.features` (a feature's `column` may differ from its name)."
        )
    own = [name for name in counts if name.startswith("_")]
    if own:
        raise FeatureError(
            f"the model input '{own[0]}' starts with '_'; such names belong to the training set. "
            "Rename the feature in `normalize.features`."
        )
    taken = [
        each.name
        for each in spec.inputs
        if each.kind not in ("numeric", "category") and each.name in RESERVED
    ]
    if taken:
        raise FeatureError(
            f"the model input '{taken[0]}' can't have this name: the feed's own arrays are called "
            f"{', '.join(RESERVED)}. Rename the feature in `normalize.features`."
        )

"""FeatureSpec: how every model input is computed from raw feature columns, with fitted numbers.

The one definition of a feature. `to_sql` compiles it for Spark, `to_keras` for TensorFlow.
Imports neither of them.
"""

from __future__ import annotations

import json
from collections import Counter

from pydantic import ValidationError

from pipelines.encoding.kind import ModelInput
from pipelines.encoding.kinds import FittedFeature
from pipelines.errors import FeatureError
from pipelines.settings import Settings

FORMAT_VERSION = 1
RESERVED = ("numeric", "category", "row", "label", "weight")
"""Names of the feed's own arrays; lists and images stand beside them under names of their own."""


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

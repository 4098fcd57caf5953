"""Whom an erasure is about: values of key columns, and the texts that stand for them in tables."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.errors import UsageError
from pipelines.privacy.keys import digest, pseudonyms


@dataclass(frozen=True)
class Subject:
    """Values by column, and for each column all texts that may stand for it.

    These are the value itself and its pseudonyms under each of the keys.
    """

    values: dict[str, str]
    texts: dict[str, list[str]]
    key_hash: str
    """Tells the same subject again without saying who it is: keyed where the pipeline has keys."""

    @classmethod
    def of(cls, pairs: Sequence[str], key_ids: Sequence[str]) -> Subject:
        """Read `column=value` pairs; raise UsageError where they are none."""
        values: dict[str, str] = {}
        for pair in pairs:
            column, equals, value = (part.strip() for part in pair.partition("="))
            if not (equals and column and value) or column in values:
                # Without the value: errors are logged.
                raise UsageError(
                    f"--key {column}...: expected COLUMN=VALUE, once for each column of the key, "
                    "such as --key email=ann@example.org."
                )
            values[column] = value
        if not values:
            raise UsageError("an erasure needs --key COLUMN=VALUE, at least once")
        whole = json.dumps(values, sort_keys=True)
        plain = hashlib.sha256(whole.encode("utf-8")).hexdigest()
        return cls(
            values=values,
            texts={name: [v, *pseudonyms(key_ids, v)] for name, v in values.items()},
            key_hash=f"{key_ids[-1]}:{digest(key_ids[-1], whole)}" if key_ids else plain,
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """The key's columns."""
        return tuple(self.values)

    def pattern(self, column: str) -> str:
        """Return a regular expression (Java's and Python's) for its texts as whole words."""
        words = "|".join(re.escape(text) for text in self.texts[column])
        return rf"(?<![\w.@-])(?:{words})(?![\w@-])"

    def is_named_in(self, text: str) -> bool:
        """Tell whether a text of Delta's log (a condition, statistics) holds one of the texts."""
        return any(re.search(self.pattern(column), text) for column in self.columns)

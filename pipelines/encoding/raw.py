"""Raw columns by their types: which ones a feature takes, and what to say of others."""

from __future__ import annotations

from dataclasses import dataclass

NUMBER_TYPES = ("boolean", "tinyint", "smallint", "int", "bigint", "float", "double", "decimal")
"""Raw types that count as numbers; of a parametrised type (`decimal(10,2)`) the first word."""
TEXT_TYPES = ("string", "date", "boolean", "tinyint", "smallint", "int")
"""Raw types whose text can be a category. Others have no single exact text, or one that a
float64 can't hold."""


def base_type(raw_type: str) -> str:
    """Return `decimal` for `decimal(10,2)`, and plain types as they are."""
    return raw_type.partition("(")[0]


def element_type(raw_type: str) -> str | None:
    """Return the elements' type of an array type, `decimal` for `array<decimal(10,2)>`."""
    if not raw_type.startswith("array<"):
        return None
    return base_type(raw_type.removeprefix("array<").removesuffix(">"))


@dataclass(frozen=True)
class Expected:
    """The raw types that a feature takes."""

    types: tuple[str, ...]
    of_elements: bool = False
    """Whether these are the types of an array's elements."""
    words: str = ""
    """What is expected, where the types don't say it."""
    how: str = ""
    """How `featurize` comes to it."""

    def fault(self, raw_type: str) -> str | None:
        """Return what was expected of a raw column's type and how to get it; None where it fits."""
        found = element_type(raw_type) if self.of_elements else base_type(raw_type)
        if found in self.types:
            return None
        words = self.words or f"one of {', '.join(self.types)}"
        return f"{'an array of ' if self.of_elements else ''}{words}. {self.how}"


_PLAIN = (
    "Turn it into one of these in `featurize` (a date, for instance, into its day of the year)."
)
_LIST = "Turn it into one in `featurize`, with `array`, `collect_list`, `split`."
NUMBER = Expected(NUMBER_TYPES, how=_PLAIN)
TEXT = Expected(TEXT_TYPES, how=_PLAIN)
NUMBERS = Expected(NUMBER_TYPES, of_elements=True, how=_LIST)
TEXTS = Expected(TEXT_TYPES, of_elements=True, how=_LIST)

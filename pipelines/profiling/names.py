"""Plain names: of columns in silver and of features, which SQL and Keras take as they are. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable

_LETTERS = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "ae", "Ö": "oe", "Ü": "ue", "ß": "ss", "€": "eur",
     "$": "usd", "£": "gbp", "%": "percent", "ø": "oe", "å": "aa", "æ": "ae", "&": "and"}
)  # fmt: skip
LONGEST = 60


def plain_name(text: str) -> str:
    """Return a name of lower-case letters, digits and `_`, a letter first; `column` for nothing."""
    text = (
        unicodedata.normalize("NFKD", text.translate(_LETTERS)).encode("ascii", "ignore").decode()
    )
    # A capital begins a word where a small letter was before it: customerId.
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])", "_", text)
    text = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:LONGEST].strip("_")
    if not text:
        return "column"
    return text if text[0].isalpha() else f"c_{text}"


def plain_names(names: Iterable[str], taken: Collection[str] = ()) -> dict[str, str]:
    """Return a plain name for each, no two alike and none in `taken`: the second is `<name>_2`."""
    seen, found = set(taken), dict[str, str]()
    for name in names:
        plain = made = plain_name(name)
        number = 1
        while made in seen:
            number += 1
            made = f"{plain}_{number}"
        seen.add(made)
        found[name] = made
    return found

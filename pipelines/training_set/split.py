"""Who trains on what: each row's split as an SQL expression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipelines.config.normalize import DateSplit, HashSplit
from pipelines.encoding.sql import quoted

SPLITS = ("train", "validation", "test")
_PARTS = 1_000_000


def key_hash(key: Sequence[str], salt: str) -> str:
    """Return the SQL expression of a 64-bit hash of key and salt, stable over runs and machines.

    It is xxHash64 over the key columns in their order, then the salt. The columns' types count:
    the same number as int and as bigint gives two hashes.
    """
    columns = ", ".join(quoted(name) for name in key)
    return f"xxhash64({columns}, decode(X'{salt.encode().hex()}', 'UTF-8'))"


def split_conditions(split: DateSplit | HashSplit, key: Sequence[str], date: str) -> dict[str, str]:
    """Return the SQL condition of each split; a row fulfils one of them at most.

    By hash, the key's share in [0, 1) goes to test, then validation, then train, in steps of a
    millionth.
    """
    if isinstance(split, DateSplit):
        day = quoted(date)
        return {
            name: f"{day} BETWEEN DATE '{first}' AND DATE '{last}'"
            for name in SPLITS
            for first, last in [getattr(split, name)]
        }
    share = f"pmod({key_hash(key, 'split:' + split.salt)}, {_PARTS}L)"
    test = round(split.test * _PARTS)
    validation = test + round(split.validation * _PARTS)
    return {
        "train": f"{share} >= {validation}",
        "validation": f"{share} >= {test} AND {share} < {validation}",
        "test": f"{share} < {test}",
    }


def split_name(conditions: Mapping[str, str]) -> str:
    """Return the SQL expression of a row's split, null where it is in none."""
    cases = " ".join(f"WHEN {condition} THEN '{name}'" for name, condition in conditions.items())
    return f"CASE {cases} END"


def describe_split(split: DateSplit | HashSplit, name: str) -> str:
    """Return what defines a split, for messages."""
    if isinstance(split, DateSplit):
        first, last = getattr(split, name)
        return f"{first} to {last}"
    share = {"validation": split.validation, "test": split.test}.get(
        name, 1 - split.validation - split.test
    )
    return f"{share:.3g} of the keys by hash"

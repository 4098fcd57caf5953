"""Secret keys: read from the environment where they are used, never handed on.

A key is any text of at least 32 letters in `TIDEMILL_SECRET_<ID>`. Its id is in the settings and
in front of each pseudonym. The lake keeps a check value of each key, so that another tenant's key
under the same id is refused, and which one it is at.
"""

from __future__ import annotations

import hmac
import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines.errors import SettingsError
from pipelines.lake import files

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pipelines.lake.catalog import Lake

PREFIX = "TIDEMILL_SECRET_"
_SHORTEST = 32


def variable(key_id: str) -> str:
    """Return the name of the environment variable that holds a key."""
    return PREFIX + key_id.upper()


def secret(key_id: str) -> bytes:
    """Return a key; raise SettingsError where the environment has none, or a short one."""
    found = os.environ.get(variable(key_id), "")
    if len(found) < _SHORTEST:
        state = "is too short" if found else "is not set"
        raise SettingsError(
            f"the environment variable {variable(key_id)} {state}; `privacy.keys` names the key "
            f"'{key_id}'. Expected a secret of {_SHORTEST} letters or more, here and in the "
            "environment of Spark's executors: `python -c \"import secrets; "
            'print(secrets.token_hex(32))"` makes one.'
        )
    return found.encode("utf-8")


def digest(key_id: str, text: str) -> str:
    """Return HMAC-SHA-256 of a text in hexadecimal."""
    return hmac.digest(secret(key_id), text.encode("utf-8"), "sha256").hex()


def pseudonym(key_ids: Sequence[str], text: str) -> str:
    """Return what stands for a text: the last key's id, and HMAC(last, ... HMAC(first, text)).

    So a pseudonym of an older key becomes one of a newer without the text.
    """
    for key_id in key_ids:
        text = digest(key_id, text)
    return f"{key_ids[-1]}:{text}"


def pseudonyms(key_ids: Sequence[str], text: str) -> list[str]:
    """Return what has stood for a text under each of the keys, oldest first."""
    return [pseudonym(key_ids[: count + 1], text) for count in range(len(key_ids))]


def check_keys(
    spark: SparkSession,
    lake: Lake,
    pipeline: str,
    key_ids: Sequence[str],
    *,
    may_be_more: bool = False,
) -> None:
    """Raise SettingsError unless the keys are those that the lake's pseudonyms were made with.

    The first time they are noted. With `may_be_more` there may be new ones behind them, and none
    are noted.
    """
    checks = {key_id: _check_value(key_id) for key_id in key_ids}
    without_it = (
        "the keys of the environment are then taken for those that the pseudonyms were made with, "
        "so make sure that they are"
    )
    place = lake.state(pipeline, "privacy", "keys")
    known: dict[str, str] = files.read_json(spark, place, without_it) or {}
    for key_id in known:
        if key_id in checks and checks[key_id] != known[key_id]:
            raise SettingsError(
                f"{variable(key_id)} is not the key '{key_id}' that the pseudonyms of the lake "
                f"{lake.root} were made with. Give this tenant's own key, or a new one under a new "
                "id (`privacy.keys`)."
            )
    if list(known) != list(checks)[: len(known)]:
        raise SettingsError(
            f"`privacy.keys` is {list(checks)}, but the lake was made with {list(known)}. A key is "
            "appended at the end; the older ones stay, as pseudonyms are made with all of them."
        )
    if known and len(known) < len(checks) and not may_be_more:
        raise SettingsError(
            f"`privacy.keys` has the new key '{key_ids[-1]}', but the lake's pseudonyms are of "
            f"'{list(known)[-1]}'. Run `tidemill rotate {pipeline}`: it brings them to the new key."
        )
    if checks and not known and not may_be_more:
        note_keys(spark, lake, pipeline, key_ids)


def note_keys(spark: SparkSession, lake: Lake, pipeline: str, key_ids: Sequence[str]) -> None:
    """Note which keys the lake's pseudonyms are made with from now on."""
    checks = {key_id: _check_value(key_id) for key_id in key_ids}
    files.write_text(spark, lake.state(pipeline, "privacy", "keys"), json.dumps(checks))


def _check_value(key_id: str) -> str:
    return digest(key_id, "tidemill key check")[:16]

"""Credentials stand in the environment, never in a settings file, an override or a profile."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.config.document import Document, Path
from pipelines.errors import SettingsError
from pipelines.secrecy import names_credential

_USERS_NAMES = ("columns", "derive", "reads", "features", "entities", "sources", "space")
"""Mappings whose keys are names of the user's own: a column may be called `token`."""
_VALUES = (
    re.compile(r"://[^/\s:@]*:[^/\s@]+@"),  # scheme://user:password@host
    re.compile(r"[?&;]\w*(password|passwd|pwd|secret|token|sig|accountkey)=[^&;\s]", re.I),
    re.compile(r"\(\w*(password|passwd|pwd)=[^)\s]", re.I),  # (user=x)(password=y)
    re.compile(r"-D[\w.]*(password|secret|token)=\S", re.I),
    re.compile(r"jdbc:[\w:]+:[^/@\s:]+/[^/@\s]+@", re.I),  # jdbc:oracle:thin:user/password@host
    re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY"),
)
_SECRET_OF_TENANT = re.compile(r"TIDEMILL_SECRET_\w", re.I)
_POINTERS = {
    "s3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN (or the machine's role)",
    "azure": "AZURE_CLIENT_ID, AZURE_CLIENT_SECRET and AZURE_TENANT_ID (or the machine's identity)",
    "google": "GOOGLE_APPLICATION_CREDENTIALS, the path of a key file",
    "jdbc": "the environment variables that `user_env` and `password_env` of the source name",
    "privacy": "TIDEMILL_SECRET_<KEY ID>; the settings name key ids alone",
}


def refuse_credentials(document: Document) -> None:
    """Raise SettingsError for a key or a text that looks like a credential.

    The message never holds the value.
    """
    for path, value in _leaves(document.values, ()):
        found = _finding(path, value)
        if found:
            # The origin of an override is the override itself, value and all.
            place = re.sub(r"^(--\w+)[ =].*", r"\1", document.origin(path))
            raise SettingsError(f"{place}: {_said('.'.join(map(str, path)), found, value)}")


def refuse_in_override(override: str) -> None:
    """Raise SettingsError for a credential in `KEY=VALUE` of `--set`."""
    key, _, text = override.partition("=")
    # Looked at as text, and as the lines of a mapping: `options={password: x}`.
    pairs = [(key, text), *re.findall(r"[\"']?([\w.-]+)[\"']?\s*:\s*([^,{}\s]+)", text)]
    for name, value in pairs:
        path = tuple(name.strip().split("."))
        found = _finding(path, value)
        if found and not (name != key and key.rpartition(".")[2] in _USERS_NAMES):
            raise SettingsError(f"--set: {_said(key.strip(), found, value)}")


def refuse_in_profile(settings: Mapping[str, str], file: str) -> None:
    """Raise SettingsError for a credential in a Spark profile."""
    for key, value in settings.items():
        found = _finding((key,), value)
        if found:
            raise SettingsError(f"{file}: {_said(key, found, value)}")


def _said(key: str, found: str, value: Any) -> str:
    variables = _POINTERS.get(_kind(f"{key} {value}".lower()))
    pointer = f": {variables}" if variables else " variable that its reader knows"
    return (
        f"{key}: {found}. Credentials never stand in a settings file, an override or a Spark "
        f"profile, which are kept, copied and logged. Take it out (and change it, if the file was "
        f"shared), and give it by the environment{pointer}."
    )


def _kind(text: str) -> str:
    words = {
        "s3": r"s3|aws|akia|asia",
        "azure": r"azure|abfs|wasb",
        "google": r"\bgs\b|google|gcs",
        "jdbc": r"jdbc",
        "privacy": r"privacy",
    }
    return next((kind for kind, pattern in words.items() if re.search(pattern, text)), "")


def _finding(path: Path, value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
        return None
    while path and isinstance(path[-1], int):  # an entry of a list is what the list is
        path = path[:-1]
    key = str(path[-1]) if path else ""
    if _SECRET_OF_TENANT.search(key) and "secretKeyRef" not in key:
        return "the key gives one of `privacy.keys`, which would be in Spark's settings and log"
    if path and not _is_users_name(path) and names_credential(key):
        return "the key says that its value is a credential"
    if any(pattern.search(str(value)) for pattern in _VALUES):
        return "the value holds a user's password, a key or a token"
    return None


def _is_users_name(path: Path) -> bool:
    return len(path) > 1 and path[-2] in _USERS_NAMES


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _leaves(below, (*path, key))
    elif isinstance(value, list):
        for place, below in enumerate(value):
            yield from _leaves(below, (*path, place))
    else:
        yield path, value

"""What must not be shown: credentials in addresses, in settings by their names, in the environment.

`hide` is applied at every door by which text leaves: the messages of errors, log records of all
libraries, traces, run records, manifests, what MLflow is told.
"""

from __future__ import annotations

import logging
import os
import re
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote, urlsplit

HIDDEN = "***"

_LAST = ("password", "passwd", "passphrase", "pwd", "secret", "token", "credential", "credentials")
_PAIRS = tuple(
    f" {pair} "
    for pair in (
        *("access key", "secret key", "api key", "account key", "private key", "encryption key"),
        *("client secret", "azure sas", "session token", "shared key"),
    )
)
_ABOUT = ("env", "file", "path", "provider", "class", "type", "name", "id", "regex", "length")
"""Last words of keys that tell where a credential is, or what kind, but don't hold it."""
_IN_QUERIES = ("sig", "signature", "apikey", "accesskey", "accountkey", "awsaccesskeyid", "auth")
"""More names by which an address gives one."""

_URI = re.compile(r"\b([A-Za-z][\w+.-]*:)//([^\s\"'<>]+)")
# A password may hold what an address may not. A host with its port is no user, unless Amazon's.
_USER = re.compile(
    r"(?!(?!A[KS]IA)(?:\[[\w:.]*\]|[\w.-]*):\d{1,5}(?:[/?#]|$))"
    r"(?:[^/?#@:]*:[^?#]*|[^/?#]*|[^/?#@:]*:.*?)@"
)
_CONTAINERS = ("abfs:", "abfss:", "wasb:", "wasbs:")
"""Schemes that name a container where others have a user."""
_NAME = re.compile(r"(?<![\w.-])([\w.-]+)=")
_QUOTED = re.compile(
    r"""(?<![\w.-])([\w.-]+)(["']?[ ]?[=:][ ]?)(["'])((?:\\.|(?!\3)[^\\\n]){1,999})\3"""
)
_SPACED = re.compile(r"(?<![\w.-])([\w.-]+)(: | = )(?=[^\s\d]*\d)([^\s&;\"',)\]}]{6,})")
"""Behind a colon or a blank a word of prose may follow; a password mostly has a digit."""
_VALUE = re.compile(r"[^\s&;\"']+?(?=[,)}\]]*(?:[\s&;\"']|$))")
_IN_PROSE: tuple[re.Pattern[str], ...] = (
    re.compile(r"(\bAuthorization[\"']?\s*[:=]\s*[\"']?)(?:\w+\s+)?[^\s\"',}]+", re.I),
    re.compile(r"(\b(?:Bearer|Basic)\s+)(?=\S*[\d=])[\w.~+/=-]{8,}"),
    re.compile(
        r"(jdbc:(?:\w{1,20}:){1,3})[^/@\s:]{1,99}/[^/@\s]{1,299}(?=@)", re.I
    ),  # user/password@host
    re.compile(r"(-D[\w.]*(?:password|secret|token)=)\S+", re.I),
    re.compile(r"(%3A%2F%2F)[^\s&\"'<>]{1,299}?(?=%40)", re.I),  # an address inside of another
    re.compile(r"()\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+"),  # a JSON web token
    re.compile(r"()\b(?:gh[pousr]_\w{20,}|AIza[\w-]{30,})"),
    re.compile(r"()\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    re.compile(
        r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?=-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S
    ),
)
_SHORTEST = 6
"""Shorter values of the environment are words that stand elsewhere too."""


def hide(text: str) -> str:
    """Return a text with `***` in the place of credentials.

    The user part of an address goes as a whole, what follows a telling name (`password=`, `sig=`)
    goes up to the next separator, and so does each value that the environment holds under such a
    name.
    """
    if "@" in text or "//" in text:
        text = _URI.sub(_hidden_user, text)
    if "=" in text or ":" in text:
        text = _QUOTED.sub(_hidden_quoted, text)
        text = _SPACED.sub(_hidden_spaced, text)
        text = _without_values(text)
    for pattern in _IN_PROSE:
        text = pattern.sub(rf"\g<1>{HIDDEN}", text)
    for secret in _of_environment(tuple(os.environ.items())):
        if secret in text:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)
    return text


def hide_in(value: Any) -> Any:
    """Return nested JSON values with `hide` applied to each text."""
    if isinstance(value, dict):
        return {key: hide_in(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [hide_in(one) for one in value]
    return hide(value) if isinstance(value, str) else value


def names_credential(key: str) -> bool:
    """Tell whether a key's name says that its value is a credential."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", key)
    words = " ".join(re.split(r"[^A-Za-z0-9]+", words)).lower().strip()
    last = words.rpartition(" ")[2]
    if last in _ABOUT or "secret key ref" in words:
        return False
    return last in _LAST or any(pair in f" {words} " for pair in _PAIRS)


def hide_in_logs() -> None:
    """Have every log record of this process hide credentials, whichever library writes it."""
    before = logging.getLogRecordFactory()
    if getattr(before, "hides", False):
        return

    def make(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = before(*args, **kwargs)
        try:
            said = record.getMessage()
        except Exception:  # the handler tells of a message that doesn't fit its arguments
            return record
        hidden = hide(said)
        if hidden != said:
            record.msg, record.args = hidden, ()
        if record.exc_info and record.exc_info[0] is not None:
            record.exc_text = hide(logging.Formatter().formatException(record.exc_info))
        return record

    make.hides = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(make)


def _hidden_user(found: re.Match[str]) -> str:
    scheme, rest = found[1], found[2]
    if scheme.lower() in _CONTAINERS:
        return found[0]
    # The last one: a password may hold it. Behind a `?` or `#` it is no user's.
    at = _USER.match(rest)
    return f"{scheme}//{HIDDEN}@{rest[at.end() :]}" if at else found[0]


def _hidden_quoted(found: re.Match[str]) -> str:
    name, sign, quote_ = found[1], found[2], found[3]
    return f"{name}{sign}{quote_}{HIDDEN}{quote_}" if _is_telling(name) else found[0]


def _hidden_spaced(found: re.Match[str]) -> str:
    return f"{found[1]}{found[2]}{HIDDEN}" if _is_telling(found[1]) else found[0]


def _is_telling(name: str) -> bool:
    return names_credential(name) or name.lower().rpartition("-")[2] in _IN_QUERIES


def _without_values(text: str) -> str:
    """Return a text without what follows `=` behind a telling name."""
    parts, done = [], 0
    for found in _NAME.finditer(text):
        if found.start() < done:
            continue
        value = _VALUE.match(text, found.end()) if _is_telling(found[1]) else None
        if value is not None:
            parts += [text[done : found.end()], HIDDEN]
            done = value.end()
    return "".join([*parts, text[done:]])


@lru_cache(maxsize=1)
def _of_environment(variables: tuple[tuple[str, str], ...]) -> list[str]:
    """Return the secrets that variables hold, as they stand there and as addresses spell them."""
    found = set()
    for name, value in variables:
        if names_credential(name) or name.startswith("TIDEMILL_SECRET_"):
            # The working folder is in `PWD`, and a key file's path is no key. `Path.exists` would
            # raise for a long token.
            is_place = name == "PWD" or os.path.exists(value)  # noqa: PTH110
            found.add("" if is_place else value)
        elif "://" in value and "@" in value:
            found.add(_password(value))
    spelled = {one for secret in found for one in (secret, quote(secret, safe=""), unquote(secret))}
    return sorted((one for one in spelled if len(one) >= _SHORTEST), key=len, reverse=True)


def _password(address: str) -> str:
    try:
        return urlsplit(address).password or ""
    except ValueError:
        return ""

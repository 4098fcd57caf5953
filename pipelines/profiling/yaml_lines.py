"""Settings as YAML, a value a line, with the reason behind it or above it. Pure."""

from __future__ import annotations

import datetime as dt
import json
import re
import textwrap
from collections.abc import Mapping
from typing import Any

from pipelines.config.yaml_text import quoted

_PLAIN = re.compile(r"[A-Za-z][\w.]*")
_WORDS = frozenset(("null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf"))
_WIDTH = 98


def scalar(value: Any) -> str:
    """Return a value as it stands in YAML, also within braces and brackets."""
    if isinstance(value, dt.date | bool | int | float) or value is None:
        return str(value) if isinstance(value, dt.date) else json.dumps(value)
    text = str(value)
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return quoted(text)


def flow(value: Any) -> str:
    """Return a value in one line: `{type: int, null_values: ['', NA]}`."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(k)}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    return scalar(value)


def comment(text: str, indent: int = 0) -> str:
    """Return a text as comment lines."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    begin = " " * indent + "# "
    return textwrap.fill(plain, _WIDTH, initial_indent=begin, subsequent_indent=begin) + "\n"


def line(indent: int, key: str, value: Any, why: str = "") -> str:
    """Return a setting, with the evidence behind it, or above it where the line would be long."""
    plain = "".join(c if c.isprintable() else " " for c in why)
    text = f"{' ' * indent}{scalar(key)}: {flow(value)}"
    if not why:
        return _folded(indent, key, value) if len(text) > _WIDTH else text + "\n"
    if len(text) + len(plain) + 3 <= _WIDTH:
        return f"{text} # {plain}\n"
    return comment(why, indent) + (
        text + "\n" if len(text) <= _WIDTH else _folded(indent, key, value)
    )


def _folded(indent: int, key: str, value: Any) -> str:
    """Return a setting of many parts over several lines."""
    begin, below = " " * indent, " " * (indent + 2)
    if isinstance(value, Mapping):
        body = "".join(f"{below}{scalar(k)}: {flow(v)}\n" for k, v in value.items())
        return f"{begin}{scalar(key)}:\n{body}"
    if isinstance(value, list | tuple):
        lines, line = [], ""
        for one in value:
            part = f"{flow(one)}, "
            if line and len(below) + len(line) + len(part) > _WIDTH:
                lines.append(line.rstrip())
                line = ""
            line += part
        lines.append(line.rstrip(", "))
        return (
            f"{begin}{scalar(key)}: [\n"
            + "".join(f"{below}{one}\n" for one in lines)
            + f"{begin}]\n"
        )
    return f"{begin}{scalar(key)}: {flow(value)}\n"

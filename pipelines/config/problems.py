"""What pydantic found wrong, said with file, line and the nearest known key."""

from __future__ import annotations

import re
import types
import typing
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from pipelines.config.document import Document, Path
from pipelines.config.pipeline import Pipeline
from pipelines.config.yaml_text import quoted
from pipelines.errors import SettingsError, nearest

_SHOWN = 60
_WANTS_TEXT = ("string_type", "literal_error", "tuple_type")


def settings_error(error: ValidationError, document: Document) -> SettingsError:
    """Return one error that lists every problem, each with its place and path."""
    lines: dict[tuple[str, str], list[str]] = {}
    for problem in error.errors(include_url=False):
        path = _path_of(problem["loc"], document.values, problem["type"])
        said = _say(problem, path, document.values) + _quote_it(problem["type"], path, document)
        place = document.origin(_path_named_in(said, document) or path)
        said_here = lines.setdefault((place, ".".join(map(str, path))), [])
        if said not in said_here:
            said_here.append(said)
    found = [
        ": ".join(part for part in (place, path, "; or ".join(said)) if part)
        for (place, path), said in lines.items()
    ]
    if len(found) == 1:
        return SettingsError(found[0])
    return SettingsError(f"{len(found)} problems in the settings:\n" + "\n".join(found))


def _path_of(loc: tuple[str | int, ...], values: Any, kind: str) -> Path:
    """Drop from pydantic's location what stands in no file: the branch taken in a union."""
    path: list[str | int] = []
    for depth, part in enumerate(loc):
        is_last = depth == len(loc) - 1
        if _holds(values, part):
            path.append(part)
            values = values[part]
        elif is_last and kind == "missing":
            path.append(part)
    return tuple(path)


def _say(problem: Any, path: Path, values: Any) -> str:
    kind = problem["type"]
    if kind == "extra_forbidden":
        known = known_keys(path[:-1], values, whole=True) or []
        hint = nearest(str(path[-1]), known)
        return f"unknown key.{hint}" if hint else f"unknown key. Known are {', '.join(known)}."
    if kind == "missing":
        return "is missing."
    if kind == "value_error":
        return f"{problem['ctx']['error']}"
    if kind.startswith("date_"):
        return f"expected a day as 2024-02-29, received {_shown(problem['input'])}."
    said = f"{problem['msg']}, received {_shown(problem['input'])}."
    given, choices = problem["input"], ""
    if kind == "literal_error":
        choices = problem["ctx"]["expected"]
    if kind == "union_tag_invalid":
        given, choices = problem["ctx"]["tag"], problem["ctx"]["expected_tags"]
        said = f"unknown `kind: {given}`; expected one of {choices.replace(chr(39), '')}."
    if choices and isinstance(given, str):
        said += nearest(given, re.findall(r"'([^']*)'", choices))
    if choices and str(given).lower() in ("excel", "xls", "xlsx"):
        said += " Save such files as CSV."
    return said


def _quote_it(kind: str, path: Path, document: Document) -> str:
    """Return a hint where text was wanted and YAML read an unquoted one as something else."""
    written = document.sources.get(path)
    if written is None or kind not in _WANTS_TEXT:
        return ""
    if not written:
        return " Nothing stands behind the key; an empty text is ''."
    return (
        f" YAML reads an unquoted `{written[:_SHOWN]}` so. If it is text, quote it: "
        f"{quoted(written)}."
    )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def located(error: SettingsError, document: Document) -> SettingsError:
    """Return an error about a setting that it names in backticks, with the setting's place."""
    path = _path_named_in(str(error), document)
    return SettingsError(f"{document.origin(path)}: {error}") if path else error


def _path_named_in(said: str, document: Document) -> Path | None:
    """Return the path that a message names in backticks; a contradiction has no place itself."""
    for name in re.findall(r"`([\w.]+)[^`]*`", said):
        path = tuple(name.split("."))
        if path in document.origins:
            return path
    return None


def known_keys(path: Path, values: Any, *, whole: bool = False) -> list[str] | None:
    """Return the keys a settings model takes at `path`; None where any key goes.

    `values` are the settings at `path`, or all of them if `whole`; they decide which member of a
    union is meant (`kind: numeric`).
    """
    kind: Any = Pipeline
    here: Any = values if whole else None
    for part in path:
        here = here[part] if _holds(here, part) else None
        kind = _type_below(_model_of(kind, None), part)
        kind = _model_of(kind, here)
    kind = _model_of(kind, values)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [name for name, field in kind.model_fields.items() if not field.exclude]
    return None


def _holds(values: Any, part: str | int) -> bool:
    if isinstance(values, list):
        return isinstance(part, int) and part < len(values)
    return isinstance(values, dict) and part in values


def _type_below(kind: Any, part: str | int) -> Any:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = kind.model_fields.get(str(part))
        return field.annotation if field else None
    arguments = get_args(kind)
    if get_origin(kind) is dict:
        return arguments[1]
    return arguments[0] if get_origin(kind) in (tuple, list) and arguments else None


def _model_of(kind: Any, values: Any) -> Any:
    """Unwrap `Annotated` and unions down to the member that `values` mean."""
    if get_origin(kind) is typing.Annotated:
        return _model_of(get_args(kind)[0], values)
    if get_origin(kind) in (typing.Union, types.UnionType):
        members = [_model_of(member, values) for member in get_args(kind)]
        models = [m for m in members if isinstance(m, type) and issubclass(m, BaseModel)]
        for model in models:
            for name, field in model.model_fields.items():
                tags = get_args(field.annotation) if name in ("kind", "by") else ()
                if isinstance(values, dict) and values.get(name, field.default) in tags:
                    return model
        others = [m for m in members if m is not type(None)]
        return models[0] if models else (others[0] if others else None)
    return kind

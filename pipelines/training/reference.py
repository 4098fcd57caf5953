"""The tables of `docs/training.md`, made from the settings themselves.

`python -m pipelines.training.reference` writes them into the page, between the two marks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel

from pipelines.config.score import Monitor, Score
from pipelines.config.train import Promote, Train
from pipelines.training.models import BUILT_IN, options_model

PAGE = "docs/training.md"
_BEGIN = "<!-- made by `python -m pipelines.training.reference` from here ... -->"
_END = "<!-- ... to here -->"


def tables() -> str:
    """Return all tables, in Markdown."""
    parts = _sections("train", Train)
    for name in BUILT_IN:
        parts += _sections("train.options", options_model(name), f" of `{name}`")
    after = (("promote", Promote), ("score", Score), ("monitor", Monitor))
    for name, model in after:
        parts += _sections(name, model)
    return "\n\n".join(parts)


def page_with(text: str) -> str:
    """Return a page's text with today's tables between the marks."""
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n\n{tables()}\n\n{_END}{after}"


def _sections(path: str, model: type[BaseModel], of: str = "") -> list[str]:
    """Return a heading and a table for a model, and for each model below it."""
    schema = model.model_json_schema()
    return _section(path, of, schema, schema.get("$defs", {}))


def _section(path: str, of: str, schema: dict[str, Any], defs: dict[str, Any]) -> list[str]:
    rows = ["| option | value | default | meaning |", "|---|---|---|---|"]
    below = []
    for name, field in schema["properties"].items():
        meaning = " ".join(str(field.get("description", "")).split())
        default = "" if name in schema.get("required", []) else _shown(field.get("default"))
        referred = _referred(field, defs)
        if referred is not None:
            below += _section(f"{path}.{name}", of, referred, defs)
            default = "null" if field.get("default", 0) is None else "see below"
        cells = (f"`{name}`", _kind(field, defs), default, meaning)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    said = " ".join(str(schema.get("description", "")).split())
    return [f"### `{path}`{of}", said, "\n".join(rows), *below]


def _referred(field: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any] | None:
    """Return the schema of the settings that a field holds, or None for a plain value."""
    for one in (field, *field.get("anyOf", [])):
        found = defs.get(str(one.get("$ref", "")).rpartition("/")[2], {})
        if "properties" in found:
            return dict(found)
    return None


def _kind(field: Any, defs: dict[str, Any]) -> str:
    if not isinstance(field, dict):
        return "any"
    if "anyOf" in field:
        return " or ".join(_kind(one, defs) for one in field["anyOf"])
    if "$ref" in field:
        return _kind(defs[field["$ref"].rpartition("/")[2]], defs)
    if "enum" in field or "const" in field:
        return ", ".join(f"`{one}`" for one in field.get("enum", [field.get("const")]))
    kind = str(field.get("type", "any"))
    if "properties" in field:
        return "settings"
    if kind == "array":
        inner: Any = field.get("items") or next(iter(field.get("prefixItems", [])), {})
        return f"list of {_kind(inner, defs)}"
    if kind == "object":
        return f"mapping to {_kind(field.get('additionalProperties'), defs)}"
    signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {field[key]:g}" for key, sign in signs.items() if key in field]
    words = {"integer": "whole number", "null": "null", "string": "text", "boolean": "true, false"}
    return " ".join([words.get(kind, kind), *bounds])


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"`[{', '.join(map(str, value))}]`"
    plain = {None: "null", True: "true", False: "false"}
    is_plain = value is None or isinstance(value, bool)
    return plain[value] if is_plain else f"`{'{}' if value == {} else value}`"


def main() -> None:
    """Write the tables into the page."""
    page = Path(PAGE)
    page.write_text(page_with(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()

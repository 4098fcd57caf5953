"""What the service's own page says of the model and of each raw column."""

from __future__ import annotations

from typing import Any

from pipelines.encoding.about import About
from pipelines.serving.columns import RawColumn
from pipelines.serving.models import Served

_JSON_TYPES = {"string": "string", "date": "string", "binary": "string", "boolean": "boolean"}
_WHOLE = ("tinyint", "smallint", "int", "bigint")
_FORMATS = {"date": "date", "binary": "byte"}


def description(served: Served) -> str:
    """Return the page's text: what answers, and what a prediction is."""
    names = served.predictor.class_names or ()
    meaning = {
        "binary": f"`prediction` is the probability of `{names[-1:][0] if names else 1}`; from "
        f"{served.predictor.threshold} on `predicted_class` is 1 and `predicted_label` that.",
        "classes": "`predicted_class` is the likeliest class, `prediction` its probability, "
        "`probabilities` those of all classes: "
        f"{', '.join(f'`{one}`' for one in names)}.",
        "number": "`prediction` is the number.",
    }[served.predictor.task]
    return (
        f"Answers with the champion of `{served.name}`: version {served.version} when the service "
        f"started, trained by run `{served.run_id}`. {meaning} Every raw column is needed; a value "
        "that is not known is null."
    )


def request_schema(served: Served) -> dict[str, Any]:
    """Return the JSON schema of `/predict`'s body, with a row of training's middle as example."""
    columns, about = served.predictor.columns, served.predictor.about
    row = {
        "type": "object",
        "required": [column.name for column in columns],
        "properties": {
            column.name: _property(column, about.get(column.name, About())) for column in columns
        },
    }
    return {
        "type": "object",
        "required": ["rows"],
        "properties": {
            "rows": {"type": "array", "items": row},
            "explain": {
                "type": ["boolean", "integer"],
                "minimum": 1,
                "default": False,
                "description": "Whether each prediction comes with its reasons; a number says of "
                "how many columns. It takes many times as long.",
            },
        },
        "example": {"rows": [{one.name: about.get(one.name, About()).example for one in columns}]},
    }


def _property(column: RawColumn, about: About) -> dict[str, Any]:
    kind = column.value_type
    default = "integer" if kind in _WHOLE else "number"
    one: dict[str, Any] = {"type": [_JSON_TYPES.get(kind, default), "null"]}
    if kind in _FORMATS:
        one["format"] = _FORMATS[kind]
    found = {"type": ["array", "null"], "items": one} if column.is_list else one
    if about.known:
        found["examples"] = about.known
    said = f"; {about.said}" if about.said else ""
    return {**found, "description": f"{column.raw_type}: {column.expected}{said}"}

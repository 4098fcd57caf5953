"""The JSON schema of `pipeline.yml`, for editors (`conf/pipeline.schema.json`)."""

from __future__ import annotations

import json
from pathlib import Path

from pipelines.config.pipeline import Pipeline

FILE = "conf/pipeline.schema.json"


def schema_text() -> str:
    """Return the schema as the text that the file holds."""
    schema = Pipeline.model_json_schema()
    fields = schema["properties"]
    schema["properties"] = {
        name: field for name, field in fields.items() if not field.get("hidden")
    }
    # Nothing in it may depend on the machine that it was made on, nor on the order of a set.
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return json.dumps(schema, indent=2) + "\n"


def write_schema(root: Path) -> tuple[Path, bool]:
    """Write the schema below the project's root; return its path and whether it changed."""
    file = root / FILE
    text = schema_text()
    changed = not file.is_file() or file.read_text(encoding="utf-8") != text
    if changed:
        file.write_text(text, encoding="utf-8")
    return file, changed

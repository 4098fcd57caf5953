import json

import jsonschema
import yaml

from pipelines.config import Pipeline
from pipelines.config.schema import FILE, schema_text


def plain(text: str) -> object:
    """Read YAML as an editor does: dates are texts."""
    return json.loads(json.dumps(yaml.safe_load(text), default=str))


def test_the_schema_in_the_repository_is_current(project):
    assert (project / FILE).read_text() == schema_text(), "run `tidemill schema`"


def test_what_the_loader_sets_is_not_in_the_schema():
    properties = json.loads(schema_text())["properties"]
    assert set(properties) == {
        name for name, field in Pipeline.model_fields.items() if not field.exclude
    }


def test_descriptions_are_in_the_schema():
    schema = json.loads(schema_text())
    epochs = schema["$defs"]["Train"]["properties"]["batch_size"]
    assert epochs["description"] == "Rows of a global batch: over all ranks."


def test_every_pipeline_fits_the_schema_and_names_it(project):
    schema = json.loads(schema_text())
    files = sorted(project.glob("conf/*/pipeline.yml"))
    assert files
    for file in files:
        text = file.read_text()
        jsonschema.validate(plain(text), schema)
        if not (project / "pipelines" / "landing" / f"{file.parent.name}.py").exists():
            continue  # somebody's own
        assert "# yaml-language-server: $schema=../pipeline.schema.json" in text


def test_the_schema_refuses_an_unknown_key(project):
    content = plain((project / "conf/flights/pipeline.yml").read_text())
    content["train"]["epoch"] = 3
    errors = list(jsonschema.Draft202012Validator(json.loads(schema_text())).iter_errors(content))
    assert ["epoch" in error.message for error in errors] == [True]

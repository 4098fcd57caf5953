"""What makes a bundle a model of MLflow's: its `MLmodel` file, signature, and an example. Pure.

`mlflow.pyfunc.load_model(FOLDER)` then gives a model that takes raw values by column and says what
`Predictor` says, wherever this package and TensorFlow are; neither Spark nor a lake is needed.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from pipelines.encoding.about import About, about_columns
from pipelines.encoding.raw import base_type, element_type
from pipelines.encoding.spec import FeatureSpec
from pipelines.errors import FeatureError

if TYPE_CHECKING:
    from pipelines.registry.bundle import Bundle

MLMODEL, EXAMPLE, REQUIREMENTS = "MLmodel", "input_example.json", "requirements.txt"
LOADER = "pipelines.serving.pyfunc"
_PACKAGES = ("tidemill", "keras", "tensorflow-cpu", "tensorflow", "numpy", "mlflow")
_TYPES = {"string": "string", "date": "string", "binary": "binary", "boolean": "boolean"}
_OUTPUTS = {
    "binary": [
        ("prediction", "double"),
        ("predicted_class", "long"),
        ("predicted_label", "string"),
    ],
    "number": [("prediction", "double")],
}
_OUTPUTS["classes"] = _OUTPUTS["binary"]


def mlflow_files(bundle: Bundle) -> dict[str, bytes]:
    """Return the files by name; none where the bundle's feature spec can't be read."""
    try:
        spec = FeatureSpec.from_json(bundle.feature_spec)
    except FeatureError:
        return {}
    example = {EXAMPLE: _json(_example(spec))}
    packages = bundle.manifest.get("packages", {})
    pins = [f"{name}=={packages[name]}" for name in _PACKAGES if name in packages]
    return {
        **example,
        REQUIREMENTS: "".join(f"{pin}\n" for pin in pins).encode(),
        MLMODEL: _json(_mlmodel(bundle, spec)),
    }


def _mlmodel(bundle: Bundle, spec: FeatureSpec) -> dict[str, Any]:
    facts = bundle.manifest
    return {
        "flavors": {
            "python_function": {
                "loader_module": LOADER,
                "python_version": str(facts.get("packages", {}).get("python", "3.11")),
                "env": {"virtualenv": REQUIREMENTS},
            }
        },
        "mlflow_version": str(facts.get("packages", {}).get("mlflow", "3")),
        "model_uuid": hashlib.sha256(bundle.run_id.encode()).hexdigest()[:32],
        "utc_time_created": str(facts.get("created_at", "1970-01-01 00:00:00"))[:19].replace(
            "T", " "
        ),
        "saved_input_example_info": {
            "artifact_path": EXAMPLE,
            "type": "dataframe",
            "pandas_orient": "split",
        },
        "signature": {
            "inputs": json.dumps(_inputs(spec)),
            "outputs": json.dumps(
                [{"name": name, "type": kind, "required": True} for name, kind in _said(bundle)]
            ),
            "params": None,
        },
    }


def _said(bundle: Bundle) -> list[tuple[str, str]]:
    return _OUTPUTS[bundle.task]


def _inputs(spec: FeatureSpec) -> list[dict[str, Any]]:
    types = {one.column: one.raw_type for one in reversed(spec.features)}
    return [{"name": name, **_type(types[name]), "required": True} for name in spec.raw_columns]


def _type(raw_type: str) -> dict[str, Any]:
    """Return MLflow's word for a raw type; numbers may be missing, so all are double there."""
    inside = element_type(raw_type)
    if inside is not None:
        return {"type": "array", "items": _type(inside)}
    return {"type": _TYPES.get(base_type(raw_type), "double")}


def _example(spec: FeatureSpec) -> dict[str, Any]:
    """Return a row of training's middle values, as MLflow keeps an example."""
    about = about_columns(spec)
    row = [about.get(name, About()).example for name in spec.raw_columns]
    return {"columns": spec.raw_columns, "data": [row]}


def _json(value: Any) -> bytes:
    # JSON is YAML: MLflow reads its file as that.
    return json.dumps(value, indent=2).encode()

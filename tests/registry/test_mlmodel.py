"""A bundle is a model of MLflow's: loaded by its client, it says what the predictor says."""

import json
import subprocess
import sys

import pytest

from pipelines.encoding.kinds.array import FittedArray
from pipelines.encoding.kinds.numeric import FittedNumeric
from pipelines.encoding.spec import FeatureSpec
from pipelines.registry.bundle import Bundle, save_bundle
from pipelines.registry.mlmodel import mlflow_files
from pipelines.serving.predictor import Predictor
from tests.bundles import small_bundle

ROWS = {"distance": [1500.0, None, 700.0], "carrier": ["UA", None, "new"]}
LOAD = """
import json, sys
sys.modules["pyspark"] = None  # no client needs it
import mlflow, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
rows = pd.DataFrame(json.loads(sys.argv[2]))
example = model.predict(model.input_example)
print(json.dumps([model.predict(rows).to_dict("records"), len(example)]))
"""


@pytest.mark.tensorflow
def test_mlflow_s_own_client_loads_a_bundle_and_gets_the_same_predictions(tmp_path):
    bundle, folder = small_bundle(tmp_path), tmp_path / "bundle"
    save_bundle(str(folder), bundle)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOAD, str(folder), json.dumps(ROWS)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found, examples = json.loads(done.stdout.splitlines()[-1])
    expected = Predictor(bundle)(ROWS).rows()
    assert examples == 1
    for one, other in zip(found, expected, strict=True):
        assert one.pop("prediction") == pytest.approx(other.pop("prediction"), abs=1e-6)
        assert one == other


def test_the_signature_names_each_raw_column_with_its_type():
    number = {"name": "n", "column": "n", "raw_type": "int", "center": 2.0}
    steps = {"name": "s", "column": "s", "raw_type": "array<double>", "length": 3}
    spec = FeatureSpec(
        key=("id",), date="day", features=(FittedNumeric(**number), FittedArray(**steps))
    )
    files = mlflow_files(Bundle({"run_id": "r", "settings": {"loss": "mse"}}, spec.to_json(), b""))
    signature = json.loads(files["MLmodel"])["signature"]
    assert json.loads(signature["inputs"]) == [
        {"name": "n", "type": "double", "required": True},
        {"name": "s", "type": "array", "items": {"type": "double"}, "required": True},
    ]
    assert [one["name"] for one in json.loads(signature["outputs"])] == ["prediction"]
    assert json.loads(files["input_example.json"]) == {"columns": ["n", "s"], "data": [[2, None]]}


def test_a_bundle_whose_spec_can_t_be_read_is_no_model_of_mlflow_s():
    assert mlflow_files(Bundle({"run_id": "r"}, "{}", b"")) == {}

"""A model of a user's own: tried before ranks start, and loaded wherever its bundle is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.config.train import Train
from pipelines.encoding.kind import ModelInput
from pipelines.errors import BundleError, TidemillError, TrainingError
from pipelines.own_code import own_code, using
from pipelines.registry.bundle import load_bundle
from tests.training.own import LAYERS, NET, write

pytestmark = pytest.mark.tensorflow

INPUTS = [ModelInput(name=name, kind="numeric", dtype="float32") for name in ("a", "b")]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tree").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "tree"))
    return tmp_path / "tree"


def asked(model: str, folder: Path) -> dict[str, Any]:
    return {
        "settings": Train(model=model).model_dump(mode="json"),
        "inputs": [one.model_dump(mode="json") for one in INPUTS],
        "folder": str(folder),
    }


def refused(step: Any, model: str, folder: Path) -> str:
    with pytest.raises(TrainingError) as failed:
        step(asked(model, folder))
    return str(failed.value)


def test_a_model_with_layers_of_its_own_passes_the_probe_and_keeps_the_driver_free(
    tree: Path,
) -> None:
    name = write(tree, "fine")
    code = (
        "import sys; from pipelines.config.train import Train\n"
        "from pipelines.training.models.probe import check_own_model\n"
        "from tests.training.test_own_models import INPUTS\n"
        f"check_own_model(Train(model='{name}'), INPUTS)\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": f"{tree}:."},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_model_of_the_page_can_be_used_as_it_stands_there(
    tree: Path, tmp_path: Path, project: Path
) -> None:
    from pipelines.training.models.probe import build, load

    page = (project / "docs" / "own-model.md").read_text()
    (tree / "shop_model.py").write_text(page.split("```python\n")[1].split("```")[0])
    name = page.split("train.model=")[1].split()[0]
    build(asked(name, tmp_path))
    load(asked(name, tmp_path))


def test_what_only_lies_on_the_path_of_the_driver_is_told_before_ranks_start(tree: Path) -> None:
    from pipelines.training.models.probe import check_own_model

    lazy = LAYERS.replace(
        "        return x * self.scale",
        "        return __import__('lazy_more').twice(x)",
    )
    name = write(tree, "lazy", layers=lazy)
    (tree / "lazy_more.py").write_text("def twice(x):\n    return x * 2\n")
    with pytest.raises(TrainingError) as failed:
        check_own_model(Train(model=name), INPUTS)
    assert "can be trained, but nothing could load it afterwards" in str(failed.value)
    assert "No module named 'lazy_more'" in str(failed.value)
    assert "plain import statements" in str(failed.value)


def test_lambda_layers_are_refused_wherever_they_stand(tree: Path, tmp_path: Path) -> None:
    from pipelines.training.models.probe import build

    inner = "keras.Sequential([keras.layers.Lambda(lambda x: x * 2, name='double')])"
    name = write(tree, "lam", NET.replace("Scaled(scale)", inner))
    said = refused(build, name, tmp_path)
    assert "has Lambda layers (double)" in said
    assert "Use `keras.ops`" in said
    assert "register_keras_serializable()" in said


@pytest.mark.parametrize(
    "layer",
    [
        "keras.layers.Dense(2, activation=lambda x: x * 2)",
        "keras.layers.Dense(2, kernel_initializer=lambda s, dtype=None: keras.ops.ones(s, dtype))",
        "keras.Sequential([keras.layers.Dense(2, bias_regularizer=lambda x: keras.ops.sum(x))])",
    ],
)
def test_functions_without_a_name_are_refused_and_their_bytecode_is_not_shown(
    tree: Path, tmp_path: Path, layer: str
) -> None:
    from pipelines.training.models.probe import build

    said = refused(build, write(tree, "nameless", NET.replace("Scaled(scale)", layer)), tmp_path)
    assert "has a function without a name (`lambda`)" in said
    assert "register_keras_serializable()" in said
    assert len(said) < 600


@pytest.mark.parametrize(
    ("returned", "found"),
    [
        ("None", "returned None; expected"),
        ("[1, 2]", "returned [1, 2]; expected"),
        ("type('Own', (keras.Model,), {})()", "returned Own (a keras.Model whose inputs and"),
    ],
)
def test_what_is_no_model_of_inputs_and_outputs_is_told_with_what_to_write(
    tree: Path, tmp_path: Path, returned: str, found: str
) -> None:
    from pipelines.training.models.probe import build

    (tree / "odd_model.py").write_text(
        f"import keras\n\n\ndef network(inputs):\n    return {returned}\n"
    )
    with using(own_code("odd_model:network")):
        said = refused(build, "odd_model:network", tmp_path)
    assert found in said
    assert "`keras.Model({'numeric': numeric}, outputs)`" in said


def test_a_layer_that_is_not_registered_is_told_with_what_to_write(
    tree: Path, tmp_path: Path
) -> None:
    from pipelines.training.models.probe import build, load

    line = '@keras.saving.register_keras_serializable("{name}")\n'
    name = write(tree, "bare", layers=LAYERS.replace(line, ""))
    build(asked(name, tmp_path))
    said = refused(load, name, tmp_path)
    assert "Could not locate class 'Scaled'" in said
    assert "`@keras.saving.register_keras_serializable()` above it and a `get_config`" in said
    assert "bare_layers.py, bare_net.py" in said
    assert "Full object config" not in said


def test_a_layer_that_can_not_be_saved_or_forgets_its_settings_is_told(
    tree: Path, tmp_path: Path
) -> None:
    from pipelines.training.models.probe import build, load

    forgets = LAYERS.replace("scale, **kwargs", "scale=1.0, **kwargs").replace(
        ', "scale": self.scale', ""
    )
    name = write(tree, "forgets", layers=forgets)
    build(asked(name, tmp_path))
    assert "says other things once it is saved and loaded" in refused(load, name, tmp_path)

    fails = LAYERS.replace("return {{**super().get_config()", "1 / 0; return {{**{{}}")
    name = write(tree, "fails", layers=fails)
    said = refused(build, name, tmp_path)
    assert "was built, but can't be saved: ZeroDivisionError" in said


def test_a_model_that_is_random_when_it_is_used_is_told(tree: Path, tmp_path: Path) -> None:
    from pipelines.training.models.probe import build

    random = LAYERS.replace("x * self.scale", "x * keras.random.uniform(keras.ops.shape(x))")
    said = refused(build, write(tree, "dice", layers=random), tmp_path)
    assert "says two things of the same rows" in said


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_model_that_says_no_number_is_told(tree: Path, tmp_path: Path, value: str) -> None:
    from pipelines.training.models.probe import build

    broken = LAYERS.replace("x * self.scale", f"x * float('{value}')")
    said = refused(build, write(tree, f"no_number_{value.strip('-')}", layers=broken), tmp_path)
    assert "of rows whose inputs are ordinary numbers, expected finite outputs" in said


def test_a_bundle_brings_its_own_code_wherever_it_is_loaded(tree: Path, tmp_path: Path) -> None:
    import keras

    from pipelines.training.models.probe import build, outputs_of, sample_rows

    name = write(tree, "kept")
    build(asked(name, tmp_path))
    before = dict(keras.saving.get_custom_objects())
    # Gone from the path, and another of the same name there.
    write(tree, "kept", NET, LAYERS.replace("x * self.scale", "x * 0"))
    bundle = load_bundle(str(tmp_path / "bundle"))
    assert sorted(bundle.code.sources) == ["kept_layers.py", "kept_net.py"]
    assert bundle.manifest["own_code"]["files"] == bundle.code.hashes
    rows = sample_rows(INPUTS)
    with np.load(tmp_path / "tried.npz") as tried:
        np.testing.assert_allclose(outputs_of(bundle.load_model(), rows), tried["outputs"])
    assert keras.saving.get_custom_objects() == before
    assert "kept_net" not in sys.modules
    assert own_code(name) != bundle.code

    file = tmp_path / "bundle" / "code" / "kept_layers.py"
    file.write_text(file.read_text() + "\n# changed\n")
    with pytest.raises(BundleError, match=r"kept_layers\.py is not the file .* hash differs"):
        load_bundle(str(tmp_path / "bundle"))
    file.unlink()
    with pytest.raises(BundleError, match=r"has no code/kept_layers\.py"):
        load_bundle(str(tmp_path / "bundle"))


def test_a_bundle_without_code_says_which_module_it_needs(tree: Path, tmp_path: Path) -> None:
    import dataclasses

    from pipelines.training.models.probe import build

    name = write(tree, "older")
    build(asked(name, tmp_path))
    bundle = dataclasses.replace(load_bundle(str(tmp_path / "bundle")), code=None)
    assert bundle.load_model().output_shape == (None, 1), "it is imported from the path"
    for file in tree.glob("older_*.py"):
        file.unlink()
    for module in ("older_net", "older_layers"):
        sys.modules.pop(module, None)
    with pytest.raises(TidemillError, match="module older_net, of which the bundle keeps none"):
        bundle.load_model()

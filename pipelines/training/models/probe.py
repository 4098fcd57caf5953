"""Is a model of the user's own one that can be used? Found out before ranks are launched.

It is built, saved as a bundle and run on a few rows in one process, then loaded and run on the same
rows in a fresh one, with nothing but what the bundle keeps: as the workers that score do, and
whatever serves it later. The driver keeps out of TensorFlow: it would take its memory, and on some
machines the GPU that the ranks are to have.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines import errors, stopping
from pipelines.config.train import Train
from pipelines.encoding.kind import ModelInput
from pipelines.errors import TidemillError, TrainingError
from pipelines.own_code import OwnCode, is_installed, own_code, using
from pipelines.training.models.inputs import ModelInputs

if TYPE_CHECKING:
    import keras

_SECONDS = 300
_ROWS = 4
_RELATIVE, _ABSOLUTE = 1e-4, 1e-5
_BUNDLE, _TRIED = "bundle", "tried.npz"
_REGISTER = (
    "Write each layer, loss or function of its own at the top of its module, with "
    "`@keras.saving.register_keras_serializable()` above it and a `get_config` that returns its "
    "arguments"
)


def check_own_model(settings: Train, inputs: Sequence[ModelInput]) -> None:
    """Raise TrainingError or SettingsError unless a model of the user's own can be used.

    That is: it has the shape asked for, can be saved, can be loaded in another process from what a
    bundle keeps, and gives the same outputs there. Built-in models are left out.
    """
    if ":" not in settings.model:
        return
    code = own_code(settings.model)
    path = [part or str(Path.cwd()) for part in sys.path]
    with tempfile.TemporaryDirectory(prefix="tidemill-probe-") as scratch:
        asked = {
            "settings": settings.model_dump(mode="json", exclude={"search", "folds"}),
            "inputs": [one.model_dump(mode="json") for one in inputs],
            "folder": scratch,
        }
        _ask("build", settings.model, asked, path)
        if code is None and not settings.model.startswith("pipelines."):
            raise TrainingError(
                f"the model '{settings.model}' can be built, but there is no source file of its "
                "module that a bundle could keep. Expected a `.py` file in a folder or a zip file "
                "of Python's path."
            )
        _ask("load", settings.model, asked, _without(path, code))


def _without(path: Sequence[str], code: OwnCode | None) -> list[str]:
    """Return the path without the folder of the user's code, unless tidemill lies there itself."""
    ours = Path(errors.__file__).resolve().parents[1]
    away = Path(code.folder) if code and code.folder else ours
    if away == ours or is_installed(away):
        return list(path)
    return [part for part in path if Path(part).resolve() != away]


def _ask(step: str, name: str, asked: Mapping[str, Any], path: Sequence[str]) -> None:
    """Do a step in a process of its own; raise what it found."""
    verb = {"build": "built", "load": "loaded from its bundle"}[step]
    try:
        done = subprocess.run(
            # -P: the working folder is on no executor's path.
            [sys.executable, "-P", "-m", "pipelines.training.models.probe", step],
            input=json.dumps(asked),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path), "CUDA_VISIBLE_DEVICES": "-1"},
            cwd=asked["folder"],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TrainingError(
            f"the model '{name}' was not {verb} within {_SECONDS} seconds. Build it from its "
            "inputs and options alone: no downloads, no data."
        ) from error
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise TrainingError(
            f"the model '{name}' could not be {verb}: {last}. Expected a function that takes "
            "`ModelInputs` and `train.options` and returns a keras.Model."
        )
    said = json.loads(lines[-1])
    if said:
        kind = getattr(errors, said["kind"], None)
        raise (kind or TrainingError)(said["message"])


def build(asked: Mapping[str, Any]) -> None:
    """Build and save the model, and keep what it says of a few rows."""
    from pipelines.registry.bundle import Bundle, save_bundle
    from pipelines.training.models import build_model
    from pipelines.training.models.inference import inference_model, model_bytes

    settings, folder = Train.model_validate(asked["settings"]), asked["folder"]
    inputs = [ModelInput.model_validate(one) for one in asked["inputs"]]
    code, name = own_code(settings.model), settings.model
    with using(code):
        model = build_model(
            name, inputs, settings.options, outputs=settings.outputs, precision=settings.precision
        )
        refuse_lambdas(name, model)
        rows = sample_rows(inputs)
        try:
            whole = inference_model(model, inputs, settings.task)
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                content = model_bytes(whole)
        except Exception as error:
            raise TrainingError(
                f"the model '{name}' was built, but can't be saved: {_first(error)}. {_REGISTER}."
            ) from error
        _refuse_nameless(name, said)
        once, twice = outputs_of(whole, rows), outputs_of(whole, rows)
    if not np.isfinite(once).all():
        raise TrainingError(
            f"the model '{name}' says {_unlike_numbers(once)} of rows whose inputs are ordinary "
            "numbers, expected finite outputs. Look for a division, a root or a logarithm of what "
            "may be 0 or below."
        )
    _check_equal(
        once,
        twice,
        f"the model '{name}' says two things of the same rows",
        "Have what is random act in training only (the argument `training` of a layer's `call`)",
    )
    manifest = {
        "run_id": "of the probe",
        "tables": {},
        "settings": {"model": name},
    }
    save_bundle(f"{folder}/{_BUNDLE}", Bundle(manifest, "{}", content, code=code))
    np.savez(Path(folder, _TRIED), outputs=once, **{f"row_{key}": v for key, v in rows.items()})


def load(asked: Mapping[str, Any]) -> None:
    """Load what `build` saved and compare what it says."""
    from pipelines.registry.bundle import load_bundle

    name, folder = asked["settings"]["model"], asked["folder"]
    bundle = load_bundle(f"{folder}/{_BUNDLE}")
    try:
        model = bundle.load_model()
    except TidemillError as error:
        kept = ", ".join(sorted(bundle.code.sources)) if bundle.code else "no file"
        said = str(error).replace("of run of the probe ", "")
        raise TrainingError(
            f"the model '{name}' can be trained, but nothing could load it afterwards: {said} "
            f"{_REGISTER}. A bundle keeps the files that plain import statements lead to ({kept})."
        ) from error
    with np.load(Path(folder, _TRIED)) as tried:
        was = tried["outputs"]
        rows = {key.removeprefix("row_"): tried[key] for key in tried.files if key != "outputs"}
    try:
        now = outputs_of(model, rows)
    except Exception as error:
        raise TrainingError(
            f"the model '{name}' can be loaded from its bundle, but not run: {_first(error)}. "
            "Import what its layers need at the top of their modules, and keep all they need in "
            "`get_config` and in weights."
        ) from error
    _check_equal(
        was,
        now,
        f"the model '{name}' says other things once it is saved and loaded",
        "Keep all that a layer needs in its weights (`add_weight`) and in `get_config`",
    )


def refuse_lambdas(name: str, model: keras.Model) -> None:
    """Raise TrainingError for Lambda layers: what Keras keeps of them could do anything."""
    import keras

    found = [one.name for one in layers_of(model) if isinstance(one, keras.layers.Lambda)]
    if found:
        raise TrainingError(
            f"the model '{name}' has Lambda layers ({', '.join(found)}). Their code is saved as "
            "bytecode, which nobody should run from a file, so the model could never be loaded. "
            f"Use `keras.ops` between layers, or a layer of your own instead. {_REGISTER}."
        )


def _refuse_nameless(name: str, said: Sequence[warnings.WarningMessage]) -> None:
    """Raise TrainingError where Keras warned that it saved a function as bytecode."""
    if any("includes a `lambda`" in str(one.message) for one in said):
        raise TrainingError(
            f"the model '{name}' has a function without a name (`lambda`) as an activation, an "
            "initializer or the like. It is saved as bytecode, which nobody should run from a "
            f"file, so the model could never be loaded. Use one of Keras' own by its name. "
            f"{_REGISTER}."
        )


def layers_of(model: Any) -> list[Any]:
    """Return all layers of a model, those inside of others too."""
    return list(model._flatten_layers(include_self=False))


def sample_rows(inputs: Sequence[ModelInput], num_rows: int = _ROWS) -> dict[str, Any]:
    """Return a few rows of each input by its name, (num_rows, *shape), always the same ones."""
    random = np.random.default_rng(0)
    found: dict[str, Any] = {}
    for one in inputs:
        shape = (num_rows, *one.shape)
        if one.kind in ("category", "sequence"):
            found[one.name] = random.integers(0, one.cardinality or 1, shape).astype(one.dtype)
        elif one.kind == "image":
            found[one.name] = random.random(shape).astype(one.dtype)
        else:
            found[one.name] = random.normal(size=shape).astype(one.dtype)
    for mask in ModelInputs.of(inputs).masks:
        found[mask] = np.ones_like(found[mask])
    return found


def outputs_of(model: keras.Model, rows: Mapping[str, Any]) -> Any:
    """Return what a bundle's model says of rows, (rows, outputs), as the workers that score ask."""
    import tensorflow as tf

    tensors = {name: tf.constant(values) for name, values in rows.items()}
    return tf.function(model)(tensors, training=False).numpy()


def _unlike_numbers(outputs: Any) -> str:
    found = outputs[~np.isfinite(outputs)]
    return ", ".join(sorted({str(value) for value in found.tolist()}))


def _check_equal(was: Any, now: Any, what: str, advice: str) -> None:
    if was.shape == now.shape and np.allclose(
        was, now, rtol=_RELATIVE, atol=_ABSOLUTE, equal_nan=True
    ):
        return
    apart = float(np.max(np.abs(was - now))) if was.shape == now.shape else float("nan")
    raise TrainingError(f"{what}: outputs differ by {apart:.3g}, expected none. {advice}.")


def _first(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {(lines or ['without a message'])[0][:300]}"


def main() -> None:
    """Do the step that the argument names; print what is wrong with the model, or null."""
    from pipelines.quiet import load_tensorflow

    stopping.end_with_parent()
    load_tensorflow()
    asked, said = json.load(sys.stdin), None
    try:
        {"build": build, "load": load}[sys.argv[1]](asked)
    except TidemillError as error:
        said = {"kind": type(error).__name__, "message": str(error)}
    sys.stdout.write("\n" + json.dumps(said) + "\n")


if __name__ == "__main__":
    main()

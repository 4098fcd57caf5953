"""Does a model of the user's own fit? Found out before ranks are launched, in a process of its own.

The driver keeps out of TensorFlow: it would take its memory, and on some machines the GPU that the
ranks are to have.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines import errors
from pipelines.errors import TidemillError, TrainingError
from pipelines.features.spec import ModelInput

_SECONDS = 300


def check_output(
    name: str, inputs: Sequence[ModelInput], options: Mapping[str, Any], outputs: int
) -> None:
    """Raise the error that building a model would raise on the ranks.

    Built-in models are left out: they have the shape that they are asked for.
    """
    if ":" not in name:
        return
    asked = {
        "name": name,
        "inputs": [one.model_dump(mode="json") for one in inputs],
        "options": dict(options),
        "outputs": outputs,
    }
    path = os.pathsep.join(part or str(Path.cwd()) for part in sys.path)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pipelines.training.models.probe"],
            input=json.dumps(asked),
            env={**os.environ, "PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": "-1"},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TrainingError(
            f"the model '{name}' was not built within {_SECONDS} seconds. Build it from its "
            "inputs and options alone: no downloads, no data."
        ) from error
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise TrainingError(
            f"the model '{name}' could not be built: {last}. Expected a function that takes "
            "`ModelInputs` and `train.options` and returns a keras.Model."
        )
    said = json.loads(lines[-1])
    if said:
        kind = getattr(errors, said["kind"], None)
        raise (kind or TrainingError)(said["message"])


def main() -> None:
    """Build the model that standard input asks for; print what is wrong with it, or null."""
    from pipelines.registry.quiet import load_tensorflow

    load_tensorflow()
    from pipelines.training.models import build_model

    asked = json.load(sys.stdin)
    inputs = [ModelInput.model_validate(one) for one in asked["inputs"]]
    said = None
    try:
        build_model(asked["name"], inputs, asked["options"], outputs=asked["outputs"])
    except TidemillError as error:
        said = {"kind": type(error).__name__, "message": str(error)}
    sys.stdout.write("\n" + json.dumps(said) + "\n")


if __name__ == "__main__":
    main()

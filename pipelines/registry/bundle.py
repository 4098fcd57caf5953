"""A bundle: one trained model with everything needed to use it and to know where it came from.

A bundle is a folder of

    manifest.json       what it is: format version, run, table versions, packages, metrics, settings
    feature_spec.json   how raw features become model inputs
    model.keras         inputs by name -> probabilities or the value (rows, outputs)
    history.json        metrics of each epoch
    evaluation.json     metrics on the test split, and what its pictures are drawn from
    snapshots.json      the live files each split was read from (a training set may have many)

The manifest is written last: a folder without one is no bundle.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.errors import BundleError
from pipelines.registry.folder import Folder
from pipelines.registry.quiet import load_tensorflow

if TYPE_CHECKING:
    import keras

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
MODEL = "model.keras"
_REQUIRED = ("feature_spec.json", MODEL, "history.json", "evaluation.json", "snapshots.json")


@dataclass(frozen=True)
class Bundle:
    """A bundle in memory: plain data that can be pickled and broadcast to executors.

    `manifest` keys: `format_version`, `pipeline`, `run_id`, `model` (registered name), `tables`
    (name to version), `training_set` (which of them), `code`, `packages`, `seed`, `metrics` (test
    split), `constant_metrics`, `settings` (of `train`, as trained with), `asked` (as given),
    `inputs` (name, dtype, kind, cardinality), `split` (of `normalize`), `created_at`; `folds` and
    `search` where the settings were judged by them.
    """

    manifest: dict[str, Any]
    feature_spec: str
    """JSON for `FeatureSpec.from_json`."""
    model: bytes
    """Content of `model.keras`."""
    history: list[dict[str, Any]] = field(default_factory=list)
    evaluation: dict[str, Any] = field(default_factory=dict)
    """`metrics`, `constant`, `num_rows`; of a yes or no `roc` (list of [false, true positive rate])
    and `calibration` (list of {"predicted", "observed", "num_rows"}), of classes `confusion` (rows
    by class and predicted class), of numbers `scatter` (list of [label, value])."""
    snapshots: dict[str, Any] = field(default_factory=dict)
    """Split name to the snapshot's JSON value."""

    @property
    def run_id(self) -> str:
        """The run that trained the model."""
        return str(self.manifest["run_id"])

    @property
    def tables(self) -> dict[str, int]:
        """Versions of the tables the model came from."""
        return {str(name): int(version) for name, version in self.manifest["tables"].items()}

    def load_model(self) -> keras.Model:
        """Return the Keras model: a dict of inputs by name, each (rows, *shape) -> (rows, outputs).

        The output is the probability of a yes, (rows, 1), those of all classes, (rows, classes), or
        a number, (rows, 1). Layers that act in training only (dropout, augmentation) are gone, and
        no code of the training room is needed for the built-in models.
        """
        load_tensorflow()
        import keras

        handle, name = tempfile.mkstemp(suffix=".keras")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(self.model)
            loaded: keras.Model = keras.saving.load_model(name, compile=False)
        except (ValueError, TypeError, OSError) as error:
            raise BundleError(
                f"the model of run {self.run_id} can't be loaded: {error}. It was saved with "
                f"{self.manifest.get('packages', {})}; use that environment, or train again."
            ) from error
        finally:
            Path(name).unlink(missing_ok=True)
        return loaded


def save_bundle(folder: str, bundle: Bundle) -> None:
    """Write a bundle into a folder (path or URI), the manifest last."""
    place = Folder(folder)
    manifest = {**bundle.manifest, "format_version": FORMAT_VERSION}
    place.write("feature_spec.json", bundle.feature_spec.encode("utf-8"))
    place.write(MODEL, bundle.model)
    place.write("history.json", _to_json(bundle.history))
    place.write("evaluation.json", _to_json(bundle.evaluation))
    place.write("snapshots.json", _to_json(bundle.snapshots))
    place.write(MANIFEST, _to_json(manifest))


def bundle_exists(folder: str) -> bool:
    """Tell whether a folder holds a whole bundle."""
    return Folder(folder).read(MANIFEST) is not None


def load_bundle(folder: str) -> Bundle:
    """Read a bundle; raise BundleError where it is missing, incomplete or too new."""
    place = Folder(folder)
    manifest = _read(place, MANIFEST)
    found = json.loads(manifest)
    version = found.get("format_version")
    if version != FORMAT_VERSION:
        raise BundleError(
            f"{folder} has bundle format {version}, this tidemill reads {FORMAT_VERSION}. "
            "Use the version of tidemill that trained it, or train again."
        )
    spec, model, history, evaluation, snapshots = (_read(place, name) for name in _REQUIRED)
    return Bundle(
        manifest=found,
        feature_spec=spec.decode("utf-8"),
        model=model,
        history=json.loads(history),
        evaluation=json.loads(evaluation),
        snapshots=json.loads(snapshots),
    )


def _read(place: Folder, name: str) -> bytes:
    content = place.read(name)
    if content is None:
        raise BundleError(
            f"{place.uri} is no whole model bundle: it has no {name} (found {place.names()}). "
            "Run `tidemill train` again, or give the folder of another bundle."
        )
    return content


def _to_json(value: Any) -> bytes:
    return json.dumps(value, indent=2, sort_keys=True, default=str).encode("utf-8")

"""A bundle: one trained model with everything needed to use it and to know where it came from.

A bundle is a folder of

    manifest.json       what it is: format version, run, table versions, packages, metrics, settings
    feature_spec.json   how raw features become model inputs
    model.keras         inputs by name -> probabilities or the value (rows, outputs)
    history.json        metrics of each epoch
    evaluation.json     metrics on the test split, and what its pictures are drawn from
    snapshots.json      the live files each split was read from (a training set may have many)
    MLmodel, input_example.json, requirements.txt    the same as a model of MLflow's
    card.md             the model card: one page for people
    code/               the Python files of a model of the user's own, where it is one

The manifest is written last: a folder without one is no bundle.
"""

from __future__ import annotations

import importlib
import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config.losses import Task, task_of
from pipelines.errors import BundleError
from pipelines.lake.folder import Folder
from pipelines.own_code import OwnCode, using
from pipelines.quiet import load_tensorflow
from pipelines.secrecy import hide_in

if TYPE_CHECKING:
    import keras

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
MODEL = "model.keras"
CARD = "card.md"
_CODE = "code"
_REQUIRED = ("feature_spec.json", MODEL, "history.json", "evaluation.json", "snapshots.json")


@dataclass(frozen=True)
class Bundle:
    """A bundle in memory: plain data that can be pickled and broadcast to executors.

    `manifest` keys: `format_version`, `pipeline`, `run_id`, `model` (registered name), `tables`
    (name to version), `training_set` (which of them), `code`, `packages`, `seed`, `metrics` (test
    split), `constant_metrics`, `settings` (of `train`, as trained with), `asked` (as given),
    `inputs` (name, dtype, kind, cardinality), `split` (of `normalize`), `created_at`,
    `decision_threshold` (from which a probability counts as a yes, in the metrics as in scoring),
    `asked_threshold` (the setting that it came from);
    `folds` and `search` where the settings were judged by them.
    """

    manifest: dict[str, Any]
    feature_spec: str
    """JSON for `FeatureSpec.from_json`."""
    model: bytes
    """Content of `model.keras`."""
    history: list[dict[str, Any]] = field(default_factory=list)
    evaluation: dict[str, Any] = field(default_factory=dict)
    """`metrics`, `constant`, `num_rows`, `guess` (what a constant guess says); of a yes or no `roc`
    (list of [false, true positive rate]) and `calibration` (list of {"predicted", "observed",
    "num_rows"}), of classes `confusion` (rows by class and predicted class), of numbers `scatter`
    (list of [label, value]). Of a yes or no also `threshold`: see `training.threshold.choose`."""
    snapshots: dict[str, Any] = field(default_factory=dict)
    """Split name to the snapshot's JSON value."""
    code: OwnCode | None = None
    """The code of a model of the user's own; the manifest's `own_code` has its files' hashes."""

    @property
    def run_id(self) -> str:
        """The run that trained the model."""
        return str(self.manifest["run_id"])

    @property
    def tables(self) -> dict[str, int]:
        """Versions of the tables the model came from."""
        return {str(name): int(version) for name, version in self.manifest["tables"].items()}

    @property
    def decision_threshold(self) -> float | None:
        """Probability from which it says yes; None in bundles of releases that kept none."""
        found = self.manifest.get("decision_threshold")
        return None if found is None else float(found)

    @property
    def asked_threshold(self) -> Any:
        """What the threshold was asked for by, as plain JSON; None in bundles that kept none."""
        return self.manifest.get("asked_threshold", self.decision_threshold)

    @property
    def task(self) -> Task:
        """What the model says of a row."""
        return task_of(self.manifest.get("settings", {}).get("loss", "binary_crossentropy"))

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """What people call the classes, from 0; None of a number, or where nobody said how many."""
        settings = self.manifest.get("settings", {})
        num_classes = {"binary": 2, "classes": settings.get("classes"), "number": None}[self.task]
        found = settings.get("class_names") or (range(num_classes) if num_classes else None)
        return None if found is None else tuple(map(str, found))

    def load_model(self) -> keras.Model:
        """Return the Keras model: a dict of inputs by name, each (rows, *shape) -> (rows, outputs).

        The output is the probability of a yes, (rows, 1), those of all classes, (rows, classes), or
        a number, (rows, 1). Layers that act in training only (dropout, augmentation) are gone, and
        no code of the training room is needed for the built-in models.
        """
        load_tensorflow()
        import keras

        registered = keras.saving.get_custom_objects()
        before = dict(registered)
        handle, name = tempfile.mkstemp(suffix=".keras")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(self.model)
            with using(self.code):
                if self.own_module:
                    importlib.import_module(self.own_module)
                loaded: keras.Model = keras.saving.load_model(name, compile=False)
        except Exception as error:
            raise BundleError(self._why_not(error)) from error
        finally:
            Path(name).unlink(missing_ok=True)
            # What the kept code registered is this model's, not the process's.
            registered.clear()
            registered.update(before)
        return loaded

    @property
    def own_module(self) -> str | None:
        """The module of a model of the user's own; None for a built-in one."""
        module, colon, _ = str(self.manifest.get("settings", {}).get("model", "")).partition(":")
        return module if colon else None

    def _why_not(self, error: Exception) -> str:
        # Keras wraps what happened, and quotes the whole model behind it.
        text = str(error).rpartition("Exception encountered: ")[2]
        said = " ".join(text.partition(" Full object config:")[0].split())[:500]
        said = f"the model of run {self.run_id} can't be loaded: {type(error).__name__}: {said}"
        if isinstance(error, ImportError) and self.own_module:
            kept = sorted(self.code.sources) if self.code else "none of its files"
            return (
                f"{said}. It is made by the module {self.own_module}, of which the bundle keeps "
                f"{kept}. Put what is missing on Python's path of driver and executors "
                "(PYTHONPATH, --py-files), or train again."
            )
        return (
            f"{said}. It was saved with {self.manifest.get('packages', {})}; use that environment, "
            "or train again."
        )


def save_bundle(folder: str, bundle: Bundle) -> None:
    """Write a bundle into a folder (path or URI), the manifest last."""
    from pipelines.registry.card import card
    from pipelines.registry.mlmodel import mlflow_files

    place = Folder(folder)
    manifest = hide_in({**bundle.manifest, "format_version": FORMAT_VERSION})
    if bundle.code is not None:
        manifest["own_code"] = {"module": bundle.code.module, "files": bundle.code.hashes}
        for name, text in bundle.code.sources.items():
            place.write(f"{_CODE}/{name}", text.encode("utf-8"))
    place.write("feature_spec.json", bundle.feature_spec.encode("utf-8"))
    place.write(MODEL, bundle.model)
    place.write("history.json", _to_json(bundle.history))
    place.write("evaluation.json", _to_json(bundle.evaluation))
    place.write("snapshots.json", _to_json(bundle.snapshots))
    for name, content in mlflow_files(bundle).items():
        place.write(name, content)
    place.write(CARD, card(bundle).encode("utf-8"))
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
        code=_code(place, found.get("own_code")),
    )


def _code(place: Folder, kept: dict[str, Any] | None) -> OwnCode | None:
    """Return the code that a bundle keeps, which must be what its manifest says."""
    if kept is None:
        return None
    sources = {name: _read(place, f"{_CODE}/{name}").decode("utf-8") for name in kept["files"]}
    code = OwnCode(kept["module"], sources)
    changed = [name for name, sha in kept["files"].items() if code.hashes[name] != sha]
    if changed:
        raise BundleError(
            f"{place.uri}/{_CODE}/{changed[0]} is not the file that the model was trained with: "
            "its hash differs from the manifest's. Put back what was there, or train again."
        )
    return code


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

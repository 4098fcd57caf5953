"""MLflow as the record of trainings and the registry of models.

For a local lake the record is an SQLite file in the lake; for any other, `MLFLOW_TRACKING_URI`
names the server. That variable wins in either case. Nothing is sent anywhere else.
"""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.errors import SettingsError, UsageError
from pipelines.lake.storage import local_path
from pipelines.registry.folder import Folder

if TYPE_CHECKING:
    from pipelines.lake.catalog import Lake

RUN_TAG = "tidemill.run_id"
BUNDLE_TAG = "tidemill.bundle"
PARENT_TAG = "mlflow.parentRunId"
"""By it MLflow's pages show a run below another."""
_LOUD = ("mlflow", "alembic", "sqlalchemy.engine")


@dataclass(frozen=True)
class ModelVersion:
    """A version of a registered model, as MLflow holds it."""

    name: str
    version: int
    bundle: str
    run_id: str


@dataclass(frozen=True)
class TrainingRecord:
    """What is recorded of a training. `history` holds a mapping of metrics per epoch."""

    experiment: str
    run_id: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    history: Sequence[Mapping[str, Any]]
    tags: Mapping[str, str]


def tracking_uri(lake: Lake) -> str:
    """Return where MLflow's records of a lake are."""
    given = os.environ.get("MLFLOW_TRACKING_URI")
    if given:
        return given
    folder = local_path(lake.tracking)
    if folder is None:
        raise SettingsError(
            f"the lake {lake.root} is not on this machine, so MLflow needs a server. "
            "Set MLFLOW_TRACKING_URI in the environment to its address, or for one driver to a "
            "file: sqlite:////FOLDER/mlflow.db. The model's bundle is in the lake in any case."
        )
    return f"sqlite:///{folder}/mlflow.db"


def record_training(lake: Lake, model: str, record: TrainingRecord, bundle: str) -> ModelVersion:
    """Record a training with its bundle as artifacts, and register the model.

    A run id that was registered before gets no second version: the one it has is returned.
    """
    found = newest_version(lake, model, record.run_id)
    if found is not None:
        return found
    client = _client(lake)
    run = _run_of(client, _experiment(client, lake, record.experiment), record)
    _log(client, run, record)
    with tempfile.TemporaryDirectory() as scratch:
        client.log_artifacts(run, str(_fetch(bundle, Path(scratch))), "bundle")
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(model)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    artifacts = client.get_run(run).info.artifact_uri
    version = client.create_model_version(
        model,
        f"{artifacts}/bundle",
        run_id=run,
        tags={RUN_TAG: record.run_id, BUNDLE_TAG: _relative(lake, bundle)},
    )
    client.set_terminated(run, "FINISHED")
    return _version(lake, version)


def record_child(lake: Lake, record: TrainingRecord, parent: str) -> None:
    """Record a training that led to no version as a child of the run of run id `parent`.

    Recorded again under the same run id, it stays as it is.
    """
    client = _client(lake)
    experiment = _experiment(client, lake, record.experiment)
    above = TrainingRecord(record.experiment, parent, {}, {}, [], {})
    tags = {**record.tags, PARENT_TAG: _run_of(client, experiment, above)}
    run = _run_of(client, experiment, replace(record, tags=tags))
    _log(client, run, record)
    client.set_terminated(run, "FINISHED")


def newest_version(lake: Lake, model: str, run_id: str | None = None) -> ModelVersion | None:
    """Return the newest version of a model, or the one that a run trained; None without one."""
    where = f"name = '{_quoted(model)}'"
    if run_id:
        where += f" AND tags.`{RUN_TAG}` = '{_quoted(run_id)}'"
    found = _client(lake).search_model_versions(
        where, max_results=1, order_by=["version_number DESC"]
    )
    return _version(lake, found[0]) if found else None


def version_by_alias(lake: Lake, model: str, alias: str) -> ModelVersion | None:
    """Return the version that carries an alias, or None."""
    from mlflow.exceptions import MlflowException

    try:
        return _version(lake, _client(lake).get_model_version_by_alias(model, alias))
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def set_alias(lake: Lake, model: str, alias: str, version: int) -> None:
    """Move an alias to a version."""
    _client(lake).set_registered_model_alias(model, alias, str(version))


def _client(lake: Lake) -> Any:
    return _client_at(tracking_uri(lake))


@lru_cache(maxsize=4)
def _client_at(uri: str) -> Any:
    # Read when mlflow is imported: no telemetry, no search for git.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    if uri.startswith("sqlite:///"):
        Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient

        for name in _LOUD:  # mlflow sets levels of its own when it is imported
            logging.getLogger(name).setLevel(logging.WARNING)
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.search_experiments(max_results=1)  # makes the tables of a new database
    return client


def _experiment(client: Any, lake: Lake, name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    folder = None if os.environ.get("MLFLOW_TRACKING_URI") else local_path(lake.tracking)
    place = (folder / "artifacts" / name).as_uri() if folder else None
    return str(client.create_experiment(name, artifact_location=place))


def _run_of(client: Any, experiment: str, record: TrainingRecord) -> str:
    found = client.search_runs(
        [experiment], f"tags.`{RUN_TAG}` = '{_quoted(record.run_id)}'", max_results=1
    )
    if found:
        return str(found[0].info.run_id)
    tags = {**record.tags, RUN_TAG: record.run_id}
    name = record.run_id.rpartition("/")[2]
    return str(client.create_run(experiment, run_name=name, tags=tags).info.run_id)


def _log(client: Any, run: str, record: TrainingRecord) -> None:
    import time

    from mlflow.entities import Metric, Param

    known = client.get_run(run).data
    now = int(time.time() * 1000)
    metrics = [Metric(name, value, now, 0) for name, value in record.metrics.items()]
    for epoch in record.history:
        metrics += [
            Metric(name, float(value), now, int(epoch["epoch"]))
            for name, value in epoch.items()
            if name != "epoch" and isinstance(value, int | float)
        ]
    params = [
        Param(name, str(value)[:500])
        for name, value in record.params.items()
        if name not in known.params
    ]
    if not known.metrics:
        for start in range(0, len(metrics), 500):
            client.log_batch(run, metrics=metrics[start : start + 500])
    for start in range(0, len(params), 100):
        client.log_batch(run, params=params[start : start + 100])
    for name, value in record.tags.items():
        client.set_tag(run, name, value)


def _fetch(bundle: str, scratch: Path) -> Path:
    local = local_path(bundle)
    if local is not None:
        return local
    place = Folder(bundle)
    for name in place.names():
        (scratch / name).write_bytes(place.read(name) or b"")
    return scratch


def _relative(lake: Lake, bundle: str) -> str:
    # Relative to the lake, so that a lake may be moved.
    return bundle.removeprefix(f"{lake.root}/")


def _version(lake: Lake, found: Any) -> ModelVersion:
    bundle = str(found.tags.get(BUNDLE_TAG) or found.source)
    inside = "://" not in bundle and not bundle.startswith(("/", "file:"))
    return ModelVersion(
        name=str(found.name),
        version=int(found.version),
        bundle=f"{lake.root}/{bundle}" if inside else bundle,
        run_id=str(found.tags.get(RUN_TAG, "")),
    )


def _quoted(text: str) -> str:
    if "'" in text:
        raise UsageError(f"{text!r} can't be a name of a model or run: it holds a quote")
    return text

"""MLflow as the record of trainings and the registry of models."""

from __future__ import annotations

import functools
import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import quote

from pipelines.errors import UsageError
from pipelines.lake.folder import Folder
from pipelines.lake.places import in_lake
from pipelines.lake.storage import local_path
from pipelines.registry.store import artifact_root, open_client, takes_copies, telling, tracking_uri
from pipelines.secrecy import hide

if TYPE_CHECKING:
    from pipelines.lake.catalog import Lake

logger = logging.getLogger(__name__)

_Given = ParamSpec("_Given")
_Found = TypeVar("_Found")

RUN_TAG = "tidemill.run_id"
BUNDLE_TAG = "tidemill.bundle"
REFUSED_TAG = "tidemill.refused"
PARENT_TAG = "mlflow.parentRunId"
"""By it MLflow's pages show a run below another."""


@dataclass(frozen=True)
class ModelVersion:
    """A version of a registered model, as MLflow holds it."""

    name: str
    version: int
    bundle: str
    run_id: str
    refused: str = ""
    """Why the gate refused it last; empty where it did not, or that was not recorded."""


@dataclass(frozen=True)
class TrainingRecord:
    """What is recorded of a training. `history` holds a mapping of metrics per epoch."""

    experiment: str
    run_id: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    history: Sequence[Mapping[str, Any]]
    tags: Mapping[str, str]


def _told(
    ask: Callable[Concatenate[Lake, _Given], _Found],
) -> Callable[Concatenate[Lake, _Given], _Found]:
    """Have what MLflow raises become a TrackingError."""

    @functools.wraps(ask)
    def asked(lake: Lake, /, *args: _Given.args, **kwargs: _Given.kwargs) -> _Found:
        with telling(lake):
            return ask(lake, *args, **kwargs)

    return asked


@_told
def record_training(lake: Lake, model: str, record: TrainingRecord, bundle: str) -> ModelVersion:
    """Record a training with its bundle as artifacts, and register the model.

    A run id that was registered before gets no second version: the one it has is returned.
    """
    found = newest_version(lake, model, record.run_id)
    if found is not None:
        return found
    client = open_client(lake)
    run = _run_of(client, _experiment(client, lake, record.experiment), record)
    _log(client, run, record)
    source = _copy(client, lake, run, bundle)
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(model)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    version = client.create_model_version(
        model,
        source,
        run_id=run,
        tags={RUN_TAG: record.run_id, BUNDLE_TAG: bundle.removeprefix(f"{lake.root}/")},
    )
    client.set_terminated(run, "FINISHED")
    return _version(lake, version)


@_told
def record_child(lake: Lake, record: TrainingRecord, parent: str) -> None:
    """Record a training that led to no version as a child of the run of run id `parent`.

    Recorded again under the same run id, it stays as it is.
    """
    client = open_client(lake)
    experiment = _experiment(client, lake, record.experiment)
    above = TrainingRecord(record.experiment, parent, {}, {}, [], {})
    tags = {**record.tags, PARENT_TAG: _run_of(client, experiment, above)}
    run = _run_of(client, experiment, replace(record, tags=tags))
    _log(client, run, record)
    client.set_terminated(run, "FINISHED")


@_told
def newest_version(lake: Lake, model: str, run_id: str | None = None) -> ModelVersion | None:
    """Return the newest version of a model, or the one that a run trained; None without one."""
    where = f"name = '{_quoted(model)}'"
    if run_id:
        where += f" AND tags.`{RUN_TAG}` = '{_quoted(run_id)}'"
    found = open_client(lake).search_model_versions(
        where, max_results=1, order_by=["version_number DESC"]
    )
    return _version(lake, found[0]) if found else None


@_told
def all_versions(lake: Lake, model: str) -> list[ModelVersion]:
    """Return every version of a model, oldest first."""
    client, where = open_client(lake), f"name = '{_quoted(model)}'"
    page = client.search_model_versions(where)
    found = list(page)
    while page.token:
        page = client.search_model_versions(where, page_token=page.token)
        found += page
    return sorted((_version(lake, one) for one in found), key=lambda one: one.version)


@_told
def version_by_alias(lake: Lake, model: str, alias: str) -> ModelVersion | None:
    """Return the version that carries an alias, or None."""
    from mlflow.exceptions import MlflowException

    try:
        return _version(lake, open_client(lake).get_model_version_by_alias(model, alias))
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


@_told
def set_alias(lake: Lake, model: str, alias: str, version: int) -> None:
    """Move an alias to a version."""
    open_client(lake).set_registered_model_alias(model, alias, str(version))


def _experiment(client: Any, lake: Lake, name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    root = artifact_root(lake, tracking_uri(lake))
    place = f"{root}/{quote(name)}" if root else None
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
        Param(name, hide(str(value))[:500])
        for name, value in record.params.items()
        if name not in known.params
    ]
    if not known.metrics:
        for start in range(0, len(metrics), 500):
            client.log_batch(run, metrics=metrics[start : start + 500])
    for start in range(0, len(params), 100):
        client.log_batch(run, params=params[start : start + 100])
    for name, value in record.tags.items():
        client.set_tag(run, name, hide(value))


def _copy(client: Any, lake: Lake, run: str, bundle: str) -> str:
    """Give a run a copy of its bundle; return where MLflow's own tools find the model.

    That is the bundle itself where the run's artifacts would land in another lake, or in a folder
    that nobody named.
    """
    artifacts = str(client.get_run(run).info.artifact_uri)
    root = artifact_root(lake, tracking_uri(lake))
    if not takes_copies(lake, root, artifacts):
        logger.info("run %s: its artifacts would go to %s; not copied there", run, artifacts)
        # A server takes no place on a disk for a version but one among the run's artifacts.
        return bundle if root else f"runs:/{run}/bundle"
    with tempfile.TemporaryDirectory() as scratch:
        client.log_artifacts(run, str(_fetch(bundle, Path(scratch))), "bundle")
    return f"{artifacts}/bundle"


def _fetch(bundle: str, scratch: Path) -> Path:
    local = local_path(bundle)
    if local is not None:
        return local
    place = Folder(bundle)
    for name in place.all_names():
        file = scratch / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(place.read(name) or b"")
    return scratch


def _version(lake: Lake, found: Any) -> ModelVersion:
    # Relative to the lake, so that a lake may be moved. Versions of old lakes have only MLflow's
    # own place of the copy, an absolute one.
    bundle = str(found.tags.get(BUNDLE_TAG) or found.source)
    inside = "://" not in bundle and not bundle.startswith(("/", "file:"))
    return ModelVersion(
        name=str(found.name),
        version=int(found.version),
        bundle=f"{lake.root}/{bundle}" if inside else in_lake(lake, bundle),
        run_id=str(found.tags.get(RUN_TAG, "")),
        refused=str(found.tags.get(REFUSED_TAG, "")),
    )


def _quoted(text: str) -> str:
    if "'" in text:
        raise UsageError(f"{text!r} can't be a name of a model or run: it holds a quote")
    return text

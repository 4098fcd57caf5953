"""`train`: a model from the training set at one version, as a bundle and a registered version."""

from __future__ import annotations

import functools
import json
import logging
from typing import TYPE_CHECKING, Any

from pipelines.errors import EmptySplit, SettingsError, TrainingError
from pipelines.lake.read import latest_version, read_at
from pipelines.run import Run, StageResult, Stopwatch

if TYPE_CHECKING:
    from pipelines.lake.snapshot import Snapshot
    from pipelines.registry.bundle import Bundle
    from pipelines.registry.champion import RegisteredModel
    from pipelines.training.work import Trained

logger = logging.getLogger(__name__)

SPLITS = ("train", "validation", "test")


def run(run: Run) -> StageResult:
    """Train on the training set's newest version, or on the one this run resolved before.

    A run that was stopped goes on from its last checkpoint. One that finished is not trained
    again: its result comes from its bundle. Raises EmptySplit, TrainingError (with the first
    cause when ranks were lost too often), NotFiniteLoss.
    """
    from pipelines.registry.bundle import bundle_exists, load_bundle, save_bundle
    from pipelines.registry.champion import register
    from pipelines.registry.record import training_record
    from pipelines.training.checkpoint import Checkpoints

    watch = Stopwatch()
    tables: dict[str, int] = run.resolve("train", lambda: _look(run))
    place = run.lake.training(run.pipeline.name, run.run_id)
    folder = f"{place}/bundle"
    if bundle_exists(folder):
        bundle = load_bundle(folder)
        _check_same(run, bundle, tables)
        logger.info("run %s has trained before: its bundle is %s", run.run_id, folder)
    else:
        bundle = _train(run, tables, watch)
        save_bundle(folder, bundle)
    registered = register(run.lake, run.pipeline.score.model, training_record(bundle), folder)
    Checkpoints(place, {}).clear()
    result = _result(run, bundle, registered, watch)
    logger.info("%s", result.line())
    return result


def _training_set(run: Run) -> str:
    return f"gold.{run.pipeline.normalize.training_set}"


def _look(run: Run) -> dict[str, int]:
    """Return the versions of the training set and of the features it was made from."""
    from pipelines.features.store import made_from

    table = _training_set(run)
    version = latest_version(run.spark, run.lake, table, f"normalize {run.pipeline.name}")
    schema = read_at(run.spark, run.lake, table, version).schema
    return {table: version, **made_from(schema)}


def _train(run: Run, tables: dict[str, int], watch: Stopwatch) -> Bundle:
    from pipelines.features.store import load_spec
    from pipelines.registry.bundle import Bundle
    from pipelines.registry.record import manifest
    from pipelines.training.launcher import Ranks, launch
    from pipelines.training.models import check_model
    from pipelines.training.rows import FeedRows
    from pipelines.training.work import Work, train_rank

    settings, name = run.pipeline.train, run.pipeline.name
    version = tables[_training_set(run)]
    check_model(settings.model, settings.options)
    snapshots = _snapshots(run, version)
    spec = load_spec(run.spark, run.lake, name, run.pipeline.normalize.training_set, version)
    work = Work(
        settings=settings,
        inputs=spec.inputs,
        rows=FeedRows(snapshots, spec.inputs, settings),
        folder=run.lake.training(name, run.run_id),
        versions=tables,
    )
    ranks = Ranks(settings.ranks, settings.streams, settings.rank_wait, settings.max_restarts)
    trained: Trained = launch(
        run.spark, functools.partial(train_rank, work=work), ranks, run.progress
    )
    found = {
        "inputs": [one.model_dump(mode="json") for one in spec.inputs],
        "num_rows": {split: snapshot.num_rows for split, snapshot in snapshots.items()},
        "metrics": trained.evaluation["metrics"],
        "constant_metrics": trained.evaluation["constant"],
        "training": {**trained.facts, "seconds": watch.seconds},
    }
    return Bundle(
        manifest=manifest(run.pipeline, run.run_id, tables, found),
        feature_spec=spec.to_json(),
        model=trained.model,
        history=trained.history,
        evaluation=trained.evaluation,
        snapshots={split: json.loads(one.to_json()) for split, one in snapshots.items()},
    )


def _snapshots(run: Run, version: int) -> dict[str, Snapshot]:
    from pipelines.lake.snapshot import take_snapshot

    place = run.lake.path(_training_set(run))
    found = {split: take_snapshot(place, version, {"_split": split}) for split in SPLITS}
    for split, snapshot in found.items():
        if snapshot.num_rows == 0:
            raise EmptySplit(
                f"{_training_set(run)} at version {version} has no rows in the split '{split}'. "
                "Give `normalize.split` ranges that hold labelled rows, then run `normalize`."
            )
    batch = run.pipeline.train.batch_size
    if batch > found["train"].num_rows:
        raise SettingsError(
            f"`train.batch_size: {batch}` is more than the {found['train'].num_rows} rows of the "
            "training split. Make it smaller."
        )
    return found


def _check_same(run: Run, bundle: Bundle, tables: dict[str, int]) -> None:
    now = run.pipeline.train.model_dump(mode="json")
    then = bundle.manifest["settings"]
    differing = [f"train.{key}" for key in now if now[key] != then.get(key)]
    if differing or bundle.tables != tables:
        raise TrainingError(
            f"run {run.run_id} has trained before with other settings or tables: "
            f"{', '.join(differing) or bundle.tables}. Train under a new run id."
        )


def _result(run: Run, bundle: Bundle, registered: RegisteredModel, watch: Stopwatch) -> StageResult:
    from pipelines.registry.record import plain_metrics

    facts = bundle.manifest
    details: dict[str, Any] = {
        "model": registered.name,
        "model_version": registered.version,
        "bundle": registered.bundle,
        "metrics": plain_metrics(facts["metrics"]),
        "constant_metrics": plain_metrics(facts["constant_metrics"]),
        **facts["training"],
    }
    return StageResult(
        stage="train",
        pipeline=run.pipeline.name,
        run_id=run.run_id,
        read=bundle.tables,
        counts={
            **{f"{split}_rows": rows for split, rows in facts["num_rows"].items()},
            "epochs": len(bundle.history),
            "model_version": registered.version,
        },
        details=details,
        seconds=watch.seconds,
    )

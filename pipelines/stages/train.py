"""`train`: a model from the training set at one version, as a bundle and a registered version."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pipelines.config.advice import contradictions
from pipelines.errors import EmptySplit, FeatureError, TidemillError, TrainingError
from pipelines.lake.read import latest_version, read_at
from pipelines.run import Done, Run, Stopwatch, Versions

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

    from pipelines.config.train import Train
    from pipelines.lake.opened import OpenedLake
    from pipelines.lake.snapshot import Snapshot
    from pipelines.registry.bundle import Bundle
    from pipelines.registry.champion import RegisteredModel
    from pipelines.training.trials import Data
    from pipelines.training.work import Trained, Work

logger = logging.getLogger(__name__)

SPLITS = ("train", "validation", "test")


def run(run: Run) -> Done:
    """Train on the training set's newest version, or on the one this run resolved before.

    A run that was stopped goes on from its last checkpoint. One that finished is not trained
    again: its result comes from its bundle. Raises EmptySplit, TrainingError (with the first
    cause when ranks were lost too often), NotFiniteLoss.
    """
    from pipelines.registry.bundle import bundle_exists, load_bundle, save_bundle
    from pipelines.registry.champion import register
    from pipelines.registry.folder import Folder
    from pipelines.registry.reading import end_reading
    from pipelines.registry.record import training_record
    from pipelines.registry.store import ready
    from pipelines.training.checkpoint import Checkpoints
    from pipelines.training.trials import TRIALS

    watch = Stopwatch()
    ready(run.lake)  # what is wrong with MLflow is told before hours of training, not behind them
    for text in contradictions(run.pipeline):
        logger.warning("train %s: %s", run.pipeline.name, text)
        run.progress({"event": "note", "text": f"warning: {text}"})
    opened = run.open(run.resolve(Versions, "train", lambda: _look(run)).tables)
    tables = dict(opened.versions)
    place = run.lake.training(run.pipeline.name, run.run_id)
    folder = f"{place}/bundle"
    if bundle_exists(folder):
        bundle = load_bundle(folder)
        _check_same(run, bundle, tables)
        logger.info("run %s has trained before: its bundle is %s", run.run_id, folder)
    else:
        with _reading(run, place, tables):
            bundle = _train(run, opened, watch)
        save_bundle(folder, bundle)
    end_reading(place)
    registered = register(run.lake, run.pipeline.score.model, training_record(bundle), folder)
    Checkpoints(place, {}).clear()
    Folder(place).remove(TRIALS)
    return _done(bundle, registered)


@contextmanager
def _reading(run: Run, place: str, tables: dict[str, int]) -> Iterator[None]:
    """Have vacuum spare what the training reads, also after a kill; not after a refusal.

    A refused run looks at its input anew, as the runner has it; one that was killed, or that lost
    its ranks, goes on with the same files.
    """
    from pipelines.registry.folder import Folder
    from pipelines.registry.reading import Reading, end_reading, note_reading

    folds = str(run.tables.folds)
    note_reading(place, Reading(tables, (_training_set(run), folds)))
    try:
        yield
    except TidemillError as error:
        if not isinstance(error, TrainingError):
            end_reading(place)
            Folder(place).remove("bundle")  # an erasure's mark on it was for what it read till now
        raise


def _training_set(run: Run) -> str:
    return str(run.tables.training_set)


def _look(run: Run) -> Versions:
    """Return the versions of the training set, its folds, and the features it was made from."""
    from pipelines.training_set.store import made_from

    table = _training_set(run)
    version = latest_version(run.spark, run.lake, table, f"normalize {run.pipeline.name}")
    schema = read_at(run.spark, run.lake, table, version).schema
    return Versions({table: version, **_look_at_folds(run, schema), **made_from(schema)})


def _look_at_folds(run: Run, training_set: StructType) -> dict[str, int]:
    """Return the version of the folds, which must be those of this training set."""
    from pipelines.training_set.folds import folds_name
    from pipelines.training_set.store import named_spec

    num_folds = run.pipeline.train.folds
    if num_folds is None:
        return {}
    table = str(run.tables.folds)
    command = f"normalize {run.pipeline.name} --set train.folds={num_folds}"
    version = latest_version(run.spark, run.lake, table, command)
    found = named_spec(read_at(run.spark, run.lake, table, version).schema)
    if found != folds_name(str(named_spec(training_set)), num_folds):
        raise FeatureError(
            f"{table} at version {version} holds other folds: expected {num_folds}, made from the "
            f"same features and settings as {_training_set(run)}. Run `tidemill {command}`."
        )
    return {table: version}


def _train(run: Run, opened: OpenedLake, watch: Stopwatch) -> Bundle:
    from pipelines.registry.bundle import Bundle
    from pipelines.registry.record import manifest
    from pipelines.training.labels import check_labels
    from pipelines.training.models import check_model
    from pipelines.training.models.probe import check_own_model
    from pipelines.training.trials import Data, alone
    from pipelines.training_set.store import load_spec

    settings, name = run.pipeline.train, run.pipeline.name
    table, tables = _training_set(run), dict(opened.versions)
    if settings.search is None:  # else its candidates are what has to fit
        check_model(settings.model, settings.options)
    snapshots = _snapshots(opened, table, SPLITS)
    spec = load_spec(run.spark, run.lake, name, table, opened.version(table))
    check_labels(opened.read(table), settings)
    if settings.search is None:
        check_model(settings.model, settings.options, spec.inputs)
        check_own_model(settings, spec.inputs)
    counts = _class_counts(run, opened, table, "train")
    threshold = run.pipeline.score.decision_threshold
    whole = Data("", snapshots, spec.inputs, tables, counts, threshold)
    settings, judged = _judge(run, whole, _folds(run, opened))
    work = whole.work(alone(settings), run.lake.training(name, run.run_id))
    trained = _launch(run, work)
    found = {
        "training_set": table,
        "inputs": [one.model_dump(mode="json") for one in spec.inputs],
        "num_rows": whole.num_rows,
        "metrics": trained.evaluation["metrics"],
        "constant_metrics": trained.evaluation["constant"],
        "training": {**trained.facts, "seconds": watch.seconds},
        "settings": settings.model_dump(mode="json"),
        "asked": run.pipeline.train.model_dump(mode="json"),
        **judged,
    }
    return Bundle(
        manifest=manifest(run.pipeline, run.run_id, tables, found),
        feature_spec=spec.to_json(),
        model=trained.model,
        history=trained.history,
        evaluation=trained.evaluation,
        snapshots={split: json.loads(one.to_json()) for split, one in whole.snapshots.items()},
        code=work.code,
    )


def _launch(run: Run, work: Work) -> Trained:
    from pipelines.training.launcher import Ranks, launch
    from pipelines.training.work import train_rank

    work.rows.check()
    task = functools.partial(train_rank, work=work)
    trained: Trained = launch(run.spark, task, Ranks.of(work.settings), run.progress)
    return trained


def _judge(run: Run, whole: Data, folds: list[Data]) -> tuple[Train, dict[str, Any]]:
    """Search and cross-validate as asked; return the settings to train with, and what was found."""
    from pipelines.registry.record import record_trial
    from pipelines.training.search import search
    from pipelines.training.trials import Judge, check_batch, cross_validate, fold_facts

    settings, name = run.pipeline.train, run.pipeline.name

    def tell(text: str) -> None:
        run.progress({"event": "note", "text": text})

    judge = Judge(
        functools.partial(_launch, run),
        run.lake.training(name, run.run_id),
        functools.partial(record_trial, run.lake, name, run.run_id),
        tell,
    )
    if settings.search is not None:
        outcome = search(judge, settings, folds or [whole], tell)
        best = outcome.best
        tell(f"trial {best.number} won")
        found: dict[str, Any] = {"search": outcome.facts()}
        if folds:
            found["folds"] = fold_facts(best.judged)
        return settings.with_settings(best.params), found
    for one in (whole, *folds):
        check_batch(settings, one)
    if not folds:
        return settings, {}
    return settings, {"folds": fold_facts(cross_validate(judge, settings, folds))}


def _folds(run: Run, opened: OpenedLake) -> list[Data]:
    from pipelines.training_set.folds import (
        describe_folds,
        train_split,
        validation_split,
    )
    from pipelines.training_set.store import load_fold_spec

    num_folds, normalize = run.pipeline.train.folds, run.pipeline.normalize
    if num_folds is None:
        return []
    table = str(run.tables.folds)
    version, found = opened.version(table), []
    for fold, what in enumerate(describe_folds(normalize.split, num_folds), start=1):
        splits = (train_split(fold), validation_split(fold))
        train, validation = _snapshots(opened, table, splits).values()
        spec = load_fold_spec(run.spark, run.lake, run.pipeline.name, table, version, fold)
        by_split = {"train": train, "validation": validation}
        counts = _class_counts(run, opened, table, splits[0])
        threshold = run.pipeline.score.decision_threshold
        found.append(Data(what, by_split, spec.inputs, dict(opened.versions), counts, threshold))
    return found


def _class_counts(run: Run, opened: OpenedLake, table: str, split: str) -> dict[int, int]:
    """Return the rows of each class in a split; none where no weight depends on them."""
    from pyspark.sql import functions as F

    from pipelines.training.labels import class_counts
    from pipelines.training_set.store import split_column

    if run.pipeline.train.class_weights != "balanced":
        return {}
    rows = opened.read(table)
    return class_counts(rows.where(F.col(split_column(rows.schema)) == split))


def _snapshots(opened: OpenedLake, table: str, splits: Sequence[str]) -> dict[str, Snapshot]:
    from pipelines.training_set.store import split_column

    column = split_column(opened.read(table).schema)
    found = {split: opened.snapshot(table, {column: split}) for split in splits}
    for split, snapshot in found.items():
        if snapshot.num_rows == 0:
            raise EmptySplit(
                f"{table} at version {opened.version(table)} has no rows in the split '{split}'. "
                "Give `normalize.split` ranges that hold labelled rows, then run `normalize`."
            )
    return found


def _check_same(run: Run, bundle: Bundle, tables: dict[str, int]) -> None:
    from pipelines.own_code import own_code
    from pipelines.training.work import MAY_CHANGE

    code = own_code(bundle.manifest.get("settings", {}).get("model"))
    now = run.pipeline.train.model_dump(mode="json", exclude=MAY_CHANGE)
    then = bundle.manifest.get("asked", {})
    differing = [f"train.{key}" for key in now if now[key] != then.get(key)]
    changed = bundle.code.differing(code) if bundle.code else []
    differing += [f"the code of train.model in {name}" for name in changed]
    if bundle.decision_threshold not in (None, run.pipeline.score.decision_threshold):
        differing.append("score.decision_threshold")
    if differing or bundle.tables != tables:
        raise TrainingError(
            f"run {run.run_id} has trained before with other settings or tables: "
            f"{', '.join(differing) or bundle.tables}. What it trained is kept in its bundle; to "
            f"train anew, give another id: `tidemill train {run.pipeline.name} --run-id NEW`."
        )


def _done(bundle: Bundle, registered: RegisteredModel) -> Done:
    from pipelines.registry.record import plain, plain_metrics

    facts = bundle.manifest
    details: dict[str, Any] = {
        "model": registered.name,
        "model_version": registered.version,
        "bundle": registered.bundle,
        "metrics": plain_metrics(facts["metrics"]),
        "constant_metrics": plain_metrics(facts["constant_metrics"]),
        **facts["training"],
    }
    details |= {name: plain(facts[name]) for name in ("folds", "search") if name in facts}
    return Done(
        read=bundle.tables,
        counts={
            **{f"{split}_rows": rows for split, rows in facts["num_rows"].items()},
            "epochs": len(bundle.history),
            "model_version": registered.version,
        },
        details=details,
    )

"""`train`: a model from the training set at one version, as a bundle and a registered version."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from pipelines.config.advice import contradictions
from pipelines.run import Done, Run, Versions

if TYPE_CHECKING:
    from pipelines.registry.bundle import Bundle
    from pipelines.registry.champion import RegisteredModel

logger = logging.getLogger(__name__)


def run(run: Run) -> Done:
    """Train on the training set's newest version, or on the one this run resolved before.

    A run that was stopped goes on from its last checkpoint. One that finished is not trained
    again: its result comes from its bundle. Raises EmptySplit, TrainingError (with the first
    cause when ranks were lost too often), NotFiniteLoss.
    """
    from pipelines.lake.folder import Folder
    from pipelines.registry.bundle import bundle_exists, load_bundle, save_bundle
    from pipelines.registry.champion import register
    from pipelines.registry.reading import Reading, end_reading, while_reading
    from pipelines.registry.record import training_record
    from pipelines.registry.store import ready
    from pipelines.selection.candidate import check_same, train_candidate
    from pipelines.selection.source import look
    from pipelines.selection.trials import TRIALS
    from pipelines.training.checkpoint import Checkpoints

    ready(run.lake)  # what is wrong with MLflow is told before hours of training, not behind them
    for text in contradictions(run.pipeline):
        logger.warning("train %s: %s", run.pipeline.name, text)
        run.progress({"event": "note", "text": f"warning: {text}"})
    opened = run.open(run.resolve(Versions, "train", lambda: look(run)).tables)
    place = run.lake.training(run.pipeline.name, run.run_id)
    folder = f"{place}/bundle"
    if bundle_exists(folder):
        bundle = load_bundle(folder)
        check_same(run, bundle, opened)
        logger.info("run %s has trained before: its bundle is %s", run.run_id, folder)
    else:
        read_by_ranks = (str(run.tables.training_set), str(run.tables.folds))
        with while_reading(place, Reading(opened.versions, read_by_ranks)):
            bundle = train_candidate(run, opened)
        save_bundle(folder, bundle)
    end_reading(place)
    registered = register(run.lake, run.pipeline.score.model, training_record(bundle), folder)
    Checkpoints(place, {}).clear()
    Folder(place).remove(TRIALS)
    return _done(bundle, registered)


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

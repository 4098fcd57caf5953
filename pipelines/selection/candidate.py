"""From what a run resolved to a bundle: the settings chosen, the model trained, all of it kept."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

from pipelines.config.threshold import in_training, plain
from pipelines.errors import TrainingError
from pipelines.own_code import own_code
from pipelines.ranks import launcher
from pipelines.registry.bundle import Bundle
from pipelines.registry.calibration import threshold_in_words
from pipelines.registry.record import manifest, record_trial
from pipelines.run import Run, Stopwatch
from pipelines.selection.search import search
from pipelines.selection.source import fold_data, whole_data
from pipelines.selection.trials import Data, Judge, alone, check_batch, cross_validate, fold_facts
from pipelines.training.backend import TensorFlow
from pipelines.training.models import check_model
from pipelines.training.work import MAY_CHANGE, Trained, Work, train_rank

if TYPE_CHECKING:
    from pipelines.config.train import Train
    from pipelines.lake.opened import OpenedLake


def train_candidate(run: Run, opened: OpenedLake) -> Bundle:
    """Train as the settings say, on the versions resolved; return the bundle, not yet kept.

    Raises SettingsError, EmptySplit, TrainingError, NotFiniteLoss.
    """
    from pipelines.training.models.probe import check_own_model

    watch, asked = Stopwatch(), run.pipeline.train
    if asked.search is None:  # else its candidates are what has to fit
        check_model(asked.model, asked.options)
    whole, spec = whole_data(run, opened)
    if asked.search is None:
        check_model(asked.model, asked.options, spec.inputs)
        check_own_model(asked, spec.inputs)
    settings, judged = _choose(run, whole, fold_data(run, opened))
    work = whole.work(alone(settings), run.lake.training(run.pipeline.name, run.run_id))
    trained = _launch(run, work)
    threshold = trained.evaluation.get("threshold", {})
    if threshold:
        run.progress({"event": "note", "text": f"threshold: {threshold_in_words(threshold)}"})
    found = {
        "training_set": str(run.tables.training_set),
        "inputs": [one.model_dump(mode="json") for one in spec.inputs],
        "num_rows": whole.num_rows,
        **({"label_scale": list(whole.label_scale)} if whole.label_scale else {}),
        "metrics": trained.evaluation["metrics"],
        "constant_metrics": trained.evaluation["constant"],
        "decision_threshold": threshold.get("value", in_training(run.pipeline.score.threshold)),
        "asked_threshold": plain(run.pipeline.score.threshold),
        "baseline": whole.baseline,
        "training": {**trained.facts, "seconds": watch.seconds},
        "settings": settings.model_dump(mode="json"),
        "asked": asked.model_dump(mode="json"),
        **judged,
    }
    return Bundle(
        manifest=manifest(run.pipeline, run.run_id, opened.versions, found),
        feature_spec=spec.to_json(),
        model=trained.model,
        history=trained.history,
        evaluation=trained.evaluation,
        snapshots={split: json.loads(one.to_json()) for split, one in whole.snapshots.items()},
        code=work.code,
    )


def _launch(run: Run, work: Work) -> Trained:
    work.rows.check()
    task = functools.partial(train_rank, work=work)
    ranks = launcher.Ranks.of(work.settings)
    trained: Trained = launcher.launch(run.spark, task, ranks, TensorFlow(), run.progress)
    return trained


def _choose(run: Run, whole: Data, folds: list[Data]) -> tuple[Train, dict[str, Any]]:
    """Search and cross-validate as asked; return the settings to train with, and what was found."""
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


def check_same(run: Run, bundle: Bundle, opened: OpenedLake) -> None:
    """Raise TrainingError where the run has trained with other settings, code or tables."""
    code = own_code(bundle.manifest.get("settings", {}).get("model"))
    now = run.pipeline.train.model_dump(mode="json", exclude=MAY_CHANGE)
    then = bundle.manifest.get("asked", {})
    differing = [f"train.{key}" for key in now if now[key] != then.get(key)]
    changed = bundle.code.differing(code) if bundle.code else []
    differing += [f"the code of train.model in {name}" for name in changed]
    if bundle.asked_threshold not in (None, plain(run.pipeline.score.threshold)):
        differing.append("score.threshold")
    if differing or bundle.tables != opened.versions:
        raise TrainingError(
            f"run {run.run_id} has trained before with other settings or tables: "
            f"{', '.join(differing) or bundle.tables}. What it trained is kept in its bundle; to "
            f"train anew, give another id: `tidemill train {run.pipeline.name} --run-id NEW`."
        )

"""`promote`: the candidate becomes champion if it passes the gate on its test split.

The candidate is the version this run trained, or the newest one. The champion is scored on the
same rows: those of the candidate's test split, as raw features, through the champion's own feature
spec.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from pipelines.config.losses import Task, task_of
from pipelines.errors import BundleError, GateRefused, SettingsError
from pipelines.lake import files
from pipelines.run import Done, Resolved, Run

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pipelines.registry.bundle import Bundle
    from pipelines.registry.champion import RegisteredModel
    from pipelines.registry.gate import Rival

logger = logging.getLogger(__name__)


def run(run: Run) -> Done:
    """Move the alias `champion` to the candidate, or raise GateRefused with every reason.

    Nothing is done where the candidate is champion already, where a newer model has become
    champion since this run looked, or where this run made the candidate champion before and
    somebody has taken that back: a retry under an old run id must bring back neither.
    """
    from pipelines.registry.bundle import load_bundle
    from pipelines.registry.calibration import doubts
    from pipelines.registry.champion import RegisteredModel, find_champion, make_champion
    from pipelines.registry.gate import reasons_to_refuse, refusal

    settings = run.pipeline.promote
    resolved = run.resolve(_Resolved, "promote", lambda: _look(run))
    candidate = RegisteredModel(**resolved.candidate)
    bundle = load_bundle(candidate.bundle)
    now = find_champion(run.lake, candidate.name)
    if now is not None and now.version == candidate.version:
        logger.info("%s version %d is champion already", candidate.name, candidate.version)
        _note_made(run, candidate)
        return _done(resolved, bundle, {"champion": now.version})
    if now is not None and _came_since(now, resolved):
        logger.warning(
            "%s version %d has become champion since run %s looked: version %d does not replace it",
            *(candidate.name, now.version, run.run_id, candidate.version),
        )
        return _done(resolved, bundle, {"champion": now.version})
    if _was_made(run, candidate):
        logger.warning(
            "run %s made %s version %d champion before, and somebody has taken that back: a retry "
            "leaves it so. To promote it again: `tidemill promote %s` under another run id",
            *(run.run_id, candidate.name, candidate.version, run.pipeline.name),
        )
        stays = {"champion": None if now is None else now.version}
        return _done(resolved, bundle, stays)
    metrics = bundle.manifest["metrics"]
    if settings.metric not in metrics:
        raise SettingsError(
            f"`promote.metric: {settings.metric}` is not among the metrics of "
            f"{candidate.name} version {candidate.version}: {sorted(metrics)}. Take one of these, "
            "or train again with the loss that the metric goes with."
        )
    rival = _rival(run, resolved, bundle)
    constant = bundle.manifest["constant_metrics"]
    reasons = reasons_to_refuse(settings, metrics, constant, rival)
    doubted = doubts(metrics, constant, bundle.evaluation)
    if reasons:
        who = f"{candidate.name} version {candidate.version} (run {candidate.run_id})"
        raise GateRefused(refusal(who, reasons, doubted, bundle.manifest["settings"]))
    for doubt in doubted:
        text = f"{candidate.name} version {candidate.version} passes its gate, but {doubt}"
        logger.warning("%s", text)
        run.progress({"event": "note", "text": text})
    make_champion(run.lake, candidate)
    _note_made(run, candidate)
    found = {
        **({"doubts": doubted} if doubted else {}),
        "champion": candidate.version,
        "metrics": metrics,
        "champion_metrics": dict(rival.metrics) if rival else None,
    }
    return _done(resolved, bundle, found)


@dataclass(frozen=True)
class _Resolved(Resolved):
    """The candidate, and the champion if there was one, as registered models."""

    candidate: dict[str, Any]
    champion: dict[str, Any] | None


def _look(run: Run) -> _Resolved:
    from pipelines.registry.champion import candidate, find_champion, model_of_run

    name = run.pipeline.score.model
    found = model_of_run(run.lake, name, run.run_id) or candidate(run.lake, name)
    champion = find_champion(run.lake, name)
    return _Resolved(asdict(found), None if champion is None else asdict(champion))


def _note_made(run: Run, candidate: RegisteredModel) -> None:
    """Note under the run's id that the candidate has become champion."""
    content = json.dumps({"model": candidate.name, "version": candidate.version})
    files.write_text(run.spark, _made_place(run), content)


def _was_made(run: Run, candidate: RegisteredModel) -> bool:
    text = files.read_text(run.spark, _made_place(run))
    made = {"model": candidate.name, "version": candidate.version}
    return text is not None and json.loads(text) == made


def _made_place(run: Run) -> str:
    return f"{run.lake.runs(run.run_id)}/promote.made.json"


def _came_since(now: RegisteredModel, resolved: _Resolved) -> bool:
    """Tell whether the champion is newer than the candidate and than what this run had seen."""
    before = resolved.champion
    seen = None if before is None else before["version"]
    return now.version != seen and now.version > resolved.candidate["version"]


def _rival(run: Run, resolved: _Resolved, candidate: Bundle) -> Rival | None:
    """Return the champion's metrics on the candidate's test split; None without a champion."""
    from pipelines.registry.bundle import load_bundle
    from pipelines.registry.gate import Rival, compares_with_champion

    champion = resolved.champion
    if champion is None or not compares_with_champion(run.pipeline.promote):
        return None
    bundle = load_bundle(champion["bundle"])
    mine, other = _outputs(candidate), _outputs(bundle)
    if mine != other:
        raise SettingsError(
            f"the champion (version {champion['version']}) says of a row {_in_words(other)}, the "
            f"candidate {_in_words(mine)}: they can't be compared. Promote the candidate without "
            "the comparison: `--set promote.compare_with_champion=false`."
        )
    rows = _test_rows(run, candidate)
    return Rival(champion["version"], _metrics(run, bundle, rows, candidate))


def _test_rows(run: Run, candidate: Bundle) -> DataFrame:
    """Return the raw feature rows of the candidate's test split, with their `_label`."""
    from pipelines.features.grain import joined
    from pipelines.training_set.store import split_column

    features = str(run.tables.features)
    table = str(candidate.manifest.get("training_set"))
    if features not in candidate.tables or table not in candidate.tables:
        raise BundleError(
            f"the bundle of run {candidate.run_id} names the tables {candidate.tables}; expected "
            f"{features} and a training set. Train again with this pipeline."
        )
    opened = run.open(candidate.tables)
    rows = opened.read(table)
    grain = run.pipeline.featurize.grain
    # A column of the same name as a model input has another name in a training set.
    held = {name: f"_key_{name}" if f"_key_{name}" in rows.columns else name for name in grain}
    test = rows.where(F.col(split_column(rows.schema)) == "test").select(
        *[F.col(kept).alias(name) for name, kept in held.items()], "_label"
    )
    return joined(opened.read(features), test, grain, "inner")


def _metrics(run: Run, champion: Bundle, rows: DataFrame, candidate: Bundle) -> dict[str, float]:
    from pipelines.scoring.batch import predict
    from pipelines.scoring.threshold import threshold_of
    from pipelines.scoring.workers import OUTPUTS
    from pipelines.training.evaluate import metrics_of

    expected = int(candidate.manifest["num_rows"]["test"])
    scored = predict(rows, champion, ["_label"], expected, run.pipeline.score.batch_size)
    # A few numbers a row of the test split, as training keeps them too.
    found = scored.select("_label", OUTPUTS).toArrow()
    if found.num_rows != expected:
        raise BundleError(
            f"the champion can be compared on {found.num_rows} of the candidate's {expected} test "
            f"rows only: {candidate.tables} do not fit each other. Run `tidemill normalize` and "
            "`tidemill train` again."
        )
    outputs = found[OUTPUTS].combine_chunks().flatten().to_numpy().reshape(expected, -1)
    task, _ = _outputs(champion)
    return metrics_of(found["_label"].to_numpy(), outputs, task, threshold_of(run, champion))


def _outputs(bundle: Bundle) -> tuple[Task, int]:
    """Return what a bundle's model says of a row: the task, and the number of classes."""
    settings = bundle.manifest["settings"]
    return task_of(settings["loss"]), int(settings.get("classes") or 1)


def _in_words(outputs: tuple[Task, int]) -> str:
    task, classes = outputs
    chance = f"the chance of each of {classes} classes"
    return {"binary": "the chance of a yes", "classes": chance, "number": "a number"}[task]


def _done(resolved: _Resolved, bundle: Bundle, found: dict[str, Any]) -> Done:
    candidate, champion = resolved.candidate, resolved.champion
    return Done(
        read=bundle.tables,
        counts={"model_version": int(candidate["version"])},
        details={
            "model": candidate["name"],
            "model_version": candidate["version"],
            "champion_before": None if champion is None else champion["version"],
            "bundle": candidate["bundle"],
            **found,
        },
    )

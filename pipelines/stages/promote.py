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

from pipelines.errors import GateRefused, SettingsError
from pipelines.lake import files
from pipelines.run import Done, Resolved, Run

if TYPE_CHECKING:
    from pipelines.registry.bundle import Bundle
    from pipelines.registry.champion import RegisteredModel

logger = logging.getLogger(__name__)


def run(run: Run) -> Done:
    """Move the alias `champion` to the candidate, or raise GateRefused with every reason.

    Nothing is done where the candidate is champion already, where a newer model has become
    champion since this run looked, or where this run made the candidate champion before and
    somebody has taken that back: a retry under an old run id must bring back neither.
    """
    from pipelines.registry.bundle import load_bundle
    from pipelines.registry.champion import RegisteredModel, find_champion, make_champion

    resolved = run.resolve(_Resolved, "promote", lambda: _look(run))
    candidate = RegisteredModel(**resolved.candidate)
    bundle = load_bundle(candidate.bundle)
    now = find_champion(run.lake, candidate.name)
    is_champion = now is not None and now.version == candidate.version
    if not is_champion and (why := _stays(run, candidate, now, resolved)):
        logger.warning("promote %s: %s", run.pipeline.name, why)
        return _done(resolved, bundle, {"champion": None if now is None else now.version})
    found: dict[str, Any] = {"champion": candidate.version}
    if is_champion:
        logger.info("%s version %d is champion already", candidate.name, candidate.version)
    else:
        found |= _judge(run, resolved, bundle)
        make_champion(run.lake, candidate, "gate", f"run {run.run_id}", "passed its gate")
    _note_made(run, candidate)
    return _done(resolved, bundle, found)


def _stays(
    run: Run, candidate: RegisteredModel, now: RegisteredModel | None, resolved: _Resolved
) -> str | None:
    """Say why the champion of now stays, or none becomes it, whatever the candidate is worth."""
    if now is not None and _came_since(now, resolved):
        return (
            f"{candidate.name} version {now.version} has become champion since run {run.run_id} "
            f"looked: version {candidate.version} does not replace it"
        )
    if _was_made(run, candidate):
        return (
            f"run {run.run_id} made {candidate.name} version {candidate.version} champion before, "
            "and somebody has taken that back: a retry leaves it so. To promote it again: "
            f"`tidemill promote {run.pipeline.name}` under another run id"
        )
    return None


def _judge(run: Run, resolved: _Resolved, bundle: Bundle) -> dict[str, Any]:
    """Return what speaks for the candidate; raise GateRefused with every reason against it."""
    from pipelines.registry.calibration import doubts
    from pipelines.registry.champion import RegisteredModel
    from pipelines.registry.gate import reasons_to_refuse, refusal
    from pipelines.registry.history import note_refusal
    from pipelines.scoring.rival import rival_of

    settings, metrics = run.pipeline.promote, bundle.manifest["metrics"]
    candidate = RegisteredModel(**resolved.candidate)
    if settings.metric not in metrics:
        raise SettingsError(
            f"`promote.metric: {settings.metric}` is not among the metrics of "
            f"{candidate.name} version {candidate.version}: {sorted(metrics)}. Take one of these, "
            "or train again with the loss that the metric goes with."
        )
    champion = RegisteredModel(**resolved.champion) if resolved.champion else None
    rival, constant = rival_of(run, bundle, champion), bundle.manifest["constant_metrics"]
    reasons = reasons_to_refuse(settings, metrics, constant, rival)
    doubted = doubts(metrics, constant, bundle.evaluation)
    reasons += _taken_back(run, candidate)
    if reasons:
        who = f"{candidate.name} version {candidate.version} (run {candidate.run_id})"
        said = refusal(who, reasons, doubted, bundle.manifest["settings"])
        note_refusal(run.lake, candidate.name, candidate.version, "; ".join(reasons))
        raise GateRefused(said)
    for doubt in doubted:
        text = f"{candidate.name} version {candidate.version} passes its gate, but {doubt}"
        logger.warning("promote %s: %s", run.pipeline.name, text)
        run.progress({"event": "note", "text": text})
    return {
        **({"doubts": doubted} if doubted else {}),
        "metrics": metrics,
        "champion_metrics": dict(rival.metrics) if rival else None,
    }


def _taken_back(run: Run, candidate: RegisteredModel) -> list[str]:
    """Say where somebody took this version back: no gate knows better."""
    from pipelines.registry.history import moves, rolled_back

    found = rolled_back(moves(run.lake, candidate.name), candidate.version)
    if found is None:
        return []
    return [
        f"it was champion, and was taken back on {found.at[:10]} by {found.by} ({found.reason}). "
        f"To have it again: `tidemill promote {run.pipeline.name} --version {candidate.version} "
        "--reason TEXT`"
    ]


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

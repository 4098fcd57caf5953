"""From which probability on a prediction says yes: the one that its model was judged by."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.registry.bundle import Bundle
    from pipelines.run import Run


def threshold_of(run: Run, bundle: Bundle) -> float:
    """Return the threshold that the model was judged by, or the setting's if unknown."""
    kept = bundle.decision_threshold
    return run.pipeline.score.decision_threshold if kept is None else kept


def says_another(run: Run, bundle: Bundle) -> list[str]:
    """Say where the setting is another one: it takes effect with the next training."""
    asked, kept = run.pipeline.score.decision_threshold, threshold_of(run, bundle)
    if kept == asked:
        return []
    return [
        f"`score.decision_threshold` is {asked}; the model of run {bundle.run_id} was trained and "
        f"judged with {kept}, and says yes by that. Train again for {asked} to take effect"
    ]

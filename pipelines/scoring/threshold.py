"""From which probability on a prediction says yes: the one that its model was judged by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.config.threshold import in_training, in_words, plain

if TYPE_CHECKING:
    from pipelines.registry.bundle import Bundle
    from pipelines.run import Run


def threshold_of(run: Run, bundle: Bundle) -> float:
    """Return the threshold that the model was judged by, or the setting's if unknown."""
    kept = bundle.decision_threshold
    return in_training(run.pipeline.score.threshold) if kept is None else kept


def says_another(run: Run, bundle: Bundle) -> list[str]:
    """Say where the setting is another one: it takes effect with the next training."""
    asked, then = plain(run.pipeline.score.threshold), bundle.asked_threshold
    kept = threshold_of(run, bundle)
    if asked == (kept if then is None else then):
        return []
    by = "" if then in (None, kept) else f" (by `{in_words(then)}`)"
    wanted = in_words(asked)
    return [
        f"`score.threshold` is {wanted}; the model of run {bundle.run_id} was trained and judged "
        f"with {kept:g}{by}, and says yes by that. Train again for {wanted} to take effect"
    ]

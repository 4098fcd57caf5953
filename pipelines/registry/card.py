"""The model card: one page in Markdown on what a bundle holds and what it is good for. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pipelines.config.losses import ABOUT, ALL_METRICS
from pipelines.encoding.spec import FeatureSpec
from pipelines.errors import FeatureError
from pipelines.registry.calibration import doubts, of_test_split, threshold_in_words

if TYPE_CHECKING:
    from pipelines.registry.bundle import Bundle


def card(bundle: Bundle) -> str:
    """Return the page; what a bundle of an older release does not tell is left out."""
    facts = bundle.manifest
    parts = [
        f"# {facts.get('model', 'model')}, run {bundle.run_id}",
        _meaning(bundle),
        "## Data\n\n" + "\n".join(_data(bundle)),
        "## How good it is\n\n" + "\n".join(_metrics(bundle)),
        "## What it looks at\n\n" + "\n".join(_features(bundle)),
        "## Limits\n\n" + "\n".join(f"- {one}" for one in _limits(bundle)),
        "## How it was made\n\n" + "\n".join(_making(facts)),
    ]
    return "\n\n".join(parts) + "\n"


def _meaning(bundle: Bundle) -> str:
    names = bundle.class_names or ()
    if bundle.task == "number":
        return "It says a number of each row."
    if bundle.task == "classes":
        return f"It says the chance of each of {len(names)} classes: {', '.join(names)}."
    said = f"It says the chance of `{names[1]}` (else `{names[0]}`) of each row."
    kept = bundle.evaluation.get("threshold")
    if kept:
        return f"{said} The threshold is {threshold_in_words(kept)}."
    at = bundle.decision_threshold
    return said if at is None else f"{said} From {at:g} on it calls a row `{names[1]}`."


def _data(bundle: Bundle) -> Iterator[str]:
    facts = bundle.manifest
    yield f"Tables: {', '.join(f'{name}@{at}' for name, at in bundle.tables.items()) or 'unknown'}."
    split, rows = facts.get("split", {}), facts.get("num_rows", {})
    yield ""
    yield "| split | rows | which |"
    yield "|---|---|---|"
    for name in ("train", "validation", "test"):
        which = split.get(name)
        said = f"{which[0]} to {which[1]}" if isinstance(which, list) else f"by {split.get('by')}"
        count = f"{rows[name]:,}" if name in rows else ""
        yield f"| {name} | {count} | {said} |"


def _metrics(bundle: Bundle) -> Iterator[str]:
    found, facts = bundle.evaluation, bundle.manifest
    mine, guess = facts.get("metrics", {}), facts.get("constant_metrics", {})
    between = found.get("intervals", {})
    yield "On the test split; in brackets 95 % of what other rows of the kind would give"
    yield "(resampled by rows: days that differ make it wider)."
    yield ""
    yield "| metric | model | | constant guess |"
    yield "|---|---|---|---|"
    for name in (one for one in ALL_METRICS if one in mine):
        low_high = between.get(name)
        spread = f"[{low_high[0]:.4f}, {low_high[1]:.4f}]" if low_high else ""
        yield (
            f"| {ABOUT[name].title} | {_number(mine.get(name))} | {spread} | "
            f"{_number(guess.get(name))} |"
        )
    rates = of_test_split(found)
    if rates is not None:
        yield ""
        yield (
            f"Predicted rate {rates.predicted:.4f}, observed {rates.observed:.4f}; calibration "
            f"error {rates.error:.4f} (of a model that is right, by chance, {rates.by_chance:.4f})."
        )


def _features(bundle: Bundle) -> Iterator[str]:
    try:
        spec = FeatureSpec.from_json(bundle.feature_spec)
    except FeatureError as error:
        yield f"Not known: {error}"
        return
    kinds: dict[str, list[str]] = {}
    for one in spec.features:
        kinds.setdefault(str(getattr(one, "kind", "feature")), []).append(one.name)
    for kind, names in kinds.items():
        yield f"- {kind}: {', '.join(names)}"


def _limits(bundle: Bundle) -> Iterator[str]:
    facts = bundle.manifest
    yield from doubts(
        facts.get("metrics", {}), facts.get("constant_metrics", {}), bundle.evaluation
    )
    split = facts.get("split", {})
    if isinstance(split.get("train"), list):
        first, last = split["train"]
        yield (
            f"It has learned from {first} to {last}: what was different before or is different "
            "since, it does not know. `tidemill monitor` says when that shows."
        )
    yield (
        "A category that training had not is taken as unknown, a number far outside of what "
        "training had is taken as it is: nobody has looked at what it says there."
    )


def _making(facts: Mapping[str, Any]) -> Iterator[str]:
    training, settings = facts.get("training", {}), facts.get("settings", {})
    yield f"- trained {facts.get('created_at', 'at an unknown time')} by run {facts.get('run_id')}"
    if settings:
        yield (
            f"- `{settings.get('model')}`, loss `{settings.get('loss')}`, seed "
            f"{facts.get('seed')}, {training.get('epochs', '?')} epochs (the best: "
            f"{training.get('best_epoch', '?')}), {training.get('num_weights', 0):,} weights"
        )
    code = ", ".join(f"{name} {value}" for name, value in facts.get("code", {}).items())
    if code:
        yield f"- code: {code}"
    packages = ", ".join(f"{name} {value}" for name, value in facts.get("packages", {}).items())
    if packages:
        yield f"- packages: {packages}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"

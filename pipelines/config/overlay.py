"""Laying settings over settings: an environment's file over the base, `--set` over both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipelines.config.document import Document, Path, read_value
from pipelines.errors import SettingsError, UsageError, nearest


def lay_over(base: Document, overlay: Document) -> Document:
    """Return `base` with `overlay` over it.

    Mappings merge key by key; everything else (lists, texts, numbers) is replaced whole. A null
    in the overlay is a value like any other: `early_stopping: null` sets it to null.
    """
    origins = dict(base.origins)
    values = _merge(base.values, overlay.values, (), origins, overlay)
    # What was written counts where the value still comes from the place that it was written in.
    kept = {p: t for p, t in base.sources.items() if origins.get(p) == base.origins.get(p)}
    return Document(values, origins, {**kept, **overlay.sources})


def _merge(base: Any, over: Any, path: Path, origins: dict[Path, str], overlay: Document) -> Any:
    if isinstance(base, dict) and isinstance(over, dict):
        merged = dict(base)
        for key, value in over.items():
            merged[key] = _merge(base.get(key), value, (*path, key), origins, overlay)
        return merged
    depth = len(path)
    for known in [known for known in origins if known[:depth] == path]:
        del origins[known]
    origins |= {place: origin for place, origin in overlay.origins.items() if place[:depth] == path}
    return over


def set_values(document: Document, overrides: Sequence[str]) -> Document:
    """Return `document` with `train.epochs=2` and the like applied, in order.

    A path may go into an entry only where that entry exists; its last key may be a new one (the
    settings models have the last word on it).
    """
    for override in overrides:
        document = _set_value(document, override)
    return document


def _set_value(document: Document, override: str) -> Document:
    dotted, equals, text = override.partition("=")
    keys = tuple(dotted.strip().split("."))
    if not equals or not all(keys):
        raise UsageError(
            f"--set {override}: expected KEY=VALUE with a dotted key, such as train.epochs=2."
        )
    value, sources = read_value(text, f"--set {override}")
    overlay: Any = value
    for key in reversed(keys):
        overlay = {key: overlay}
    place = f"--set {override}"
    _refuse_unknown_entry(document.values, keys, place)
    # A mapping given by --set replaces: `train.options={hidden: [8]}` means just these options.
    base = lay_over(document, Document(_nest(keys, None), {keys: place}))
    sources = {(*keys, *below): written for below, written in sources.items()}
    return lay_over(base, Document(overlay, {keys: place}, sources))


def _nest(keys: Sequence[str], value: Any) -> Any:
    for key in reversed(keys):
        value = {key: value}
    return value


def _refuse_unknown_entry(values: Any, keys: Sequence[str], place: str) -> None:
    """Refuse a path through an entry that isn't there, unless a model gives it a default."""
    from pipelines.config.problems import known_keys

    for depth, key in enumerate(keys):
        above = ".".join(keys[:depth]) or "the settings"
        if not isinstance(values, dict):
            raise SettingsError(
                f"{place}: `{above}` is {values!r}, so it has no key '{key}'. "
                f"Set `{above}` as a whole, or leave out '.{key}'."
            )
        if depth == len(keys) - 1:
            return
        if values.get(key) is not None:
            values = values[key]
            continue
        fields = known_keys(tuple(keys[:depth]), values)
        if fields and key in fields:
            return
        known = fields or list(values)
        raise SettingsError(
            f"{place}: {'.'.join(keys[: depth + 1])}: unknown key.{nearest(key, known)} "
            f"Known in {above} are {', '.join(known)}."
        )

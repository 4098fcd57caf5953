"""What a stage's result depends on, as a short hash: settings, SQL, code and dates."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import lru_cache, reduce
from pathlib import Path
from typing import Any

from pipelines.config import Pipeline
from pipelines.own_code import own_code

_PACKAGE = Path(__file__).resolve().parent
# What shows, starts or schedules a stage changes nothing in its tables.
_OUTSIDE = (
    *("cli", "doctor", "explore", "lineage", "orchestration", "progress", "runner", "story"),
    *("secrecy", "stopping", "summary", "terminal", "user_errors"),
)
_SHARED = ("timezone", "privacy")
"""Settings that every result depends on."""


def fingerprint(
    pipeline: Pipeline,
    settings: Iterable[str],
    queries: Iterable[str] = (),
    functions: Iterable[str] = (),
    **more: object,
) -> str:
    """Return a hash of what a result depends on.

    All are dotted names of settings: `settings` count by their values, `queries` by the files of
    the pipeline's folder that they name, `functions` by the user's own code that they name. `more`
    are dates and the like.
    """
    plain = pipeline.model_dump(mode="json")
    content = {
        "name": pipeline.name,
        "settings": {name: _value(plain, name) for name in (*_SHARED, *settings)},
        "sql": _queries(pipeline, queries),
        "code": code_hash(),
        "own_code": _own_code(pipeline, functions),
        "more": {key: str(value) for key, value in more.items()},
    }
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:12]


def features_hash(pipeline: Pipeline) -> str:
    """Return a hash of what defines the feature rows: settings, queries, the user's own function.

    Two tables of the same hash, made from the same versions, hold the same rows.
    """
    settings = pipeline.model_dump(mode="json", include={"timezone": True, "featurize": True})
    for name in ("label_days", "table_rules"):  # they decide what is written, not its rows
        settings["featurize"].pop(name)
    queries = _queries(pipeline, ["featurize.sql"])
    content = [settings, queries, _own_code(pipeline, ["featurize.function"])]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _value(plain: dict[str, Any], name: str) -> Any:
    """Return a setting by its dotted name."""
    return reduce(lambda part, key: part[key], name.split("."), plain)


def _named(pipeline: Pipeline, settings: Iterable[str]) -> Iterator[str]:
    """Yield what settings name, which may be one thing, several or none."""
    plain = pipeline.model_dump(mode="json")
    for value in (_value(plain, name) for name in settings):
        yield from [value] if isinstance(value, str) else value or ()


def _queries(pipeline: Pipeline, settings: Iterable[str]) -> dict[str, str]:
    files = [(name, pipeline.folder / name) for name in _named(pipeline, settings)]
    return {name: file.read_text(encoding="utf-8") for name, file in files if file.is_file()}


def _own_code(pipeline: Pipeline, settings: Iterable[str]) -> dict[str, str]:
    """Return the user's own modules, which settings name as `module:function`, by their names.

    Those that they import from the user's own files are among them.
    """
    found: dict[str, str] = {}
    for function in _named(pipeline, settings):
        code = own_code(function)
        if code is not None:
            found |= {module: text for module, (_, text) in code.modules.items()}
    return found


@lru_cache(maxsize=1)
def code_hash() -> str:
    """Return a hash of the package's code, as far as tables depend on it."""
    whole = hashlib.sha256()
    for file in sorted(_PACKAGE.rglob("*.py")):
        name = file.relative_to(_PACKAGE)
        if name.parts[0].removesuffix(".py") not in _OUTSIDE:
            whole.update(f"{name}\0".encode() + file.read_bytes())
    return whole.hexdigest()

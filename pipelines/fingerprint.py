"""What a stage's result depends on, as a short hash: settings, SQL, code and dates."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
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


def fingerprint(pipeline: Pipeline, stages: Sequence[str], **more: object) -> str:
    """Return a hash of what the results of `stages` depend on, the last one's above all.

    `stages` are the stage in question and those before it; `more` are dates and the like.
    """
    shared = ("timezone", "privacy")
    sections: dict[str, Any] = pipeline.model_dump(mode="json", include={*shared, *stages})
    if "normalize" in stages:
        sections["folds"] = pipeline.train.folds  # `normalize` fits their statistics
    if "train" in stages:
        sections["decision_threshold"] = pipeline.score.decision_threshold  # metrics go by it
    content = {
        "name": pipeline.name,
        "sections": sections,
        "sql": _queries(pipeline) if "featurize" in stages else {},
        "code": code_hash(),
        "own_code": _own_code(pipeline, stages),
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
    content = [settings, _queries(pipeline), _own_code(pipeline, ["featurize"])]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _queries(pipeline: Pipeline) -> dict[str, str]:
    files = [(name, pipeline.folder / name) for name in pipeline.featurize.sql]
    return {name: file.read_text(encoding="utf-8") for name, file in files if file.is_file()}


def _own_code(pipeline: Pipeline, stages: Sequence[str]) -> dict[str, str]:
    """Return the user's own modules, which settings name as `module:function`, by their names.

    Those that they import from the user's own files are among them.
    """
    named = {"featurize": pipeline.featurize.function, "train": pipeline.train.model}
    found: dict[str, str] = {}
    for stage, function in named.items():
        code = own_code(function) if stage in stages else None
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

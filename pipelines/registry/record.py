"""What is written down of a training: its bundle's manifest and its record in MLflow."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipelines.config import Pipeline
from pipelines.provenance import code_version, packages
from pipelines.registry.bundle import Bundle
from pipelines.registry.tracking import TrainingRecord, record_child

if TYPE_CHECKING:
    from pipelines.lake.catalog import Lake
    from pipelines.selection.trials import Judged

_OF_SEARCH = ("metric", "value", "best_trial")


def manifest(
    pipeline: Pipeline, run_id: str, tables: Mapping[str, int], found: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a bundle's manifest; `found` holds what only the training knows.

    That is `inputs`, `training_set`, `num_rows` by split, `metrics`, `constant_metrics`,
    `decision_threshold` with `asked_threshold`, `training`, `settings` (those it was trained with)
    and `asked` (those given, with the search), and `folds` and `search` where there are any.
    """
    return {
        "pipeline": pipeline.name,
        "run_id": run_id,
        "model": pipeline.score.model,
        "created_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "tables": dict(tables),
        "code": code_version(pipeline.root),
        "packages": packages(),
        "split": pipeline.normalize.split.model_dump(mode="json"),
        "seed": pipeline.train.seed,
        **found,
    }


def training_record(bundle: Bundle) -> TrainingRecord:
    """Return what MLflow keeps of the training that made a bundle."""
    facts = bundle.manifest
    test = {f"test_{name}": value for name, value in facts["metrics"].items()}
    constant = {f"constant_{name}": value for name, value in facts["constant_metrics"].items()}
    folds = {
        f"fold_{statistic}_{name}": value
        for name, found in facts.get("folds", {}).get("metrics", {}).items()
        for statistic, value in found.items()
    }
    return TrainingRecord(
        experiment=str(facts["pipeline"]),
        run_id=bundle.run_id,
        params={
            **flat(facts["settings"]),
            **{f"search.{name}": facts["search"][name] for name in _OF_SEARCH if "search" in facts},
            **{f"version.{name}": version for name, version in bundle.tables.items()},
            **{f"rows.{split}": count for split, count in facts["num_rows"].items()},
        },
        metrics=_finite({**test, **constant, **folds}),
        history=bundle.history,
        tags={f"code.{name}": str(value) for name, value in facts["code"].items()},
    )


def record_trial(
    lake: Lake, pipeline: str, run_id: str, judged: Judged, params: Mapping[str, Any]
) -> None:
    """Record a fold or a trial of a run as a child of that run in MLflow."""
    record = TrainingRecord(
        experiment=pipeline,
        run_id=f"{run_id}/{judged.name}",
        params={
            **params,
            "rows": judged.what,
            **{f"rows.{split}": count for split, count in judged.num_rows.items()},
        },
        metrics=_finite({f"validation_{name}": v for name, v in judged.metrics.items()}),
        history=judged.history,
        tags={},
    )
    record_child(lake, record, run_id)


def _finite(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by dotted names, without those that are null."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found.update(flat(value, f"{prefix}{name}."))
        elif value is not None:
            found[f"{prefix}{name}"] = value
    return found


def plain_metrics(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """Return metrics as strict JSON can hold them: what is no number becomes null."""
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}


def plain(value: Any) -> Any:
    """Return nested JSON values as strict JSON can hold them: what is no number becomes null."""
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

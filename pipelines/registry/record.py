"""What is written down of a training: its bundle's manifest and its record in MLflow."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any

from pipelines.config import Pipeline
from pipelines.registry.bundle import Bundle
from pipelines.registry.provenance import code_version, packages
from pipelines.registry.tracking import TrainingRecord


def manifest(
    pipeline: Pipeline, run_id: str, tables: Mapping[str, int], found: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a bundle's manifest; `found` holds what only the training knows.

    That is `inputs`, `num_rows` by split, `metrics`, `constant_metrics` and `training`.
    """
    return {
        "pipeline": pipeline.name,
        "run_id": run_id,
        "model": pipeline.score.model,
        "created_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "tables": dict(tables),
        "code": code_version(pipeline.root),
        "packages": packages(),
        "seed": pipeline.train.seed,
        "settings": pipeline.train.model_dump(mode="json"),
        **found,
    }


def training_record(bundle: Bundle) -> TrainingRecord:
    """Return what MLflow keeps of the training that made a bundle."""
    facts = bundle.manifest
    test = {f"test_{name}": value for name, value in facts["metrics"].items()}
    constant = {f"constant_{name}": value for name, value in facts["constant_metrics"].items()}
    return TrainingRecord(
        experiment=str(facts["pipeline"]),
        run_id=bundle.run_id,
        params={
            **flat(facts["settings"]),
            **{f"version.{name}": version for name, version in bundle.tables.items()},
            **{f"rows.{split}": count for split, count in facts["num_rows"].items()},
        },
        metrics={name: v for name, v in {**test, **constant}.items() if math.isfinite(v)},
        history=bundle.history,
        tags={f"code.{name}": value for name, value in facts["code"].items()},
    )


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

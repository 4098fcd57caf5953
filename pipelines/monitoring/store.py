"""The tables that `monitor` writes: what was found, by logical date."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pipelines.lake.catalog import Table
from pipelines.lake.write import replace_slice

if TYPE_CHECKING:
    from pipelines.monitoring.findings import Findings
    from pipelines.run import Run

_CHECK = (
    "logical_date DATE, table_name STRING, table_version BIGINT, check_name STRING, "
    "severity STRING, num_rows BIGINT, num_broken BIGINT, is_ok BOOLEAN, run_id STRING"
)
_DRIFT = (
    "logical_date DATE, feature STRING, psi DOUBLE, missing_before DOUBLE, missing_now DOUBLE, "
    "severity STRING, psi_by_chance DOUBLE, rows_before BIGINT, rows_now BIGINT, moved STRING, "
    "share_before DOUBLE, share_now DOUBLE, model_version INT, run_id STRING"
)
_PERFORMANCE = (
    "logical_date DATE, scoring_date DATE, num_rows BIGINT, num_labelled BIGINT, "
    "predicted_rate DOUBLE, observed_rate DOUBLE, roc_auc DOUBLE, log_loss DOUBLE, "
    "accuracy DOUBLE, mae DOUBLE, mse DOUBLE, rate_error DOUBLE, calibration_error DOUBLE, "
    "calibration_by_chance DOUBLE, guess_loss DOUBLE, guess_error DOUBLE, label_deviation DOUBLE, "
    "model_version INT, run_id STRING"
)


def store(run: Run, date: dt.date, model_version: int, found: Findings) -> dict[str, int]:
    """Replace a logical date's rows by what was found; return the version of each table."""

    def write(table: Table, schema: str, rows: Iterable[Mapping[str, Any]]) -> int:
        audited = [{"logical_date": date, **row, "run_id": run.run_id} for row in rows]
        frame = run.spark.createDataFrame(audited, schema)
        where = f"logical_date = DATE'{date}'"
        return replace_slice(frame, run.lake, table, where, table.partition_by)

    checks = [{**asdict(one), "is_ok": one.is_ok} for one in found.checks]
    drifts = [{**asdict(one), "model_version": model_version} for one in found.drifts.features]
    days = [asdict(day) for day in found.judged.all]
    tables = run.tables
    return {
        str(tables.quality): write(tables.quality, _CHECK, checks),
        str(tables.drift): write(tables.drift, _DRIFT, drifts),
        str(tables.performance): write(tables.performance, _PERFORMANCE, days),
    }

"""`monitor`: data quality, drift since training, performance where labels have arrived.

It looks at the `monitor.window_days` days up to the logical date (or at `since`..`date`), replaces
that logical date's rows in `monitoring.<model>_*`, and writes the report page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.lake import files
from pipelines.lake.read import latest_version
from pipelines.monitoring import quality
from pipelines.monitoring.findings import findings, report
from pipelines.monitoring.store import store
from pipelines.monitoring.window import Window
from pipelines.run import Done, Resolved, Run


def run(run: Run) -> Done:
    """Monitor the days up to `run.date`; without a date, up to the newest day scored.

    Raises TableNotFound without predictions, ScoringError without predictions in the window.
    """
    from pipelines.registry.bundle import load_bundle

    resolved = run.resolve(_Resolved, "monitor", lambda: _look(run))
    opened, bundle = run.open(resolved.tables), load_bundle(resolved.bundle)
    window = Window.of(run, opened)
    first, last = window.days
    found = findings(run, opened, window, bundle)
    written = store(run, last, resolved.model_version, found)
    page = report(run, opened, window, bundle, resolved.model_version, found)
    place = f"{run.lake.report(run.pipeline.name)}/{last}.html"
    files.write_text(run.spark, place, page.html())
    return Done(
        date=last,
        read=opened.versions,
        written=written,
        counts={"rows_in": window.predictions.count(), **found.counts},
        details={
            "since": str(first),
            "report": place,
            **found.details,
            "model_version": resolved.model_version,
        },
    )


@dataclass(frozen=True)
class _Resolved(Resolved):
    """The versions of the tables to look at, and the champion."""

    tables: Mapping[str, int]
    bundle: str
    model_version: int


def _look(run: Run) -> _Resolved:
    from pipelines.registry.champion import champion

    model = champion(run.lake, run.pipeline.score.model)
    name, features, predictions = run.pipeline.name, run.tables.features, run.tables.predictions
    tables = {
        str(features): latest_version(run.spark, run.lake, features, f"featurize {name}"),
        str(predictions): latest_version(run.spark, run.lake, predictions, f"score {name}"),
        **quality.look(run),
    }
    return _Resolved(tables, model.bundle, model.version)

"""The report: one HTML page that stands alone, with pictures inside."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config.losses import ABOUT, ALL_METRICS
from pipelines.monitoring import plots
from pipelines.registry.calibration import loss_metric, threshold_in_words

if TYPE_CHECKING:
    from pipelines.config.score import Drift
    from pipelines.monitoring.drift import FeatureDrift
    from pipelines.monitoring.performance import Performance
    from pipelines.monitoring.quality import Check


@dataclass(frozen=True)
class Report:
    """Everything the page shows, as plain values."""

    pipeline: str
    description: str
    first: dt.date
    last: dt.date
    model_name: str
    model_version: int
    training_run: str
    history: Sequence[Mapping[str, Any]]
    evaluation: Mapping[str, Any]
    days: Sequence[Performance]
    overall: Performance
    drifts: Sequence[FeatureDrift]
    drift_settings: Drift
    checks: Sequence[Check]
    retrain: Sequence[str]
    read: Mapping[str, int] = field(default_factory=dict)
    without_drift: Sequence[str] = ()
    """Features that are lists or images."""
    drift_left_out: str = ""
    """Why drift could not be measured."""

    def html(self) -> str:
        """Return the page."""
        from jinja2 import Environment, StrictUndefined

        environment = Environment(autoescape=True, undefined=StrictUndefined)
        text = Path(__file__).with_name("report.html").read_text(encoding="utf-8")
        return environment.from_string(text).render(
            title=f"{self.pipeline}: report of {self.last}",
            description=self.description or self.pipeline,
            first=self.first,
            last=self.last,
            model_name=self.model_name,
            model_version=self.model_version,
            training_run=self.training_run,
            retrain=self.retrain,
            num_labelled=self.overall.num_labelled,
            cards=self._cards(),
            metrics=self._metrics(),
            threshold=threshold_in_words(kept)
            if (kept := self.evaluation.get("threshold"))
            else "",
            plots=self._plots(),
            drifts=self.drifts,
            without_drift=", ".join(self.without_drift),
            drift_left_out=self.drift_left_out,
            drift_warn=self.drift_settings.warn,
            drift_fail=self.drift_settings.fail,
            checks=self.checks,
            read=self.read,
        )

    def _cards(self) -> list[tuple[str, str, str]]:
        overall = self.overall
        waiting = overall.num_rows - overall.num_labelled
        test = self.evaluation.get("metrics", {})
        cards = [("predictions", f"{overall.num_rows:,}", f"{waiting:,} without a label")]
        for name in ALL_METRICS:
            if not hasattr(overall, name):
                continue  # days are not judged by it
            title, value = ABOUT[name].title, getattr(overall, name)
            if value is not None or name in test:
                note = f"test split {_number(test.get(name))}"
                if overall.guess_loss is not None and name == loss_metric(test):
                    note += f", constant guess on these days {_number(overall.guess_loss)}"
                cards.append((title, _number(value), note))
        if overall.observed_rate is not None or not overall.num_labelled:
            title = "observed rate" if "mae" not in test else "observed mean"
            predicted = f"predicted {_number(overall.predicted_rate)}"
            cards.append((title, _number(overall.observed_rate), predicted))
        if overall.calibration_error is not None:
            note = f"predicted against observed, by chance {_number(overall.calibration_by_chance)}"
            cards.append(("calibration error", _number(overall.calibration_error), note))
        return cards

    def _metrics(self) -> list[tuple[str, str, str]]:
        model = self.evaluation.get("metrics", {})
        constant = self.evaluation.get("constant", {})
        known = [name for name in ALL_METRICS if name in model or name in constant]
        return [(name, _number(model.get(name)), _number(constant.get(name))) for name in known]

    def _plots(self) -> dict[str, str]:
        area = self.evaluation.get("metrics", {}).get("roc_auc")
        settings = self.drift_settings
        return {
            "loss": plots.loss_curves(self.history),
            **self._judged(area),
            "rates": plots.rates_by_date(self.days),
            "auc": plots.auc_by_date(self.days, area),
            "drift": plots.drift_bars(self.drifts, settings.warn, settings.fail),
            "quality": plots.quarantined(_kept_and_quarantined(self.checks)),
        }

    def _judged(self, area: float | None) -> dict[str, str]:
        """Return the pictures of the test split: what there is depends on the kind of label."""
        if "confusion" in self.evaluation:
            return {
                "roc": plots.confusion(self.evaluation["confusion"]),
                "calibration": "",
                "threshold": "",
            }
        if "scatter" in self.evaluation:
            return {
                "roc": plots.scatter(self.evaluation["scatter"]),
                "calibration": "",
                "threshold": "",
            }
        return {
            "roc": plots.roc_curve(self.evaluation.get("roc", []), area),
            "calibration": plots.calibration(self.evaluation.get("calibration", [])),
            "threshold": plots.threshold(kept)
            if (kept := self.evaluation.get("threshold"))
            else "",
        }


def _kept_and_quarantined(checks: Sequence[Check]) -> dict[str, tuple[int, int]]:
    kept = {c.table_name.partition(".")[2]: c.num_rows for c in checks if c.check_name == "rows"}
    aside = {
        check.table_name.partition(".")[2]: check.num_broken
        for check in checks
        if check.check_name == "quarantined"
    }
    return {name: (rows, aside.get(name, 0)) for name, rows in kept.items()}


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"

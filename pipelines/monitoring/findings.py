"""What is found of some days: quality, drift, performance, and whether to train again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pipelines.config.losses import task_of
from pipelines.encoding.spec import FeatureSpec
from pipelines.monitoring import quality
from pipelines.monitoring.performance import Judged, performance
from pipelines.monitoring.quality import Check
from pipelines.monitoring.report import Report
from pipelines.monitoring.retrain import reasons_to_retrain
from pipelines.monitoring.since_training import Drifts, drift_since_training
from pipelines.monitoring.window import Window
from pipelines.registry.calibration import constant_guess, doubts
from pipelines.scoring.threshold import threshold_of

if TYPE_CHECKING:
    from pipelines.lake.opened import OpenedLake
    from pipelines.registry.bundle import Bundle
    from pipelines.run import Run


@dataclass(frozen=True)
class Findings:
    """What was found. `without_drift` are features that are lists or images."""

    judged: Judged
    drifts: Drifts
    without_drift: list[str]
    checks: list[Check]
    retrain: list[str]

    @property
    def counts(self) -> dict[str, int]:
        """What a result says of them: each prediction is in use or replaced, labelled or not."""
        judged, overall = self.judged, self.judged.overall
        return {
            "predictions": overall.num_rows,
            "labelled": overall.num_labelled,
            "replaced": sum(day.num_rows for day in judged.all) - overall.num_rows,
            "unlabelled": sum(day.num_rows - day.num_labelled for day in judged.in_use),
            "features_drifted": sum(one.severity == "fail" for one in self.drifts.features),
            **self.drifts.counts,
            "checks_broken": sum(not check.is_ok for check in self.checks),
        }

    @property
    def details(self) -> dict[str, Any]:
        """What else a result says of them."""
        overall = asdict(self.judged.overall)
        left_out = self.drifts.left_out
        return {
            "retrain": self.retrain,
            "without_drift": self.without_drift,
            **({"drift_left_out": left_out} if left_out else {}),
            "performance": {k: v for k, v in overall.items() if v is not None},
        }


def findings(run: Run, opened: OpenedLake, window: Window, bundle: Bundle) -> Findings:
    """Look at the days. All predictions count, also of a champion that was replaced since."""
    settings = run.pipeline
    task = task_of(bundle.manifest.get("settings", {}).get("loss", settings.train.loss))
    guess = constant_guess(bundle.evaluation, task)
    judged = performance(window.labelled(run), threshold_of(run, bundle), task, guess)
    spec = FeatureSpec.from_json(bundle.feature_spec)
    drifts = drift_since_training(run, bundle, spec, window.features, window.days)
    checks = quality.checks(run, opened)
    test, constant = (bundle.evaluation.get(name, {}) for name in ("metrics", "constant"))
    retrain = reasons_to_retrain(
        drifts.features, judged.overall, test, task, settings.monitor, drifts.left_out
    )
    retrain += [f"on its test split {one}" for one in doubts(test, constant, bundle.evaluation)]
    without_drift = [one.name for one in spec.features if one.drift is None]
    return Findings(judged, drifts, without_drift, checks, retrain)


def report(
    run: Run, opened: OpenedLake, window: Window, bundle: Bundle, version: int, found: Findings
) -> Report:
    """Return the page on what was found of the days, and of the model in use."""
    settings = run.pipeline
    return Report(
        pipeline=settings.name,
        description=settings.description,
        first=window.days[0],
        last=window.days[1],
        model_name=settings.score.model,
        model_version=version,
        training_run=bundle.run_id,
        history=bundle.history,
        evaluation=bundle.evaluation,
        days=found.judged.in_use,
        overall=found.judged.overall,
        drifts=found.drifts.features,
        without_drift=found.without_drift,
        drift_left_out=found.drifts.left_out,
        drift_settings=settings.monitor.drift,
        checks=found.checks,
        retrain=found.retrain,
        read=opened.versions,
    )

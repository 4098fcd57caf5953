"""Trainings that only judge settings: the model is thrown away, its validation metrics stay.

A trial is known by what it trains on and with which settings. Its result is kept until the run
that asked for it has its bundle, so a retried run does not train it again.
"""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pipelines.config.threshold import DEFAULT, Threshold
from pipelines.config.train import Train
from pipelines.encoding.kind import ModelInput
from pipelines.errors import NotFiniteLoss, SettingsError
from pipelines.lake.folder import Folder
from pipelines.own_code import OwnCode, own_code
from pipelines.training.checkpoint import Checkpoints
from pipelines.training.labels import class_weights
from pipelines.training.rows import FeedRows
from pipelines.training.work import Trained, Work

if TYPE_CHECKING:
    from pipelines.lake.snapshot import Snapshot

TRIALS = "trials"
"""Folder of a training's folder that holds its trials."""
_RESULT = "result.json"


@dataclass(frozen=True)
class Data:
    """What a training reads: `snapshots` by split, the model's inputs, the tables' versions.

    `what` says to people which rows these are.
    """

    what: str
    snapshots: Mapping[str, Snapshot]
    inputs: Sequence[ModelInput]
    versions: Mapping[str, int]
    class_counts: Mapping[int, int] = field(default_factory=dict)
    """Rows of each class in the training split, where `train.class_weights` asks for them."""
    threshold: Threshold = DEFAULT
    """Probability from which a row counts as a yes, or what it is chosen by."""
    baseline: Mapping[str, float] = field(default_factory=dict)
    """What reasons start from, by model input; of the training set alone."""
    label_scale: tuple[float, float] | None = None
    """Mean and standard deviation of the training split's labels, where `train` asks for them."""

    @property
    def num_rows(self) -> dict[str, int]:
        """Rows by split."""
        return {split: snapshot.num_rows for split, snapshot in self.snapshots.items()}

    def without_test(self) -> Data:
        """Return the same without the test split: trials must not see it."""
        kept = {split: one for split, one in self.snapshots.items() if split != "test"}
        return replace(self, snapshots=kept)

    def work(
        self,
        settings: Train,
        folder: str,
        judged_on: str = "test",
        code: OwnCode | None = None,
    ) -> Work:
        """Return the training on these rows, with checkpoints in a folder.

        `code` is that of a model of the user's own, where it is not to be what lies on the path.
        """
        rows = FeedRows(self.snapshots, self.inputs, settings)
        return Work(
            settings,
            self.inputs,
            rows,
            folder,
            self.versions,
            judged_on=judged_on,
            class_weights=class_weights(settings, self.class_counts),
            label_scale=self.label_scale,
            code=code or own_code(settings.model),
            threshold=self.threshold,
        )


@dataclass(frozen=True)
class Judged:
    """How a trial went. `metrics` are those of its best epoch's weights on `validation`.

    `loss` is among them: the validation loss the training itself saw.
    """

    name: str
    what: str
    num_rows: dict[str, int]
    metrics: dict[str, float]
    best_epoch: int
    history: list[dict[str, Any]]

    def facts(self) -> dict[str, Any]:
        """Return what a bundle keeps, as plain JSON values."""
        return {key: value for key, value in asdict(self).items() if key != "history"}


@dataclass(frozen=True)
class Judge:
    """Trains trials below `folder`, each once; `record` and `tell` hear of the results."""

    train: Callable[[Work], Trained]
    folder: str
    record: Callable[[Judged, Mapping[str, Any]], None]
    tell: Callable[[str], None]

    def __call__(
        self,
        name: str,
        settings: Train,
        data: Data,
        params: Mapping[str, Any] | None = None,
        *,
        may_diverge: bool = False,
    ) -> Judged:
        """Return the validation metrics of these settings on these rows.

        A loss that is no number raises NotFiniteLoss, or with `may_diverge` leaves no metrics.
        """
        settings, data = alone(settings), data.without_test()
        place = Folder(f"{self.folder}/{TRIALS}/{_identity(settings, data)}")
        stored = place.read(_RESULT)
        if stored is not None:
            judged = Judged(**{**json.loads(stored), "name": name})
        else:
            try:
                trained = self.train(data.work(settings, place.uri, "validation"))
                judged = _judged(name, data, trained)
            except NotFiniteLoss:
                if not may_diverge:
                    raise
                judged = Judged(name, data.what, data.num_rows, {}, 0, [])
            place.write(_RESULT, json.dumps(asdict(judged), sort_keys=True).encode("utf-8"))
            Checkpoints(place.uri, {}).clear()
        self.hear(judged, params or {})
        return judged

    def hear(self, judged: Judged, params: Mapping[str, Any]) -> None:
        """Hand a result on to `record` and `tell`."""
        self.record(judged, params)
        said = " ".join(f"{metric}={value:.4g}" for metric, value in judged.metrics.items())
        what = f" ({judged.what})" if judged.what else ""
        self.tell(f"{judged.name}{what}: {said or 'diverged'}")


def check_batch(settings: Train, data: Data) -> None:
    """Raise SettingsError where a global batch is larger than what is trained on."""
    batch, found = settings.batch_size, data.num_rows["train"]
    if batch > found:
        raise SettingsError(
            f"`train.batch_size: {batch}` is more than the {found} rows of the training split"
            f"{f' ({data.what})' if data.what else ''}. Make it smaller: some batches to an epoch, "
            f"as `train.batch_size: {max(1, found // 10)}`."
        )


def alone(settings: Train) -> Train:
    """Return the settings of a single training: without folds and search."""
    return settings.model_copy(update={"folds": None, "search": None})


def cross_validate(
    judge: Judge,
    settings: Train,
    folds: Sequence[Data],
    *,
    name: str = "",
    params: Mapping[str, Any] | None = None,
    may_diverge: bool = False,
) -> list[Judged]:
    """Train and judge one model per fold, all with the same settings."""
    return [
        judge(
            f"{name}fold-{fold}",
            settings,
            data,
            {**(params or {}), "fold": fold},
            may_diverge=may_diverge,
        )
        for fold, data in enumerate(folds, start=1)
    ]


def fold_facts(judged: Sequence[Judged]) -> dict[str, Any]:
    """Return what a bundle keeps of a cross-validation."""
    each = [one.facts() for one in judged]
    return {"count": len(each), "metrics": spread(judged), "each": each}


def spread(judged: Sequence[Judged]) -> dict[str, dict[str, float]]:
    """Return mean and standard deviation (over n - 1) of each metric that all of them have."""
    names = [name for name in judged[0].metrics if all(name in one.metrics for one in judged)]
    found = {}
    for name in names:
        values = [one.metrics[name] for one in judged]
        deviation = statistics.stdev(values) if len(values) > 1 else 0.0
        found[name] = {"mean": statistics.fmean(values), "std": deviation}
    return found


def mean_of(name: str, judged: Sequence[Judged]) -> Judged:
    """Return one result with the means of several: no metric where one of them diverged."""
    means = {metric: found["mean"] for metric, found in spread(judged).items()}
    return Judged(name, f"mean of {len(judged)} folds", {}, means, 0, [])


def _judged(name: str, data: Data, trained: Trained) -> Judged:
    best = trained.history[trained.best_epoch - 1]
    return Judged(
        name=name,
        what=data.what,
        num_rows=data.num_rows,
        metrics={"loss": float(best["val_loss"]), **trained.evaluation["metrics"]},
        best_epoch=trained.best_epoch,
        history=trained.history,
    )


def _identity(settings: Train, data: Data) -> str:
    work = data.work(settings, "")
    where = {split: dict(one.where) for split, one in data.snapshots.items()}
    text = json.dumps({"facts": work.facts, "where": where}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]

"""What a training is asked for and what it gives, as plain data that travels to ranks and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.config.threshold import DEFAULT, Threshold, in_training, plain
from pipelines.config.train import Train
from pipelines.encoding.kind import ModelInput
from pipelines.own_code import OwnCode, using
from pipelines.provenance import cpu
from pipelines.ranks.rank import Rank
from pipelines.training.checkpoint import Checkpoints
from pipelines.training.loop import Loop, OnStep, Surroundings
from pipelines.training.models.precision import scaled
from pipelines.training.rows import Rows

MAY_CHANGE = {
    "ranks",
    "max_restarts",
    "rank_wait",
    "hang_timeout",
    "resources",
    "checkpoint_steps",
}


@dataclass(frozen=True)
class Work:
    """One training. `folder` is where its checkpoints go; `versions` names what it reads."""

    settings: Train
    inputs: Sequence[ModelInput]
    rows: Rows
    folder: str
    versions: Mapping[str, int]
    on_step: OnStep | None = None
    judged_on: str = "test"
    """The split that the trained model is evaluated on."""
    class_weights: Sequence[float] | None = None
    """What `labels.class_weights` makes of the settings and the training split's counts."""
    label_scale: tuple[float, float] | None = None
    """Mean and standard deviation of the training split's labels, with `train.scale_label`."""
    code: OwnCode | None = None
    """The code of a model of the user's own."""
    threshold: Threshold = DEFAULT
    """Probability from which a row counts as a yes, or what it is chosen by: `score.threshold`."""

    @property
    def facts(self) -> dict[str, Any]:
        """What must not change between a checkpoint and the training that goes on from it."""
        return {
            **({"own_code": self.code.digest} if self.code else {}),
            **self.settings.model_dump(mode="json", exclude=MAY_CHANGE),
            "versions": dict(self.versions),
            "inputs": [[one.name, one.kind, one.cardinality, one.shape] for one in self.inputs],
            **({"label_scale": list(self.label_scale)} if self.label_scale else {}),
            # It decides the accuracy that early stopping may watch, and metrics of a trial.
            **({"threshold": plain(self.threshold)} if self.threshold != DEFAULT else {}),
        }


@dataclass(frozen=True)
class Trained:
    """What rank 0 hands back."""

    model: bytes
    """The `.keras` file of the inference model."""
    history: list[dict[str, Any]]
    best_epoch: int
    evaluation: dict[str, Any]
    """Of the split it is judged on; see `training.evaluate.evaluation`."""
    num_weights: int
    ranks: int
    restarts: int
    weights: list[Any]
    """The trained model's weights, in order."""
    cpu: str = ""
    """The kind of rank 0's CPU."""
    threads: int = 0
    """Threads of each rank."""

    @property
    def facts(self) -> dict[str, Any]:
        """How the training went, as plain JSON values."""
        seconds = sum(float(epoch["seconds"]) for epoch in self.history)
        waited = sum(float(one["seconds"]) * float(one["waiting_share"]) for one in self.history)
        return {
            "best_epoch": self.best_epoch,
            "epochs": len(self.history),
            "num_weights": self.num_weights,
            "ranks": self.ranks,
            "restarts": self.restarts,
            "cpu": self.cpu,
            "threads": self.threads,
            "seconds_per_epoch": round(seconds / max(1, len(self.history)), 3),
            "waiting_share": round(waited / seconds, 4) if seconds else 0.0,
        }


def train_rank(rank: Rank, work: Work) -> Trained:
    """Train as one rank and evaluate the model; every rank returns the same."""
    with using(work.code):
        return _train_rank(rank, work)


def _train_rank(rank: Rank, work: Work) -> Trained:
    import keras

    from pipelines.training.models import build_model
    from pipelines.training.models.inference import inference_model, model_bytes
    from pipelines.training.models.unit import in_unit
    from pipelines.training.optimizer import Pace, build_optimizer

    # Names of layers count from 1 again: dropout follows them, and Python workers are reused.
    keras.utils.clear_session()
    settings, collective = work.settings, rank.collective
    rows = work.rows.with_threads(rank.threads)
    model = build_model(
        settings.model,
        work.inputs,
        settings.options,
        settings.seed,
        settings.outputs,
        settings.precision,
    )
    if work.label_scale is not None:
        model = in_unit(model, *work.label_scale)
    epoch = rows.training(0, collective.rank, collective.size, 0)
    pace = Pace(epoch.steps, settings.epochs, settings.batch_size)
    optimizer = scaled(build_optimizer(settings.optimizer, pace), settings.precision)
    around = Surroundings(
        settings=settings,
        rows=rows,
        collective=collective,
        reporter=rank.reporter,
        checkpoints=Checkpoints(work.folder, work.facts),
        on_step=work.on_step,
        class_weights=work.class_weights,
        threshold=in_training(work.threshold),
    )
    loop = Loop(model, optimizer, around)
    progress = loop.run()
    means = progress.train_mean or [0.0] * settings.outputs
    return Trained(
        model=model_bytes(inference_model(model, work.inputs, settings.task)),
        history=progress.history,
        best_epoch=progress.best_epoch or progress.epoch,
        evaluation=_judged(loop, work, means),
        num_weights=int(model.count_params()),
        ranks=collective.size,
        restarts=rank.attempt,
        weights=model.get_weights(),
        cpu=cpu(),
        threads=rank.threads,
    )


def _judged(loop: Loop, work: Work, means: Sequence[float]) -> dict[str, Any]:
    """Return the evaluation, with the threshold: chosen on the validation split, never on test."""
    from pipelines.training.evaluate import evaluation, intervals, predictions
    from pipelines.training.threshold import choose

    task, number, found = work.settings.task, in_training(work.threshold), {}
    if task == "binary":
        labels, outputs = loop.outputs("validation")
        found["threshold"] = choose(labels, predictions(outputs, task)[:, 0], work.threshold)
        number = found["threshold"]["value"]
    if task != "binary" or work.judged_on != "validation":
        labels, outputs = loop.outputs(work.judged_on)
    if work.judged_on == "test":
        found["intervals"] = intervals(labels, predictions(outputs, task), task, number)
    return {**evaluation(labels, outputs, means, task, number), **found}

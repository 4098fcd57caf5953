"""Settings of `train` and `promote`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import BaseModel, Field, ValidationError, model_validator

from pipelines.config.losses import (
    ABOUT,
    METRICS,
    MONITORS,
    Loss,
    Metric,
    Monitored,
    Task,
    is_higher_better,
    task_of,
)
from pipelines.config.optimizer import Optimizer
from pipelines.config.search import Search
from pipelines.errors import nearest
from pipelines.settings import Settings

_NOT_SEARCHED = (
    # These would change what trials are judged by ...
    *("search", "folds", "loss", "classes", "class_names", "huber_delta", "class_weights"),
    "scale_label",
    # ... and these leave the model as it is.
    *("ranks", "max_restarts", "rank_wait", "hang_timeout", "resources", "checkpoint_steps"),
)


class EarlyStopping(Settings):
    """Stops when the monitored validation metric has not improved for `patience` epochs."""

    monitor: Monitored = "val_loss"
    """Which of them there are follows from `train.loss`."""
    patience: int = Field(2, ge=1)
    """Epochs without improvement after which the training stops."""
    min_delta: float = Field(0.0, ge=0)
    """By how much the metric must be better to count as improved."""


class Resources(Settings):
    """What each rank gets from Spark besides its cores (`spark.task.cpus`)."""

    gpu: int = Field(0, ge=0)
    """GPUs of a rank: it sees those alone. The application has to own them
    (`spark.executor.resource.gpu.amount`, see `conf/spark/gpu.conf`), which `local[N]` can't. With
    0 a rank computes on the CPU, unless CUDA_VISIBLE_DEVICES is set where it runs."""


class Train(Settings):
    """Settings of the stage `train`."""

    model: str = "mlp"
    """Name of a built-in model, or `module:function(inputs: ModelInputs, **options)`."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the model function; those of the built-in models are listed below."""
    loss: Loss = "binary_crossentropy"
    """What is made small. `binary_crossentropy`: the label is 0 or 1; `categorical_crossentropy`:
    the number of a class, from 0; `mse`, `mae`, `huber`: any number."""
    classes: int | None = Field(None, ge=2)
    """Number of classes, for `categorical_crossentropy` alone: labels are 0 .. classes - 1."""
    class_names: tuple[str, ...] | None = None
    """What people call the classes, from 0: `[on time, late]`. Predictions have them as
    `predicted_label`; without names that is the class's number as a text."""
    huber_delta: float = Field(1.0, gt=0)
    """Of `huber`: error up to which it is squared, and beyond which it is taken as it is."""
    class_weights: Literal["balanced"] | dict[int, float] | None = None
    """Weight of each class's rows in the training loss (not in validation's): by class, others
    1, or `balanced`: rows / (classes x rows of the class) in the training split."""
    scale_label: bool = False
    """Of a number: whether the model learns it by its distance from the mean, in standard
    deviations (both of the training split), and says it in its own unit. Without it numbers far
    from 0 to 1, such as prices, take very long to learn."""
    optimizer: Optimizer = Optimizer()
    """How the weights move, and how fast."""
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    """Of what is computed; weights are kept and the model of the bundle computes in float32. With
    `mixed_float16` the loss is scaled, and a step whose gradient overflows is skipped."""
    gradient_compression: Literal["none", "float16"] = "none"
    """How gradients travel between ranks. `float16` halves their bytes and rounds them: results
    are then equal at a fixed number of ranks only."""
    accumulate_steps: int = Field(1, ge=1)
    """Parts in which a rank goes through its share of a global batch, one after another, to need
    less memory. The weights move once a global batch, as without it."""
    batch_size: int = Field(1024, ge=1)
    """Rows of a global batch: over all ranks."""
    epochs: int = Field(10, ge=1)
    """Passes over the training split, at most: early stopping may end them."""
    ranks: int = Field(2, ge=1)
    """Processes that train together. Results don't depend on it, but for what is said above."""
    streams: int = Field(12, ge=1)
    """Logical streams an epoch's order is cut into; the number of ranks divides it."""
    window_rows: int = Field(65_536, ge=1)
    """Rows that are shuffled among each other."""
    seed: int = Field(1, ge=0)
    """Decides the initial weights, the order of rows, dropout and augmentation."""
    early_stopping: EarlyStopping | None = EarlyStopping()
    """When to stop before the last epoch; the best epoch's weights are kept. Null: never, and the
    last weights are kept."""
    folds: int | None = Field(None, ge=2)
    """Judges the settings by cross-validation, beside the model itself: by date each fold trains on
    all days before those that judge it, by hash on the other folds' keys. `normalize` writes the
    folds; the test split takes no part."""
    search: Search | None = None
    """Tries settings against each other before the training, which then takes the best ones."""
    checkpoint_steps: int | None = Field(None, ge=1)
    """Steps between checkpoints in an epoch; at each epoch's end there always is one."""
    max_restarts: int = Field(2, ge=0)
    """How often a training goes on from its last checkpoint after it lost a rank."""
    rank_wait: float = Field(120.0, gt=0)
    """Seconds to wait for all ranks before a launch with fewer of them."""
    hang_timeout: float | None = Field(600.0, gt=0)
    """Seconds without any sign of progress from any rank (a step, a batch of an evaluation, a
    part of its start) until the ranks are stopped and started again. Counted from the last sign, so
    it must be longer than the longest pause: the first step, which compiles the model, or the
    first window of rows from slow storage. Null: never."""
    resources: Resources = Resources()
    """What each rank gets from Spark besides its cores."""

    @property
    def task(self) -> Task:
        """What a model says of a row; follows from the loss."""
        return task_of(self.loss)

    @property
    def outputs(self) -> int:
        """Values a model gives a row: one per class, or one."""
        return self.classes or 1

    @model_validator(mode="after")
    def _label_fits_the_loss(self) -> Train:
        if self.classes is None and self.task == "classes":
            raise ValueError(
                f"`train.loss: {self.loss}` needs `train.classes`, the number of classes: the "
                "label is 0 to `classes` - 1"
            )
        if self.classes is not None and self.task != "classes":
            raise ValueError(
                f"`train.classes: {self.classes}` is for `train.loss: categorical_crossentropy` "
                f"alone; received `train.loss: {self.loss}`. Leave one of the two out"
            )
        watched = self.early_stopping.monitor if self.early_stopping else "val_loss"
        if watched not in MONITORS[self.task]:
            raise ValueError(
                f"`train.early_stopping.monitor: {watched}` does not exist with "
                f"`train.loss: {self.loss}`; expected one of {', '.join(MONITORS[self.task])}"
            )
        return self

    @model_validator(mode="after")
    def _each_class_has_a_name(self) -> Train:
        names = self.class_names
        if names is None:
            return self
        if self.task == "number":
            raise ValueError(
                f"`train.class_names` needs classes; received `train.loss: {self.loss}`"
            )
        expected = self.classes or 2
        if len(names) != expected or len(set(names)) < expected or not all(names):
            raise ValueError(
                f"`train.class_names: {list(names)}` must be {expected} different names, one a "
                "class from 0 on"
            )
        return self

    @model_validator(mode="after")
    def _scaled_label_is_a_number(self) -> Train:
        if self.scale_label and self.task != "number":
            raise ValueError(
                f"`train.scale_label` is for numbers; received `train.loss: {self.loss}`, whose "
                "label is a class. Leave it out"
            )
        return self

    @model_validator(mode="after")
    def _class_weights_have_classes(self) -> Train:
        if self.class_weights is None:
            return self
        if self.task == "number":
            raise ValueError(
                f"`train.class_weights` needs classes; received `train.loss: {self.loss}`"
            )
        known = range(self.classes or 2)
        given = {} if self.class_weights == "balanced" else self.class_weights
        for one, weight in given.items():
            if one not in known or weight < 0:
                raise ValueError(
                    f"`train.class_weights` gives class {one} the weight {weight}; expected "
                    f"classes {known[0]} to {known[-1]} with weights of 0 or more"
                )
        if given and not any(given.get(one, 1.0) for one in known):
            raise ValueError(
                f"`train.class_weights: {given}` gives every class the weight 0: no row would "
                "count. Give one of them another"
            )
        return self

    @model_validator(mode="after")
    def _search_fits(self) -> Train:
        if self.search is None:
            return self
        known = [
            name for name in setting_names(type(self)) if name.split(".")[0] not in _NOT_SEARCHED
        ]
        for key in self.search.space:
            if key not in known and not key.startswith("options."):
                raise ValueError(
                    f"`train.search.space.{key}` is no setting of `train` to search over."
                    f"{nearest(key, known)} Known are {', '.join(known)} and options.<name>."
                )
        metrics = ("loss", *METRICS[self.task])
        if self.search.metric not in metrics:
            raise ValueError(
                f"`train.search.metric: {self.search.metric}` does not exist with `train.loss: "
                f"{self.loss}`; expected one of {', '.join(metrics)}"
            )
        for params in self.search.candidates():
            try:
                self.with_settings(params)
            except ValidationError as error:
                raise ValueError(
                    f"`train.search.space` has a trial that can't be trained, {params}: "
                    f"{error.errors()[0]['msg']}"
                ) from None
        return self

    def with_settings(self, params: Mapping[str, Any]) -> Train:
        """Return these settings with others by dotted name, and no search."""
        values = self.model_dump(exclude={"search"})
        for key, value in params.items():
            *sections, name = key.split(".")
            here = values
            for section in sections:
                here[section] = dict(here[section] or {})
                here = here[section]
            here[name] = value
        return Train.model_validate(values)

    @model_validator(mode="after")
    def _ranks_divide_streams(self) -> Train:
        if self.streams % self.ranks:
            raise ValueError(
                f"`train.ranks: {self.ranks}` must divide `train.streams: {self.streams}`"
            )
        return self


def setting_names(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Return the dotted names of all settings of a model that hold single values."""
    found = []
    for name, field in model.model_fields.items():
        kinds = [field.annotation, *get_args(field.annotation)]
        below = [one for one in kinds if isinstance(one, type) and issubclass(one, BaseModel)]
        if below:
            found += setting_names(below[0], f"{prefix}{name}.")
        else:
            found.append(f"{prefix}{name}")
    return found


class Promote(Settings):
    """Settings of `promote`: what a candidate must reach on the test split.

    A metric is better when higher, but for `log_loss`, `mse` and `mae`, which are better when
    lower.
    """

    metric: Metric = "roc_auc"
    """Must be one that `train.loss` has: `mse`, `mae` and `r2` are those of numbers."""
    threshold: float
    """Value the metric must reach."""
    beat_constant: bool = True
    """Refuse a candidate that is no better than a constant guess: by its log loss, or where the
    label is a number by its mean squared (with `metric: mae` absolute) error."""
    min_gain: float = 0.0
    """By how much the candidate must be better than the champion on the same rows. Negative
    values tolerate a small loss."""
    compare_with_champion: bool = True
    """Whether the champion matters at all: false where the two can't be compared, as after a change
    of the loss."""

    @model_validator(mode="after")
    def _can_be_passed(self) -> Promote:
        best = 1.0 if is_higher_better(self.metric) else 0.0
        reaches = self.threshold <= best if best else self.threshold >= best
        if not reaches:
            raise ValueError(
                f"no model can reach `promote.threshold: {self.threshold}`: the best "
                f"{self.metric} there is, is {best:g}"
            )
        if ABOUT[self.metric].is_share and self.min_gain >= 1:
            raise ValueError(
                f"no model can reach `promote.min_gain: {self.min_gain}`: {self.metric} lies in "
                "0 to 1"
            )
        return self

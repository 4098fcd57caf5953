"""The plan of a pipeline: what was found and what is made of it, before it becomes text. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipelines.config.score import PREDICTION_COLUMNS
from pipelines.profiling.facts import DayFacts, Relation, TableFacts, share
from pipelines.profiling.features import Chosen, LeftOut
from pipelines.profiling.roles import Label
from pipelines.profiling.types import Typed

ROW_KEY, DELIVERED = "row_id", "delivered_on"
TAKEN = (ROW_KEY, DELIVERED, "prediction_at", *PREDICTION_COLUMNS)
"""Names that columns of silver don't get, since the pipeline needs them for its own."""
_FEWEST_ROWS = 20
_MANY, _SOME = 50_000, 2_000


@dataclass(frozen=True)
class Key:
    """What tells rows apart; of no columns: a hash of the whole row."""

    columns: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Day:
    """The column that dates rows; of no column: the day on which a row was delivered."""

    column: str
    is_time: bool
    why: str


@dataclass(frozen=True)
class Plan:
    """All that the pipeline's files are written from. Columns go by their names in silver."""

    name: str
    landing: str
    source: Mapping[str, Any]
    source_why: Mapping[str, str]
    facts: TableFacts
    columns: Mapping[str, Typed]
    key: Key
    day: Day
    label_name: str
    label: Label
    features: Sequence[Chosen]
    left_out: Sequence[LeftOut]
    split: Mapping[str, Any]
    split_why: str
    relations: Sequence[Relation] = ()
    aside: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    """What was assumed, for the one who asked: said by the command, and in the page."""

    @property
    def label_column(self) -> str:
        """The label in the features table."""
        return self.label_name if self.label.task == "number" else f"{self.label_name}_label"

    @property
    def rows_to_learn(self) -> int:
        """Rows with a label."""
        return self.label.typed.present


def split_by_day(facts: DayFacts, test_from: dt.date | None) -> tuple[dict[str, Any], str]:
    """Return `normalize.split` by day: the last fifth of the labelled rows is the test.

    Raises ValueError where the days can't be cut into three parts that all have labelled rows.
    """
    days = [(day, labelled) for day, _, labelled in facts.days if labelled]
    if len(days) < 3:
        raise ValueError(f"rows with a label are of {len(days)} days; a split by day needs three")
    total = facts.labelled
    first_test = test_from or max(_day_at(days, 0.8 * total), days[2][0])
    before = [(day, count) for day, count in days if day < first_test]
    if len(before) < 2 or not any(day >= first_test for day, _ in days):
        raise ValueError(
            f"a test from {first_test} on leaves {len(before)} labelled days before it and "
            f"{sum(day >= first_test for day, _ in days)} after; rows are of {days[0][0]} to "
            f"{days[-1][0]}"
        )
    known = sum(count for _, count in before)
    first_validation = max(_day_at(before, 0.85 * known), before[1][0])
    one = dt.timedelta(days=1)
    ranges = {
        "train": [days[0][0], first_validation - one],
        "validation": [first_validation, first_test - one],
        "test": [first_test, max(days[-1][0], first_test)],
    }
    tested = total - known
    why = f"{known:,} labelled rows before {first_test}, {tested:,} ({share(tested, total)}) after"
    return {"by": "date", **ranges}, why


def _day_at(days: Sequence[tuple[dt.date, int]], rows: float) -> dt.date:
    """Return the day on which a number of rows has been reached; never the first one."""
    seen = 0
    for place, (day, count) in enumerate(days):
        if seen >= rows and place:
            return day
        seen += count
    return days[-1][0]


def split_by_key(rows: int) -> tuple[dict[str, Any], str]:
    """Return `normalize.split` by a hash of the key; few rows give more of them to the test."""
    part = 0.2 if rows < _SOME else 0.15
    why = f"by a hash of the key: {share(part, 1)} each of {rows:,} labelled rows"
    return {"by": "hash", "validation": part, "test": part}, why


def check_rows(name: str, rows: int) -> None:
    """Raise ValueError where there are too few rows with a label to learn and to judge by."""
    if rows < _FEWEST_ROWS:
        raise ValueError(
            f"'{name}' has a value in {rows} rows; {_FEWEST_ROWS} are needed to learn from and to "
            "judge by"
        )


def train_settings(plan: Plan) -> tuple[dict[str, Any], dict[str, str]]:
    """Return `train` for the plan's task and rows, and why."""
    rows, task = plan.rows_to_learn, plan.label.task
    loss = {"binary": "binary_crossentropy", "classes": "categorical_crossentropy", "number": "mse"}
    settings: dict[str, Any] = {"model": "mlp", "loss": loss[task]}
    if task == "number":
        settings["scale_label"] = True
    if task == "classes":
        settings["classes"] = len(plan.label.classes)
    if plan.label.classes:
        settings["class_names"] = list(plan.label.classes)
    size = 0 if rows < _SOME else 1 if rows < _MANY else 2
    hidden = ([32, 16], [128, 64], [256, 128])[size]
    dropout = (0.2, 0.1, 0.1)[size]
    settings |= {
        "options": {"hidden": hidden, "dropout": dropout, "linear": True},
        "optimizer": {"name": "adam", "learning_rate": (0.003, 0.002, 0.001)[size]},
        "batch_size": (32, 256, 2048)[size],
        "epochs": (100, 60, 30)[size],
        "ranks": (1, 1, 2)[size],
        "seed": 7,
        "early_stopping": {"monitor": "val_loss", "patience": (10, 6, 3)[size]},
    }
    said = f"for {rows:,} labelled rows"
    return settings, {
        "class_names": "what predictions call them, from 0 on",
        "scale_label": "the number may be large: learnt by its distance from the mean",
        "model": f"dense layers beside a linear part, {said}",
        "epochs": "at most: it ends when validation no longer gets better",
    }


def gate_settings(plan: Plan) -> tuple[dict[str, Any], str]:
    """Return `promote`: a metric of the task, and what a model must reach to be used."""
    label = plan.label
    if label.task == "number":
        return {"metric": "r2", "threshold": 0.0}, "better than the mean"
    if label.task == "classes":
        largest = max(label.counts) / max(1, sum(label.counts))
        reached = max(0.0, int(largest * 100) / 100)
        why = f"the most frequent class alone gives {largest:.2f}"
        return {"metric": "accuracy", "threshold": reached, "beat_constant": False}, why
    best = max((one.score for one in plan.relations), default=0.5)
    threshold = round(0.5 + max(0.0, best - 0.5) / 3, 2)
    why = f"a guess gives 0.5, the best single column {best:.2f}"
    return {"metric": "roc_auc", "threshold": threshold}, why


def decision_threshold(plan: Plan) -> tuple[float, str] | None:
    """Return the chance from which a row counts as a yes, where a yes is rare."""
    if plan.label.task != "binary":
        return None
    yes, rows = plan.label.counts[1], sum(plan.label.counts)
    rate = yes / max(1, rows)
    if not 0 < rate < 0.2:
        return None
    return max(0.01, round(rate, 2)), f"{share(yes, rows)} are a yes: from twice none"

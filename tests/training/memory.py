"""Rows in memory, dealt out as the feed deals them: row i of an epoch goes to rank i % size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipelines.config.train import Train
from pipelines.encoding.kind import ModelInput
from pipelines.ranks.rank import Rank
from pipelines.training.collective import SingleProcess
from pipelines.training.labels import class_weights
from pipelines.training.rows import Epoch
from pipelines.training.work import Trained, Work, train_rank

NUMERIC = 4
CARDINALITIES = (5, 9)

INPUTS = [
    *[ModelInput(name=f"x{i}", dtype="float32", kind="numeric") for i in range(NUMERIC)],
    *[
        ModelInput(name=f"c{i}", dtype="int32", kind="category", cardinality=size)
        for i, size in enumerate(CARDINALITIES)
    ],
]


def some_rows(num_rows: int, seed: int) -> dict[str, np.ndarray]:
    """Rows whose label follows from a product of numbers and a category, with noise."""
    random = np.random.default_rng(seed)
    numeric = random.normal(size=(num_rows, NUMERIC)).astype(np.float32)
    category = np.stack([random.integers(0, size, num_rows) for size in CARDINALITIES], axis=1)
    score = numeric[:, 0] * numeric[:, 1] + numeric[:, 2] + (category[:, 0] % 2) - 0.5
    chance = 1 / (1 + np.exp(-2 * score))
    label = (random.random(num_rows) < chance).astype(np.float32)
    return {"numeric": numeric, "category": category.astype(np.int32), "label": label}


@dataclass
class MemoryRows:
    """Three splits in memory."""

    batch_size: int
    num_rows: int = 500
    make: Callable[[int, int], dict[str, np.ndarray]] = some_rows
    """Gives a number of rows for a seed: arrays by name, `label` among them."""
    poisoned_row: int | None = None
    """Row of the first epoch's order whose numbers are infinite."""
    poisoned_validation: bool = False
    """Whether a label of the validation split is no number."""

    def check(self) -> None:
        pass

    def with_threads(self, threads: int) -> MemoryRows:
        return self

    def training_labels(self) -> list[float]:
        return self.make(self.num_rows, 1)["label"].tolist()

    def training(self, epoch: int, rank: int, size: int, start_step: int) -> Epoch:
        rows = self.make(self.num_rows, 1)
        order = np.random.default_rng([7, epoch]).permutation(self.num_rows)
        if self.poisoned_row is not None:
            rows["numeric"][order[self.poisoned_row]] = np.inf
        steps = -(-self.num_rows // self.batch_size)
        places = [
            np.arange(k * self.batch_size, min(self.num_rows, (k + 1) * self.batch_size))
            for k in range(start_step, steps)
        ]
        mine = [one[one % size == rank] for one in places]
        return Epoch(_dataset(rows, order, mine), steps, self.num_rows)

    def evaluation(self, split: str, rank: int, size: int) -> Epoch:
        rows = self.make(200, {"validation": 2, "test": 3}[split])
        if self.poisoned_validation and split == "validation":
            rows["label"][7] = np.nan
        places = np.arange(200)
        mine = np.array_split(places[places % size == rank], 3)
        return Epoch(_dataset(rows, places, mine), 3, 200)


def _dataset(rows: dict[str, np.ndarray], order: np.ndarray, batches: list[np.ndarray]) -> Any:
    import tensorflow as tf

    def generate() -> Any:
        for places in batches:
            found = order[places]
            x = {name: array[found] for name, array in rows.items() if name != "label"}
            yield {**x, "row": places.astype(np.int64)}, rows["label"][found]

    x = {name: array for name, array in rows.items() if name != "label"}
    signature = (
        {
            **{n: tf.TensorSpec((None, *a.shape[1:]), a.dtype) for n, a in x.items()},
            "row": tf.TensorSpec((None,), tf.int64),
        },
        tf.TensorSpec((None,), tf.float32),
    )
    return tf.data.Dataset.from_generator(generate, output_signature=signature)


def settings(**changes: Any) -> Train:
    """Settings of a small training."""
    given: dict[str, Any] = {
        "options": {"hidden": [8, 4], "dropout": 0.2},
        "optimizer": {"name": "adam", "learning_rate": 0.01},
        "batch_size": 64,
        "epochs": 3,
        "ranks": 1,
        "early_stopping": None,
    }
    return Train(**{**given, **changes})


class Events:
    """Keeps what a rank tells."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []

    def tell(self, event: dict[str, Any]) -> None:
        self.told.append(event)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.told if event["event"] == kind]


def train(
    folder: Any,
    chosen: Train,
    rows: MemoryRows | None = None,
    on_step: Any = None,
    events: Events | None = None,
    inputs: list[ModelInput] = INPUTS,
) -> Trained:
    """Train in this process, as the one rank there is."""
    counts = Counter((rows or MemoryRows(chosen.batch_size)).training_labels())
    work = Work(
        settings=chosen,
        inputs=inputs,
        rows=rows or MemoryRows(chosen.batch_size),
        folder=str(folder),
        versions={"gold.toy": 3},
        on_step=on_step,
        class_weights=class_weights(chosen, counts),
    )
    return train_rank(Rank(SingleProcess(), events or Events(), 0, 1), work)

"""Rows with inputs of every kind, whose class follows from all of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipelines.encoding.kind import ModelInput
from pipelines.training.models import BUILT_IN

LENGTH, SIDE, VALUES, CLASSES = 5, 6, 6, 3
TABULAR = [
    ModelInput(name="x0", dtype="float32", kind="numeric"),
    ModelInput(name="x1", dtype="float32", kind="numeric"),
    ModelInput(name="c0", dtype="int32", kind="category", cardinality=4),
    ModelInput(name="c1", dtype="int32", kind="category", cardinality=3),
]
STEPS = [
    ModelInput(name="past", dtype="float32", kind="array", shape=(LENGTH,), mask="past_mask"),
    ModelInput(name="past_mask", dtype="float32", kind="array", shape=(LENGTH,)),
    ModelInput(name="visits", dtype="int32", kind="sequence", cardinality=VALUES, shape=(LENGTH,)),
]
IMAGE = [ModelInput(name="picture", dtype="float32", kind="image", shape=(SIDE, SIDE, 1))]
INPUTS = {
    "mlp": TABULAR + STEPS + IMAGE,
    "wide_and_deep": TABULAR + STEPS,
    "cnn": TABULAR + STEPS + IMAGE,
    "rnn": TABULAR + STEPS,
    "transformer": TABULAR + STEPS,
}
OPTIONS: dict[str, dict[str, Any]] = {
    "mlp": {"hidden": [8], "dropout": 0.2},
    "wide_and_deep": {"hidden": [8], "dropout": 0.2, "crosses": [["c0", "c1"]]},
    "cnn": {
        "filters": [4, 4],
        "hidden": [8],
        "dropout": 0.2,
        "initializer": "he_normal",
        "augment": {"flip": True, "shift": 0.2, "noise": 0.05},
    },
    "rnn": {"units": [4], "hidden": [8], "dropout": 0.2, "bidirectional": True, "cell": "gru"},
    "transformer": {"width": 8, "heads": 2, "blocks": 1, "dropout": 0.2},
}
for _name in BUILT_IN:
    INPUTS.setdefault(_name, TABULAR + STEPS)
    OPTIONS.setdefault(_name, {})


def rows_of_all_kinds(num_rows: int, seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    lengths = random.integers(0, LENGTH + 1, num_rows)
    is_there = np.arange(LENGTH)[None, :] < lengths[:, None]
    rows = {
        "numeric": random.normal(size=(num_rows, 2)),
        "category": np.stack([random.integers(0, n, num_rows) for n in (4, 3)], axis=1),
        "past": random.normal(size=(num_rows, LENGTH)) * is_there,
        "past_mask": is_there,
        "visits": random.integers(1, VALUES, (num_rows, LENGTH)) * is_there,
        "picture": random.random((num_rows, SIDE, SIDE, 1)),
    }
    score = rows["numeric"][:, 0] + rows["past"].sum(axis=1) + (rows["visits"] == 2).sum(axis=1)
    score += 2 * (rows["picture"][:, :3].mean(axis=(1, 2, 3)) > 0.5)
    label = np.digitize(score, np.quantile(score, [0.4, 0.7]))
    found = {
        name: array.astype(np.int32 if name in ("category", "visits") else np.float32)
        for name, array in rows.items()
    }
    return {**found, "label": label.astype(np.float32)}


def rows_with(names: list[ModelInput]):
    """The rows of all kinds with the arrays of some inputs only."""
    kept = {"numeric", "category", "label", *(one.name for one in names)}

    def make(num_rows: int, seed: int) -> dict[str, np.ndarray]:
        rows = rows_of_all_kinds(num_rows, seed)
        return {name: array for name, array in rows.items() if name in kept}

    return make

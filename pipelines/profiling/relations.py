"""How well each column alone tells the label, on some rows: what tells too much knows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.profiling.facts import Relation
from pipelines.profiling.roles import Label
from pipelines.profiling.trials import cast_by
from pipelines.profiling.types import Typed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    Array = NDArray[np.float64]

MOST_ROWS = 20_000
FEWEST_ROWS, FEWEST_OF_CLASS = 50, 10
TOO_GOOD = 0.995
_FOLDS = 3
_LEAVES = 16
_TEXTS = 500


@dataclass(frozen=True)
class Sample:
    """Values of some rows: numbers as floats, others as texts; None where there is none."""

    values: dict[str, list[Any]]
    label: list[Any]


def take_sample(rows: DataFrame, columns: dict[str, Typed], label: Label) -> Sample:
    """Return some of the rows that have a label."""
    from pyspark.sql import functions as F

    asked = [(one.column, one.cast) for one in (*columns.values(), label.typed)]
    typed = cast_by(rows, asked, with_texts=True)
    words = [*columns.values(), label.typed]
    shown = []
    for n, one in enumerate(words):
        value = F.col(f"c{n}")
        if one.is_number or one.is_truth:
            value = value.cast("double")
        elif one.is_moment:
            value = F.unix_seconds(value.cast("timestamp")).cast("double")
        else:
            value = value.cast("string")
        if one.null_values:
            value = F.when(~F.col(f"t{n}").cast("string").isin(*one.null_values), value)
        shown.append(value.alias(str(n)))
    last = str(len(words) - 1)
    some = typed.select(*shown).where(F.col(last).isNotNull())
    table = some.orderBy(F.rand(seed=7)).limit(MOST_ROWS).collect()
    values = {name: [row[n] for row in table] for n, name in enumerate(columns)}
    return Sample(values, [row[len(words) - 1] for row in table])


def relations(sample: Sample, task: str) -> list[Relation]:
    """Return how well each column alone tells the label, the best first; none of too few rows."""
    if len(sample.label) < FEWEST_ROWS:
        return []
    target = _target(sample.label, task)
    if target is None:
        return []
    found = []
    for name, values in sample.values.items():
        score = _score(_encoded(values), target, task, is_text=_is_text(values))
        missing = [float(value is None) for value in values]
        lack = sum(missing)
        by_missing = 0.0
        if FEWEST_OF_CLASS <= lack <= len(values) - FEWEST_OF_CLASS:
            by_missing = _score(_encoded(missing), target, task, is_text=False)
        found.append(Relation(name, score, by_missing))
    return sorted(found, key=lambda one: (-one.score, one.feature))


def leaks(found: Sequence[Relation], task: str) -> dict[str, str]:
    """Return columns that know the label, each with the reason."""
    measure = {"binary": "ROC AUC", "classes": "share of classes told", "number": "R2"}[task]
    told: dict[str, str] = {}
    for one in found:
        if one.by_missing >= TOO_GOOD:
            told[one.feature] = (
                f"whether it has a value tells the label ({measure} {one.by_missing:.3f}): it is "
                "filled when the label is known"
            )
        elif one.score >= TOO_GOOD:
            told[one.feature] = f"it alone tells the label ({measure} {one.score:.3f}): it knows it"
    return told


def _is_text(values: Sequence[Any]) -> bool:
    return any(isinstance(value, str) for value in values)


def _target(label: Sequence[Any], task: str) -> Array | None:
    import numpy as np

    if task == "number":
        return np.asarray(label, dtype=np.float64)
    _, codes, counts = np.unique(
        [str(one) for one in label], return_inverse=True, return_counts=True
    )
    if len(counts) < 2 or counts.min() < _FOLDS or sorted(counts)[-2] < FEWEST_OF_CLASS:
        return None
    return codes.astype(np.float64)


def _encoded(values: Sequence[Any]) -> Array:
    """Return (rows, 2): the value, or the number of the text, 0 where none is; whether there is."""
    import numpy as np

    there = np.array([value is not None for value in values], dtype=np.float64)
    if _is_text(values):
        numbers = {text: n for n, text in enumerate(sorted({v for v in values if v is not None}))}
        plain = np.array([numbers.get(value, -1) for value in values], dtype=np.float64)
    else:
        plain = np.array([0.0 if value is None else float(value) for value in values])
    return np.column_stack([plain, there])


def _score(inputs: Array, target: Array, task: str, *, is_text: bool) -> float:
    """Return ROC AUC, R2 or the share of rows beyond the largest class, each from 0 to 1."""
    from sklearn.metrics import accuracy_score, r2_score, roc_auc_score
    from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    least = max(2, len(target) // 400)
    tree: Any = DecisionTreeRegressor(
        max_leaf_nodes=4 * _LEAVES, min_samples_leaf=least, random_state=7
    )
    folds: Any = KFold(_FOLDS, shuffle=True, random_state=7)
    method = "predict"
    if task != "number":
        tree = DecisionTreeClassifier(
            max_leaf_nodes=_LEAVES, min_samples_leaf=least, random_state=7
        )
        folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=7)
        method = "predict_proba" if task == "binary" else "predict"
    if is_text:
        tree.set_params(max_leaf_nodes=None)  # each text may have a leaf
        encoder = OneHotEncoder(handle_unknown="ignore", max_categories=_TEXTS)
        tree = make_pipeline(encoder, tree)
    said = cross_val_predict(tree, inputs, target, cv=folds, method=method)
    if task == "binary":
        return float(roc_auc_score(target, said[:, 1]))
    if task == "number":
        return max(0.0, float(r2_score(target, said)), 0.0 if is_text else _linear(inputs, target))
    largest = max(float((target == one).mean()) for one in set(target.tolist()))
    share = float(accuracy_score(target, said))
    return max(0.0, (share - largest) / max(1e-9, 1 - largest))


def _linear(inputs: Array, target: Array) -> float:
    """Return the squared correlation of the rows that have a value."""
    import numpy as np

    there = inputs[:, 1] > 0
    plain, wanted = inputs[there, 0], target[there]
    if len(plain) < FEWEST_ROWS or plain.std() == 0 or wanted.std() == 0:
        return 0.0
    return float(np.corrcoef(plain, wanted)[0, 1] ** 2) * float(there.mean())

"""What is found out about labels and models before ranks are launched."""

from __future__ import annotations

import pytest

from pipelines.config.train import Train
from pipelines.errors import TrainingError
from pipelines.training.labels import class_weights
from tests.training.kinds import TABULAR

CLASSES = {"loss": "categorical_crossentropy", "classes": 3}


def test_balanced_weights_make_all_classes_count_alike() -> None:
    settings = Train(**CLASSES, class_weights="balanced")
    weights = class_weights(settings, {0: 60, 1: 30})
    assert weights == pytest.approx((0.5, 1.0, 1.0))
    assert class_weights(Train(class_weights="balanced"), {0: 75, 1: 25}) == pytest.approx(
        (2 / 3, 2.0)
    )


def test_classes_that_are_not_named_weigh_one() -> None:
    assert class_weights(Train(**CLASSES, class_weights={2: 5}), {}) == (1.0, 1.0, 5.0)
    assert class_weights(Train(**CLASSES), {0: 1}) is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"loss": "categorical_crossentropy"}, "needs `train.classes`, the number of classes"),
        ({"classes": 3}, "`train.classes: 3` is for `train.loss: categorical_crossentropy` alone"),
        ({"loss": "mse", "class_weights": "balanced"}, "class_weights` needs classes"),
        ({"class_weights": {2: 1.0}}, "expected classes 0 to 1"),
        ({"loss": "mse", "early_stopping": {"monitor": "val_accuracy"}}, "val_mae, val_mse"),
        ({**CLASSES, "early_stopping": {"monitor": "val_roc_auc"}}, "does not exist with"),
    ],
)
def test_settings_that_do_not_fit_the_loss_are_refused(given: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Train(**given)


@pytest.mark.spark
def test_labels_out_of_range_are_told_with_column_values_and_rows(spark) -> None:
    from pipelines.training.labels import check_labels, class_counts

    values = [0.0, 1.0, 2.0, 2.0, 3.0, 3.0, -1.0, 0.5, None, float("nan")]
    rows = spark.createDataFrame([(value,) for value in values], "_label FLOAT")
    with pytest.raises(TrainingError) as caught:
        check_labels(rows, Train(**CLASSES))
    said = str(caught.value)
    assert "column `_label`" in said
    assert "3.0 (2 rows)" in said
    assert "-1.0 (1 rows)" in said
    assert "2.0 (" not in said
    assert "whole numbers from 0 to 2" in said
    with pytest.raises(TrainingError, match="takes 0 or 1"):
        check_labels(rows.where("_label = 2"), Train())
    with pytest.raises(TrainingError, match="takes numbers"):
        check_labels(rows, Train(loss="mae"))
    good = rows.where("_label IN (0, 1, 2)")
    check_labels(good, Train(**CLASSES))
    assert class_counts(good) == {0: 1, 1: 1, 2: 2}


@pytest.mark.tensorflow
@pytest.mark.spark
def test_the_scale_of_a_label_is_that_of_the_rows_given(spark) -> None:
    from pipelines.training.labels import label_scale

    rows = spark.createDataFrame([(1.0,), (3.0,)], "_label FLOAT")
    assert label_scale(rows) == (2.0, 1.0)
    assert label_scale(rows.where("false")) == (0.0, 0.0)


def test_a_model_of_ones_own_with_a_wrong_shape_is_told_before_ranks_start() -> None:
    import sys

    from pipelines.training.models.probe import check_own_model

    loaded = "tensorflow" in sys.modules
    name = "tests.training.test_models:logistic"
    check_own_model(Train(model=name, options={"bias": False}), TABULAR)
    with pytest.raises(TrainingError, match=r"shape \(None, 1\); expected \(None, 3\), one logit"):
        check_own_model(Train(model=name, **CLASSES), TABULAR)
    assert ("tensorflow" in sys.modules) == loaded, "the driver keeps out of it"


@pytest.mark.tensorflow
def test_a_model_of_ones_own_that_fails_is_told_with_its_error() -> None:
    from pipelines.training.models.probe import check_own_model

    name = "tests.training.test_labels:broken"
    with pytest.raises(TrainingError, match=r"could not be built: .*ZeroDivisionError"):
        check_own_model(Train(model=name), TABULAR)


def broken(inputs):
    return 1 / 0

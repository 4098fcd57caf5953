"""Settings that fight each other are warned of; those that can never work are refused."""

import pytest

from pipelines.config.advice import contradictions
from pipelines.config.load import load_pipeline
from pipelines.errors import SettingsError

WEIGHTS = "train.class_weights=balanced"
CLASSES = ("train.loss=categorical_crossentropy", "train.classes=3")


def said(shop, *overrides: str) -> list[str]:
    return contradictions(load_pipeline("shop", overrides=overrides, root=shop()))


def test_settings_that_go_together_are_told_nothing(shop, project):
    assert said(shop) == []
    quiet = ("train.early_stopping.monitor=val_roc_auc", "promote.beat_constant=false")
    assert said(shop, WEIGHTS, *quiet) == []
    for name in ("flights", "digits", "weather"):
        assert contradictions(load_pipeline(name, root=project)) == []


def test_class_weights_against_a_gate_and_early_stopping_by_log_loss_are_told(shop):
    gate, stopping = said(shop, WEIGHTS)
    assert gate == (
        "`train.class_weights` makes the model say other rates than those observed, and "
        "`promote.beat_constant: true` judge it by log loss, which is about rates: a good model "
        "may be refused after its training. Set `promote.metric: roc_auc` and "
        "`promote.beat_constant: false`, or leave `class_weights` out and lower "
        "`score.threshold` instead"
    )
    assert "`train.early_stopping.monitor: val_loss` watches an unweighted one" in stopping
    assert stopping.endswith("Watch `val_roc_auc`, or set `train.early_stopping: null`")
    both = said(shop, WEIGHTS, "promote.metric=log_loss", "train.early_stopping=null")
    assert len(both) == 1
    assert "`promote.metric: log_loss` and `promote.beat_constant: true` judge" in both[0]
    assert said(shop, WEIGHTS, *CLASSES)[1].endswith(
        "Watch `val_accuracy`, or set `train.early_stopping: null`"
    )


@pytest.mark.parametrize(("loss", "metric"), [("mae", "mse"), ("mae", "r2"), ("mse", "mae")])
def test_a_gate_that_judges_by_another_error_than_is_trained_for_is_told(shop, loss, metric):
    settings = (f"train.loss={loss}", f"promote.metric={metric}")
    (text,) = said(shop, *settings)
    assert f"`train.loss: {loss}` makes a model say the" in text
    assert f"`promote.metric: {metric}` judges" in text


def test_a_threshold_where_nothing_has_one_is_told(shop):
    (text,) = said(shop, *CLASSES, "score.threshold=0.3")
    assert text.startswith("`score.threshold: 0.3` does nothing with `train.loss: categ")
    assert said(shop, "score.threshold=0.3") == []


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["promote.threshold=1.2"], "`promote.threshold: 1.2`: the best roc_auc there is, is 1"),
        (
            ["promote.metric=log_loss", "promote.threshold=-0.1"],
            "`promote.threshold: -0.1`: the best log_loss there is, is 0",
        ),
        (["promote.min_gain=1"], "`promote.min_gain: 1.0`: roc_auc lies in 0 to 1"),
        (["train.class_weights={'0': 0, '1': 0}"], "gives every class the weight 0"),
        (["monitor.drift.warn=0.5"], "`drift.warn: 0.5` must not be above `drift.fail: 0.25`"),
        (
            ["monitor.drift.exclude=[amont]"],
            "names 'amont', which is no feature of `normalize.features`. Did you mean 'amount'?",
        ),
        (
            ["featurize.key=[run_id]"],
            "`featurize.key` names the column 'run_id', which predictions have of their own",
        ),
        (["featurize.label=Prediction"], "`featurize.label` names the column 'Prediction'"),
    ],
)
def test_what_can_never_work_is_refused(shop, overrides, message):
    with pytest.raises(SettingsError) as caught:
        load_pipeline("shop", overrides=overrides, root=shop())
    assert message in str(caught.value)


def test_the_grain_is_key_and_date_each_once(shop):
    featurize = load_pipeline("shop", root=shop()).featurize
    assert featurize.grain == ("order_id", "day")
    again = load_pipeline("shop", overrides=["featurize.key=[day, order_id]"], root=shop())
    assert again.featurize.grain == ("day", "order_id")

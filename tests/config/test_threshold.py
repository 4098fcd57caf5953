"""Settings of the threshold and of the names of classes."""

import pytest
from pydantic import ValidationError

from pipelines.config.score import Score
from pipelines.config.threshold import in_training, in_words, plain
from pipelines.config.train import Train


@pytest.mark.parametrize(
    ("given", "kept", "words"),
    [
        (0.25, 0.25, "0.25"),
        ("youden", "youden", "youden"),
        ({"precision": 0.8}, {"precision": 0.8}, "precision: 0.8"),
        (
            {"costs": {"false_positive": 1, "false_negative": 2.5}},
            {"costs": {"false_positive": 1, "false_negative": 2.5}},
            "costs: {false_positive: 1, false_negative: 2.5}",
        ),
    ],
)
def test_a_threshold_is_a_number_or_what_it_is_chosen_by(given, kept, words):
    threshold = Score(model="m", threshold=given).threshold
    assert (plain(threshold), in_words(plain(threshold))) == (kept, words)
    assert in_training(threshold) == (given if isinstance(given, float) else 0.5)


@pytest.mark.parametrize(
    "given",
    [0, 1, -0.5, "accuracy", {}, {"precision": 0.5, "recall": 0.5}, {"recall": 0}, {"costs": {}}],
)
def test_a_threshold_that_means_nothing_is_refused(given):
    with pytest.raises(ValidationError):
        Score(model="m", threshold=given)


def test_the_older_name_of_the_setting_is_read_but_not_beside_the_new_one():
    assert Score.model_validate({"model": "m", "decision_threshold": 0.3}).threshold == 0.3
    with pytest.raises(ValidationError, match="is the older name of"):
        Score.model_validate({"model": "m", "decision_threshold": 0.3, "threshold": 0.4})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"class_names": ["no"]}, "must be 2 different names"),
        ({"class_names": ["no", "no"]}, "must be 2 different names"),
        ({"class_names": ["no", ""]}, "must be 2 different names"),
        ({"loss": "mse", "early_stopping": None, "class_names": ["a", "b"]}, "needs classes"),
        (
            {"loss": "categorical_crossentropy", "classes": 3, "class_names": ["a", "b"]},
            "must be 3 different names",
        ),
    ],
)
def test_names_of_classes_are_as_many_as_classes_and_differ(given, said):
    with pytest.raises(ValidationError, match=said):
        Train.model_validate(given)

import pytest
from pydantic import ValidationError

from pipelines.config.load import load_pipeline
from pipelines.config.search import Search
from pipelines.config.train import Train
from pipelines.errors import SettingsError

RATES = {"low": 1e-4, "high": 1e-1, "log": True}


def test_a_grid_holds_every_combination_once() -> None:
    space = {"optimizer.learning_rate": [0.1, 0.01], "options.hidden": [[8], [16, 8]]}
    assert Search.model_validate({"space": space}).candidates() == [
        {"optimizer.learning_rate": 0.1, "options.hidden": [8]},
        {"optimizer.learning_rate": 0.1, "options.hidden": [16, 8]},
        {"optimizer.learning_rate": 0.01, "options.hidden": [8]},
        {"optimizer.learning_rate": 0.01, "options.hidden": [16, 8]},
    ]


def test_random_trials_are_the_same_each_time_and_none_comes_twice() -> None:
    space = {"optimizer": {"learning_rate": RATES}, "batch_size": {"low": 1, "high": 4}}

    def drawn(seed: int) -> list[dict]:
        asked = {"method": "random", "trials": 20, "seed": seed, "space": space}
        return Search.model_validate(asked).candidates()

    first = drawn(1)
    assert first == drawn(1) != drawn(2)
    assert len(first) == 20
    assert all(first.count(one) == 1 for one in first)
    assert all(1e-4 <= one["optimizer.learning_rate"] <= 1e-1 for one in first)
    assert {one["batch_size"] for one in first} == {1, 2, 3, 4}
    few = {"method": "random", "trials": 9, "space": {"seed": [1, 2]}}
    assert len(Search.model_validate(few).candidates()) == 2


def test_settings_of_a_trial_are_those_asked_for_with_the_trials_laid_over() -> None:
    train = Train.model_validate({"options": {"hidden": [8]}, "early_stopping": None, "folds": 3})
    one = train.with_settings({"options.dropout": 0.2, "early_stopping.patience": 4})
    assert one.options == {"hidden": [8], "dropout": 0.2}
    assert one.early_stopping is not None
    assert one.early_stopping.patience == 4
    assert (one.folds, one.search) == (3, None)


@pytest.mark.parametrize(
    ("search", "said"),
    [
        (
            {"space": {"optimizer.learnin_rate": [0.1]}},
            "optimizer.learnin_rate` is no setting of `train` to search over. Did you mean "
            "'optimizer.learning_rate'?",
        ),
        ({"space": {"ranks": [1, 2]}}, "`train.search.space.ranks` is no setting"),
        ({"space": {"search.seed": [1]}}, "`train.search.space.search.seed` is no setting"),
        (
            {"space": {"optimizer.learning_rate": [0.1, -1]}},
            "a trial that can't be trained, {'optimizer.learning_rate': -1}: Input should be",
        ),
        ({"space": {"seed": {"low": 1, "high": 9}}}, "`train.search.space.seed` is a range"),
        ({"space": {"seed": [1]}, "trials": 3}, "received `method: grid` and `trials: 3`"),
        (
            {"space": {"seed": {"low": 9, "high": 1}}, "method": "random", "trials": 3},
            "`low: 9` must be below `high: 1`",
        ),
        (
            {"space": {"seed": [1]}, "metric": "r2"},
            "`train.search.metric: r2` does not exist with `train.loss: binary_crossentropy`",
        ),
    ],
)
def test_what_can_not_be_searched_is_refused(search, said) -> None:
    with pytest.raises(ValidationError) as refused:
        Train.model_validate({"search": search})
    assert said in str(refused.value)


def test_a_search_may_be_given_on_the_command_line(project) -> None:
    given = ["train.search.space.optimizer.learning_rate=[0.1, 0.01]"]
    pipeline = load_pipeline("flights", overrides=given, root=project)
    assert pipeline.train.search is not None
    assert len(pipeline.train.search.candidates()) == 2
    with pytest.raises(SettingsError, match=r"--set .*: train.*Did you mean 'batch_size'"):
        load_pipeline("flights", overrides=["train.search.space.bach_size=[1]"], root=project)


def test_more_folds_than_days_are_refused(project) -> None:
    with pytest.raises(SettingsError, match=r"`train\.folds: 400` needs 401 days .* have 304"):
        load_pipeline("flights", overrides=["train.folds=400"], root=project)

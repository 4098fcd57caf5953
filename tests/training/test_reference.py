"""`docs/training.md` lists every option there is."""

from __future__ import annotations

import pytest

from pipelines.config.optimizer import Optimizer
from pipelines.config.score import Drift, Monitor, Score
from pipelines.config.train import EarlyStopping, Promote, Train
from pipelines.training.models import BUILT_IN, options_model
from pipelines.training.reference import PAGE, page_with

MODELS = [
    *(Train, Optimizer, EarlyStopping, Promote, Score, Monitor, Drift),
    *(options_model(name) for name in BUILT_IN),
]


def test_the_page_lists_every_option_as_it_is_today(project) -> None:
    page = (project / PAGE).read_text(encoding="utf-8")
    assert page == page_with(page), "run `python -m pipelines.training.reference`"


@pytest.mark.parametrize("model", MODELS)
def test_every_option_says_what_it_means_and_is_on_the_page(model, project) -> None:
    page = (project / PAGE).read_text(encoding="utf-8")
    for name, field in model.model_fields.items():
        assert field.description, f"{model.__name__}.{name} has no docstring"
        assert f"| `{name}` |" in page

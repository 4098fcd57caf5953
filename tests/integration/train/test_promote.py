"""Which of several trained models becomes champion."""

from __future__ import annotations

import pytest

from pipelines.errors import GateRefused
from pipelines.registry.champion import champion, find_champion, make_champion
from pipelines.runner import run_stage

# MLflow and petastorm warn of their own use of libraries.
pytestmark = [
    pytest.mark.spark,
    pytest.mark.tensorflow,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.timeout(1800),
]


def test_only_a_better_candidate_becomes_champion(trained, open_run, lake):
    result, _ = trained
    own = result.counts["model_version"]
    assert find_champion(lake, "flights_late") is None
    first = run_stage("promote", open_run("two-ranks"))
    assert first.details["champion_before"] is None
    first_champion = champion(lake, "flights_late")
    assert first_champion.version == own
    # Again: the candidate is champion already.
    assert run_stage("promote", open_run("two-ranks")).details["model_version"] == own

    weak = {"epochs": 1, "optimizer": {"learning_rate": 1e-6}}
    second = run_stage("train", open_run("weak", **weak)).counts["model_version"]
    assert second > own
    with pytest.raises(GateRefused) as refused:
        run_stage("promote", open_run("weak", **weak))
    assert refused.value.exit_code == 3
    said = str(refused.value)
    assert f"version {second} (run weak) was not promoted:\n- roc_auc is " in said
    area = result.details["metrics"]["roc_auc"]
    assert f"against {area:.4f} of the champion (version {own})" in said, "scored on the same rows"
    assert champion(lake, "flights_late").version == own

    easy = {"threshold": 0.0, "beat_constant": False, "min_gain": -0.9}
    passed = run_stage("promote", open_run("later", easy))
    assert passed.details["model_version"] == second
    assert passed.details["champion_metrics"] == pytest.approx(result.details["metrics"], rel=1e-4)
    assert champion(lake, "flights_late").version == second

    late = run_stage("promote", open_run("two-ranks"))
    assert champion(lake, "flights_late").version == second, "a retry brings no old champion back"
    assert (late.details["model_version"], late.details["champion"]) == (own, second)
    assert late.read == result.read, "the tables that the judgement rests on"

    make_champion(lake, first_champion)
    again = run_stage("promote", open_run("later", easy))
    assert champion(lake, "flights_late").version == own, "nor does it take back a rollback"
    assert (again.details["model_version"], again.details["champion"]) == (second, own)
    run_stage("promote", open_run("anew", easy))
    assert champion(lake, "flights_late").version == second, "another run may"

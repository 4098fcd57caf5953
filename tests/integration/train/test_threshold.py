"""The threshold that a training chose is the one that its bundle keeps and was judged by."""

from __future__ import annotations

import pytest

from pipelines.registry.bundle import load_bundle

pytestmark = [pytest.mark.spark, pytest.mark.tensorflow, pytest.mark.filterwarnings("ignore")]


def test_a_threshold_is_chosen_on_the_validation_split_and_the_test_split_is_judged_by_it(trained):
    result, events = trained
    bundle = load_bundle(result.details["bundle"])
    kept = bundle.evaluation["threshold"]
    assert (kept["asked"], bundle.asked_threshold) == ("f1", "f1"), "as conf/flights has it"
    assert kept["num_rows"] == bundle.manifest["num_rows"]["validation"]
    assert bundle.decision_threshold == kept["value"] != 0.5
    assert all(point["f1"] <= kept["at"]["f1"] + 1e-12 for point in kept["curve"])
    # Late and on time come equally often: from 0 on all are called late, and F1 is 2/3 and less.
    assert 0.67 < bundle.manifest["metrics"]["f1"] < kept["at"]["f1"] + 0.1
    assert any(event.get("text", "").startswith("threshold: ") for event in events)

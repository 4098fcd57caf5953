"""The report page."""

import datetime as dt
from dataclasses import replace

import pytest

from pipelines.config.score import Drift
from pipelines.monitoring.drift import FeatureDrift
from pipelines.monitoring.performance import Performance
from pipelines.monitoring.quality import Check
from pipelines.monitoring.report import Report

DAY = dt.date(2013, 12, 1)
CALM = FeatureDrift("distance", 0.01, 0.0, 0.0, "ok")
MOVED = FeatureDrift("temp<script>", 0.61, 0.01, 0.02, "fail")


def day(roc_auc):
    return Performance(DAY, 3, 900, 880, 0.24, 0.26, roc_auc, 0.5, 0.77)


def page(**changes):
    values = {
        "pipeline": "flights",
        "description": "Late arrivals",
        "first": DAY,
        "last": DAY,
        "model_name": "flights_late",
        "model_version": 3,
        "training_run": "run-1",
        "history": [{"epoch": 1, "loss": 0.6, "val_loss": 0.55}],
        "evaluation": {
            "metrics": {"roc_auc": 0.66, "log_loss": 0.5},
            "constant": {"roc_auc": 0.5, "log_loss": 0.56},
            "roc": [[0, 0], [0.4, 0.7], [1, 1]],
            "calibration": [{"predicted": 0.2, "observed": 0.21, "num_rows": 10}],
        },
        "days": [day(0.64)],
        "overall": day(0.64),
        "drifts": [MOVED, CALM],
        "drift_settings": Drift(),
        "checks": [
            Check("silver.flights", 4, "rows", "info", 1000, 0),
            Check("quarantine.flights", 2, "quarantined", "quarantine", 1007, 7),
            Check("quarantine.flights", 2, "cast:day", "quarantine", 1007, 7),
        ],
        "retrain": [],
        "read": {"gold.flights": 9},
    }
    return Report(**(values | changes)).html()


def test_the_page_stands_alone_with_all_its_pictures():
    html = page()
    assert html.count("<svg") == 7
    assert not {word for word in ("src=", "href=", "url(http", "@import") if f" {word}" in html}


def test_the_page_shows_the_threshold_what_it_was_chosen_by_and_its_curve():
    at = {"threshold": 0.3, "share": 0.25, "precision": 0.4, "recall": 0.6, "f1": 0.48}
    kept = {"value": 0.3, "asked": "f1", "at": at, "curve": [at], "num_rows": 9}
    html = page(evaluation={"metrics": {}, "threshold": kept})
    assert html.count("<svg") == 8
    assert "Threshold of a yes: 0.3, by `f1`: on the validation split 25.0 % are called yes" in html


def test_the_page_shows_the_model_beside_a_constant_guess():
    html = page()
    assert [text for text in ("0.6600", "0.5600", "gold.flights@9") if text not in html] == []


def test_the_page_is_the_same_for_the_same_values():
    assert page() == page()


def test_text_from_data_is_escaped():
    assert "temp<script>" not in page().replace("temp&lt;script&gt;", "")


def test_a_page_without_drift_says_why():
    html = page(drifts=[], drift_left_out="the rows are gone")
    assert '<p class="lead">the rows are gone</p>' in html
    assert "Population stability index of each raw feature" not in html


def test_the_page_names_the_bin_that_moved_most_and_what_chance_gives():
    moved = replace(MOVED, psi_by_chance=0.4321, rows_now=1234, moved="below 5.0", share_now=0.75)
    html = page(drifts=[moved], retrain=["temp has drifted"])
    assert "<td>below 5.0: 0.0 % to\n75.0 %</td>" in html
    assert ("0.432</td>" in html, "1,234</td>" in html) == (True, True)


def test_the_page_shows_calibration_and_the_constant_guess_of_the_days():
    judged = replace(
        day(0.64), guess_loss=0.5544, calibration_error=0.0321, calibration_by_chance=0.0123
    )
    html = page(overall=judged)
    assert "test split 0.5000, constant guess on these days 0.5544" in html
    assert ("0.0321" in html, "predicted against observed, by chance 0.0123" in html) == (
        True,
        True,
    )


def test_the_page_is_green_only_where_something_was_judged():
    assert "<b>No reason to train again</b>" in page()
    waiting = Performance(DAY, 3, 900, 0, None, None, None, None, None)
    html = page(days=[waiting], overall=waiting)
    assert "No reason to train again" not in html
    assert "No label has arrived" in html
    assert '<div class="verdict bad"><b>Train again:</b><ul><li>x</li>' in page(retrain=["x"])


def test_a_page_without_labels_shows_that_they_are_missing():
    waiting = Performance(DAY, 3, 900, 0, None, None, None, None, None)
    html = page(days=[waiting], overall=waiting)
    assert "900 without a label" in html


@pytest.mark.parametrize(
    ("evaluation", "title"),
    [
        ({"confusion": [[5, 1], [2, 7]]}, "Classes of the test split"),
        ({"scatter": [[1.0, 1.2], [2.0, 1.9]]}, "Numbers of the test split"),
    ],
)
def test_classes_and_numbers_have_a_picture_of_their_own(evaluation, title):
    html = page(evaluation={"metrics": {}, "constant": {}, **evaluation})
    assert html.count("<svg") == 6
    assert title in html

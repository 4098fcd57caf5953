"""The model card says what a bundle holds, and leaves out what an older one does not tell."""

from dataclasses import replace

from pipelines.registry.bundle import Bundle, save_bundle
from pipelines.registry.card import card
from tests.bundles import SPEC

AT = {"threshold": 0.3, "share": 0.25, "precision": 0.4, "recall": 0.6, "f1": 0.48}
BUNDLE = Bundle(
    manifest={
        "run_id": "run-7",
        "model": "flights_late",
        "created_at": "2026-01-02T03:04:05+00:00",
        "tables": {"gold.flights": 3},
        "num_rows": {"train": 1000, "validation": 100, "test": 100},
        "split": {
            "by": "date",
            "train": ["2013-01-01", "2013-09-30"],
            "validation": ["2013-10-01", "2013-10-31"],
            "test": ["2013-11-01", "2013-11-30"],
        },
        "metrics": {"roc_auc": 0.66, "log_loss": 0.6},
        "constant_metrics": {"roc_auc": 0.5, "log_loss": 0.5},
        "settings": {"loss": "binary_crossentropy", "model": "mlp", "class_names": ["no", "late"]},
    },
    feature_spec=SPEC.to_json(),
    model=b"",
    evaluation={
        "intervals": {"roc_auc": [0.64, 0.68]},
        "threshold": {"value": 0.3, "asked": "f1", "at": AT, "curve": [AT], "num_rows": 100},
        "margin": {"mean": 0.1, "error": 0.001},
    },
)


def test_a_card_tells_data_metrics_with_intervals_threshold_and_limits(tmp_path):
    text = card(BUNDLE)
    for said in (
        "# flights_late, run run-7",
        "It says the chance of `late` (else `no`) of each row. The threshold is 0.3, by `f1`",
        "Tables: gold.flights@3.",
        "| train | 1,000 | 2013-01-01 to 2013-09-30 |",
        "| ROC AUC | 0.6600 | [0.6400, 0.6800] | 0.5000 |",
        "- category: carrier",
        "- its log_loss of 0.6 is no better than a constant guess's 0.5",
        "It has learned from 2013-01-01 to 2013-09-30",
    ):
        assert said in text, said
    save_bundle(str(tmp_path / "bundle"), BUNDLE)
    assert (tmp_path / "bundle" / "card.md").read_text() == text


def test_a_bundle_that_tells_little_has_a_card_all_the_same():
    bare = replace(BUNDLE, manifest={"run_id": "r", "tables": {}}, evaluation={}, feature_spec="{}")
    assert "## Limits" in card(bare)
    assert "Not known: this is no feature spec" in card(bare)
    number = {**BUNDLE.manifest, "settings": {"loss": "mse"}}
    assert "It says a number of each row." in card(replace(BUNDLE, manifest=number))

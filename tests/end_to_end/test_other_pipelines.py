"""The built-in pipelines beside flights: images through `cnn`, sequences through the others."""

import datetime as dt
import shutil
from collections import Counter

import pytest

from pipelines.errors import FeatureError
from pipelines.lake.read import latest_version, read_at
from pipelines.lake.write import replace_slice
from pipelines.landing import digits, weather
from pipelines.registry.bundle import load_bundle
from pipelines.runner import run_stage
from pipelines.stages.catalog import STAGES

pytestmark = [
    *(pytest.mark.spark, pytest.mark.compiled),
    *(pytest.mark.tensorflow, pytest.mark.end_to_end),
]


def table(spark, lake, name):
    return read_at(spark, lake, name, latest_version(spark, lake, name))


def learns(trained) -> bool:
    """Whether a training's loss falls."""
    first, *_, last = load_bundle(trained.details["bundle"]).history
    return bool(last["loss"] < first["loss"])


def test_digits_go_from_png_files_to_predictions_of_classes(
    spark, lake, open_test_run, tmp_path
) -> None:
    landing = tmp_path / "landing"
    digits.deliver(landing, dt.date(2024, 1, 9))

    def run(stage, **more):
        return run_stage(stage, open_test_run("digits", landing=landing, **more))

    overrides = {"train": ["train.epochs=6"]}
    results = {stage: run(stage, overrides=overrides.get(stage, ())) for stage in STAGES.names}
    assert learns(results["train"])

    training = table(spark, lake, "gold.digits_training")
    assert training.schema["scan"].dataType.typeName() == "binary"
    splits = Counter(row["split"] for row in training.select("split").collect())
    assert splits == {"train": 150, "validation": 30, "test": 30}
    # The newest day was scored; its readings are still to come.
    assert results["score"].counts == {"rows_in": 30, "inserted": 30, "unchanged": 0}
    scored = table(spark, lake, "predictions.digits").collect()
    for row in scored:
        assert len(row["probabilities"]) == 10
        assert sum(row["probabilities"]) == pytest.approx(1, abs=1e-5)
        assert row["prediction"] == max(row["probabilities"])
        assert row["probabilities"][row["predicted_class"]] == row["prediction"]
    assert results["monitor"].details["without_drift"] == ["scan"]
    assert results["monitor"].details["performance"]["num_labelled"] == 0

    # The next morning: a day with readings is judged.
    assert run("score", date=dt.date(2024, 1, 8)).counts["inserted"] == 30
    judged = run("monitor", date=dt.date(2024, 1, 8)).details["performance"]
    assert judged["num_labelled"] == 30
    assert 0 <= judged["accuracy"] <= 1
    assert "roc_auc" not in judged

    # A row without its file stops the training set, named by its key.
    gold = table(spark, lake, "gold.digits").selectExpr(
        "* EXCEPT (file)", "CASE WHEN scan_id NOT IN (33, 95) THEN file END AS file"
    )
    replace_slice(gold, lake, "gold.digits", "true", partition_by=["scan_date"])
    said = r"'scan': column 'file' holds no image in 2 rows .*2 of them null.*\"scan_id\":33"
    with pytest.raises(FeatureError, match=said):
        run("normalize")


@pytest.fixture(scope="module")
def landed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weather")
    weather.deliver(folder, dt.date(2013, 1, 9))
    return folder


def test_weather_trains_an_rnn_and_a_transformer_and_scores_numbers(
    spark, lake, open_test_run, landed, tmp_path
) -> None:
    shutil.copytree(landed, tmp_path / "landing")

    def run(stage, *overrides, **more):
        more = {"landing": tmp_path / "landing", "overrides": overrides, **more}
        return run_stage(stage, open_test_run("weather", **more))

    for stage in ("ingest", "clean", "featurize", "normalize"):
        run(stage)
    row = table(spark, lake, "gold.temperatures_training").first()
    assert [len(row[name]) for name in ("temp", "temp_is_present", "wind")] == [24] * 3

    for model in ("rnn", "transformer"):
        trained = run("train", f"train.model={model}", "train.epochs=3")
        assert learns(trained), model
        assert trained.details["metrics"]["mae"] > 0, model
    run("promote")
    scored = run("score", date=dt.date(2013, 1, 8))
    assert scored.counts["inserted"] == scored.counts["rows_in"] > 60
    prediction = table(spark, lake, "predictions.temperatures").first()
    assert (prediction["predicted_class"], prediction["probabilities"]) == (None, None)
    judged = run("monitor", date=dt.date(2013, 1, 8)).details
    assert judged["performance"]["mae"] > 0
    assert judged["without_drift"] == ["temp", "humid", "pressure", "wind_speed", "wind"]

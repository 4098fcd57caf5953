"""The champion beside a candidate: its metrics on the rows of the candidate's test split.

They are raw feature rows, which go through the champion's own feature spec.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pipelines.config.losses import Task, task_of
from pipelines.errors import BundleError, SettingsError
from pipelines.features.grain import joined
from pipelines.registry.bundle import load_bundle
from pipelines.registry.gate import Rival, compares_with_champion
from pipelines.scoring.batch import predict
from pipelines.scoring.threshold import threshold_of
from pipelines.scoring.workers import OUTPUTS
from pipelines.training_set.store import split_column

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pipelines.registry.bundle import Bundle
    from pipelines.registry.champion import RegisteredModel
    from pipelines.run import Run


def rival_of(run: Run, candidate: Bundle, champion: RegisteredModel | None) -> Rival | None:
    """Return the champion's metrics on the candidate's test split; None without a champion."""
    if champion is None or not compares_with_champion(run.pipeline.promote):
        return None
    bundle = load_bundle(champion.bundle)
    mine, other = outputs_of(candidate), outputs_of(bundle)
    if mine != other:
        raise SettingsError(
            f"the champion (version {champion.version}) says of a row {in_words(other)}, the "
            f"candidate {in_words(mine)}: they can't be compared. Promote the candidate without "
            "the comparison: `--set promote.compare_with_champion=false`."
        )
    rows = rows_of_test_split(run, candidate)
    return Rival(champion.version, _metrics(run, bundle, rows, candidate))


def rows_of_test_split(run: Run, candidate: Bundle) -> DataFrame:
    """Return the raw feature rows of the candidate's test split, with their `_label`."""
    features = str(run.tables.features)
    table = str(candidate.manifest.get("training_set"))
    if features not in candidate.tables or table not in candidate.tables:
        raise BundleError(
            f"the bundle of run {candidate.run_id} names the tables {candidate.tables}; expected "
            f"{features} and a training set. Train again with this pipeline."
        )
    opened = run.open(candidate.tables)
    rows = opened.read(table)
    grain = run.pipeline.featurize.grain
    # A column of the same name as a model input has another name in a training set.
    held = {name: f"_key_{name}" if f"_key_{name}" in rows.columns else name for name in grain}
    test = rows.where(F.col(split_column(rows.schema)) == "test").select(
        *[F.col(kept).alias(name) for name, kept in held.items()], "_label"
    )
    return joined(opened.read(features), test, grain, "inner")


def _metrics(run: Run, champion: Bundle, rows: DataFrame, candidate: Bundle) -> dict[str, float]:
    from pipelines.training.evaluate import metrics_of

    expected = int(candidate.manifest["num_rows"]["test"])
    scored = predict(rows, champion, ["_label"], expected, run.pipeline.score.batch_size)
    # A few numbers a row of the test split, as training keeps them too.
    found = scored.select("_label", OUTPUTS).toArrow()
    if found.num_rows != expected:
        raise BundleError(
            f"the champion can be compared on {found.num_rows} of the candidate's {expected} test "
            f"rows only: {candidate.tables} do not fit each other. Run `tidemill normalize` and "
            "`tidemill train` again."
        )
    outputs = found[OUTPUTS].combine_chunks().flatten().to_numpy().reshape(expected, -1)
    task, _ = outputs_of(champion)
    return metrics_of(found["_label"].to_numpy(), outputs, task, threshold_of(run, champion))


def outputs_of(bundle: Bundle) -> tuple[Task, int]:
    """Return what a bundle's model says of a row: the task, and the number of classes."""
    settings = bundle.manifest["settings"]
    return task_of(settings["loss"]), int(settings.get("classes") or 1)


def in_words(outputs: tuple[Task, int]) -> str:
    """Say what `outputs_of` gives."""
    task, classes = outputs
    chance = f"the chance of each of {classes} classes"
    return {"binary": "the chance of a yes", "classes": chance, "number": "a number"}[task]

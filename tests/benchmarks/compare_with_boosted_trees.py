"""The champion beside gradient-boosted trees, on the same features, rows and days.

    python tests/benchmarks/compare_with_boosted_trees.py [--lake URI] [--pipeline flights]

Both learn from the training split; what can be chosen is chosen on the validation split; the test
split is looked at once. The trees are scikit-learn's HistGradientBoosting, and get the raw columns
of the champion's features: no scaling, missing values as they are, categories as categories.

Prints ROC AUC of both and the interval (95 %) of their difference by a paired bootstrap of the
test days: rows of a day go together, they share its weather. Exits with 1 when the interval lies
wholly below zero: then the trees are better.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd

from pipelines.errors import TidemillError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pipelines.config import Pipeline
    from pipelines.encoding.spec import FeatureSpec
    from pipelines.run import Run

ROOT = Path(__file__).resolve().parents[2]
SPLITS = ("train", "validation", "test")
# Of more than this many values, scikit-learn's trees take a category's most frequent ones.
MAX_CATEGORIES = 254
GRID = {"learning_rate": (0.03, 0.06), "max_leaf_nodes": (15, 31), "l2_regularization": (1.0,)}


def main() -> int:
    """Compare, print, and return the exit code."""
    options = arguments()
    try:
        run = opened(options)
        rows, spec, scored = champion_and_rows(run)
    except TidemillError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code
    finally:
        stop_spark()
    return compare(rows, spec, scored, options)


def compare(
    rows: pd.DataFrame, spec: FeatureSpec, scored: pd.DataFrame, options: argparse.Namespace
) -> int:
    """Grow the trees, print the comparison, and return the exit code.

    `options` are `rounds`, `resamples` and `seed`.
    """
    started = time.monotonic()
    trees, chosen, tried = boosted_trees(rows, spec, options.rounds)
    both = scored.merge(trees, on="_row", validate="one_to_one")
    if len(both) != len(scored):
        raise SystemExit(f"{len(scored):,} rows were scored, the trees have {len(both):,} of them")
    labels = both["_label"].to_numpy()
    champion, other = both["prediction"].to_numpy(), both["trees"].to_numpy()
    differences = bootstrap(
        labels, (champion, other), both["_day"].to_numpy(), options.resamples, options.seed
    )
    low, high = np.percentile(differences, [2.5, 97.5])
    ours, theirs = (
        aucs(labels, scores, np.ones((1, len(labels))))[0] for scores in (champion, other)
    )
    print(f"\n{'':34}{'validation':>12}{'test':>10}")
    for setting, auc in tried:
        print(f"  trees {setting:28}{auc:>12.4f}")
    print(f"  trees, chosen: {chosen:19}{dict(tried)[chosen]:>12.4f}{theirs:>10.4f}")
    print(f"  champion {'':25}{'':>12}{ours:>10.4f}")
    print(
        f"\n{len(labels):,} test rows of {both['_day'].nunique()} days; champion - trees = "
        f"{ours - theirs:+.4f}, interval (95 %, {options.resamples:,} resamples of the days) "
        f"{low:+.4f} .. {high:+.4f}; "
        f"trees took {time.monotonic() - started:.0f} s"
    )
    if high < 0:
        print("The trees are better: the interval lies below zero.")
        return 1
    print("The champion is better." if low > 0 else "The champion is level with the trees.")
    return 0


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pipeline", default="flights")
    parser.add_argument("--env", help="overlay, as for `tidemill run`")
    parser.add_argument("--lake", help="the lake, as for `tidemill run`")
    parser.add_argument("--rounds", type=int, default=300, help="trees (default 300)")
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def opened(options: argparse.Namespace) -> Run:
    """Open a run on the lake."""
    from pipelines.config.load import load_pipeline
    from pipelines.runner import open_run

    return open_run(load_pipeline(options.pipeline, options.env, (), options.lake, ROOT))


def stop_spark() -> None:
    """Give Spark's memory back before the trees grow."""
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession()
    if session is not None:
        session.stop()


def champion_and_rows(run: Run) -> tuple[pd.DataFrame, FeatureSpec, pd.DataFrame]:
    """Return the rows of all splits with raw features, the spec, the scored rows of the test split.

    The features are read at the version that the champion's training set was made from.
    """
    from pyspark.sql import functions as F

    from pipelines.encoding.spec import FeatureSpec
    from pipelines.registry.bundle import load_bundle
    from pipelines.registry.champion import champion
    from pipelines.scoring.batch import predict
    from pipelines.scoring.workers import OUTPUTS

    settings = run.pipeline
    chosen = champion(run.lake, settings.score.model)
    bundle = load_bundle(chosen.bundle)
    spec = FeatureSpec.from_json(bundle.feature_spec)
    table, version, features = labelled(run, bundle.tables)
    print(f"champion: {chosen.name} version {chosen.version}; features: {table}@{version}")
    wanted = {feature.column for feature in spec.features}
    raw = [F.col(name).alias(f"raw_{name}") for name in sorted(wanted)]
    rows = features.select("_row", "_split", "_label", *raw).toPandas()
    test = features.where("_split = 'test'")
    num_rows = int((rows["_split"] == "test").sum())
    carried = ["_row", "_label", "_day"]
    outputs = predict(test, bundle, carried, num_rows, settings.score.batch_size)
    scored = outputs.select(*carried, F.get(OUTPUTS, F.lit(0)).alias("prediction")).toPandas()
    return rows, spec, scored


def labelled(run: Run, tables: dict[str, int]) -> tuple[str, int, DataFrame]:
    """Return the features with a label, `_split`, `_day` and a text `_row` that names each row."""
    from pyspark.sql import functions as F

    from pipelines.lake.read import read_at
    from pipelines.training_set.store import made_from

    settings = run.pipeline
    table = f"gold.{settings.featurize.table}"
    version = tables.get(table)
    if version is None:
        training = f"gold.{settings.normalize.training_set}"
        version = made_from(read_at(run.spark, run.lake, training, tables[training]).schema)[table]
    features = read_at(run.spark, run.lake, table, version)
    df = features.select(
        "*",
        F.to_json(F.struct(*settings.featurize.grain)).alias("_row"),
        F.col(settings.featurize.date).cast("string").alias("_day"),
        F.col(str(settings.featurize.label)).cast("double").alias("_label"),
        split_column(settings).alias("_split"),
    )
    return table, version, df.where("_label IS NOT NULL AND _split IS NOT NULL")


def split_column(settings: Pipeline) -> Any:
    """Return the column that says which split a row's day belongs to; null for none."""
    from pyspark.sql import functions as F

    split = settings.normalize.split
    if split.by != "date":
        raise SystemExit("this comparison is made for pipelines that split by date")
    day = F.col(settings.featurize.date)
    return F.coalesce(
        *(
            F.when(day.between(*(F.lit(end) for end in getattr(split, name))), F.lit(name))
            for name in SPLITS
        )
    )


def boosted_trees(
    rows: pd.DataFrame, spec: FeatureSpec, rounds: int
) -> tuple[pd.DataFrame, str, list[tuple[str, float]]]:
    """Return the trees' scores of the test rows, the chosen settings, and all that were tried."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    categories = {f"raw_{f.column}" for f in spec.features if f.kind in ("category", "hashed")}
    columns = [name for name in rows.columns if name.startswith("raw_")]
    is_of = {name: (rows["_split"] == name).to_numpy() for name in SPLITS}
    inputs = pd.DataFrame(
        {
            name: codes(rows[name], is_of["train"]) if name in categories else rows[name]
            for name in columns
        }
    ).astype("float64")
    labels = rows["_label"].to_numpy()
    best: tuple[float, str, Any] | None = None
    tried = []
    for values in itertools.product(*GRID.values()):
        setting = dict(zip(GRID, values, strict=True))
        model = HistGradientBoostingClassifier(
            max_iter=rounds,
            early_stopping=False,
            categorical_features=[name in categories for name in columns],
            random_state=0,
            **setting,
        )
        model.fit(inputs[is_of["train"]], labels[is_of["train"]])
        scores = model.predict_proba(inputs[is_of["validation"]])[:, 1]
        of_validation = labels[is_of["validation"]]
        auc = float(aucs(of_validation, scores, np.ones((1, len(scores))))[0])
        name = f"rate {setting['learning_rate']}, leaves {setting['max_leaf_nodes']}"
        tried.append((name, auc))
        if best is None or auc > best[0]:
            best = (auc, name, model)
    assert best is not None
    test = rows.loc[is_of["test"], ["_row"]].copy()
    test["trees"] = best[2].predict_proba(inputs[is_of["test"]])[:, 1]
    return test, best[1], tried


def codes(column: pd.Series[Any], is_train: np.ndarray[Any, Any]) -> pd.Series[Any]:
    """Return a category's number among the most frequent values of the training split, or NaN."""
    counts = column[is_train].value_counts()
    return column.map({value: code for code, value in enumerate(counts.index[:MAX_CATEGORIES])})


def aucs(
    labels: np.ndarray[Any, Any], scores: np.ndarray[Any, Any], weights: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """Return the ROC AUC under each row of `weights` (resamples, rows); ties count half."""
    order = np.argsort(scores, kind="stable")
    first = np.flatnonzero(np.r_[True, np.diff(scores[order]) > 0])
    weights = weights[:, order]
    positive = np.add.reduceat(weights * labels[order], first, axis=1)
    negative = np.add.reduceat(weights * (1 - labels[order]), first, axis=1)
    below = np.cumsum(negative, axis=1) - negative
    wins = (positive * (below + negative / 2)).sum(axis=1)
    return np.asarray(wins / (positive.sum(axis=1) * negative.sum(axis=1)))


def bootstrap(
    labels: np.ndarray[Any, Any],
    scores: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]],
    days: np.ndarray[Any, Any],
    resamples: int,
    seed: int,
) -> np.ndarray[Any, Any]:
    """Return the differences in AUC of two `scores` over resamples of the days, the same for both.

    A resample without a yes or without a no has none, and is left out.
    """
    random = np.random.default_rng(seed)
    names, day = np.unique(days, return_inverse=True)
    if len(names) < 2:
        raise SystemExit(f"the test rows are of one day, {names}: an interval needs several")
    differences = []
    for start in range(0, resamples, 50):
        picked = random.integers(0, len(names), (min(50, resamples - start), len(names)))
        times = np.stack([np.bincount(row, minlength=len(names)) for row in picked]).astype(float)
        weights = times[:, day]
        held = (weights @ labels > 0) & (weights @ (1 - labels) > 0)
        ours, theirs = (aucs(labels, one, weights[held]) for one in scores)
        differences.append(ours - theirs)
    return np.concatenate(differences)


if __name__ == "__main__":
    sys.exit(main())

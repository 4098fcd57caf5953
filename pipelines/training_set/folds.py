"""Folds for cross-validation: which rows a fold trains on and which ones judge it.

Only rows of the training and validation splits take part; the test split stays unseen. By hash,
the keys are dealt to the folds, and each fold is judged on its own keys and trained on all others.
By date, the days are cut into one more block than there are folds; fold n trains on the first n
blocks and is judged on the next one, so that no fold learns from days after those that judge it.

The folds of a training set lie beside it in `gold.<training_set>_folds`, a table like a training
set whose splits are `train-1`, `validation-1`, `train-2`, ... Each fold has a feature spec of its
own, fitted on its training rows alone.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pipelines.config.normalize import DateSplit, HashSplit
from pipelines.encoding.sql import quoted
from pipelines.errors import EmptySplit, FeatureError
from pipelines.training_set.split import key_hash, split_conditions

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

FOLD_SPLIT = "_fold_split"
"""Column of `copies`: the split that a copy of a row is for."""


def folds_name(spec_name: str, num_folds: int) -> str:
    """Return the name under which the folds of a training set are known.

    It starts with the name of the training set's own spec: the two were made from the same.
    """
    return f"{spec_name}-folds-{num_folds}"


def fold_spec_name(name: str, fold: int) -> str:
    """Return the name of the spec of one fold (from 1)."""
    return f"{name}-{fold}"


def train_split(fold: int) -> str:
    """Return the name of the split that a fold (from 1) trains on."""
    return f"train-{fold}"


def validation_split(fold: int) -> str:
    """Return the name of the split that judges a fold (from 1)."""
    return f"validation-{fold}"


def fold_blocks(split: DateSplit, num_folds: int) -> list[tuple[dt.date, dt.date]]:
    """Cut the days of training and validation into `num_folds` + 1 blocks of about equal length.

    Returns the first and the last day of each. Days in no split are counted nowhere.
    """
    days = [day for ends in (split.train, split.validation) for day in _days(*ends)]
    if len(days) <= num_folds:
        raise FeatureError(
            f"{num_folds} folds need {num_folds + 1} days at least; the training and validation "
            f"splits have {len(days)}. Lower `train.folds`, or widen `normalize.split`."
        )
    borders = [len(days) * block // (num_folds + 1) for block in range(num_folds + 2)]
    return [(days[first], days[end - 1]) for first, end in itertools.pairwise(borders)]


def fold_conditions(
    split: DateSplit | HashSplit, num_folds: int, key: Sequence[str], date: str
) -> dict[str, str]:
    """Return the SQL condition of each fold's two splits, by name; a row may fulfil many."""
    whole = split_conditions(split, key, date)
    takes_part = f"(({whole['train']}) OR ({whole['validation']}))"
    found: dict[str, str] = {}
    if isinstance(split, DateSplit):
        blocks, day = fold_blocks(split, num_folds), quoted(date)
        for fold in range(1, num_folds + 1):
            first, last = blocks[fold]
            found[train_split(fold)] = f"{takes_part} AND {day} < DATE '{first}'"
            judged = f"{day} BETWEEN DATE '{first}' AND DATE '{last}'"
            found[validation_split(fold)] = f"{takes_part} AND {judged}"
        return found
    dealt = f"pmod({key_hash(key, 'fold:' + split.salt)}, {num_folds}L)"
    for fold in range(1, num_folds + 1):
        found[train_split(fold)] = f"{takes_part} AND {dealt} <> {fold - 1}"
        found[validation_split(fold)] = f"{takes_part} AND {dealt} = {fold - 1}"
    return found


def describe_folds(split: DateSplit | HashSplit, num_folds: int) -> list[str]:
    """Return what defines each fold, for people."""
    if isinstance(split, DateSplit):
        blocks = fold_blocks(split, num_folds)
        return [
            f"trains on {blocks[0][0]} to {blocks[fold - 1][1]}, judged on {first} to {last}"
            for fold, (first, last) in enumerate(blocks[1:], start=1)
        ]
    return [
        f"judged on part {fold} of {num_folds} of the keys by hash, trains on the others"
        for fold in range(1, num_folds + 1)
    ]


def copies(rows: DataFrame, conditions: Mapping[str, str]) -> DataFrame:
    """Return each row once for every split it belongs to, named in `FOLD_SPLIT`."""
    cases = ", ".join(f"CASE WHEN {where} THEN '{name}' END" for name, where in conditions.items())
    return rows.selectExpr("*", f"explode(array_compact(array({cases}))) AS {FOLD_SPLIT}")


def copy_conditions(names: Sequence[str]) -> dict[str, str]:
    """Return the SQL condition of each split over `copies`: a copy fulfils one at most."""
    return {name: f"{FOLD_SPLIT} = '{name}'" for name in names}


def refuse_empty_folds(num_rows: Mapping[str, int], described: Sequence[str]) -> None:
    """Raise EmptySplit for the first fold without rows in one of its splits."""
    for fold, what in enumerate(described, start=1):
        for name in (train_split(fold), validation_split(fold)):
            if not num_rows.get(name):
                raise EmptySplit(
                    f"fold {fold} of {len(described)} ({what}) has no rows with a label in its "
                    f"split '{name}'. Lower `train.folds`, or change `normalize.split`."
                )


def _days(first: dt.date, last: dt.date) -> list[dt.date]:
    return [first + dt.timedelta(days=shift) for shift in range((last - first).days + 1)]

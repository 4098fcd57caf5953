"""Trains a bundle's model again, from what the bundle says, and compares the weights."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pipelines.config.train import Train
from pipelines.errors import BundleError, NotReproduced
from pipelines.lake.files import list_files
from pipelines.lake.folder import Folder
from pipelines.maintenance.likeness import (
    ABSOLUTE,
    RELATIVE,
    compare,
    own_code_notes,
    project_notes,
    unlike,
)
from pipelines.maintenance.pins import erased, files_of, snapshots_of
from pipelines.own_code import using
from pipelines.provenance import code_version, packages
from pipelines.registry.bundle import Bundle, load_bundle
from pipelines.run import Run, Stopwatch

if TYPE_CHECKING:
    from pipelines.lake.snapshot import Snapshot
    from pipelines.training.work import Trained

logger = logging.getLogger(__name__)

_FOLDER = "reproduce"


@dataclass(frozen=True)
class Reproduced:
    """How a second training compares with the first.

    `unlike` says what was not as it was then; where it is empty the bits must agree. `notes` says
    what differs around it that the weights don't depend on.
    """

    pipeline: str
    run_id: str
    tables: Mapping[str, int]
    num_rows: int
    num_weights: int
    is_identical: bool
    largest_difference: float
    unlike: tuple[str, ...]
    seconds: float
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return the report."""
        tables = ", ".join(f"{name}@{version}" for name, version in self.tables.items())
        found = [
            f"run {self.run_id} of {self.pipeline}: trained again on {self.num_rows:,} rows of "
            f"{tables} in {self.seconds:.0f} s"
        ]
        if self.unlike:
            found.append(f"not as it was then: {'; '.join(self.unlike)}")
        found += [f"note: {one}" for one in self.notes]
        if self.is_identical:
            found.append(f"the same model, bit for bit: {self.num_weights:,} weights")
        else:
            found.append(
                f"the same model within the tolerance: of {self.num_weights:,} weights none lies "
                f"further than {RELATIVE:g} of its value + {ABSOLUTE:g} from the first training's, "
                f"the furthest {self.largest_difference:.3g}"
            )
        return found


def reproduce(run: Run, run_id: str) -> Reproduced:
    """Train run `run_id` again: its files, settings, seed and ranks; nothing is registered.

    Raises BundleError where it can't be (no bundle, files gone, rows erased), NotReproduced where
    the weights differ: in any bit on the same kind of CPU with the same packages, threads and
    ranks, by more than the tolerance otherwise.
    """
    watch, place = Stopwatch(), run.lake.training(run.pipeline.name, run_id)
    bundle = load_bundle(f"{place}/bundle")
    table = str(bundle.manifest["training_set"])
    snapshots = snapshots_of(bundle.snapshots, run.lake.path(table))
    _check_possible(run, bundle, f"{place}/bundle", snapshots)
    code = code_version(run.pipeline.root)
    trained = _train(run, bundle, snapshots, f"{place}/{_FOLDER}")
    Folder(place).remove(_FOLDER)
    again = replace(bundle, model=trained.model)
    was, now = _weights(bundle), _weights(again)
    is_identical, largest, is_near = compare(was, now)
    found = Reproduced(
        pipeline=run.pipeline.name,
        run_id=run_id,
        tables={table: bundle.tables[table]},
        num_rows=snapshots["train"].num_rows,
        num_weights=sum(array.size for array in was),
        is_identical=is_identical,
        largest_difference=largest,
        unlike=unlike(bundle.manifest, trained.facts, packages(), code),
        seconds=watch.seconds,
        notes=(*project_notes(bundle.manifest["code"], code), *own_code_notes(bundle)),
    )
    if not is_near or not (is_identical or found.unlike):
        raise NotReproduced(_report(found))
    return found


def _check_possible(
    run: Run, bundle: Bundle, folder: str, snapshots: Mapping[str, Snapshot]
) -> None:
    """Raise BundleError where what the training read is not there any more."""
    facts = erased(folder)
    if facts is not None:
        raise BundleError(
            f"run {bundle.run_id} can't be reproduced: rows it was trained with were erased since "
            f"({', '.join(f'{key}: {value}' for key, value in facts.items())}), and an erasure "
            "wins over what a bundle needs. Its model can still be used; train a new one without "
            "those rows: `tidemill normalize`, then `tidemill train`."
        )
    table = str(bundle.manifest["training_set"])
    stored = list_files(run.spark, run.lake.path(table))
    needed = frozenset[str]().union(*(files_of(one) for one in snapshots.values()))
    missing = sorted(needed - stored.keys())
    if missing:
        raise BundleError(
            f"run {bundle.run_id} can't be reproduced: {len(missing)} of the {len(needed)} files "
            f"of {table} at version {bundle.tables[table]} are gone, the first {missing[0]}. "
            "`tidemill vacuum` keeps them; a plain VACUUM of Delta's does not. Restore them from a "
            "backup, or train again on a newer version."
        )


def _train(run: Run, bundle: Bundle, snapshots: Mapping[str, Snapshot], folder: str) -> Trained:
    from pipelines.encoding.spec import FeatureSpec
    from pipelines.ranks.launcher import Ranks, launch
    from pipelines.selection.trials import Data, alone
    from pipelines.training.backend import TensorFlow
    from pipelines.training.models import check_model
    from pipelines.training.work import train_rank

    settings = alone(Train.model_validate(bundle.manifest["settings"]))
    inputs = FeatureSpec.from_json(bundle.feature_spec).inputs
    with using(bundle.code):
        check_model(settings.model, settings.options, inputs)
    counts = class_counts(snapshots["train"]) if settings.class_weights == "balanced" else {}
    # Of the first training: computed again, it might differ in its last bit.
    mean, deviation = bundle.manifest.get("label_scale", (0.0, 1.0))
    scale = (mean, deviation) if settings.scale_label else None
    threshold = bundle.decision_threshold or 0.5
    data = Data("", snapshots, inputs, bundle.tables, counts, threshold, label_scale=scale)
    work = data.work(settings, folder, code=bundle.code)
    work.rows.check()
    task = functools.partial(train_rank, work=work)
    trained: Trained = launch(run.spark, task, Ranks.of(settings), TensorFlow(), run.progress)
    return trained


def class_counts(snapshot: Snapshot) -> dict[int, int]:
    """Return the live rows of each class, read from a snapshot's own files.

    Spark would ask the table's log, which need not reach back so far any more.
    """
    import numpy as np
    import pyarrow.parquet as pq

    from pipelines.lake.storage import TableFiles

    files, found = TableFiles(snapshot.table), dict[int, int]()
    for file in snapshot.files:
        with files.open(file.path) as handle:
            labels = pq.ParquetFile(handle).read(columns=["_label"])["_label"].to_numpy()
        if file.deletion_vector:
            labels = np.delete(labels, file.deletion_vector.deleted_rows(files))
        for label, count in zip(*np.unique(labels, return_counts=True), strict=True):
            found[int(label)] = found.get(int(label), 0) + int(count)
    return found


def _weights(bundle: Bundle) -> list[Any]:
    weights: list[Any] = bundle.load_model().get_weights()
    return weights


def _report(found: Reproduced) -> str:
    expected = (
        f"weights within {RELATIVE:g} of their value + {ABSOLUTE:g} "
        f"(not as it was then: {'; '.join(found.unlike)})"
        if found.unlike
        else "the same bits, as CPU, packages, threads and ranks are those of the first training"
    )
    notes = f" Besides, {'; '.join(found.notes)}." if found.notes else ""
    return (
        f"run {found.run_id} of {found.pipeline} is not reproduced: trained again on the same "
        f"{found.num_rows:,} rows, a weight differs by {found.largest_difference:.3g}; expected "
        f"{expected}. Code that has changed since is the usual cause: the bundle's manifest names "
        f"the commit it was trained with.{notes}"
    )

"""From a plan to a `tf.data.Dataset` whose element k is a rank's share of global batch k."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import gcd
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.feed.chunks import chunks
from pipelines.feed.columns import FeedColumns
from pipelines.feed.plan import RankPlan, plan_epoch, plan_evaluation
from pipelines.feed.reader import PetastormReader, WindowReader
from pipelines.lake.catalog import Lake
from pipelines.lake.snapshot import PartitionFilter, take_snapshot

if TYPE_CHECKING:
    import tensorflow as tf


THREADS = 2
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # from glibc's malloc.h

OpenReader = Callable[[RankPlan, FeedColumns], WindowReader]


def make_dataset(
    plan: RankPlan,
    columns: FeedColumns,
    *,
    threads: int = THREADS,
    prefetch: int = 2,
    open_reader: OpenReader | None = None,
) -> tf.data.Dataset:
    """Return the batches of a rank from its plan's `start_step` on.

    `pipelines.feed` says what a batch looks like.

    One pass over the data set is one epoch; going through it again reads the same rows again.
    `threads` decode row groups at first, up to four times as many where rows are waited for and
    more threads help; `prefetch` batches are kept ready. `open_reader` takes the place of
    Petastorm's reader in tests.
    """
    import tensorflow as tf

    def generate() -> Iterator[Any]:
        _keep_freed_memory()
        reader: WindowReader
        if open_reader is None:
            reader = PetastormReader(plan, columns, threads)
        else:
            reader = open_reader(plan, columns)
        try:
            yield from map(_element, chunks(plan, columns, reader))
        finally:
            reader.close()

    specs = {
        one.name: tf.TensorSpec(
            (None, *one.row_shape), tf.string if one.dtype is np.object_ else one.dtype
        )
        for one in columns.components
    }
    signature = _element({**specs, "row": tf.TensorSpec((None,), tf.int64)})
    remaining = plan.steps - plan.start_step
    if plan.num_rows:
        dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)
        # One chunk is put together while the batches of the one before are taken.
        dataset = dataset.prefetch(1).rebatch(_sizes(plan))
    if not plan.num_rows or plan.batch_rows(plan.steps - 1) == 0:
        # This rank's part of the last, short batch is empty: the step takes place all the same.
        nothing = tf.nest.map_structure(
            lambda spec: tf.zeros([d or 0 for d in spec.shape], spec.dtype), signature
        )
        empty = tf.data.Dataset.from_tensors(nothing).repeat(min(remaining, 1))
        dataset = dataset.concatenate(empty) if plan.num_rows else empty
    if columns.images:
        dataset = dataset.map(_with_images(plan, columns, threads), num_parallel_calls=2)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(remaining))
    options = tf.data.Options()
    options.deterministic = True
    # Nothing here is left to autotune; its thread wakes up ever more rarely, and the end of an
    # epoch waits for it: a third of a second, later a whole one.
    options.autotune.enabled = False
    return dataset.prefetch(prefetch).with_options(options)


def _keep_freed_memory() -> None:
    """Let malloc keep what is freed, up to 64 MB, as it does in a program without tf.data.

    TensorFlow's generator data set sets malloc's M_TRIM_THRESHOLD to 128 KB, which also ends the
    adaptation of M_MMAP_THRESHOLD: each batch then is fresh memory, with a page fault for every
    4 KB of it. Measured: a fourth of the feed's CPU time. The values are those glibc adapts to.
    """
    import ctypes
    import platform

    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, 32 << 20)
        libc.mallopt(_M_TRIM_THRESHOLD, 64 << 20)


def _sizes(plan: RankPlan) -> list[int]:
    """Return this rank's numbers of rows per step, as far as they don't repeat."""
    period = plan.size // gcd(plan.size, plan.order.global_batch_size)
    steps = range(plan.start_step, min(plan.start_step + period, plan.steps))
    return [rows for rows in map(plan.batch_rows, steps) if rows]


def _element(rows: dict[str, Any]) -> Any:
    """Return arrays (or what is known of them) as `(x, y)`, `(x, y, weight)` or `x`."""
    batch = dict(rows)
    y, weight = batch.pop("label", None), batch.pop("weight", None)
    if y is None:
        return batch
    return (batch, y) if weight is None else (batch, y, weight)


def _with_images(plan: RankPlan, columns: FeedColumns, threads: int) -> Callable[..., Any]:
    """Return the function of an element that decodes its images."""
    import tensorflow as tf

    from pipelines.features.images import EXPECTED, decode

    where = f"{plan.table} at version {plan.version}"

    def with_images(x: dict[str, Any], *others: Any) -> Any:
        x = dict(x)
        number = x[columns.row_name or "row"]
        for one in columns.images:
            images, failed = decode(x[one.name], one.shape, threads)
            bad = tf.maximum(failed, 0)
            file = tf.gather(x[one.name], bad)
            told = tf.debugging.Assert(
                failed < 0,
                [
                    # Without apostrophes: TensorFlow prints them with backslashes.
                    f"an image in column `{one.name}` of {where} is not decodable, expected "
                    f"{EXPECTED}. Mend it at its source, or leave the row out in `featurize`. "
                    f"`{columns.row_name or 'row'}` of the row, size in bytes, first bytes:",
                    tf.gather(number, bad),
                    tf.strings.length(file),
                    # As numbers: an error whose text is no UTF-8 can't be told.
                    tf.io.decode_raw(tf.strings.substr(file, 0, 8), tf.uint8),
                ],
                summarize=8,
            )
            with tf.control_dependencies([told]):
                x[one.name] = tf.identity(images)
        if columns.row_name:
            x.pop(columns.row_name)
        return (x, *others) if others else x

    return with_images


def open_table(
    table: str,
    columns: FeedColumns,
    version: int | None = None,
    *,
    lake: str | None = None,
    where: PartitionFilter | None = None,
    batch_size: int = 1024,
    seed: int | None = None,
) -> tf.data.Dataset:
    """Return a table's batches at a version, for notebooks: no Spark, no Horovod, one process.

    `table` is its name in `lake` (`gold.flights_training`; a folder or URI), or where it lies. Rows
    come in the order of `_position`; shuffled where `seed` is given.
    """
    place = table if lake is None else Lake(lake.rstrip("/")).path(table)
    snapshot = take_snapshot(place, version, where)
    columns.check(snapshot)
    if seed is None:
        plan = plan_evaluation(snapshot, batch_size)
    else:
        plan = plan_epoch(snapshot, seed=seed, epoch=0, global_batch_size=batch_size)
    return make_dataset(plan.for_rank(0, 1), columns)

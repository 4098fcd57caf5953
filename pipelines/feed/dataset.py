"""From a plan to a `tf.data.Dataset` whose element k is a rank's share of global batch k."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from math import gcd
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.feed.asked import check_arguments, find_table
from pipelines.feed.chunks import chunks
from pipelines.feed.columns import FeedColumns
from pipelines.feed.plan import RankPlan, plan_epoch, plan_evaluation
from pipelines.feed.reader import PetastormReader, WindowReader

if TYPE_CHECKING:
    import os

    import tensorflow as tf

    from pipelines.lake.snapshot import PartitionFilter


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
    plan_of_pass: Callable[[int], RankPlan] | None = None,
) -> tf.data.Dataset:
    """Return the batches of a rank from its plan's `start_step` on.

    `pipelines.feed` says what a batch looks like.

    One pass over the data set is one epoch; going through it again reads the same rows again, or
    those of `plan_of_pass(1)`, `plan_of_pass(2)`, ...: plans of other epochs of the same snapshot.
    `threads` decode row groups at first, up to four times as many where rows are waited for and
    more threads help; `prefetch` batches are kept ready. `open_reader` takes the place of
    Petastorm's reader in tests.
    """
    import tensorflow as tf

    passes = itertools.count()

    def generate() -> Iterator[Any]:
        _keep_freed_memory()
        now = next(passes)
        of_pass = plan_of_pass(now) if now and plan_of_pass else plan
        reader: WindowReader
        if open_reader is None:
            reader = PetastormReader(of_pass, columns, threads)
        else:
            reader = open_reader(of_pass, columns)
        try:
            yield from map(_element, chunks(of_pass, columns, reader))
        finally:
            reader.close()

    known = _signature(columns)
    remaining = plan.steps - plan.start_step
    if plan.num_rows:
        dataset = tf.data.Dataset.from_generator(generate, output_signature=known)
        # One chunk is put together while the batches of the one before are taken.
        dataset = dataset.prefetch(1).rebatch(_sizes(plan))
    if not plan.num_rows or plan.batch_rows(plan.steps - 1) == 0:
        # This rank's part of the last, short batch is empty: the step takes place all the same.
        nothing = tf.nest.map_structure(
            lambda spec: tf.zeros([d or 0 for d in spec.shape], spec.dtype), known
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


def _signature(columns: FeedColumns) -> Any:
    """Return what is known of an element whose images are still encoded."""
    import tensorflow as tf

    specs = {
        one.name: tf.TensorSpec(
            (None, *one.row_shape), tf.string if one.dtype is np.object_ else one.dtype
        )
        for one in columns.components
    }
    return _element({**specs, "row": tf.TensorSpec((None,), tf.int64)})


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

    from pipelines.encoding.images import EXPECTED, decode

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
    table: str | os.PathLike[str],
    columns: FeedColumns,
    version: int | None = None,
    *,
    lake: str | os.PathLike[str] | None = None,
    where: PartitionFilter | None = None,
    batch_size: int = 1024,
    seed: int | None = None,
) -> tf.data.Dataset:
    """Return a table's batches at a version (by default its newest).

    `table` is its name in `lake` (`gold.flights_training`; a folder or URI), or where it lies. Rows
    come in the order of `_position`. With a `seed` they are shuffled, and each pass over the data
    set has an order of its own that follows from the seed and the number of the pass: `fit` with
    several epochs sees another order in each, and the same ones when it is all done again.

    An element is `(x, y)`, `(x, y, weight)` or `x`, as `pipelines.feed` says, but `x` holds only
    what `columns` asks for. No rows, no elements: an empty table, or a
    `where` that finds nothing, gives an empty data set of the same signature. Raises UsageError for
    arguments of a wrong type, TableNotFound, VersionNotFound, LogDamaged, SchemaError for columns
    that the table has not or that are no numbers, FeedError.
    """
    check_arguments(columns, batch_size, seed)
    snapshot = find_table(table, lake, version, where)
    columns.check(snapshot)
    if not snapshot.num_rows:
        return _empty(columns)
    if seed is None:
        plan = plan_evaluation(snapshot, int(batch_size)).for_rank(0, 1)
        return _only_asked_for(make_dataset(plan, columns), columns)

    def of_pass(number: int) -> RankPlan:
        size = min(int(batch_size), snapshot.num_rows)
        return plan_epoch(snapshot, seed=int(seed), epoch=number, global_batch_size=size).for_rank(
            0, 1
        )

    return _only_asked_for(make_dataset(of_pass(0), columns, plan_of_pass=of_pass), columns)


def _empty(columns: FeedColumns) -> tf.data.Dataset:
    import tensorflow as tf

    known = _signature(columns)
    x, *others = known if isinstance(known, tuple) else (known,)
    for one in columns.images:
        x[one.name] = tf.TensorSpec((None, *one.shape), tf.float32)
    if columns.row_name:
        x.pop(columns.row_name)
    nothing = tf.data.Dataset.from_generator(
        lambda: iter(()), output_signature=(x, *others) if others else x
    )
    asked = _only_asked_for(nothing, columns)
    return asked.apply(tf.data.experimental.assert_cardinality(0))


def _only_asked_for(dataset: tf.data.Dataset, columns: FeedColumns) -> tf.data.Dataset:
    """Leave out of `x` what nobody asked for: Keras warns of inputs that a model has not."""
    unasked = {name for name in ("numeric", "category") if not getattr(columns, name)}
    if not columns.row:
        unasked.add("row")
    if not unasked:
        return dataset

    def kept(x: dict[str, Any], *others: Any) -> Any:
        x = {name: value for name, value in x.items() if name not in unasked}
        return (x, *others) if others else x

    return dataset.map(kept)

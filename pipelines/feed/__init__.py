"""The feed: the rows of one pinned table version on their way to the model.

    snapshot = take_snapshot(table_uri, version, where={"split": "train"})      # driver
    columns = FeedColumns.of(spec.inputs)                      # or FeedColumns(numeric=[...], ...)
    plan = plan_epoch(snapshot, seed=7, epoch=0, global_batch_size=1024, streams=12)
    rank_plan = plan.for_rank(rank, size, start_step=0)        # what this rank reads
    dataset = make_dataset(rank_plan, columns)                 # tf.data, one epoch, ready to train

Everything here can be pickled and made again: a plan is a pure function of its arguments, so the
driver may make it, or each rank may make it from the snapshot.

**What an element of the dataset is.** Element k is this rank's share of global batch k (from
`start_step` on): `(x, y)`, or `(x, y, weight)` where `columns.weight` is set, or `x` alone where
`columns.label` is None, with

- `x["numeric"]`: float32 (rows, number of numeric inputs), columns in the order of
  `columns.numeric` (the inputs of kind `numeric`, in the order of `spec.inputs`);
- `x["category"]`: int32 (rows, number of category inputs), likewise; both keys are always there,
  with a width of 0 where there is no such input;
- `x["row"]`: int64 (rows,), the row's number in the epoch, 0 .. plan.rows - 1. It is the same for
  any number of ranks, so dropout and augmentation are seeded by (seed, epoch, row);
- `x[<input>]` for each other input by its name: an array is float32 (rows, length), a sequence
  int32 (rows, length), an image float32 (rows, height, width, channels) in 0..1;
- `x[<key>]`: int64 (rows,) for each name in `columns.keys` (for example `_position`);
- `y` and `weight`: float32 (rows,).

`plan.steps` is the same on every rank. `plan.batch_rows(k)` is the number of rows of global batch k
over all ranks (what sums of gradients are divided by), `rank_plan.batch_rows(k)` this rank's part
of it. They differ by one row between ranks at most; a rank's part of the last, short batch may have
0 rows: the element is there all the same, with empty arrays.

For validation and test, `plan_evaluation(snapshot, batch_size)` reads in the order of `_position`,
without any shuffling; `.for_rank(rank, size)` and the elements are the same.

`open_table` is all of this in one call, for notebooks: `x` holds what was asked for and nothing
else, and with a seed each pass over the data set is the epoch of that number.

**Images** go through windows and batches as the bytes of their files and are decoded after that,
inside tf.data. So `window_rows` (`train.window_rows`) bounds the encoded images that a rank holds:
each of its streams keeps one window, and those that are being filled; the `prefetch` batches hold
decoded ones.
"""

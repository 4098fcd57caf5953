"""Cleaning: bronze rows become typed, treated, judged rows, one file a subject.

The transforms (`treat.py` has them in their order) are pure: DataFrame in, DataFrame out; only
`batch.py`, `progress.py` and `store.py` touch the lake. They pass on a frame with the silver
columns, and beside them:

| column | what |
|---|---|
| `_raw` | struct of the bronze columns as they came |
| `_order_file_at`, `_order_file`, `_order_row` | the order key: delivery time, file, row |
| `_reasons` | why it is kept out: `cast:x`, `missing:x`, `outlier:x`, `derive:x`, or a rule |
| `_is_dropped` | a missing value says that the row is dropped |
| `_broken` | all rules that the row breaks |
| `_fate` | what becomes of the row (`duplicates.py`) |
"""

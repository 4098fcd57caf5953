"""Facts of made-up columns, counted in Python."""

from collections import Counter

from pipelines.profiling.casts import Cast
from pipelines.profiling.facts import ColumnFacts, TableFacts, Trial


def column(name="amount", values=(), fits=None, kind="string", rows=None):
    """Facts of a column of texts; `fits` gives the texts that each cast does not take."""
    texts = [value for value in values if value not in (None, "")]
    counts = Counter(texts)
    top = tuple(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
    trials = {}
    for cast, unfit in (fits or {}).items():
        bad = tuple(pair for pair in top if pair[0] in unfit)
        trials[cast] = Trial(len(texts) - sum(n for _, n in bad), unfit=bad)
    return ColumnFacts(
        name=name,
        header=name,
        kind=kind,
        rows=rows or len(values),
        present=len(texts),
        distinct=len(counts),
        is_exact=True,
        least=min(texts, default=None),
        largest=max(texts, default=None),
        longest=max(map(len, texts), default=0),
        mean_length=sum(map(len, texts)) / max(1, len(texts)),
        zeros_before=sum(text[0] == "0" and text.isdigit() and len(text) > 1 for text in texts),
        long_digits=sum(text.isdigit() and len(text) > 15 for text in texts),
        top=top,
        sample=tuple(texts),
        trials=trials,
    )


def table(*columns):
    return TableFacts(columns[0].rows, columns, distinct_rows=columns[0].rows)


WHOLE, FRACTION, DAY = Cast("bigint"), Cast("double"), Cast("date")

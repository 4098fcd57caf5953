"""`python -m tests.feed.read_once TABLE` reads an epoch and prints its rows and the most memory."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pipelines.feed.columns import FeedColumns
from pipelines.feed.dataset import make_dataset
from pipelines.feed.plan import plan_epoch
from pipelines.lake.snapshot import take_snapshot


def anonymous() -> int:
    """Bytes of this process's own memory: pages of mapped files are the kernel's to take back."""
    text = Path("/proc/self/status").read_text()
    return 1024 * int(text.split("RssAnon:")[1].split()[0])


def main(table: str) -> None:
    snapshot = take_snapshot(table)
    columns = FeedColumns(numeric=tuple(name for name in snapshot.schema if name[0] == "x"))
    plan = plan_epoch(
        snapshot, seed=1, epoch=0, global_batch_size=1000, streams=4, window_rows=4096
    )
    rows, most = 0, 0
    for number, (x, _) in enumerate(make_dataset(plan.for_rank(0, 1), columns)):
        rows += len(x["row"])
        if number % 10 == 0:
            most = max(most, anonymous())
    print(json.dumps({"rows": rows, "most": most}))


if __name__ == "__main__":
    main(sys.argv[1])

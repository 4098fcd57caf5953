"""Runs the benchmarks, prints one table and writes bench.json: `make bench`.

    python -m tests.benchmarks [--only GROUP ...] [--rows N] [--out bench.json]

Every ratio comes from runs that take turns in this one call; medians count. Run it alone on the
machine. Exits with 1 where a figure misses its bound.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.benchmarks import feeding, increments, launching, normalizing, serving, training
from tests.benchmarks.measure import Figure, say

ROWS = 2_000_000


def groups(folder: str, rows: int, lake_rows: int) -> dict[str, Callable[[], Iterator[Figure]]]:
    """Return what can be measured, by name, in order."""
    return {
        "plan": feeding.planning,
        "feed": lambda: feeding.speed(folder, rows),
        "fit": lambda: training.fit(folder, rows),
        "ranks": lambda: training.ranks(folder, rows),
        "launch": launching.launch,
        "end_to_end": lambda: launching.end_to_end(folder),
        "memory": lambda: feeding.memory(folder),
        "ingest": lambda: increments.measure(folder, lake_rows, "ingest"),
        "clean": lambda: increments.measure(folder, lake_rows, "clean"),
        "featurize": lambda: increments.measure(folder, lake_rows, "featurize"),
        "normalize": lambda: normalizing.normalize(folder),
        "serve": lambda: serving.measure(folder),
    }


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(groups("", 0, 0)), metavar="GROUP")
    parser.add_argument(
        "--rows",
        type=int,
        help=f"of the feed's wide table ({ROWS:,} by default), of flights ({increments.ROWS:,})",
    )
    parser.add_argument("--out", type=Path, default=Path("bench.json"))
    options = parser.parse_args()
    root = str(Path(__file__).resolve().parents[2])
    # Helpers and Python workers import this package too.
    os.environ["PYTHONPATH"] = root
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        rows, lake_rows = options.rows or ROWS, options.rows or increments.ROWS
        for name, measure in groups(folder, rows, lake_rows).items():
            if not options.only or name in options.only:
                say(f"== {name}")
                figures += measure()
    show(figures)
    options.out.write_text(json.dumps({one.key: round(one.value, 4) for one in figures}, indent=1))
    return 0 if all(one.is_met for one in figures) else 1


def show(figures: list[Figure]) -> None:
    """Print the table."""
    print(f"{'key':32s} {'figure':>9s} {'bound':>8s}  what")
    for one in figures:
        mark = " " if one.is_met else "!"
        print(f"{one.key:32s} {one.value:9.3f} {one.bound:>8s} {mark} {one.what}")


if __name__ == "__main__":
    sys.exit(main())

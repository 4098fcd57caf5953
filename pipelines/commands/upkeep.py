"""Commands that keep a lake: what can go, and whether a model can be made again."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from pipelines.commands.options import WITH_SPARK, Options, print_json, shares

Retention = Annotated[
    str | None,
    typer.Option(
        "--retention",
        metavar="AGE",
        help="As 30d, 12h or 90s; by default each table's own `delta.deletedFileRetentionDuration`",
    ),
]


@shares(*WITH_SPARK)
def vacuum(
    options: Options,
    table: Annotated[
        list[str] | None,
        typer.Option("--table", help="As `silver.flights`; by default all tables of the lake."),
    ] = None,
    retention: Retention = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, remove nothing.")
    ] = False,
) -> None:
    """Remove files that no version within the retention and no kept bundle needs."""
    from pipelines.maintenance.pins import compared, pinned
    from pipelines.maintenance.show import vacuum_lines
    from pipelines.maintenance.vacuum import parse_retention, tables_of, vacuum_table

    hours = None if retention is None else parse_retention(retention)
    with options.run() as run:
        pins = [*pinned(run.lake), *compared(run.lake)]
        found = []
        for name in table or tables_of(run.spark, run.lake):
            run.progress({"event": "note", "text": f"vacuum {name}"})
            found.append(vacuum_table(run.spark, run.lake, name, pins, hours, dry_run))
    if options.as_json:
        print_json({"dry_run": dry_run, "tables": [asdict(one) for one in found]})
    else:
        print("\n".join(vacuum_lines(found, dry_run)))


@shares(*WITH_SPARK)
def maintain(
    options: Options,
) -> None:
    """Bring the pipeline's tables to `maintenance`: retention, clustering, small files together.

    Done a second time, it changes nothing.
    """
    from pipelines.maintenance.tidy import tidy

    with options.run() as run:
        found = tidy(run.spark, run.lake, run.pipeline)
    if options.as_json:
        print_json({"tables": [asdict(one) for one in found]})
    else:
        lines = [one.line() for one in found if one.line()]
        print("\n".join([*lines, f"{len(found)} tables of {options.name}, {len(lines)} changed"]))


@shares(*WITH_SPARK)
def reproduce(
    options: Options,
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="Run id of a training.")],
) -> None:
    """Train a bundle's model again, from what the bundle says, and compare the weights.

    Ends with 0 where they agree, 3 where they differ, 1 where it can't be trained again.
    """
    from pipelines.maintenance.reproduce import reproduce as train_again

    with options.run() as run:
        found = train_again(run, run_id)
    if options.as_json:
        print_json(asdict(found))
    else:
        print("\n".join(found.lines()))

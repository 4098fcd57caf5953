"""Commands about rejected rows."""

from __future__ import annotations

import getpass
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.commands.options import Options, lake_of, print_json, shares

if TYPE_CHECKING:
    from pipelines.cleaning.quarantine import Choice, Rejected

app = typer.Typer(no_args_is_help=True, help="Look at rejected rows, and put corrected ones back.")

Entity = Annotated[str, typer.Argument(metavar="ENTITY", help="As `flights`, of silver.flights.")]
Reason = Annotated[str | None, typer.Option("--reason", help="Rows with this reason alone.")]
Ids = Annotated[list[str] | None, typer.Option("--row", metavar="ID", help="As `show` says it.")]
Key = Annotated[
    list[str] | None,
    typer.Option("--key", metavar="COLUMN=VALUE", help="Rows with this value in the source."),
]
Correction = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="COLUMN=VALUE", help="Correct a column of the source."),
]
CsvIn = Annotated[Path | None, typer.Option("--file", help="Rows corrected in a CSV of `show`.")]
CsvOut = Annotated[Path | None, typer.Option("--to", help="Write the rows as CSV, to correct.")]
By = Annotated[str | None, typer.Option("--by", help="Who puts them back; by default you.")]


@app.command()
@shares("env", "lake", "as_json")
def show(
    options: Options,
    entity: Entity,
    rows: Ids = None,
    key: Key = None,
    reason: Reason = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="At most so many; 20, to a file all.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Released rows, too.")] = False,
    to: CsvOut = None,
) -> None:
    """Show the rows that `clean` kept out, with their reasons."""
    from pipelines.cleaning.quarantine import Choice, lines, pairs, rejected_rows, write_csv

    found = rejected_rows(lake_of(options), options.pipeline(), entity)
    found = [one for one in found if everything or not one.is_released]
    total, chosen = len(found), Choice(rows or (), pairs(key or (), "--key"), reason).of(found)
    chosen = chosen[: limit or (20 if to is None else None)]
    if to is not None:
        write_csv(chosen, to)
    if options.as_json:
        shown = [one.to_dict() for one in chosen]
        print_json({"entity": entity, "rejected": total, "rows": shown})
    else:
        print("\n".join(lines(chosen, entity, total)))


@app.command()
@shares("env", "lake", "as_json")
def files(
    options: Options,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="As in `ingest.sources`.")],
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 20,
) -> None:
    """Show the files and records that `ingest` put aside, with their reasons."""
    from pipelines.ingest.aside import lines, put_aside

    found = put_aside(lake_of(options), options.pipeline(), source)
    if options.as_json:
        print_json({"source": source, "put_aside": len(found), "rows": found[:limit]})
    else:
        print("\n".join(lines(found[:limit], source, len(found))))


@app.command()
@shares("env", "lake", "run_id", "profile", "as_json")
def release(
    options: Options,
    entity: Entity,
    rows: Ids = None,
    key: Key = None,
    reason: Reason = None,
    corrections: Correction = None,
    file: CsvIn = None,
    by: By = None,
) -> None:
    """Put rejected rows back, with corrections, and run `clean`: they pass its rules as any row.

    Rows that are still bad stay in quarantine, and are named with their reasons (exit code 3).
    """
    from pipelines.cleaning.quarantine import Choice, pairs
    from pipelines.cleaning.release import release as put_back
    from pipelines.runner import run_stage
    from pipelines.stages.catalog import STAGES

    choice = Choice(rows or (), pairs(key or (), "--key"), reason)
    wanted = _wanted(options, entity, choice, pairs(corrections or (), "--set"), file)
    with options.run() as run:
        done = put_back(run, entity, wanted, by or getpass.getuser())
        taker = STAGES.writer_of(run.tables.silver(entity), run.tables)
        result = run_stage(taker.name, run) if done.released or done.before else None
    if options.as_json:
        print_json({**asdict(done), "clean": asdict(result) if result else None})
    else:
        print("\n".join(_lines(entity, done, result)))
    if done.refused:
        raise typer.Exit(3)


def _wanted(
    options: Options,
    entity: str,
    choice: Choice,
    corrections: dict[str, str | None],
    file: Path | None,
) -> list[Rejected]:
    from pipelines.cleaning.quarantine import check_columns, read_csv, rejected_rows
    from pipelines.errors import UsageError

    if not choice and file is None:
        raise UsageError("say which rows: with --row, --key, --reason or --file.")
    every = rejected_rows(lake_of(options), options.pipeline(), entity)
    if file is not None:
        every = read_csv(file, every)
    found = choice.of(every)
    if not found:
        raise UsageError(
            f"no rejected row of {entity} is meant by that; `tidemill quarantine show "
            f"{options.name} {entity}` lists them."
        )
    check_columns(found[0], corrections)
    return [replace(one, changes={**one.changes, **corrections}) for one in found]


def _lines(entity: str, done: Any, result: Any) -> list[str]:
    said = []
    if done.released:
        said.append(f"{len(done.released):,} rows of {entity} put back: {_few(done.released)}")
    if done.before:
        said.append(f"{len(done.before):,} rows were put back before: {_few(done.before)}")
    for name, reasons in done.refused.items():
        said.append(f"{name} stays in quarantine: {', '.join(reasons)}")
    return [*said, *([result.line()] if result else [])]


def _few(ids: tuple[str, ...]) -> str:
    more = f" and {len(ids) - 5:,} more" if len(ids) > 5 else ""
    return ", ".join(ids[:5]) + more

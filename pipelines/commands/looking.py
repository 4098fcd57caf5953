# ruff: noqa: ARG001 - `--debug` is taken up by its callback, commands never look at it
"""Commands that look into the lake."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.commands.options import (
    OF_LAKE,
    Debug,
    Env,
    Json,
    LakeUri,
    Options,
    Set,
    lake_of,
    print_json,
    shares,
)
from pipelines.terminal import results_only, set_up_logging

if TYPE_CHECKING:
    from pipelines.lake.catalog import Lake


def gather(options: Options) -> Any:
    """Return the summary of the pipeline's lake; say on stderr what could not be looked up."""
    from pipelines.summary import gather

    with results_only():
        found = gather(options.pipeline(), lake_of(options))
    if found.model_unknown:
        typer.echo(f"tidemill: the champion is not known: {found.model_unknown}", err=True)
    return found


def show(found: Any) -> None:
    """Show a summary on the screen."""
    from rich.console import Console

    from pipelines.summary import show

    # Without a terminal there is no width to fit: rich's 80 columns would cut paths.
    console = Console()
    show(found, console if console.is_terminal else Console(width=160))


@shares(*OF_LAKE)
def summary(
    options: Options,
) -> None:
    """Show what is in the lake, how good the champion is, and where the results are."""
    set_up_logging(is_watched=True)
    found = gather(options)
    if options.as_json:
        print_json(asdict(found))
    else:
        show(found)
    if found.model_unknown:
        raise typer.Exit(1)


@shares(*OF_LAKE)
def runs(
    options: Options,
    stage: Annotated[str | None, typer.Option("--stage", help="Of this stage alone.")] = None,
    last: Annotated[int, typer.Option("--last", min=1, help="How many, newest last.")] = 20,
) -> None:
    """Show what ran: stage, logical date, rows, versions, seconds."""
    from pipelines.lineage.show import run_lines, runs_of
    from pipelines.stages.catalog import STAGES

    if stage is not None:
        STAGES[stage]  # refuses an unknown one
    found = runs_of(lake_of(options), options.name, stage)
    found = found[-last:]
    if options.as_json:
        print_json([asdict(one) for one in found])
    else:
        print("\n".join(run_lines(found)))


def lineage(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="As `predictions.flights_late`.")],
    version: Annotated[int | None, typer.Option("--version", help="By default the newest.")] = None,
    pipeline: Annotated[str | None, typer.Option("--pipeline", help="Whose lake it is.")] = None,
    env: Env = None,
    lake: LakeUri = None,
    overrides: Set = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show the way back from a table to the landing files: versions and the runs between them."""
    from pipelines.config.load import pipeline_names, project_root
    from pipelines.errors import TableNotFound, TidemillError
    from pipelines.lineage.show import lineage_lines, origin_in

    lakes: list[Lake] = []
    passed_over: dict[str, TidemillError] = {}
    for name in [pipeline] if pipeline else pipeline_names(project_root()):
        try:
            lakes.append(lake_of(Options(name, env, lake, tuple(overrides or ()))))
        except TidemillError as error:
            # An overlay, a setting or a tenant's place need not be every pipeline's.
            passed_over[name] = error
    if passed_over and not lakes:
        raise next(iter(passed_over.values()))
    try:
        place, origin = origin_in(list(dict.fromkeys(lakes)), table, version)
    except TableNotFound as error:
        if not passed_over:
            raise
        raise TableNotFound(
            f"{error} Not looked at, as they can't be loaded with these options: "
            f"{', '.join(passed_over)}. Name one with --pipeline to see why."
        ) from None
    if as_json:
        print_json(asdict(origin))
    else:
        print("\n".join(lineage_lines(place, origin)))

"""A command for each stage."""

from __future__ import annotations

import getpass
from dataclasses import replace
from typing import Annotated

import typer

from pipelines.commands.models import By, Reason, tell
from pipelines.commands.options import OF_RUN, Command, Options, lake_of, shares
from pipelines.errors import UsageError
from pipelines.stages.catalog import STAGES
from pipelines.stages.stage import Stage

Again = Annotated[
    bool,
    typer.Option("--again", help="Make silver and quarantine anew, from all of bronze."),
]
Entities = Annotated[
    list[str] | None, typer.Option("--entity", help="With --again: this entity alone.")
]

Version = Annotated[
    int | None,
    typer.Option("--version", min=1, help="This version, by hand: no gate. Needs --reason."),
]


def add_stages(app: typer.Typer) -> None:
    """Add a command for each stage to `app`."""
    for stage in STAGES:
        by_hand = _by_hand(stage) if stage.can_go_by_hand else _plain(stage)
        command = _with_again(stage) if stage.can_do_again else by_hand
        app.command(stage.name, help=stage.help, rich_help_panel="Stages")(command)


def _plain(stage: Stage) -> Command:
    @shares(*OF_RUN)
    def command(options: Options) -> None:
        _run(stage.name, options)

    return command


def _with_again(stage: Stage) -> Command:
    @shares(*OF_RUN)
    def command(options: Options, again: Again = False, entity: Entities = None) -> None:
        if entity and not again:
            raise UsageError("--entity says what --again makes anew: give both, or neither.")
        anew = tuple(entity or options.pipeline().clean.entities) if again else ()
        _run(stage.name, options, anew)

    return command


def _by_hand(stage: Stage) -> Command:
    @shares(*OF_RUN)
    def command(
        options: Options, version: Version = None, reason: Reason = None, by: By = None
    ) -> None:
        if version is None:
            if reason or by:
                raise UsageError("--reason and --by go with --version: the gate has its own.")
            _run(stage.name, options)
            return
        from pipelines.registry.by_hand import promote

        model = options.pipeline().score.model
        moved = promote(lake_of(options), model, version, by or getpass.getuser(), reason or "")
        tell(moved, options)

    return command


def _run(stage: str, options: Options, again: tuple[str, ...] = ()) -> None:
    from pipelines.runner import run_stage

    with options.run() as run:
        result = run_stage(stage, replace(run, again=again))
    if options.as_json:
        print(result.to_json())

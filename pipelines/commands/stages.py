# ruff: noqa: ARG001 - `--debug` is taken up by its callback, commands never look at it
"""A command for each stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

import typer

from pipelines.commands.options import (
    Date,
    Debug,
    Env,
    Json,
    LakeUri,
    Name,
    Options,
    Profile,
    RunId,
    Set,
    Since,
)
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


def add_stages(app: typer.Typer) -> None:
    """Add a command for each stage to `app`."""
    for stage in STAGES:
        command = _with_again(stage) if stage.can_do_again else _plain(stage)
        app.command(stage.name, help=stage.help, rich_help_panel="Stages")(command)


def _plain(stage: Stage) -> Callable[..., None]:
    def command(
        pipeline: Name,
        env: Env = None,
        lake: LakeUri = None,
        date: Date = None,
        since: Since = None,
        overrides: Set = None,
        run_id: RunId = None,
        profile: Profile = "local",
        as_json: Json = False,
        debug: Debug = False,
    ) -> None:
        given = tuple(overrides or ())
        options = Options(pipeline, env, lake, given, date, since, run_id, profile)
        _run(stage.name, options, as_json)

    return command


def _with_again(stage: Stage) -> Callable[..., None]:
    def command(
        pipeline: Name,
        env: Env = None,
        lake: LakeUri = None,
        date: Date = None,
        since: Since = None,
        overrides: Set = None,
        run_id: RunId = None,
        profile: Profile = "local",
        again: Again = False,
        entity: Entities = None,
        as_json: Json = False,
        debug: Debug = False,
    ) -> None:
        if entity and not again:
            raise UsageError("--entity says what --again makes anew: give both, or neither.")
        given = tuple(overrides or ())
        options = Options(pipeline, env, lake, given, date, since, run_id, profile)
        anew = tuple(entity or options.pipeline().clean.entities) if again else ()
        _run(stage.name, options, as_json, anew)

    return command


def _run(stage: str, options: Options, as_json: bool, again: tuple[str, ...] = ()) -> None:
    from pipelines.runner import run_stage

    with options.run() as run:
        result = run_stage(stage, replace(run, again=again))
    if as_json:
        print(result.to_json())

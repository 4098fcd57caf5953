# ruff: noqa: ARG001 - `--debug` is taken up by its callback, commands never look at it
"""A command for each stage."""

from __future__ import annotations

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

Again = Annotated[
    bool,
    typer.Option("--again", help="Make silver and quarantine anew, from all of bronze."),
]
Entities = Annotated[
    list[str] | None, typer.Option("--entity", help="With --again: this entity alone.")
]

STAGE_HELP = {
    "ingest": "Read new landing files into bronze tables, each file once.",
    "clean": "Turn new bronze rows into typed silver rows; put bad ones into quarantine.",
    "featurize": "Compute raw feature values from silver, one row per key and date.",
    "normalize": "Fit the feature spec and write the training set with its splits.",
    "train": "Train the model on the training set; keep it as a bundle.",
    "promote": "Make the newest candidate the champion, if it passes its thresholds.",
    "score": "Predict for the logical date, or a range, with the champion.",
    "monitor": "Check quality, drift and performance; write the report page.",
}


def add_stages(app: typer.Typer) -> None:
    """Add a command for each stage to `app`."""
    for stage, text in STAGE_HELP.items():
        if stage == "clean":
            app.command(stage, help=text, rich_help_panel="Stages")(_clean)
        else:
            _add_stage(app, stage, text)


def _add_stage(app: typer.Typer, stage: str, text: str) -> None:
    @app.command(stage, help=text, rich_help_panel="Stages")
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
        _run(stage, options, as_json)


def _clean(
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
    _run("clean", options, as_json, anew)


def _run(stage: str, options: Options, as_json: bool, again: tuple[str, ...] = ()) -> None:
    from pipelines.runner import run_stage

    with options.run() as run:
        result = run_stage(stage, replace(run, again=again))
    if as_json:
        print(result.to_json())

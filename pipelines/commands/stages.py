# ruff: noqa: ARG001 - `--debug` is taken up by its callback, commands never look at it
"""A command for each stage."""

from __future__ import annotations

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
        from pipelines.runner import run_stage

        given = tuple(overrides or ())
        options = Options(pipeline, env, lake, given, date, since, run_id, profile)
        with options.run() as run:
            result = run_stage(stage, run)
        if as_json:
            print(result.to_json())

"""All commands of `tidemill`, in the panels of its help."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

import pipelines
from pipelines.commands import (
    checking,
    looking,
    models,
    privacy,
    quarantine,
    serving,
    starting,
    upkeep,
    whole,
)
from pipelines.commands.stages import add_stages
from pipelines.terminal import Group

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"tidemill {pipelines.__version__}")
        raise typer.Exit


@app.callback()
def tidemill(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """From raw files to Delta tables, trained Keras models and daily predictions."""


_PANELS: dict[str, tuple[Callable[..., None], ...]] = {
    "Beginning": (starting.init,),
    "Whole runs": (whole.run, whole.story, whole.land),
    "Models as a service": (serving.serve, serving.explain, models.rollback),
    "Keeping the lake": (upkeep.maintain, upkeep.vacuum, upkeep.reproduce),
    "Personal data": (privacy.erase, privacy.rotate),
    "Looking and checking": (
        looking.summary,
        looking.runs,
        looking.lineage,
        checking.validate,
        checking.schema,
        checking.doctor,
    ),
}

add_stages(app)
for _panel, _commands in _PANELS.items():
    for _command in _commands:
        app.command(rich_help_panel=_panel)(_command)
app.add_typer(models.app, name="models", rich_help_panel="Models as a service")
app.add_typer(quarantine.app, name="quarantine", rich_help_panel="Keeping the lake")

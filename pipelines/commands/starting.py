# ruff: noqa: ARG001 - `--debug` is taken up by its callback, commands never look at it
"""The command that begins a pipeline."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.options import Debug, Profile
from pipelines.terminal import results_only, set_up_logging

_TASKS = ("classes", "number")


def init(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the pipeline is to be called.")],
    folder: Annotated[
        Path, typer.Option("--from", metavar="FOLDER", help="Where the data files are.")
    ],
    label: Annotated[
        str | None, typer.Option("--label", metavar="COLUMN", help="What is to be predicted.")
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="COLUMN", help="What tells rows apart; may be repeated."),
    ] = None,
    date: Annotated[
        str | None, typer.Option("--date", metavar="COLUMN", help="The day of a row.")
    ] = None,
    test_from: Annotated[
        dt.datetime | None,
        typer.Option(
            "--test-from", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="First day of the test."
        ),
    ] = None,
    positive: Annotated[
        str | None, typer.Option("--positive", metavar="VALUE", help="The label's yes.")
    ] = None,
    task: Annotated[
        str | None, typer.Option("--task", metavar="|".join(_TASKS), help="Of few numbers.")
    ] = None,
    day_first: Annotated[
        bool | None,
        typer.Option("--day-first/--month-first", help="Which comes first in 3/4/2024."),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Write over the files of an earlier init.")
    ] = False,
    profile: Profile = "local",
    debug: Debug = False,
) -> None:
    """Make a pipeline from a folder of files: conf/NAME, each choice with its evidence."""
    from pipelines.config.load import project_root
    from pipelines.errors import UsageError
    from pipelines.profiling.asked import Asked
    from pipelines.profiling.write import check_name, write_pipeline

    if task is not None and task not in _TASKS:
        raise UsageError(f"--task {task}: expected {' or '.join(_TASKS)}.")
    root = project_root()
    check_name(root, name, is_replaced=replace)
    asked = Asked(
        name=name,
        folder=folder.expanduser().resolve(),
        root=root,
        label=label,
        key=tuple(part for one in key or () for part in one.split(",")),
        date=date,
        test_from=test_from.date() if test_from else None,
        positive=positive,
        task=task,
        day_first=day_first,
        choose=_choose if sys.stdin.isatty() and sys.stderr.isatty() else None,
    )
    set_up_logging(is_watched=sys.stderr.isatty())
    with results_only():
        said = write_pipeline(asked, profile, _tell_of)
    print("\n".join(said))


def _tell_of(text: str) -> None:
    typer.echo(text, err=True)


def _choose(question: str, answers: Sequence[str], default: str) -> str:
    """Ask the one at the terminal."""
    typer.echo(f"Columns: {', '.join(answers)}", err=True)
    return str(typer.prompt(question, default=default, err=True))

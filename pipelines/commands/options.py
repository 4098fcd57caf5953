"""The options that commands share, and what each command does with them."""

from __future__ import annotations

import datetime as dt
import inspect
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines import stopping
from pipelines.terminal import results_only, set_up_logging, want_traces

if TYPE_CHECKING:
    from pipelines.config import Pipeline
    from pipelines.lake.catalog import Lake
    from pipelines.run import Run

_DAY = ["%Y-%m-%d"]
Name = Annotated[str, typer.Argument(metavar="PIPELINE", help="A folder of conf/, as `flights`.")]
Names = Annotated[list[str] | None, typer.Argument(metavar="[PIPELINE]...")]
Env = Annotated[str | None, typer.Option("--env", help="Overlay: conf/PIPELINE/ENV.yml.")]
LakeUri = Annotated[str | None, typer.Option("--lake", metavar="URI", help="Folder or URI.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a setting: train.epochs=2."),
]
Date = Annotated[
    dt.datetime | None,
    typer.Option(
        "--date",
        formats=_DAY,
        metavar="YYYY-MM-DD",
        help="Logical date, or the last day of a range.",
    ),
]
Since = Annotated[
    dt.datetime | None,
    typer.Option(
        "--since",
        formats=_DAY,
        metavar="YYYY-MM-DD",
        help="First day of a range that ends with --date.",
    ),
]
Until = Annotated[
    dt.datetime,
    typer.Option(
        "--until", formats=_DAY, metavar="YYYY-MM-DD", help="The last day that has arrived."
    ),
]
End = Annotated[
    dt.datetime | None,
    typer.Option(
        "--until",
        formats=_DAY,
        metavar="YYYY-MM-DD",
        help="The story's last day; by default a month's end.",
    ),
]
Step = Annotated[int, typer.Option("--step", help="Days in a delivery of new files.")]
RunId = Annotated[
    str | None, typer.Option("--run-id", help="The run's name; a retry carries the same.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Profile = Annotated[str, typer.Option("--profile", help="Spark profile: conf/spark/PROFILE.conf.")]
Debug = Annotated[bool, typer.Option("--debug", callback=want_traces, help="Show stack traces.")]


_SHARED: dict[str, tuple[Any, Any]] = {
    "name": (Name, inspect.Parameter.empty),
    "env": (Env, None),
    "lake": (LakeUri, None),
    "date": (Date, None),
    "since": (Since, None),
    "overrides": (Set, None),
    "run_id": (RunId, None),
    "profile": (Profile, "local"),
    "as_json": (Json, False),
}
"""Each option that commands share, as typer reads it, with its default."""
OF_LAKE = ("env", "lake", "overrides", "as_json")
WITH_SPARK = (*OF_LAKE, "profile")
OF_RUN = ("env", "lake", "date", "since", "overrides", "run_id", "profile", "as_json")

Command = Callable[..., None]


def shares(*names: str) -> Callable[[Command], Command]:
    """Make a command of a function whose first argument is `Options`.

    The command takes a pipeline, the function's own arguments, the shared options `names`, and
    `--debug`, which its callback takes up.
    """

    def decorate(function: Command) -> Command:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        known = ("name", *names)

        def command(**given: Any) -> None:
            given.pop("debug")
            shared = {name: given.pop(name) for name in known}
            if "overrides" in shared:
                shared["overrides"] = tuple(shared["overrides"] or ())
            function(Options(**shared), **given)

        first, *rest = (_parameter(name, *_SHARED[name]) for name in known)
        every = [first, *own, *rest, _parameter("debug", Debug, False)]
        command.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]
        command.__annotations__ = {one.name: one.annotation for one in every}
        command.__name__, command.__doc__ = function.__name__, function.__doc__
        return command

    return decorate


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


@dataclass(frozen=True)
class Options:
    """What commands share: the pipeline, and the options given with it."""

    name: str
    env: str | None = None
    lake: str | None = None
    overrides: tuple[str, ...] = ()
    date: dt.datetime | None = None
    since: dt.datetime | None = None
    run_id: str | None = None
    profile: str = "local"
    as_json: bool = False

    def pipeline(self) -> Pipeline:
        """Load the pipeline."""
        from pipelines.config.load import load_pipeline

        return load_pipeline(self.name, self.env, self.overrides, self.lake)

    @contextmanager
    def run(self) -> Iterator[Run]:
        """Open the run, with logs and progress on stderr."""
        from rich.console import Console

        from pipelines.progress import showing
        from pipelines.runner import open_run

        console = Console(stderr=True)
        set_up_logging(is_watched=console.is_terminal)
        pipeline = self.pipeline()
        with results_only(), showing(console) as progress:
            progress({"event": "starting", "what": "Spark"})
            run = open_run(
                pipeline,
                date=day_of(self.date),
                since=day_of(self.since),
                run_id=self.run_id,
                progress=progress,
                profile=self.profile,
            )
            stopping.take_back()
            yield run


def day_of(moment: dt.datetime | None) -> dt.date | None:
    """Return the day of an option's moment."""
    return None if moment is None else moment.date()


def print_json(value: Any) -> None:
    """Print the one JSON object of `--json`."""
    print(json.dumps(value, sort_keys=True, default=str))


def lake_of(options: Options) -> Lake:
    """Return the pipeline's lake, without Spark."""
    from pipelines.lake.catalog import Lake
    from pipelines.lake.tenant import confine_links
    from pipelines.run import resolve_place

    pipeline = options.pipeline()
    lake = Lake(resolve_place(pipeline.root, pipeline.lake))
    confine_links(lake.root)
    return lake

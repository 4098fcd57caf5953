"""The options that commands share, and what each command does with them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
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
    typer.Option("--date", formats=_DAY, help="Logical date, or the last day of a range."),
]
Since = Annotated[
    dt.datetime | None,
    typer.Option("--since", formats=_DAY, help="First day of a range that ends with --date."),
]
Until = Annotated[
    dt.datetime, typer.Option("--until", formats=_DAY, help="The last day that has arrived.")
]
End = Annotated[
    dt.datetime | None,
    typer.Option("--until", formats=_DAY, help="The story's last day; by default a month's end."),
]
Step = Annotated[int, typer.Option("--step", help="Days in a delivery of new files.")]
RunId = Annotated[
    str | None, typer.Option("--run-id", help="The run's name; a retry carries the same.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Profile = Annotated[str, typer.Option("--profile", help="Spark profile: conf/spark/PROFILE.conf.")]
Debug = Annotated[bool, typer.Option("--debug", callback=want_traces, help="Show stack traces.")]


@dataclass(frozen=True)
class Options:
    """The options that all commands share."""

    name: str
    env: str | None = None
    lake: str | None = None
    overrides: tuple[str, ...] = ()
    date: dt.datetime | None = None
    since: dt.datetime | None = None
    run_id: str | None = None
    profile: str = "local"

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

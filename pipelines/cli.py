# ruff: noqa: ARG001 - `--debug` is taken up by its callback, commands never look at it
"""The `tidemill` command. Thin: it reads options, calls, prints, and ends with an exit code.

Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 3 a rule or a gate refused, 130 stopped
by Ctrl-C. Results go to stdout, logs and errors to stderr; with `--json` stdout holds exactly one
JSON object, or nothing where the command failed.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.terminal import Group, results_only, set_up_logging, stopping_soon, want_traces

if TYPE_CHECKING:
    from pipelines.config import Pipeline
    from pipelines.run import Run

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="From raw files to Delta tables, trained Keras models and daily predictions.",
)

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
                date=_day(self.date),
                since=_day(self.since),
                run_id=self.run_id,
                progress=progress,
                profile=self.profile,
            )
            # Spark has put its own answer to Ctrl-C in place by now.
            with stopping_soon():
                yield run


def _day(moment: dt.datetime | None) -> dt.date | None:
    return None if moment is None else moment.date()


def _print_json(value: Any) -> None:
    print(json.dumps(value, sort_keys=True, default=str))


def _add_stage(stage: str, text: str) -> None:
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


for _stage, _text in STAGE_HELP.items():
    _add_stage(_stage, _text)


@app.command(rich_help_panel="Whole runs")
def run(
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
    """Run all stages in order. With the --run-id of a run that stopped, go on where it did."""
    from pipelines.runner import STAGES, run_stage

    given = tuple(overrides or ())
    options = Options(pipeline, env, lake, given, date, since, run_id, profile)
    with options.run() as open_run:
        results = [run_stage(stage, open_run, once=True) for stage in STAGES]
    _close(options, as_json, {"run_id": open_run.run_id, "stages": [asdict(r) for r in results]})


@app.command(rich_help_panel="Whole runs")
def story(
    pipeline: Name,
    env: Env = None,
    lake: LakeUri = None,
    until: End = None,
    step: Step = 7,
    overrides: Set = None,
    profile: Profile = "local",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Tell the whole story: history arrives, a model learns it, new days arrive and are scored.

    Told a second time, it does nothing twice.
    """
    from pipelines.story import Dates, tell

    options = Options(pipeline, env, lake, tuple(overrides or ()), profile=profile)
    dates = Dates.of(options.pipeline(), _day(until))
    with options.run() as run:
        results = tell(run, dates, step)
    _close(options, as_json, {"stages": [asdict(result) for result in results]})


def _close(options: Options, as_json: bool, done: dict[str, Any]) -> None:
    """End a whole run with its summary, on the screen or in the JSON object."""
    found = _gather(options)
    if as_json:
        _print_json({"pipeline": options.name, **done, "summary": asdict(found)})
    else:
        _show(found)


def _gather(options: Options) -> Any:
    from pipelines.summary import gather

    with results_only():
        return gather(options.pipeline(), _lake(options))


def _show(found: Any) -> None:
    from rich.console import Console

    from pipelines.summary import show

    # Without a terminal there is no width to fit: rich's 80 columns would cut paths.
    console = Console()
    show(found, console if console.is_terminal else Console(width=160))


@app.command(rich_help_panel="Looking and checking")
def summary(
    pipeline: Name,
    env: Env = None,
    lake: LakeUri = None,
    overrides: Set = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show what is in the lake, how good the champion is, and where the results are."""
    set_up_logging(is_watched=True)
    found = _gather(Options(pipeline, env, lake, tuple(overrides or ())))
    if as_json:
        _print_json(asdict(found))
    else:
        _show(found)


@app.command(rich_help_panel="Looking and checking")
def runs(
    pipeline: Name,
    env: Env = None,
    lake: LakeUri = None,
    stage: Annotated[str | None, typer.Option("--stage", help="Of this stage alone.")] = None,
    last: Annotated[int, typer.Option("--last", min=1, help="How many, newest last.")] = 20,
    overrides: Set = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show what ran: stage, logical date, rows, versions, seconds."""
    from pipelines.lineage.show import run_lines, runs_of

    found = runs_of(_lake(Options(pipeline, env, lake, tuple(overrides or ()))), pipeline, stage)
    found = found[-last:]
    if as_json:
        _print_json([asdict(one) for one in found])
    else:
        print("\n".join(run_lines(found)))


@app.command(rich_help_panel="Looking and checking")
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
    from pipelines.lineage.show import lineage_lines, origin_in

    names = [pipeline] if pipeline else pipeline_names(project_root())
    lakes = [_lake(Options(name, env, lake, tuple(overrides or ()))) for name in names]
    place, origin = origin_in(list(dict.fromkeys(lakes)), table, version)
    if as_json:
        _print_json(asdict(origin))
    else:
        print("\n".join(lineage_lines(place, origin)))


def _lake(options: Options) -> Any:
    from pipelines.lake.catalog import Lake
    from pipelines.run import resolve_place

    pipeline = options.pipeline()
    return Lake(resolve_place(pipeline.root, pipeline.lake))


@app.command(rich_help_panel="Looking and checking")
def validate(
    names: Names = None,
    env: Env = None,
    overrides: Set = None,
    debug: Debug = False,
) -> None:
    """Check pipelines without Spark: settings, every overlay, the files they name."""
    from pipelines.config import check
    from pipelines.config.load import environments, load_pipeline, pipeline_names, project_root

    root = project_root()
    for name in names or pipeline_names(root):
        pipeline = load_pipeline(name, env, tuple(overrides or ()))
        check.check_files(pipeline)
        check.check_function(pipeline)
        others = environments(pipeline.folder) if env is None else []
        for other in others:
            check.check_files(load_pipeline(name, other, tuple(overrides or ())))
        overlays = f", overlays {' '.join(others)}" if others else ""
        print(f"{name}: {check.describe(pipeline)}{overlays}, ok")


@app.command(rich_help_panel="Looking and checking")
def schema() -> None:
    """Write the JSON schema by which editors check and complete pipeline.yml."""
    from pipelines.config.load import project_root
    from pipelines.config.schema import write_schema

    file, changed = write_schema(project_root())
    print(f"{file}: {'written' if changed else 'is current'}")


@app.command(rich_help_panel="Looking and checking")
def doctor(as_json: Json = False) -> None:
    """Say of each part of the environment whether it is there, in which version."""
    from pipelines.doctor import checks

    found = checks()
    if as_json:
        _print_json([asdict(check) for check in found])
    else:
        width = max(len(check.name) for check in found) + 2
        for check in found:
            state = "ok" if check.ok else "MISSING" if check.found is None else "WRONG"
            name = f"{check.name:<{width}}"
            print(f"{state:<8}{name}{check.found or '-':<16}expected {check.expected}")
            if not check.ok and check.fix:
                print(f"{'':<8}-> {check.fix}")
    if not all(check.ok for check in found):
        raise typer.Exit(1)


@app.command(rich_help_panel="Whole runs")
def land(
    pipeline: Name,
    until: Until,
    env: Env = None,
    overrides: Set = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Deliver a built-in pipeline's files as they would have arrived by the end of a day."""
    from pipelines.story import land as deliver

    settings = Options(pipeline, env, overrides=tuple(overrides or ())).pipeline()
    counts = deliver(settings, until.date())
    if as_json:
        _print_json({"pipeline": pipeline, "until": str(until.date()), "written": counts})
    else:
        files = ", ".join(f"{count} {kind}" for kind, count in counts.items())
        print(f"{pipeline}: files written until {until.date()}: {files}")


def stage_main(stage: str) -> None:
    """Be a Spark job: run one stage with the process's arguments and exit code."""
    app([stage, *sys.argv[1:]], prog_name="tidemill")


def main() -> None:
    """Be the command `tidemill`."""
    app(prog_name="tidemill")

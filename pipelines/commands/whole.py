# ruff: noqa: ARG001 - `--debug` is taken up by its callback, commands never look at it
"""Commands for whole runs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pipelines.commands.looking import gather, show
from pipelines.commands.options import (
    Date,
    Debug,
    End,
    Env,
    Json,
    LakeUri,
    Name,
    Options,
    Profile,
    RunId,
    Set,
    Since,
    Step,
    Until,
    day_of,
    print_json,
)


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
    from pipelines.runner import run_stage
    from pipelines.stages.catalog import STAGES

    given = tuple(overrides or ())
    options = Options(pipeline, env, lake, given, date, since, run_id, profile)
    with options.run() as open_run:
        results = [run_stage(stage, open_run, once=True) for stage in STAGES.names]
    _close(options, as_json, {"run_id": open_run.run_id, "stages": [asdict(r) for r in results]})


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
    dates = Dates.of(options.pipeline(), day_of(until))
    with options.run() as run:
        results = tell(run, dates, step)
    _close(options, as_json, {"stages": [asdict(result) for result in results]})


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
        print_json({"pipeline": pipeline, "until": str(until.date()), "written": counts})
    else:
        files = ", ".join(f"{count} {kind}" for kind, count in counts.items())
        print(f"{pipeline}: files written until {until.date()}: {files}")


def _close(options: Options, as_json: bool, done: dict[str, Any]) -> None:
    """End a whole run with its summary, on the screen or in the JSON object."""
    found = gather(options)
    if as_json:
        print_json({"pipeline": options.name, **done, "summary": asdict(found)})
    else:
        show(found)

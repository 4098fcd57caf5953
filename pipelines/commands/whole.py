"""Commands for whole runs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pipelines.commands.looking import gather, show
from pipelines.commands.options import (
    OF_RUN,
    WITH_SPARK,
    End,
    Options,
    Step,
    Until,
    day_of,
    print_json,
    shares,
)


@shares(*OF_RUN)
def run(
    options: Options,
) -> None:
    """Run all stages in order. With the --run-id of a run that stopped, go on where it did."""
    from pipelines.runner import run_stage
    from pipelines.stages.catalog import STAGES

    with options.run() as open_run:
        results = [run_stage(stage, open_run, once=True) for stage in STAGES.names]
    _close(options, {"run_id": open_run.run_id, "stages": [asdict(r) for r in results]})


@shares(*WITH_SPARK)
def story(
    options: Options,
    until: End = None,
    step: Step = 7,
) -> None:
    """Tell the whole story: history arrives, a model learns it, new days arrive and are scored.

    Told a second time, it does nothing twice.
    """
    from pipelines.story import Dates, tell

    dates = Dates.of(options.pipeline(), day_of(until))
    with options.run() as run:
        results = tell(run, dates, step)
    _close(options, {"stages": [asdict(result) for result in results]})


@shares("env", "overrides", "as_json")
def land(
    options: Options,
    until: Until,
) -> None:
    """Deliver a built-in pipeline's files as they would have arrived by the end of a day."""
    from pipelines.story import land as deliver

    counts = deliver(options.pipeline(), until.date())
    if options.as_json:
        print_json({"pipeline": options.name, "until": str(until.date()), "written": counts})
    else:
        files = ", ".join(f"{count} {kind}" for kind, count in counts.items())
        print(f"{options.name}: files written until {until.date()}: {files}")


def _close(options: Options, done: dict[str, Any]) -> None:
    """End a whole run with its summary, on the screen or in the JSON object."""
    found = gather(options)
    if options.as_json:
        print_json({"pipeline": options.name, **done, "summary": asdict(found)})
    else:
        show(found)

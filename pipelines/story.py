"""The story of the default run: a year of deliveries, told in order in one warm session.

History arrives and a model is trained on it; then the next weeks arrive delivery by delivery and
are scored day by day, unseen; at last their labels arrive and the predictions are judged.

It can be told again: each chapter's stages carry run ids made from what they depend on, so those
that are done, with the same settings and code, are not done twice.
"""

from __future__ import annotations

import calendar
import datetime as dt
import importlib
import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.config import Pipeline
from pipelines.config.normalize import DateSplit
from pipelines.errors import SettingsError, UsageError
from pipelines.fingerprint import fingerprint
from pipelines.run import Run, StageResult, resolve_place
from pipelines.runner import run_stage, stored_result
from pipelines.stages.catalog import STAGES
from pipelines.stages.stage import DagKind

# The last flights land, and are reported, up to two days after they were due to leave.
LABELS_TAKE = dt.timedelta(days=2)

Deliver = Callable[[Path, dt.date], dict[str, int]]


@dataclass(frozen=True)
class Dates:
    """The days a story turns on: the first and last of history, and the last day of all."""

    first: dt.date
    history_until: dt.date
    end: dt.date

    @property
    def labels_until(self) -> dt.date:
        """The day by which the labels of all days have arrived."""
        return self.end + LABELS_TAKE

    @classmethod
    def of(cls, pipeline: Pipeline, end: dt.date | None = None) -> Dates:
        """Take history from the splits; the unseen days are the rest of the month after them."""
        split = pipeline.normalize.split
        if not isinstance(split, DateSplit):
            raise SettingsError(
                f"the story of '{pipeline.name}' needs `normalize.split.by: date`, which says "
                f"where history ends; it is `{split.by}`. Use `tidemill run` instead."
            )
        last = split.test[1]
        if end is None:
            after = last + dt.timedelta(days=1)
            end = after.replace(day=calendar.monthrange(after.year, after.month)[1])
        if end <= last:
            raise UsageError(
                f"the story's end {end} must lie after the test split, which ends {last}."
            )
        return cls(split.train[0], last, end)


@dataclass(frozen=True)
class Chapter:
    """Files that arrive (up to `land_until`), then stages for the days `since` to `date`."""

    name: str
    title: str
    since: dt.date
    date: dt.date
    land_until: dt.date | None = None
    stages: tuple[str, ...] = ()


def chapters(dates: Dates, step: int) -> Iterator[Chapter]:
    """Yield the story's chapters in order; `step` is the number of days in a delivery."""
    prepare = _names("prepare")
    train = tuple(name for name in _names("train") if name not in prepare)
    yield Chapter(
        "history",
        f"{dates.first} to {dates.history_until} arrives; a model is trained on it",
        dates.first,
        dates.history_until,
        dates.history_until,
        (*prepare, *train),
    )
    one = dt.timedelta(days=1)
    first = dates.history_until + one
    while first <= dates.end:
        last = min(first + (step - 1) * one, dates.end)
        title = f"{first} to {last} arrives and is scored day by day"
        yield Chapter(f"arrives-{last}", title, first, last, last, prepare)
        for n in range((last - first).days + 1):
            day = first + n * one
            yield Chapter(f"score-{day}", "", day, day, stages=_names("score"))
        first = last + one
    yield Chapter(
        "labels",
        f"the last labels arrive by {dates.labels_until}; the predictions are judged",
        dates.history_until,
        dates.end,
        dates.labels_until,
        (*prepare, *_names("monitor")),
    )


def _names(dag: DagKind) -> tuple[str, ...]:
    return tuple(stage.name for stage in STAGES.of_dag(dag))


def deliverer(pipeline: Pipeline) -> Deliver:
    """Return the function that delivers a built-in pipeline's files."""
    module = f"pipelines.landing.{pipeline.name}"
    if importlib.util.find_spec(module) is None:
        raise UsageError(
            f"pipeline '{pipeline.name}' has no deliveries of its own: put its files into "
            f"{resolve_place(pipeline.root, pipeline.landing)}, then `tidemill run "
            f"{pipeline.name}`."
        )
    deliver: Deliver = importlib.import_module(module).deliver
    return deliver


def land(pipeline: Pipeline, until: dt.date) -> dict[str, int]:
    """Deliver what had arrived by the end of `until`; return the files written per kind."""
    deliver = deliverer(pipeline)
    place = resolve_place(pipeline.root, pipeline.landing)
    if "://" in place:
        raise UsageError(
            f"`landing: {place}` is no local folder, and the built-in deliveries go to a local "
            "one. Give another with --set landing=FOLDER."
        )
    return deliver(Path(place.removeprefix("file:")), until)


def tell(run: Run, dates: Dates, step: int) -> list[StageResult]:
    """Run all chapters, each stage once; return the results in order."""
    if step < 1:
        raise UsageError(f"--step {step}: a delivery holds one day or more.")
    deliverer(run.pipeline)
    results: list[StageResult] = []
    for chapter in chapters(dates, step):
        results += _tell_chapter(chapter, run)
    return results


def _tell_chapter(chapter: Chapter, whole: Run) -> list[StageResult]:
    pipeline = whole.pipeline
    if chapter.title:
        whole.progress({"event": "chapter", "text": chapter.title})
    runs = [(stage, _run_for(stage, chapter, whole)) for stage in chapter.stages]
    # Files are delivered only where they will be read: a landing folder may have been cleared.
    if chapter.land_until is not None and stored_result(*runs[0]) is None:
        counts = land(pipeline, chapter.land_until)
        files = " ".join(f"{kind}={count}" for kind, count in counts.items() if count)
        whole.progress({"event": "note", "text": f"landed: {files or 'nothing new'}"})
    return [run_stage(stage, run, once=True) for stage, run in runs]


def _run_for(stage: str, chapter: Chapter, whole: Run) -> Run:
    """Return the run of a stage: its id stays the same as long as what it depends on does.

    That is the chapter's own days, not how long the story goes on. `promote` has the run id of
    `train`, by which it finds its candidate.
    """
    until = STAGES[stage].shares_run_of or stage
    days = (chapter.since, chapter.date, chapter.land_until)
    key = fingerprint(whole.pipeline, *STAGES.depends_on(until), days=days)
    run_id = f"story-{whole.pipeline.name}-{chapter.name}-{key}"
    return replace(whole, run_id=run_id, date=chapter.date, since=chapter.since)

"""The closing table: what is in the lake, how good the model is, where the results are."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.config import Pipeline
from pipelines.config.losses import ALL_METRICS
from pipelines.errors import TableNotFound, TidemillError
from pipelines.lake.catalog import Lake, Table
from pipelines.lake.tables import PipelineTables, is_rejected, quarantine

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table as RichTable


@dataclass(frozen=True)
class TableFacts:
    """A table of the lake at its newest version."""

    table: str
    version: int
    num_rows: int


@dataclass(frozen=True)
class ModelFacts:
    """The champion, with its metrics on the test split beside those of a constant guess."""

    name: str
    version: int
    run_id: str
    bundle: str
    metrics: dict[str, float]
    constant_metrics: dict[str, float]
    rates: str = ""
    """Mean prediction and observed rate, of a yes or no."""
    doubts: list[str] = field(default_factory=list)
    """What speaks against using it."""
    threshold: str = ""
    """From which chance on it says yes, and what that does."""


@dataclass(frozen=True)
class Summary:
    """What a pipeline has made so far."""

    pipeline: str
    lake: str
    tables: list[TableFacts] = field(default_factory=list)
    quarantined: dict[str, int] = field(default_factory=dict)
    """Rows in quarantine by entity."""
    model: ModelFacts | None = None
    predictions: str | None = None
    report: str | None = None
    model_unknown: str = ""
    """Why it is not known which model is the champion, or how good it is."""


def gather(pipeline: Pipeline, lake: Lake) -> Summary:
    """Read the summary from Delta's logs and the registry. Needs no Spark.

    Where MLflow or the champion's bundle can't be read, the tables are still told of.
    """
    tables = PipelineTables(pipeline)
    facts = [found for table in tables.of_data if (found := _table(lake, table))]
    there = {fact.table: fact for fact in facts}
    kept_out = {name: str(quarantine(name)) for name in pipeline.clean.entities}
    predictions = str(tables.predictions)
    model, unknown = None, ""
    try:
        model = _model(pipeline, lake)
    except TidemillError as error:
        unknown = str(error)
    return Summary(
        pipeline=pipeline.name,
        lake=lake.root,
        tables=facts,
        quarantined={n: there[t].num_rows for n, t in kept_out.items() if t in there},
        model=model,
        model_unknown=unknown,
        predictions=lake.path(predictions) if predictions in there else None,
        report=_report(pipeline, lake),
    )


def _table(lake: Lake, table: Table) -> TableFacts | None:
    from pipelines.lake.snapshot import take_snapshot

    try:
        snapshot = take_snapshot(lake.path(table))
    except TableNotFound:
        return None
    return TableFacts(str(table), snapshot.version, snapshot.num_rows)


def _model(pipeline: Pipeline, lake: Lake) -> ModelFacts | None:
    from pipelines.registry.bundle import load_bundle
    from pipelines.registry.calibration import doubts, of_test_split, threshold_in_words
    from pipelines.registry.champion import find_champion
    from pipelines.registry.store import is_made

    # Looking into an MLflow store that isn't there would make one.
    if not is_made(lake):
        return None

    champion = find_champion(lake, pipeline.score.model)
    if champion is None:
        return None
    bundle = load_bundle(champion.bundle)
    metrics, constant = (bundle.manifest.get(name, {}) for name in ("metrics", "constant_metrics"))
    rates = of_test_split(bundle.evaluation)
    return ModelFacts(
        champion.name,
        champion.version,
        champion.run_id,
        champion.bundle,
        metrics,
        constant,
        f"predicted rate {rates.predicted:.4f}, observed {rates.observed:.4f}" if rates else "",
        doubts(metrics, constant, bundle.evaluation),
        threshold_in_words(kept) if (kept := bundle.evaluation.get("threshold")) else "",
    )


def _report(pipeline: Pipeline, lake: Lake) -> str | None:
    """Return the newest report page: they are named by their logical date."""
    folder = lake.report(pipeline.name)
    if not lake.is_local:
        return folder
    pages = sorted(Path(Lake(folder).local_root).glob("*.html"))
    return str(pages[-1]) if pages else None


def show(summary: Summary, console: Console) -> None:
    """Print a summary: boxed tables at a terminal, plain columns elsewhere."""
    if not summary.tables:
        console.print(
            f"There are no tables of '{summary.pipeline}' in {summary.lake} yet. "
            f"`tidemill run {summary.pipeline}` makes them.",
            soft_wrap=True,
        )
        return
    _print_table(
        f"{summary.pipeline}: tables in {summary.lake}", _tables_table(summary, console), console
    )
    model = summary.model
    if model is not None:
        title = f"{model.name} version {model.version} on the test split"
        _print_table(title, _metrics_table(model, console), console)
        at = f"threshold {model.threshold}" if model.threshold else ""
        said = [model.rates, at, *(f"DOUBT: {one}" for one in model.doubts)]
        for line in filter(None, said):
            console.print(line, highlight=False, soft_wrap=True, markup=False)
    console.print()
    places = {"predictions": summary.predictions, "report": summary.report}
    if summary.model is not None:
        places["model"] = summary.model.bundle
    for name, place in places.items():
        console.print(
            f"{name:<12} {place or '(none yet)'}", highlight=False, soft_wrap=True, markup=False
        )


def _tables_table(summary: Summary, console: Console) -> RenderableType:
    table = _new_table(console)
    table.add_column("table")
    for name in ("version", "rows", "quarantined"):
        table.add_column(name, justify="right")
    layer: str | None = None
    for fact in summary.tables:
        known = Table.parse(fact.table)
        is_empty = is_rejected(known) and fact.num_rows == 0
        if is_empty or known == quarantine(known.name):  # a number beside its entity
            continue
        if layer not in (None, known.layer):
            table.add_section()
        layer = known.layer
        aside = summary.quarantined.get(known.name) if known.is_merged else None
        shown = "" if aside is None else f"{aside:,}"
        table.add_row(fact.table, str(fact.version), f"{fact.num_rows:,}", shown)
    return table


def _metrics_table(model: ModelFacts, console: Console) -> RenderableType:
    table = _new_table(console)
    table.add_column("metric")
    table.add_column("model", justify="right")
    table.add_column("constant guess", justify="right")
    known = [name for name in ALL_METRICS if name in model.metrics]
    for name in [*known, *sorted(set(model.metrics) - set(known))]:
        row = [model.metrics.get(name), model.constant_metrics.get(name)]
        table.add_row(name, *("" if value is None else f"{value:.4f}" for value in row))
    return table


def _print_table(title: str, table: RenderableType, console: Console) -> None:
    from rich.text import Text

    console.print()
    console.print(Text(title, style="bold"), soft_wrap=True)
    console.print(table)


def _new_table(console: Console) -> RichTable:
    from rich import box
    from rich.table import Table as RichTable

    is_watched = console.is_terminal
    return RichTable(box=box.SIMPLE_HEAD if is_watched else None, pad_edge=is_watched)

"""The plan as text: `pipeline.yml`, each choice with its evidence, and `features.sql`. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pipelines.config.names import silver_table
from pipelines.profiling.facts import share
from pipelines.profiling.features import quoted
from pipelines.profiling.plan import (
    DELIVERED,
    ROW_KEY,
    Plan,
    decision_threshold,
    gate_settings,
    train_settings,
)
from pipelines.profiling.query import day_column, moments, read_inside, sql_value
from pipelines.profiling.types import Typed
from pipelines.profiling.yaml_lines import comment, flow, line


def pipeline_text(plan: Plan) -> str:
    """Return the text of `pipeline.yml`."""
    return "".join(
        (
            *_head(plan),
            *_ingest(plan),
            *_clean(plan),
            *_featurize(plan),
            *_normalize(plan),
            *_train(plan),
        )
    )


def _head(plan: Plan) -> Iterator[str]:
    rows = f"{plan.facts.rows:,} rows, {len(plan.facts.columns)} columns"
    yield comment(
        f"Made by `tidemill init {plan.name}` from {rows}. Beside each choice stands what spoke "
        f"for it. Change what is wrong: `tidemill validate {plan.name}` says whether all still "
        "fits, profile.html shows the values."
    )
    yield "# yaml-language-server: $schema=../pipeline.schema.json\n"
    yield line(0, "name", plan.name)
    what = {"binary": "yes or no", "classes": "one of several classes", "number": "a number"}
    yield line(0, "description", f"{plan.label_name}: {what[plan.label.task]}")
    yield line(0, "lake", "data/lake")
    yield line(0, "landing", plan.landing)
    yield from (comment(f"Not read: {path}: {why}") for path, why in list(plan.aside.items())[:20])


def _ingest(plan: Plan) -> Iterator[str]:
    yield f"\ningest:\n  sources:\n    {plan.name}:\n"
    for key, value in plan.source.items():
        yield line(6, key, value, plan.source_why.get(key, ""))


def _clean(plan: Plan) -> Iterator[str]:
    yield f"\nclean:\n  entities:\n    {plan.name}:\n"
    yield line(6, "source", plan.name)
    yield line(6, "key", list(plan.key.columns) or [ROW_KEY], plan.key.why)
    yield "      columns:\n"
    needed = {*plan.key.columns, plan.day.column}
    for name, one in plan.columns.items():
        if one.column.read_by:
            continue
        settings = column_settings(name, one, is_needed=name in needed)
        yield line(8, name, settings, "; ".join(one.why))
    if derived := dict(_derived(plan)):
        yield "      derive:\n"
        for name, (expression, why) in derived.items():
            yield line(8, name, expression, why)
    if plan.label.classes and not plan.label.typed.is_truth:
        yield "      rules: # another word would be no label, and nobody would hear of it\n"
        known = ", ".join(sql_value(plan.label.typed, one) for one in plan.label.classes)
        check = f"{quoted(plan.label_name)} IN ({known})"
        yield f"        - {flow({'name': 'label_is_known', 'check': check})}\n"


def column_settings(name: str, one: Typed, *, is_needed: bool = False) -> dict[str, Any]:
    """Return the settings of a silver column."""
    settings: dict[str, Any] = {}
    if one.column.name != name:
        settings["source"] = one.column.name
    if one.column.is_text:
        settings |= {} if one.cast.derive else one.cast.settings
    else:
        settings["type"] = one.cast.type
    if one.null_values:
        settings["null_values"] = (
            ["", *one.null_values] if one.column.is_text else list(one.null_values)
        )
    if is_needed:
        settings["missing"] = {"action": "quarantine"}
    return settings


def _derived(plan: Plan) -> Iterator[tuple[str, tuple[str, str]]]:
    for name, one in plan.columns.items():
        if one.column.read_by:
            yield name, (read_inside(one), "; ".join(one.why))
        elif one.cast.derive:
            yield (
                one.usable(name),
                (one.cast.derive.format(column=quoted(name)), one.cast.words),
            )
    if not plan.key.columns:
        own = [name for name, one in plan.columns.items() if not one.column.read_by]
        every = ", ".join(map(quoted, own))
        yield ROW_KEY, (f"sha2(to_json(struct({every})), 256)", "")
    if not plan.day.column:
        yield DELIVERED, ("to_date(_order_file_at)", "the day of the file that a row came in")


def _featurize(plan: Plan) -> Iterator[str]:
    table, day = silver_table(plan.name), day_column(plan)
    yield "\nfeaturize:\n"
    yield line(2, "table", plan.name)
    yield line(2, "sql", ["features.sql"])
    yield line(2, "key", list(plan.key.columns) or [ROW_KEY])
    yield line(2, "date", day, plan.day.why)
    yield line(2, "label", plan.label_column, "; ".join(plan.label.why))
    moment, of_row = moments(plan)
    yield "  reads: # when a row was there\n"
    yield line(4, table, moment)
    yield "  sources: # which day a changed row touches\n"
    yield line(4, table, {"date": of_row})


def _normalize(plan: Plan) -> Iterator[str]:
    yield "\nnormalize:\n"
    yield line(2, "training_set", f"{plan.name}_training")
    yield line(2, "split", plan.split, plan.split_why)
    yield "  features:\n"
    for one in plan.features:
        yield line(4, one.name, one.settings, one.why)
    for other in plan.left_out:
        yield comment(f"{other.name}: left out: {other.why}", 4)


def _train(plan: Plan) -> Iterator[str]:
    settings, why = train_settings(plan)
    yield "\ntrain:\n"
    for key, value in settings.items():
        yield line(2, key, value, why.get(key, ""))
    gate, said = gate_settings(plan)
    yield "\npromote: # what a model must reach on the test split to be used\n"
    yield line(2, "metric", gate.pop("metric"))
    yield line(2, "threshold", gate.pop("threshold"), said)
    for key, value in gate.items():
        yield line(2, key, value)
    yield "\nscore:\n"
    yield line(2, "model", plan.name)
    if (found := decision_threshold(plan)) is not None:
        yield line(2, "threshold", found[0], found[1])


def assumptions(plan: Plan) -> Sequence[str]:
    """Return what was assumed, a sentence each, for the one who asked."""
    label = f"label: {plan.label_name}, {plan.label.task} ({'; '.join(plan.label.why)})"
    key = f"key: {', '.join(plan.key.columns) or 'a hash of the row'} ({plan.key.why})"
    day = f"date: {plan.day.column or 'the day of delivery'} ({plan.day.why})"
    part = share(plan.rows_to_learn, plan.facts.rows)
    labelled = f"rows: {plan.facts.rows:,}, of which {part} have a label"
    return (labelled, label, key, day, f"split: {plan.split_why}", *plan.notes)

"""The plan as SQL: the feature query, and the expressions that settings hold. Pure."""

from __future__ import annotations

from pipelines.config.names import silver_table
from pipelines.profiling.features import quoted
from pipelines.profiling.plan import DELIVERED, ROW_KEY, Plan
from pipelines.profiling.types import Typed


def moments(plan: Plan) -> tuple[str, str]:
    """Return SQL over silver: when a row was there, and its day."""
    if not plan.day.column:
        return "_order_file_at", DELIVERED
    column = quoted(plan.day.column)
    if plan.day.is_time:
        return column, f"CAST({column} AS DATE)"
    return f"CAST({column} AS TIMESTAMP)", column


def day_column(plan: Plan) -> str:
    """Return the column of days in the features table."""
    if not plan.day.column:
        return DELIVERED
    return f"{plan.day.column}_day" if plan.day.is_time else plan.day.column


def sql_value(one: Typed, text: str) -> str:
    """Return a value of a column as SQL has it."""
    if one.is_number:
        return text
    return sql_text(text)


def sql_text(text: str) -> str:
    """Return a text as SQL has it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def query_text(plan: Plan) -> str:
    """Return the text of `features.sql`."""
    day, key = day_column(plan), list(plan.key.columns) or [ROW_KEY]
    moment, of_row = moments(plan)
    parts: dict[str, str] = {name: quoted(name) for name in key}
    parts[day] = of_row if of_row.startswith("CAST") else quoted(day)
    parts["prediction_at"] = moment
    for one in plan.features:
        parts.setdefault(one.column, one.sql)
    parts[plan.label_column] = _label_sql(plan)
    lines = ",\n".join(_selected(name, expression) for name, expression in parts.items())
    return (
        f"-- One row per {' and '.join(key)}: what is known of it, and {plan.label_name} where it "
        f"is known.\nSELECT\n{lines}\nFROM {silver_table(plan.name)}\n"
        f"WHERE {of_row if of_row.startswith('CAST') else quoted(day)} BETWEEN :since AND :until\n"
    )


def _selected(name: str, expression: str) -> str:
    return f"  {expression}" if expression == quoted(name) else f"  {expression} AS {quoted(name)}"


def _label_sql(plan: Plan) -> str:
    label, column = plan.label, quoted(plan.label_name)
    if label.task == "number":
        return f"CAST({column} AS DOUBLE)"
    if label.typed.is_truth:
        return f"CAST({column} AS INT)"
    whens = "".join(
        f"\n    WHEN {sql_value(label.typed, text)} THEN {number}"
        for number, text in enumerate(label.classes)
    )
    return f"CASE {column}{whens}\n  END"


def read_inside(one: Typed) -> str:
    """Return SQL that reads a value inside an object as its type."""
    sql = one.column.read_by
    for word in one.null_values:
        sql = f"nullif({sql}, {sql_text(word)})"
    return sql if one.cast.type == "string" else f"CAST({sql} AS {one.cast.type.upper()})"

"""The page of what was found: one HTML file that stands alone."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from pipelines.profiling.facts import Counts, share
from pipelines.profiling.plan import Plan
from pipelines.profiling.types import Typed

_VALUES = 6
_SHAPES = 4
_RELATIONS = 30
_MEASURES = {
    "binary": "ROC AUC: 0.5 says nothing, 1 says all",
    "classes": "Share of the rows beyond the largest class that it tells: 0 says nothing, 1 all",
    "number": "R2: 0 says nothing, 1 says all",
}


@dataclass(frozen=True)
class Row:
    """What the page says of a column."""

    name: str
    header: str
    type: str
    why: str
    missing: str
    distinct: str
    range: str
    values: list[tuple[str, str, int]]
    """Text, count, and the length of its bar in percent."""
    shapes: str
    becomes: list[str]
    left_out: str
    level: str


def page(plan: Plan) -> str:
    """Return the page as HTML."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined)
    text = Path(__file__).with_name("profile.html").read_text(encoding="utf-8")
    shown = plan.relations[:_RELATIONS]
    return environment.from_string(text).render(
        title=f"{plan.name}: what the files hold",
        name=plan.name,
        label=plan.label_name,
        cards=_cards(plan),
        warnings=_warnings(plan),
        columns=[_row(plan, name, one) for name, one in plan.columns.items()],
        relations=[(one, round(100 * one.score)) for one in shown],
        measure=_MEASURES[plan.label.task],
    )


def _cards(plan: Plan) -> list[tuple[str, str, str]]:
    facts = plan.facts
    twice = facts.rows - facts.distinct_rows
    part = share(plan.rows_to_learn, facts.rows)
    return [
        ("rows", f"{facts.rows:,}", f"{twice:,} of them twice"),
        ("columns", f"{len(facts.columns)}", f"{len(plan.features)} features"),
        ("label", plan.label_name, f"{plan.label.task}; known in {part}"),
        ("key", ", ".join(plan.key.columns) or "hash of the row", plan.key.why),
        ("day", plan.day.column or "of delivery", plan.day.why),
        ("split", str(plan.split["by"]), plan.split_why),
    ]


def _warnings(plan: Plan) -> list[str]:
    """Return what somebody should look at before the pipeline is trusted."""
    found = list(plan.notes)
    for name, one in plan.columns.items():
        if one.unclear:
            found.append(f"{name} is left as text: {one.unclear}; say --day-first or --month-first")
        found += [f"{name}: {why}" for why in one.why if why.startswith("into quarantine")]
    found += [f"{one.name}: {one.why}" for one in plan.left_out if "the same" in one.why]
    return list(dict.fromkeys(found))


def _row(plan: Plan, name: str, one: Typed) -> Row:
    column = one.column
    usable = one.usable(name)
    names = {usable, *(f"{usable}_{part}" for part in _PARTS)}
    left = next((other.why for other in plan.left_out if other.name == name), "")
    becomes = [f"{it.name}: {it.settings['kind']}" for it in plan.features if it.name in names]
    roles = {plan.label_name: "the label", plan.day.column: "the day"}
    roles |= {} if left == "the key" else dict.fromkeys(plan.key.columns, "key")
    return Row(
        name=name,
        header=column.header,
        type=one.cast.words,
        why="; ".join(one.why),
        missing=share(column.rows - one.present, column.rows),
        distinct=f"{one.distinct:,}"
        if column.is_exact or one.distinct < 2
        else f"~{one.distinct:,}",
        range=_range(one),
        values=_bars(one.values, one.present) if _has_bars(one) else [],
        shapes=_shapes(column.sample) if one.is_text and not _has_bars(one) else "",
        becomes=[*(text for role, text in roles.items() if role == usable), *becomes],
        left_out=left if left == "the key" or not left else f"left out: {left}",
        level="fail" if left.startswith("a leak") else "",
    )


_PARTS = ("value", "length", "words", "month", "weekday", "hour", "days")


def _has_bars(one: Typed) -> bool:
    """Tell whether values are there more than once, so that their counts say something."""
    is_wide = one.is_number and one.distinct > _VALUES
    return bool(one.values) and one.values[0][1] > 1 and not is_wide


def _range(one: Typed) -> str:
    if one.numbers is not None:
        it = one.numbers
        return f"{it.least:g} to {it.largest:g}, median {it.median:g}, mean {it.mean:.4g}"
    trial = one.column.trial(one.cast)
    ends = (trial.least, trial.largest) if one.is_moment else ()
    if one.is_moment and not one.column.is_text:
        ends = (one.column.least, one.column.largest)
    return f"{ends[0]} to {ends[1]}" if ends and ends[0] else ""


def _bars(values: Counts, present: int) -> list[tuple[str, str, int]]:
    largest = max((count for _, count in values), default=1)
    return [
        (text, f"{count:,} ({share(count, present)})", max(1, round(100 * count / largest)))
        for text, count in values[:_VALUES]
    ]


def _shapes(texts: tuple[str, ...]) -> str:
    """Return the most frequent shapes of texts: `9` for digits, `a` for letters."""
    shapes = Counter(shape(text) for text in texts)
    return ", ".join(f"{text} ({share(n, len(texts))})" for text, n in shapes.most_common(_SHAPES))


def shape(text: str) -> str:
    """Return a text with its runs of digits as `9`, its runs of letters as `a`, cut at 24."""
    made = re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", text))
    return made if len(made) <= 24 else f"{made[:23]}…"

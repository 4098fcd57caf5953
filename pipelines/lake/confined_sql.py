"""What users' SQL may touch: the views it was given, and no file, table, command or Java method.

Looked at is the tree that Spark's own parser makes of the text, before anything of it is analysed
or run: names in strings, comments between two words and `IDENTIFIER('...')` deceive a search in
text, but not the parser.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from pipelines.errors import SettingsError
from pipelines.lake.tenant import confine, tenant_roots

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_LEAVES = ("OneRowRelation", "UnresolvedInlineTable", "LocalRelation", "Range")
_PARTS = frozenset(
    (
        *("Project", "Filter", "Aggregate", "Sort", "Distinct", "Window", "WithWindowDefinition"),
        *("Join", "LateralJoin", "AsOfJoin", "Union", "Intersect", "Except", "Generate", "Sample"),
        *("Limit", "GlobalLimit", "LocalLimit", "Offset", "Pivot", "Unpivot"),
        *("SubqueryAlias", "UnresolvedWith", "UnresolvedHaving", "UnresolvedHint"),
        *("UnresolvedSubqueryColumnAliases", "UnresolvedTVFAliases"),
        *("Repartition", "RepartitionByExpression", "RebalancePartitions"),
    )
)
"""What a query is made of. Whatever else the parser knows (commands, `TRANSFORM ... USING` with a
script, directories to write) is refused, and so is what a later Spark may add."""
_TABLE_FUNCTIONS = (
    *("range", "explode", "explode_outer", "posexplode", "posexplode_outer", "inline"),
    *("inline_outer", "stack", "json_tuple", "variant_explode", "variant_explode_outer"),
)
_JAVA_METHODS = ("reflect", "java_method", "try_reflect")
"""They call any static method of Java: to read the environment, where the keys are."""

_SUBQUERY = re.compile(r"\b(select|from|table|values|with|identifier)\b", re.IGNORECASE)
"""No subquery is without one of these words; most expressions are, and need no second parsing."""


def check_query(session: SparkSession, text: str, readable: Iterable[str], where: str) -> None:
    """Raise SettingsError for SQL that is no query, or reads what is not in `readable`.

    Takes from the session the functions that call Java. Text that can't be parsed passes: whoever
    runs it says what is wrong with it.
    """
    forbid_java_methods(session)
    jvm_session: Any = session._jsparkSession
    try:
        plan = jvm_session.sessionState().sqlParser().parsePlan(text)
    except Exception as error:
        if not type(error).__module__.startswith(("pyspark.", "py4j.")):
            raise
        return
    nodes = list(_nodes(plan))
    known = {name.lower() for name in readable}
    known |= {
        str(child.alias()).lower()
        for node, kind in nodes
        if kind == "UnresolvedWith"
        for child in _each(node.innerChildren())
    }
    for node, kind in nodes:
        said = _objection(node, kind, known)
        if said is not None:
            raise SettingsError(
                f"{where} {said}. SQL in settings reads the tables that were declared for it, by "
                "their names, and nothing else: no file, no other place, no Java method."
            )


def check_expression(session: SparkSession, expression: str, where: str) -> None:
    """Raise SettingsError for an SQL expression that reads a table or file in a subquery."""
    forbid_java_methods(session)
    if _SUBQUERY.search(expression):
        check_query(session, f"SELECT ({expression}\n)", (), where)


def forbid_java_methods(session: SparkSession) -> None:
    """Take from a session the SQL functions that call Java methods."""
    jvm: Any = session.sparkContext._jvm
    state: Any = session._jsparkSession
    registry = state.sessionState().functionRegistry()
    for name in _JAVA_METHODS:
        registry.dropFunction(jvm.org.apache.spark.sql.catalyst.FunctionIdentifier(name))


def check_places(df: DataFrame, where: str) -> DataFrame:
    """Return rows that a user's function made; raise TenantError where they come from elsewhere.

    A help against mistakes: a function's own code is not confined by it.
    """
    if tenant_roots():
        plan: Any = df._jdf
        for leaf in _each(plan.queryExecution().analyzed().collectLeaves()):
            for place in _places(leaf):
                try:
                    confine(place)
                except Exception as error:
                    raise type(error)(f"{where} reads {place}: {error}") from None
    return df


def _places(leaf: Any) -> list[str]:
    kind = str(leaf.getClass().getSimpleName())
    if kind == "DataSourceV2Relation":
        return re.findall(r"`([^`]*/[^`]*)`", str(leaf.table().name()))
    if kind != "LogicalRelation":
        return []
    relation = leaf.relation()
    # Delta's is a subclass without a name.
    classes = [relation.getClass(), relation.getClass().getSuperclass()]
    if not any(one and one.getSimpleName() == "HadoopFsRelation" for one in classes):
        return []
    return [str(path.toString()) for path in _each(relation.location().rootPaths())]


def _objection(node: Any, kind: str, known: set[str]) -> str | None:
    if kind == "UnresolvedRelation":
        parts = [str(part) for part in _each(node.multipartIdentifier())]
        if len(parts) == 1 and parts[0].lower() in known:
            return None
        return f"reads `{'.'.join(parts)}`; readable are {sorted(known)}"
    if kind == "UnresolvedTableValuedFunction":
        name = ".".join(str(part) for part in _each(node.name()))
        return None if name.lower() in _TABLE_FUNCTIONS else f"calls the table function `{name}`"
    if kind == "PlanWithUnresolvedIdentifier":
        return "names what it reads by IDENTIFIER(...)"
    return None if kind in _PARTS or kind in _LEAVES else f"is no plain query: it has {kind}"


def _nodes(node: Any) -> Iterator[tuple[Any, str]]:
    yield node, str(node.getClass().getSimpleName())
    for children in (node.children(), node.innerChildren()):
        for child in _each(children):
            yield from _nodes(child)


def _each(seq: Any) -> Iterator[Any]:
    iterator = seq.iterator()
    while iterator.hasNext():
        yield iterator.next()

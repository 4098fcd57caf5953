"""HMAC-SHA-256 of a column. Spark SQL has no such function, and no key may stand in a plan.

Two calls of static Java methods by Spark's `reflect`: the inner one reads the key from the
environment where the task runs, the outer one (commons-codec, which Spark brings along) makes the
HMAC. The plan holds the variable's name alone, and as `reflect` is never computed beforehand, no
optimized plan or event log holds the key either. Python workers are not needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from pipelines.privacy.keys import variable

if TYPE_CHECKING:
    from pyspark.sql import Column

_HEX = "[0-9a-f]{64}"


def keyed(text: Column, key_ids: Sequence[str]) -> Column:
    """Return the pseudonym of a text column under the last of the keys, as `keys.pseudonym` does.

    A pseudonym of one of the keys is taken on to the last one; null stays null.
    """
    last = key_ids[-1]
    found = F.when(text.isNull() | text.rlike(f"^{last}:{_HEX}$"), text)
    for place, key_id in enumerate(key_ids[:-1]):
        old = text.substr(len(key_id) + 2, 64)
        found = found.when(text.rlike(f"^{key_id}:{_HEX}$"), _chain(old, key_ids[place + 1 :]))
    return found.otherwise(_chain(text, key_ids))


def _chain(text: Column, key_ids: Sequence[str]) -> Column:
    for key_id in key_ids:
        text = _hmac(text, key_id)
    return F.concat(F.lit(f"{key_ids[-1]}:"), text)


def _hmac(text: Column, key_id: str) -> Column:
    key = _java("java.lang.System", "getenv", F.lit(variable(key_id)))
    return _java("org.apache.commons.codec.digest.HmacUtils", "hmacSha256Hex", key, text)


def _java(class_name: str, method: str, *arguments: Column) -> Column:
    """Call a static Java method: the function `reflect`, which no user's SQL may use."""
    from pyspark import SparkContext
    from pyspark.sql import Column

    spark: Any = SparkContext._active_spark_context  # threads have no session of their own
    classic = spark._jvm.org.apache.spark.sql.classic.ExpressionUtils
    given = [F.lit(class_name), F.lit(method), *arguments]
    each = spark._jvm.PythonUtils.toSeq([classic.expression(one._jc) for one in given])
    call = spark._jvm.org.apache.spark.sql.catalyst.expressions.CallMethodViaReflection
    return Column(classic.column(call(each, True)))

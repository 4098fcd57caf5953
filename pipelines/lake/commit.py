"""One commit to a table: alone where a lock can see to it, tried again where it lost a race.

Delta refuses a commit that another one has overtaken and that might have read something else
since. Every write of the lake can be repeated, so it is: on the new version, after a pause that
grows. Each commit carries the id of its run (`userMetadata` in the table's history).
"""

from __future__ import annotations

import json
import logging
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from pipelines.errors import CommitConflict
from pipelines.lake.lock import write_lock

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pipelines.lake.catalog import Lake, Table

logger = logging.getLogger(__name__)

_Done = TypeVar("_Done")
_ATTEMPTS = 7
_FIRST_PAUSE_SECONDS = 0.25
_RUN_ID = "spark.databricks.delta.commitInfo.userMetadata"
_CONFLICTS = re.compile(
    r"(Concurrent\w+|MetadataChanged|ProtocolChanged|DeltaConcurrentModification)Exception"
)


class _Signing:
    """Whose commits a session is signing: Delta knows one signature a session."""

    def __init__(self) -> None:
        self._free = threading.Condition()
        self._at_work: Counter[tuple[int, str]] = Counter()
        self._before: dict[int, str | None] = {}

    @contextmanager
    def __call__(self, spark: SparkSession, run_id: str) -> Iterator[None]:
        """Sign a session's commits by a run, once no other run is signing there any more.

        What the session's user has set is put back after the last one; commits of no run carry it.
        """
        session: int = spark._jsparkSession.hashCode()  # of Java: Python may know it twice
        with self._free:
            self._free.wait_for(lambda: not self._others(session, run_id))
            if not self._at_work[session, run_id]:
                self._before[session] = spark.conf.get(_RUN_ID, None)
            self._at_work[session, run_id] += 1
        try:
            if run_id:
                spark.conf.set(_RUN_ID, run_id)
            yield
        finally:
            with self._free:
                self._at_work[session, run_id] -= 1
                if not self._at_work[session, run_id]:
                    self._put_back(spark, self._before.pop(session))
                self._free.notify_all()

    def _put_back(self, spark: SparkSession, before: str | None) -> None:
        if before is None:
            spark.conf.unset(_RUN_ID)
        else:
            spark.conf.set(_RUN_ID, before)

    def _others(self, session: int, run_id: str) -> bool:
        return any(
            where == session and other != run_id and count > 0
            for (where, other), count in self._at_work.items()
        )


_signing = _Signing()


def with_run_id(lake: Lake, note: Mapping[str, object]) -> str:
    """Return what a commit is to carry that has more to tell than its run's id."""
    return json.dumps({"run_id": lake.signed_by, **note}, sort_keys=True)


def commit(
    spark: SparkSession, lake: Lake, table: Table | str, write: Callable[[], _Done]
) -> _Done:
    """Carry out a write that can be repeated, with the table's lock; return what it returns.

    `write` must look at the table anew each time. Raises CommitConflict after several attempts.
    """
    with write_lock(lake.path(table)), _signing(spark, lake.signed_by):
        return with_retries(write, str(table))


def with_retries(
    write: Callable[[], _Done],
    table: str,
    attempts: int = _ATTEMPTS,
    pause: Callable[[float], None] = time.sleep,
) -> _Done:
    """Call `write` until no other commit gets in its way, with growing pauses between."""
    for attempt in range(1, attempts + 1):
        try:
            return write()
        except Exception as error:
            if not is_conflict(error):
                raise
            other = other_commit(str(error))
            if attempt == attempts:
                raise CommitConflict(
                    f"{table} was written by others {attempts} times while this run tried to "
                    f"commit, the last time by {other}. Nothing of this write is in the table: "
                    "run the stage again when the other one has ended."
                ) from error
            # Two that wait equally long would meet again.
            seconds = _FIRST_PAUSE_SECONDS * 2 ** (attempt - 1) * random.uniform(1.0, 1.5)
            logger.warning(
                "%s: overtaken by %s; tried again in %.1f s (%d of %d)",
                *(table, other, seconds, attempt, attempts - 1),
            )
            pause(seconds)
    raise AssertionError("unreachable")


def is_conflict(error: BaseException) -> bool:
    """Tell whether Delta refused a commit because another one was there first."""
    return any(_CONFLICTS.fullmatch(one.__name__) for one in type(error).__mro__) or bool(
        re.search(r"io\.delta\.exceptions\." + _CONFLICTS.pattern, str(error))
    )


def other_commit(said: str) -> str:
    """Return what Delta's message tells of the commit that was there first."""
    found = re.search(r"Conflicting commit:\s*(\{.*\})", said)
    try:
        facts = json.loads(found[1]) if found else {}
    except json.JSONDecodeError:
        facts = {}
    if not facts:
        return "a commit that Delta does not name"
    run = _run_of(facts.get("userMetadata"))
    by = f" of run {run}" if run else ""
    at = facts.get("timestamp")
    when = f" at {at}" if isinstance(at, str) else ""
    if isinstance(at, int):
        when = time.strftime(" at %Y-%m-%d %H:%M:%S UTC", time.gmtime(at / 1000))
    return f"a {facts.get('operation', 'commit')}{by}{when}"


def _run_of(text: str | None) -> str | None:
    """Return the run's id in what a commit carries."""
    if text is None or not text.startswith("{"):
        return text
    try:
        run = json.loads(text).get("run_id")
    except json.JSONDecodeError:
        return text
    return None if run is None else str(run)

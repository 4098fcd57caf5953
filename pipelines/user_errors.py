"""Which errors of Spark, Java and the operating system a user caused, said so that he can act."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from pipelines import errors
from pipelines.errors import LakeError, TidemillError
from pipelines.run import Run
from pipelines.stages.stage import Stage

_USERS_ERRNO = {
    errno.EACCES: "may not be written or read",
    errno.EPERM: "may not be written or read",
    errno.EROFS: "is on a file system that is read-only",
    errno.ENOSPC: "has no space left",
    errno.EDQUOT: "is over its quota",
    errno.ENOTDIR: "leads through a file that is no folder",
}
_USERS_WORDS = {
    "AccessControlException": "may not be written or read",
    "AccessDeniedException": "may not be written or read",
    "Permission denied": "may not be written or read",
    "ParentNotDirectoryException": "leads through a file that is no folder",
    "Mkdirs failed to create": "may not be written",
    "Read-only file system": "is on a file system that is read-only",
    "No space left on device": "has no space left",
    "Disk quota exceeded": "is over its quota",
}
"""Words in a Java exception that mean: the place, not the program, is at fault."""

_SPARKS = ("pyspark.", "py4j.")
_RAISED = re.compile(r"^pipelines\.errors\.(\w+): (.+?)(?=\n\s*\n|\n\s+at |\Z)", re.M | re.S)


@contextmanager
def user_errors(stage: Stage, run: Run) -> Iterator[None]:
    """Turn errors that a user caused into a TidemillError; let all others through."""
    try:
        yield
    except TidemillError:
        raise
    except OSError as error:
        what = _USERS_ERRNO.get(error.errno or 0)
        if what is None:
            raise
        raise LakeError(
            f"{stage.name}: {error.filename or run.lake.root} {what} ({error.strerror}). "
            "Mend that, or give another lake with --lake, then run the stage again."
        ) from error
    except Exception as error:
        translated = _translate(error, stage, run)
        is_sparks = type(error).__module__.startswith(_SPARKS)
        if is_sparks and may_quote_clear_values(stage, run):
            # Not even the trace that --debug shows may have it.
            raise translated or _unquoted(error, stage) from None
        if translated is None:
            raise
        raise translated from error


def may_quote_clear_values(stage: Stage, run: Run) -> bool:
    """Tell whether what Spark says of a stage could quote a clear value of a marked column.

    An SQL expression is refused before it meets a row.
    """
    return stage.sees_clear_values and bool(run.pipeline.privacy.sources)


def _told_by_worker(text: str) -> TidemillError | None:
    """Return the error of ours that a Python worker ended with, as Spark quotes it."""
    raised = _RAISED.findall(text)
    if not raised:
        return None
    name, message = raised[-1]
    kind = getattr(errors, name, None)
    if not (isinstance(kind, type) and issubclass(kind, TidemillError)):
        return None
    return kind(message.strip())


def _unquoted(error: Exception, stage: Stage) -> LakeError:
    condition = getattr(error, "getCondition", lambda: None)()
    thrown = re.findall(r"[\w.]+\.[A-Z]\w+(?:Exception|Error)\b", str(error))
    said = ", ".join(dict.fromkeys([condition or type(error).__name__, *thrown]))
    return LakeError(
        f"{stage.name}: Spark failed ({said}). What it says may quote values of columns marked "
        "under `privacy`, so it is not shown. Try the same on a delivery without personal data, "
        "with the marks taken out, to see the whole message."
    )


def _translate(error: Exception, stage: Stage, run: Run) -> TidemillError | None:
    if not type(error).__module__.startswith(_SPARKS):
        return None
    text = str(error)
    for words, what in _USERS_WORDS.items():
        if words in text:
            line = next(line for line in text.splitlines() if words in line).strip()
            return LakeError(
                f"{stage.name}: a place below {run.lake.root} {what} ({line[:200]}). "
                "Mend that, or give another lake with --lake, then run the stage again."
            )
    from pyspark.errors import AnalysisException

    told = _told_by_worker(text) if stage.loads_models else None
    if told is not None:
        return told
    if isinstance(error, AnalysisException) and stage.sql_error is not None:
        said = text.split("\n\nJVM stacktrace")[0].split(";\n")[0].strip()
        where = f"`{stage.name}` in conf/{run.pipeline.name}/pipeline.yml"
        return stage.sql_error(
            f"{stage.name}: Spark can't read an SQL expression: {said}\nLook at {where}."
        )
    return None

"""Every error a user can meet.

Each message says what happened (with the value), what was expected, and how to go on. The
command line turns a `TidemillError` into one message and its `exit_code`, without a stack trace.
"""

from __future__ import annotations

import os

from pipelines.secrecy import hide

DEBUG = "TIDEMILL_DEBUG"
"""Variable that asks for stack traces, here and in what is started from here."""


def wants_traces() -> bool:
    """Tell whether stack traces are wanted (`--debug`)."""
    return os.environ.get(DEBUG, "") not in ("", "0")


class TidemillError(Exception):
    """Base of all errors that tell a user what to do.

    Exit codes: 1 the run failed, 2 wrong usage or settings, 3 a rule or a gate refused, or most of
    what a run read was put aside. A message holds no credential, whatever it quotes.
    """

    exit_code = 1
    may_quote_rows = True
    """Whether a message may hold a value of a row: then it is shown, but kept in no record."""

    def __init__(self, message: str = "") -> None:
        super().__init__(hide(message))


class UsageError(TidemillError):
    """A command or function was called with arguments that don't fit."""

    exit_code = 2
    may_quote_rows = False


class SettingsError(TidemillError):
    """Settings are missing, unknown or contradict each other."""

    exit_code = 2
    may_quote_rows = False


class TenantError(TidemillError):
    """A run would read or write outside of its tenant's place."""

    exit_code = 2
    may_quote_rows = False


class SetupError(TidemillError):
    """A part of the environment (Java, a jar, a package) is missing or of a wrong version."""

    may_quote_rows = False


class LakeError(TidemillError):
    """The lake or a table can't be read or written as asked."""


class TableNotFound(LakeError):
    """A table that a stage reads does not exist yet."""

    may_quote_rows = False


class VersionNotFound(LakeError):
    """A table exists, but not at the version asked for."""

    may_quote_rows = False


class NotResolved(LakeError):
    """A stage reads a table whose version it did not resolve at its start."""

    may_quote_rows = False


class LogDamaged(LakeError):
    """A file of a table's log is cut off, empty, or lacks what every reader needs."""


class SchemaError(LakeError):
    """A table's columns are not those that were expected."""

    may_quote_rows = False


class NoChangeFeed(LakeError):
    """A table's change feed doesn't reach back to where it was left; all of it must be read."""

    may_quote_rows = False


class LockTimeout(LakeError):
    """Another process held a table's write lock for too long."""

    may_quote_rows = False


class CommitConflict(LakeError):
    """Other writers committed to a table again and again while this one tried to."""

    may_quote_rows = False


class LandingError(TidemillError):
    """A landing folder or file is missing or not as declared."""

    may_quote_rows = False


class FileChanged(LandingError):
    """A file that was ingested before has changed under the same path."""


class SchemaDrift(LandingError):
    """Files don't have the columns that their source declares, and it takes that for a mistake."""


class QualityError(TidemillError):
    """A quality rule of severity `fail` was broken; nothing was written."""

    exit_code = 3


class TooMuchAside(QualityError):
    """More of what a run read was put aside than its settings allow; all of it is written."""


class GateRefused(TidemillError):
    """A candidate did not pass its promotion gate."""

    exit_code = 3
    may_quote_rows = False


class FeatureError(TidemillError):
    """A feature can't be computed, fitted or compiled as declared."""


class EmptySplit(FeatureError):
    """A split (train, validation or test) holds no rows."""

    may_quote_rows = False


class FeedError(TidemillError):
    """Rows can't be fed to training as asked (missing file, unsupported table feature, ...)."""


class PlanError(FeedError):
    """An epoch can't be planned: ranks, streams and rows don't fit together."""

    may_quote_rows = False


class TrainingError(TidemillError):
    """Training failed for good, after the restarts that were allowed."""


class NotFiniteLoss(TrainingError):
    """The loss became NaN or infinite."""


class BundleError(TidemillError):
    """A model bundle is missing, incomplete or of an unknown format version."""


class TrackingError(TidemillError):
    """MLflow can't be reached, or its database can't be used."""


class NotReproduced(BundleError):
    """A training, done again, gave other weights."""

    exit_code = 3
    may_quote_rows = False


class NoChampion(BundleError):
    """No model carries the alias `champion` yet."""

    may_quote_rows = False


class ScoringError(TidemillError):
    """A date can't be scored as asked."""


class PredictionError(TidemillError):
    """Raw values can't be predicted with: a column is missing, or a value is not of its type."""


def nearest(word: str, known: list[str]) -> str:
    """Return ` Did you mean 'x'?` for the known word nearest to `word`, or an empty string."""
    import difflib

    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f" Did you mean '{close[0]}'?" if close else ""

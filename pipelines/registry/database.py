"""MLflow's database as a file: made whole or not at all, and mended where a kill left half of one.

MLflow makes its tables in place, one after another, and locks nothing: killed in its first seconds
it leaves a file that it can never read again, and two that begin at once break each other's. Here
the file is made beside its place, under a lock, and renamed when it is whole.
"""

from __future__ import annotations

import logging
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

from pipelines.errors import LakeError, TrackingError
from pipelines.lake.lock import write_lock

logger = logging.getLogger(__name__)

State = Literal["absent", "whole", "unfinished", "broken"]
_WHOLE = {"experiments", "runs", "model_versions", "alembic_version"}
_HELD = ("runs", "registered_models", "model_versions")
_PATIENCE_SECONDS = 600.0
_PART = ".part"

_IN_LAKE = "/_mlflow/artifacts/"
_PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("logged_models", "artifact_location"),
)
"""Where MLflow keeps places, as absolute ones."""


def sqlite_file(uri: str) -> Path | None:
    """Return the file of an `sqlite:///` URI, or None for anything else."""
    scheme, separator, path = uri.partition(":///")
    if not separator or scheme.partition("+")[0] != "sqlite":
        return None
    path = path.partition("?")[0]
    return Path(path) if path and path != ":memory:" else None


def state_of(file: Path) -> State:
    """Tell how far a database has come.

    `unfinished` is one that MLflow was stopped in while it made the tables: it has never held a run
    or a model. `broken` is what is no database of MLflow's, or one that held something.
    """
    if not file.exists() or file.stat().st_size == 0:
        return "absent"
    try:
        with _open(file) as database:
            asked = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            tables = {str(name) for (name,) in asked}
            counts = {name: _count(database, name) for name in tables & {*_WHOLE, *_HELD}}
    except sqlite3.OperationalError as error:
        raise TrackingError(
            f"MLflow's database {file} can't be opened: {error}. Look at the rights of the file "
            "and of its folder, and at what else has it open."
        ) from error
    except sqlite3.DatabaseError:
        return "broken"
    # The first experiment comes last: it is there when all tables are.
    if tables >= _WHOLE and counts["experiments"] and counts["alembic_version"]:
        return "whole"
    is_mlflows = not tables or "alembic_version" in tables or "experiments" in tables
    is_empty = not any(counts.get(name, 0) for name in _HELD)
    return "unfinished" if is_mlflows and is_empty else "broken"


def make_whole(file: Path, make: Callable[[str], None]) -> None:
    """See to it that the database is there and whole; `make` fills the one at a URI.

    One that was left unfinished is replaced. Raises TrackingError where a file is broken that may
    have held something, and where nothing can be written.
    """
    if state_of(file) == "whole":
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrackingError(
            f"MLflow's database {file} can't be made: {error.strerror}. Mend the rights of its "
            "folder, or name another place by MLFLOW_TRACKING_URI."
        ) from error
    with write_lock(str(file), _PATIENCE_SECONDS, "making MLflow's database"):
        found = state_of(file)
        if found == "whole":
            return
        if found == "broken":
            raise TrackingError(
                f"{file} is no whole database of MLflow's, and may have held runs. Put back a copy "
                "of it, or move it away to begin a new one: models are registered in it, their "
                "bundles lie in the lake (`_training`), and `tidemill train` with the run id of a "
                "finished training registers its bundle again."
            )
        if found == "unfinished":
            logger.warning("%s was left unfinished and never held a run: it is made anew", file)
        _make(file, make)


def rebase(file: Path, folder: Path) -> int:
    """Have artifacts that lay in the folder of another lake's MLflow be in `folder`, this lake's.

    A lake that was copied or moved would else write into the place that it came from. Returns how
    many places were changed; a database that can't be written stays as it is.
    """
    if not _strayed(file, folder):
        return 0
    own, changed = folder.as_uri(), 0
    try:
        with write_lock(str(file), _PATIENCE_SECONDS, "moving MLflow's places"), _open(file) as db:
            for table, column in _existing(db):
                text = f"{column}, instr({column}, '{_IN_LAKE}')"
                for place, at in db.execute(f"SELECT DISTINCT {text} FROM {table}").fetchall():
                    if not at or str(place).startswith(f"{own}/"):
                        continue
                    new = f"{own}/{str(place)[at - 1 + len(_IN_LAKE) :]}"
                    where = f"UPDATE {table} SET {column} = ? WHERE {column} = ?"
                    changed += db.execute(where, (new, place)).rowcount
            db.commit()
    except (sqlite3.OperationalError, OSError, LakeError) as error:
        # What is read is found by places relative to the lake in any case.
        logger.debug("%s keeps its places: %s", file, error)
        return 0
    logger.info("%s came from another place: %d places in it were changed", file, changed)
    return changed


def _strayed(file: Path, folder: Path) -> bool:
    own = f"{folder.as_uri()}/"
    with _open(file) as database:
        asked = database.execute("SELECT DISTINCT artifact_location FROM experiments")
        return any(_IN_LAKE in str(place) and not str(place).startswith(own) for (place,) in asked)


def _existing(database: sqlite3.Connection) -> list[tuple[str, str]]:
    return [
        (table, column)
        for table, column in _PLACES
        if any(row[1] == column for row in database.execute(f"PRAGMA table_info({table})"))
    ]


def _make(file: Path, make: Callable[[str], None]) -> None:
    # Whoever left one was killed: the lock is ours.
    for stale in file.parent.glob(f".{file.name}.*{_PART}*"):
        stale.unlink(missing_ok=True)
    aside = file.with_name(f".{file.name}.{uuid.uuid4().hex[:8]}{_PART}")
    make(f"sqlite:///{aside}")
    for left in (f"{file}-journal", f"{file}-wal", f"{file}-shm"):
        Path(left).unlink(missing_ok=True)  # of the file that is replaced
    aside.replace(file)


@contextmanager
def _open(file: Path) -> Iterator[sqlite3.Connection]:
    """Open a database that is there; read-only where nothing else is allowed."""
    try:
        database = sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=20)
        database.execute("PRAGMA schema_version")
    except sqlite3.OperationalError:
        database = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=20)
    with closing(database):
        yield database


def _count(database: sqlite3.Connection, table: str) -> int:
    return int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

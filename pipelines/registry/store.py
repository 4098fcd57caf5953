"""Where MLflow's records are, reached before anything is trained.

For a local lake the record is an SQLite file in the lake; for any other, `MLFLOW_TRACKING_URI`
names the server. That variable wins in either case. Nothing is sent anywhere else, and nothing
lands in the working folder.
"""

from __future__ import annotations

import logging
import os
import socket
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pipelines.errors import SettingsError, TidemillError, TrackingError
from pipelines.lake.places import in_lake
from pipelines.lake.storage import as_uri, local_path
from pipelines.registry.database import make_whole, rebase, sqlite_file

if TYPE_CHECKING:
    from pipelines.lake.catalog import Lake

VARIABLE = "MLFLOW_TRACKING_URI"
_SERVERS = ("http", "https", "databricks", "databricks-uc", "uc")
_PORTS = {"postgresql": 5432, "postgres": 5432, "mysql": 3306, "mssql": 1433}
_LOUD = ("mlflow", "alembic", "sqlalchemy.engine")
_ROOT = "_MLFLOW_SERVER_ARTIFACT_ROOT"
"""By it MLflow places the artifacts of experiments that it makes by itself."""
_REACH_SECONDS = 8
_QUICK = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": str(_REACH_SECONDS),
}
_PATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4", "MLFLOW_HTTP_REQUEST_TIMEOUT": "60"}
"""Behind a training a short outage is waited for; MLflow's own patience is four minutes."""


def tracking_uri(lake: Lake) -> str:
    """Return where MLflow's records of a lake are."""
    given = os.environ.get(VARIABLE)
    if given:
        return given
    file = own_database(lake)
    if file is None:
        raise SettingsError(
            f"the lake {lake.root} is not on this machine, so MLflow needs a server. "
            "Set MLFLOW_TRACKING_URI in the environment to its address, or for one driver to a "
            "file: sqlite:////FOLDER/mlflow.db. The model's bundle is in the lake in any case."
        )
    return f"sqlite:///{file}"


def own_database(lake: Lake) -> Path | None:
    """Return the file in a local lake that holds its records where nothing else is named."""
    folder = local_path(lake.tracking)
    return None if folder is None or os.environ.get(VARIABLE) else folder / "mlflow.db"


def is_made(lake: Lake) -> bool:
    """Tell whether MLflow's records are there, as far as that can be told without asking them."""
    uri = tracking_uri(lake)
    file = sqlite_file(uri)
    if file is None and urlsplit(uri).scheme in ("", "file"):
        file = local_path(uri)
    return file is None or file.exists()


def ready(lake: Lake) -> None:
    """Reach MLflow, and make its database where there is none yet.

    Raises TrackingError within seconds where it does not answer: before a training, not behind it.
    """
    opened = open_client(lake)
    with telling(lake), _setting(_QUICK):
        opened.search_experiments(max_results=1)


def open_client(lake: Lake) -> Any:
    """Return MLflow's client for a lake, with a database that is whole."""
    uri = tracking_uri(lake)
    with telling(lake):
        opened = _client_at(uri, artifact_root(lake, uri))
    file, folder = own_database(lake), local_path(lake.tracking)
    if file is not None and folder is not None:
        rebase(file, folder / "artifacts")
    return opened


def artifact_root(lake: Lake, uri: str) -> str | None:
    """Return the place for copies of bundles: in the lake, or beside the database's file.

    None where a server knows its own.
    """
    scheme = urlsplit(uri).scheme.partition("+")[0]
    if scheme in _SERVERS or (scheme != "sqlite" and scheme not in _PORTS):
        return None
    folder, file = local_path(lake.tracking), sqlite_file(uri)
    if folder is not None:
        return (folder / "artifacts").absolute().as_uri()
    if file is not None:
        return (file.absolute().parent / "artifacts").as_uri()
    return f"{as_uri(lake.tracking)}/artifacts"


def takes_copies(lake: Lake, root: str | None, artifact_uri: str) -> bool:
    """Tell whether a run's artifacts are this lake's to write: not another lake's, nor a stray's.

    `root` is what `artifact_root` says. A server knows its places, but for those in a lake that its
    database came from.
    """
    if root is None:
        return in_lake(lake, artifact_uri) in (artifact_uri, artifact_uri.removeprefix("file://"))
    return local_path(root) is not None and artifact_uri.startswith(f"{root}/")


@contextmanager
def telling(lake: Lake) -> Iterator[None]:
    """Turn what MLflow and what it stands on raise into one TrackingError."""
    try:
        yield
    except TidemillError:
        raise
    except Exception as error:
        if not _is_mlflows(error):
            raise
        # MLflow counts all its tries and quotes the address in full: the trace is no help.
        raise TrackingError(_said(tracking_uri(lake), error)) from None


def _is_mlflows(error: BaseException) -> bool:
    names = ("mlflow.", "sqlalchemy.", "requests.", "urllib3.", "alembic.", "sqlite3")
    passing = ConnectionError | TimeoutError | ModuleNotFoundError
    return type(error).__module__.startswith(names) or isinstance(error, passing)


def _said(uri: str, error: BaseException) -> str:
    text = " ".join(str(error).split())
    if "out-of-date database schema" in text:
        return (
            f"MLflow's database {uri} was made by another version of MLflow. Take a copy of it, "
            f"then run `mlflow db upgrade {uri}`."
        )
    where = f"MLflow at {uri}"
    if isinstance(error, ModuleNotFoundError):
        return f"{where} needs a package that is not there: {text}. Install it beside tidemill."
    return (
        f"{where} does not answer as expected: {_cause(text)}. Look whether it runs and whether "
        f"the address in {VARIABLE} and the credentials in the environment are right, then run the "
        "same command again: bundles and checkpoints are in the lake."
    )


def _cause(text: str) -> str:
    """Return what was the matter at the bottom, of a message that wraps it several times."""
    _, separator, cause = text.rpartition("Caused by ")
    return (cause.rstrip(")") + ")" if separator else text)[:300]


@lru_cache(maxsize=4)
def _client_at(uri: str, root: str | None) -> Any:
    # Read when mlflow is imported: no telemetry, no search for git.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    for name, value in _PATIENT.items():
        os.environ.setdefault(name, value)
    _knock(uri)
    file = sqlite_file(uri)
    if file is not None:
        make_whole(file, lambda aside: _let_go(_connected(aside, root)))
    return _connected(uri, root)


def _connected(uri: str, root: str | None) -> Any:
    with warnings.catch_warnings(), _setting({**_QUICK, **({_ROOT: root} if root else {})}):
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient

        for name in _LOUD:  # mlflow sets levels of its own when it is imported
            logging.getLogger(name).setLevel(logging.WARNING)
        opened = MlflowClient(tracking_uri=uri, registry_uri=uri)
        opened.search_experiments(max_results=1)  # makes the tables of a new database
    return opened


def _let_go(opened: Any) -> None:
    """Close a client's connections: its file is about to be renamed."""
    opened._tracking_client.store.engine.dispose()


def _knock(uri: str) -> None:
    """Raise TrackingError where a database's host does not answer: drivers try for minutes."""
    parts = urlsplit(uri)
    port = _PORTS.get(parts.scheme.partition("+")[0])
    if port is None or not parts.hostname:
        return
    try:
        socket.create_connection((parts.hostname, parts.port or port), _REACH_SECONDS).close()
    except (OSError, ValueError) as error:
        raise TrackingError(_said(uri, error)) from None


@contextmanager
def _setting(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

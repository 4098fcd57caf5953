"""Delta's own log, read without Spark: which files a table has at a version.

Follows Delta's protocol document ("Delta Transaction Log Protocol"): the newest checkpoint (one
file, several parts, or version 2 with sidecars) at or before the version, then the JSON commits
behind it. What a reader must know and this one doesn't is refused by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.errors import FeedError, LogDamaged, TableNotFound, VersionNotFound
from pipelines.lake.catalog import Lake, check_version
from pipelines.lake.column_mapping import MODES, mode_of
from pipelines.lake.deletion_vector import DeletionVector
from pipelines.lake.log_text import documents, what_is_there
from pipelines.lake.storage import TableFiles, as_uri, decoded

LOG = "_delta_log"
_SIDECARS = "_sidecars"
_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint(?:\.(\d{10})\.(\d{10}))?\.parquet")
_CHECKPOINT_V2 = re.compile(r"(\d{20})\.checkpoint\.[0-9a-f-]{36}\.(?:json|parquet)")

HONOURED = frozenset(
    {
        *("columnMapping", "deletionVectors", "timestampNtz", "typeWidening"),
        *("typeWidening-preview", "v2Checkpoint", "vacuumProtocolCheck"),
    }
)
"""Reader features that are read right. A file that is older than a type's widening holds the
narrower type: whoever reads a column casts it."""
_HIGHEST_READER_VERSION = 3

Action = dict[str, Any]


@dataclass
class TableState:
    """A table at a version: its protocol and metadata actions, and its live `add` actions."""

    version: int
    protocol: Action = field(default_factory=dict)
    metadata: Action = field(default_factory=dict)
    adds: dict[tuple[str, str], Action] = field(default_factory=dict)

    def apply(self, action: Action) -> None:
        """Take one action of the log into account."""
        if add := action.get("add"):
            self.adds[_file_key(add)] = add
        elif remove := action.get("remove"):
            self.adds.pop(_file_key(remove), None)
        elif protocol := action.get("protocol"):
            self.protocol = protocol
        elif metadata := action.get("metaData"):
            self.metadata = metadata


def _file_key(action: Action) -> tuple[str, str]:
    vector = action.get("deletionVector")
    path = as_uri(decoded(action["path"]))  # `file:/x` and `/x` are one file
    return path, DeletionVector.from_log(vector).unique_id if vector else ""


def read_state(files: TableFiles, version: int | None = None) -> TableState:
    """Return a table's state at `version`, by default its newest.

    Raises TableNotFound, VersionNotFound, LogDamaged, UsageError for what is no version, and
    FeedError where a reader would need to know more.
    """
    version = check_version(version)
    names = files.names(LOG)
    commits = {int(match[1]): name for name in names if (match := _COMMIT.fullmatch(name))}
    checkpoints = _checkpoints(names)
    if not commits and not checkpoints:
        lack = f"{LOG}/ holds no commit" if names else f"it has no {LOG}/"
        raise TableNotFound(f"there is no Delta table at {files.table}: {lack}")
    wanted = max([*commits, *checkpoints]) if version is None else version
    state = TableState(version=wanted)
    start = max((at for at in checkpoints if at <= wanted), default=-1)
    needed = range(start + 1, wanted + 1)
    if any(at not in commits for at in needed):
        raise VersionNotFound(what_is_there(files.table, wanted, commits, checkpoints))
    for name in checkpoints.get(start, ()):
        for action in _checkpoint_actions(files, name):
            state.apply(action)
    for at in needed:
        for action in _stored_actions(files, f"{LOG}/{commits[at]}"):
            state.apply(action)
    _check_whole(files, state)
    _check_features(files, state)
    return state


def holds_version(names: Iterable[str]) -> bool:
    """Tell whether files of a log, by their names, make a table: a commit or a checkpoint."""
    return any(
        pattern.fullmatch(name)
        for name in names
        for pattern in (_COMMIT, _CHECKPOINT, _CHECKPOINT_V2)
    )


def committed_by(lake: Lake, table: str, version: int) -> str | None:
    """Return the run id that a commit carries; None where it has none or its log is gone."""
    files = TableFiles(lake.path(table))
    name = f"{LOG}/{version:020d}.json"
    if name.rpartition("/")[2] not in files.names(LOG):
        return None
    for action in _stored_actions(files, name):
        if "commitInfo" in action:
            return _run_of(action["commitInfo"])
    return None


@dataclass(frozen=True)
class Commit:
    """One commit as its table's log tells of it; `metrics` are Delta's numbers of the operation."""

    version: int
    at_ms: int
    run_id: str | None
    metrics: Mapping[str, Any]


def commits_since(files: TableFiles, since_ms: int) -> Iterator[Commit]:
    """Yield the commits of a table from a moment on, the newest first; none where it is no table.

    The log's time of a commit is that of the machine that made it.
    """
    for name in sorted(filter(_COMMIT.fullmatch, files.names(LOG)), reverse=True):
        actions = _stored_actions(files, f"{LOG}/{name}")
        info: Action = next((one["commitInfo"] for one in actions if "commitInfo" in one), {})
        if int(info.get("timestamp", since_ms)) < since_ms:
            return
        yield Commit(
            version=int(name.partition(".")[0]),
            at_ms=int(info.get("timestamp", 0)),
            run_id=_run_of(info),
            metrics=info.get("operationMetrics") or {},
        )


def _run_of(info: Mapping[str, Any]) -> str | None:
    text = info.get("userMetadata")
    if not text or not text.startswith("{"):
        return text or None
    try:
        found = json.loads(text).get("run_id")  # a commit that notes more than its run
    except ValueError:
        return str(text)
    return str(found) if found else None


def _checkpoints(names: list[str]) -> dict[int, list[str]]:
    """Return the whole checkpoints by version; a multi-part one needs all its parts."""
    parts: dict[tuple[int, int], list[str]] = {}
    found: dict[int, list[str]] = {}
    for name in sorted(names):
        if match := _CHECKPOINT.fullmatch(name):
            parts.setdefault((int(match[1]), int(match[3] or 1)), []).append(name)
        elif match := _CHECKPOINT_V2.fullmatch(name):
            found[int(match[1])] = [name]
    whole = {version: some for (version, count), some in parts.items() if len(some) == count}
    return {**found, **whole}


def _checkpoint_actions(files: TableFiles, name: str) -> Iterator[Action]:
    """Yield a checkpoint's actions; a version 2 checkpoint has its files in sidecars."""
    for action in _stored_actions(files, f"{LOG}/{name}"):
        if sidecar := action.get("sidecar"):
            place = str(sidecar["path"])
            is_whole = "://" in place or place.startswith(("/", "file:"))
            place = place if is_whole else f"{LOG}/{_SIDECARS}/{place}"
            yield from _stored_actions(files, place)
        else:
            yield action


def _stored_actions(files: TableFiles, name: str) -> Iterator[Action]:
    if name.endswith(".json"):
        for _, action in documents(files.read(name), f"{files.table}/{name}"):
            yield action
        return
    import pyarrow.parquet as pq

    wanted = ("protocol", "metaData", "add", "sidecar")
    with files.open(name) as handle:
        parquet = pq.ParquetFile(handle)
        leaves = [
            path
            for path in (parquet.schema.column(i).path for i in range(len(parquet.schema.names)))
            if path.split(".")[0] in wanted and not path.startswith("add.stats_parsed")
        ]
        for batch in parquet.iter_batches(batch_size=65_536, columns=leaves):
            for row in batch.to_pylist():
                yield {key: _without_pairs(value) for key, value in row.items() if value}


def _without_pairs(action: Action) -> Action:
    """Turn the pairs that Parquet's maps arrive as into dictionaries."""
    maps = ("partitionValues", "configuration", "options", "tags")
    return {
        key: dict(value) if key in maps and value is not None else value
        for key, value in action.items()
    }


def _check_whole(files: TableFiles, state: TableState) -> None:
    schema = state.metadata.get("schemaString")
    lack = "protocol" if not state.protocol else "metaData" if not state.metadata else None
    lack = lack or (None if schema else "metaData.schemaString")
    if lack:
        raise LogDamaged(
            f"the log of {files.table} has no `{lack}` up to version {state.version}; every table "
            "has one. A commit or a checkpoint was lost: bring it back from where the table was "
            "copied from, or write the table anew."
        )


def _check_features(files: TableFiles, state: TableState) -> None:
    protocol = state.protocol
    if int(protocol.get("minReaderVersion", 1)) > _HIGHEST_READER_VERSION:
        raise _unsupported(files, f"minReaderVersion {protocol['minReaderVersion']}")
    unknown = sorted(set(protocol.get("readerFeatures") or ()) - HONOURED)
    if unknown:
        raise _unsupported(files, unknown[0])
    mode = mode_of(state.metadata)
    if mode not in MODES:
        raise _unsupported(files, f"columnMapping (mode {mode})")


def _unsupported(files: TableFiles, feature: str) -> FeedError:
    return FeedError(
        f"{files.table} uses Delta's reader feature '{feature}', which the feed can't read; it "
        f"honours {sorted(HONOURED)}. Write the training set to a table without that feature, or "
        "drop it with ALTER TABLE ... DROP FEATURE."
    )

"""Files of a landing folder: what they are, and where each source's files are listed."""

from __future__ import annotations

import datetime as dt
import importlib.util
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from pipelines.config.ingest import Source
from pipelines.errors import LandingError, nearest
from pipelines.ingest.local_files import (
    Found,
    as_text,
    find_files,
    has_other_letters,
    link_of,
    shown,
)
from pipelines.lake.files import file_system
from pipelines.lake.storage import local_path

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_LIST_OPTIONS = {"recursiveFileLookup": "true"}


@dataclass(frozen=True, order=True)
class LandingFile:
    """One file as it was when it was listed."""

    path: str
    """Relative to the landing folder; what bronze keeps as `_source_file`."""
    modified_ms: int
    """Milliseconds since 1970, UTC."""
    length: int
    uri: str
    """The whole path, as Hadoop's file systems take it; empty where the name is no UTF-8 text."""
    link: str
    """The whole path as `_metadata.file_path` spells it: a URI with escapes."""

    @property
    def links(self) -> tuple[str, ...]:
        """The link as `_metadata.file_path` and `input_file_name` spell it: `file:/`, `file:///`."""
        local = re.sub("^file:/(?!/)", "file:///", self.link)
        return (self.link,) if local == self.link else (self.link, local)

    @property
    def modified_at(self) -> str:
        """The time of the last change, for people."""
        return describe_ms(self.modified_ms)

    def is_like(self, other: LandingFile) -> bool:
        """Tell whether size and time are those of `other`."""
        return (self.modified_ms, self.length) == (other.modified_ms, other.length)


def describe_ms(milliseconds: int) -> str:
    """Write milliseconds since 1970 as a UTC time."""
    when = dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC)
    return when.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC"


def _delivered(pipeline: str) -> str:
    """Say which command delivers the files of a built-in pipeline; nothing of another one."""
    if importlib.util.find_spec(f"pipelines.landing.{pipeline}") is None:
        return ""
    return f" `tidemill land {pipeline} --until DAY` delivers those that it has had by that day."


@dataclass(frozen=True)
class Landing:
    """The landing folder of a pipeline, on whatever store it lies."""

    spark: SparkSession
    root: str
    """With its scheme (`file:/...`), without `/` at its end."""

    @classmethod
    def open(cls, spark: SparkSession, place: str, pipeline: str) -> Landing:
        """Return the landing folder; raise LandingError where there is none."""
        if local_path(place) is not None:
            check_letters(spark, place)
        system, path = file_system(spark, place)
        if not system.exists(path):
            raise LandingError(
                f"there is no landing folder {place}. Deliver files there, or give another folder "
                f"as `landing` of pipeline '{pipeline}'.{_delivered(pipeline)}"
            )
        return cls(spark, str(system.makeQualified(path).toString()))

    def place(self, source: Source) -> str:
        """Return the folder or glob of a source, in which the landing folder is no pattern."""
        return f"{literal(self.root)}/{source.path}"

    def check(self, name: str, source: Source) -> bool:
        """Tell whether there is anything to list; raise LandingError where the folder is missing.

        A glob that matches nothing is no error: nothing has landed yet.
        """
        if is_glob(source.path):
            system, pattern = file_system(self.spark, self.place(source))
            return bool(system.globStatus(pattern))
        folder = f"{self.root}/{source.path}"
        system, path = file_system(self.spark, folder)
        if not system.exists(path):
            root = file_system(self.spark, self.root)[1]
            there = [str(one.getPath().getName()) for one in system.listStatus(root)]
            raise LandingError(
                f"the landing folder of source '{name}' is missing: {folder}. "
                f"Expected the folder that `ingest.sources.{name}.path: {source.path}` names; "
                f"make it (it may be empty), or mend the setting.{nearest(source.path, there)}"
            )
        return True

    def list(
        self, sources: Mapping[str, Source], known: Mapping[str, Collection[str]] | None = None
    ) -> dict[str, list[LandingFile]]:
        """List the files of all sources, each sorted by path; links are followed (local_files).

        `known` are the paths of each source that were read before.
        """
        if local_path(self.root) is None:
            return _list_by_spark(self, sources)
        known = known or {}
        return {
            name: _list_locally(self, source, known.get(name, ()))
            for name, source in sources.items()
        }

    def name_of(self, uri: str) -> str:
        """Return a file's path below the landing folder.

        Raises LandingError for a file outside of it, whatever pattern found it.
        """
        inside = f"{self.root.rstrip('/')}/"
        if not uri.startswith(inside):
            raise LandingError(
                f"a source's `path` finds files outside of the landing folder {self.root}. Give "
                "folders or globs below it."
            )
        return uri.removeprefix(inside)


def _list_locally(landing: Landing, source: Source, known: Collection[str]) -> list[LandingFile]:
    root = str(local_path(landing.root)).rstrip("/")
    roots = [os.path.normpath(f"{root}/{source.path}")]
    if is_glob(source.path):
        if not _reads_all_letters(landing.spark) and has_other_letters(root):
            raise _unreadable_letters(landing.spark, f"{root} or something below it")
        roots = _matches(landing.spark, landing.place(source))
    before = {f"{root}/{path}" for path in known}
    return sorted(_local_file(landing, one) for one in find_files(roots, before))


def _local_file(landing: Landing, found: Found) -> LandingFile:
    uri = f"file:{found.path}"
    path = landing.name_of(uri)
    if as_text(path) is None:
        return LandingFile(shown(path), found.modified_ms, found.length, "", "")
    check_letters(landing.spark, path)
    return LandingFile(path, found.modified_ms, found.length, uri, link_of(found.path))


def _list_by_spark(landing: Landing, sources: Mapping[str, Source]) -> dict[str, list[LandingFile]]:
    frames = [
        _columns_of_files(
            landing.spark.read.format("binaryFile")
            .options(**_LIST_OPTIONS)
            .load(landing.place(one))
        ).withColumn("source", F.lit(name))
        for name, one in sources.items()
    ]
    found: dict[str, list[LandingFile]] = {name: [] for name in sources}
    for frame in frames[1:]:
        frames[0] = frames[0].unionByName(frame)
    for row in frames[0].collect() if frames else []:
        path = landing.name_of(row["path"])
        file = LandingFile(path, row["modified_ms"], row["length"], row["path"], row["link"])
        found[row["source"]].append(file)
    return {name: sorted(files) for name, files in found.items()}


def check_letters(spark: SparkSession, name: str) -> None:
    """Raise LandingError where Java can't open a file of this name, for its locale's sake."""
    if not name.isascii() and not _reads_all_letters(spark):
        raise _unreadable_letters(spark, name)


def _reads_all_letters(spark: SparkSession) -> bool:
    return _java_encoding(spark).upper().replace("-", "") == "UTF8"


def _java_encoding(spark: SparkSession) -> str:
    jvm: Any = spark.sparkContext._jvm
    return str(jvm.System.getProperty("sun.jnu.encoding"))


def _unreadable_letters(spark: SparkSession, name: str) -> LandingError:
    return LandingError(
        f"{name} has letters beyond ASCII in its name, and Spark's Java was started in a locale "
        f"without them ({_java_encoding(spark)}), in which it does not find such files. Start it "
        "with LC_ALL=C.UTF-8 in the environment (of spark-submit, too)."
    )


def _matches(spark: SparkSession, pattern: str) -> list[str]:
    """Return the local paths that a glob of Hadoop's matches."""
    jvm: Any = spark.sparkContext._jvm
    system, path = file_system(spark, pattern)
    found = system.globStatus(path)
    if not found:
        return []
    # One answer for all: a file by its own would be three round trips.
    gateway: Any = spark.sparkContext._gateway
    paths = gateway.new_array(jvm.java.lang.Object, len(found))
    jvm.System.arraycopy(
        jvm.org.apache.hadoop.fs.FileUtil.stat2Paths(found), 0, paths, 0, len(found)
    )
    names = str(jvm.org.apache.commons.lang3.StringUtils.join(paths, "\0"))
    return [str(local_path(one)) for one in names.split("\0")]


def _columns_of_files(binary_files: DataFrame) -> DataFrame:
    """Keep what identifies a file. The content is left out, so no file is read."""
    return binary_files.select(
        "path",
        F.unix_millis("modificationTime").alias("modified_ms"),
        "length",
        F.col("_metadata.file_path").alias("link"),
    )


def is_glob(path: str) -> bool:
    """Tell whether Hadoop reads the path as a pattern."""
    return re.search(r"[{}\[\]*?\\]", path) is not None


def literal(uri: str) -> str:
    """Escape a path, so that brackets and the like in a file's name are no pattern."""
    return re.sub(r"([{}\[\]*?\\])", r"\\\1", uri)

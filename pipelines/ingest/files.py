"""Files of a landing folder: what they are, and where each source's files are listed."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.config.ingest import Source
from pipelines.errors import LandingError
from pipelines.lake.files import file_system

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# No names but Spark's: the stream and the listing must see the same files.
LIST_OPTIONS = {"recursiveFileLookup": "true"}


@dataclass(frozen=True, order=True)
class LandingFile:
    """One file as it was when it was listed."""

    path: str
    """Relative to the landing folder; what bronze keeps as `_source_file`."""
    modified_ms: int
    """Milliseconds since 1970, UTC."""
    length: int
    uri: str
    """The whole path, as Hadoop's file systems take it."""
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


@dataclass(frozen=True)
class Landing:
    """The landing folder of a pipeline, on whatever store it lies."""

    spark: SparkSession
    root: str
    """With its scheme (`file:/...`), without `/` at its end."""

    @classmethod
    def open(cls, spark: SparkSession, place: str, pipeline: str) -> Landing:
        """Return the landing folder; raise LandingError where there is none."""
        system, path = file_system(spark, place)
        if not system.exists(path):
            raise LandingError(
                f"there is no landing folder {place}. Deliver files there, or give another folder "
                f"as `landing` of pipeline '{pipeline}'. The files of the example are delivered by "
                "`tidemill land flights --until 2013-11-30`."
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
            raise LandingError(
                f"the landing folder of source '{name}' is missing: {folder}. "
                f"Expected the folder that `ingest.sources.{name}.path: {source.path}` names; "
                "make it (it may be empty), or mend the setting."
            )
        return True

    def list(self, sources: Mapping[str, Source]) -> dict[str, list[LandingFile]]:
        """List the files of all sources in one pass, each sorted by path."""
        from pyspark.sql import functions as F

        frames = [
            columns_of_files(
                self.spark.read.format("binaryFile").options(**LIST_OPTIONS).load(self.place(one))
            ).withColumn("source", F.lit(name))
            for name, one in sources.items()
        ]
        found: dict[str, list[LandingFile]] = {name: [] for name in sources}
        for frame in frames[1:]:
            frames[0] = frames[0].unionByName(frame)
        for row in frames[0].collect() if frames else []:
            found[row["source"]].append(self.file(row))
        return {name: sorted(files) for name, files in found.items()}

    def file(self, row: Any) -> LandingFile:
        """Make a LandingFile of a row of `columns_of_files`.

        Raises LandingError for a file outside of the landing folder, whatever pattern found it.
        """
        if not row["path"].startswith(f"{self.root.rstrip('/')}/"):
            raise LandingError(
                f"a source's `path` finds files outside of the landing folder {self.root}. Give "
                "folders or globs below it."
            )
        path = row["path"].removeprefix(f"{self.root}/")
        return LandingFile(path, row["modified_ms"], row["length"], row["path"], row["link"])


def columns_of_files(binary_files: DataFrame) -> DataFrame:
    """Keep what identifies a file. The content is left out, so no file is read."""
    from pyspark.sql import functions as F

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

"""Small files on the lake's own file system (Hadoop's), wherever the lake lies."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.errors import LakeError
from pipelines.lake.atomic import put_file
from pipelines.lake.catalog import Lake
from pipelines.lake.storage import local_path

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

logger = logging.getLogger(__name__)

_HINTS = {
    "s3a": (
        "Credentials come from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) or the "
        "machine's role, AWS_ENDPOINT_URL names another S3 than Amazon's, the bucket has to be "
        "there, and `make setup` puts the jars in place."
    ),
    "hdfs": "Look whether the name node answers at this address, and at HADOOP_CONF_DIR.",
    "": "Look at the address, the credentials in the environment, and Hadoop's jar for the store.",
}
_OBJECT_STORES = ("s3a", "gs", "abfs", "abfss", "wasb", "wasbs", "oss", "cosn")
"""Schemes of stores where a file appears when it is closed, and a rename is a copy."""


def file_system(spark: SparkSession, uri: str) -> tuple[Any, Any]:
    """Return Hadoop's file system of a URI, and the URI as its path."""
    context: Any = spark.sparkContext
    path = context._jvm.org.apache.hadoop.fs.Path(uri)
    return path.getFileSystem(context._jsc.hadoopConfiguration()), path


@dataclass(frozen=True)
class StoredFile:
    """A file of a table's folder; `uri` is as Hadoop spells it."""

    uri: str
    num_bytes: int
    modified_ms: int


def list_files(spark: SparkSession, place: str) -> dict[str, StoredFile]:
    """Return all files of a table's folder but its log, by their names relative to it."""
    system, path = file_system(spark, place)
    root = str(system.makeQualified(path).toString()).rstrip("/") + "/"
    found: dict[str, StoredFile] = {}
    if not system.exists(path):
        return found
    files: Any = system.listFiles(path, True)
    while files.hasNext():
        status = files.next()
        uri = str(status.getPath().toString())
        name = uri.removeprefix(root)
        if not name.startswith("_delta_log/"):
            found[name] = StoredFile(uri, status.getLen(), status.getModificationTime())
    return found


def check_store(spark: SparkSession, lake: Lake) -> None:
    """Raise LakeError where a lake's store does not answer; warn of what it can't guard against."""
    if lake.is_local:
        return
    scheme = lake.root.partition(":")[0]
    try:
        system, path = file_system(spark, lake.root)
        system.exists(path)
    except Exception as error:
        if not type(error).__module__.startswith("py4j."):
            raise
        why = str(getattr(error, "java_exception", error)).splitlines()[0]
        raise LakeError(
            f"the lake {lake.root} can't be reached: {why}. {_HINTS.get(scheme, _HINTS[''])}"
        ) from None
    store: str = spark.conf.get("spark.delta.logStore.s3a.impl", "") or ""
    if scheme == "s3a" and not store.endswith("S3DynamoDBLogStore"):
        logger.warning(
            "%s: S3 refuses no second commit, so one driver at a time may write here. Several need "
            "spark.delta.logStore.s3a.impl=io.delta.storage.S3DynamoDBLogStore (docs/stores.md)",
            lake.root,
        )


def _jvm(spark: SparkSession) -> Any:
    return spark.sparkContext._jvm


def exists(spark: SparkSession, uri: str) -> bool:
    """Tell whether a file or folder exists."""
    system, path = file_system(spark, uri)
    return bool(system.exists(path))


def read_bytes(spark: SparkSession, uri: str) -> bytes | None:
    """Return a file's content, or None where there is no such file."""
    system, path = file_system(spark, uri)
    if not system.exists(path):
        return None
    stream = system.open(path)
    try:
        content: bytearray = _jvm(spark).org.apache.commons.io.IOUtils.toByteArray(stream)
    finally:
        stream.close()
    return bytes(content)


def write_bytes(spark: SparkSession, uri: str, content: bytes) -> None:
    """Write a file whole: a reader sees the old content or the new one, however this ends.

    An object store shows a file when it is closed. Elsewhere it is written under another name, and
    renamed over the old one.
    """
    local = local_path(uri)
    if local is not None:
        put_file(local, content)
        return
    system, path = file_system(spark, uri)
    if str(system.getScheme()) in _OBJECT_STORES:
        _write(system, path, content)
        return
    jvm: Any = _jvm(spark)
    gateway: Any = spark.sparkContext._gateway
    beside = jvm.org.apache.hadoop.fs.Path(path.getParent(), f".{path.getName()}.part")
    _write(system, beside, content)
    options = jvm.org.apache.hadoop.fs.Options.Rename
    overwrite = gateway.new_array(options, 1)
    overwrite[0] = options.OVERWRITE
    context = jvm.org.apache.hadoop.fs.FileContext.getFileContext(path.toUri(), system.getConf())
    context.rename(beside, path, overwrite)


def _write(system: Any, path: Any, content: bytes) -> None:
    stream = system.create(path, True)
    try:
        stream.write(bytearray(content))
    finally:
        stream.close()


def delete(spark: SparkSession, uri: str) -> None:
    """Delete a file; nothing happens where there is none."""
    system, path = file_system(spark, uri)
    system.delete(path, False)


def read_text(spark: SparkSession, uri: str) -> str | None:
    """Return a text file's content, or None where there is no such file."""
    content = read_bytes(spark, uri)
    return None if content is None else content.decode("utf-8")


def read_json(spark: SparkSession, uri: str, without_it: str) -> Any | None:
    """Return what a file of JSON holds, or None where there is no such file.

    Raises LakeError for one that is torn (a disk that ran full, a machine that went down);
    `without_it` says what its deletion would bring.
    """
    content = read_bytes(spark, uri)
    if content is None:
        return None
    try:
        return json.loads(content.decode("utf-8"))
    except ValueError as error:
        raise LakeError(
            f"{uri} is torn: its {len(content):,} bytes are no JSON ({error}). Bring it back from "
            f"a copy, or delete it and run the same command again: {without_it}."
        ) from error


def write_text(spark: SparkSession, uri: str, content: str) -> None:
    """Write a text file whole."""
    write_bytes(spark, uri, content.encode("utf-8"))

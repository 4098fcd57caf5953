"""Small files on the lake's own file system (Hadoop's), wherever the lake lies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipelines.errors import LakeError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def file_system(spark: SparkSession, uri: str) -> tuple[Any, Any]:
    """Return Hadoop's file system of a URI, and the URI as its path."""
    context: Any = spark.sparkContext
    path = context._jvm.org.apache.hadoop.fs.Path(uri)
    return path.getFileSystem(context._jsc.hadoopConfiguration()), path


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
    """Write a file whole: under another name first, then renamed over the old one."""
    system, path = file_system(spark, uri)
    beside = _jvm(spark).org.apache.hadoop.fs.Path(path.getParent(), f".{path.getName()}.part")
    stream = system.create(beside, True)
    try:
        stream.write(bytearray(content))
    finally:
        stream.close()
    if system.exists(path):
        system.delete(path, False)
    if not system.rename(beside, path):
        raise LakeError(
            f"{uri} could not be written: its file system refused to rename {beside}. Look at the "
            "folder's permissions and space, then run the stage again."
        )


def delete(spark: SparkSession, uri: str) -> None:
    """Delete a file; nothing happens where there is none."""
    system, path = file_system(spark, uri)
    system.delete(path, False)


def read_text(spark: SparkSession, uri: str) -> str | None:
    """Return a text file's content, or None where there is no such file."""
    content = read_bytes(spark, uri)
    return None if content is None else content.decode("utf-8")


def write_text(spark: SparkSession, uri: str, content: str) -> None:
    """Write a text file whole."""
    write_bytes(spark, uri, content.encode("utf-8"))

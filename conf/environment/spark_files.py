"""Put jars (Delta, S3, PostgreSQL) and logging settings into the running environment's pyspark.

Usage: spark_files.py FOLDER_OF_LOG4J2_PROPERTIES

There every session finds them with no setting: spark-submit, sessions started from Python, and the
executors of local and local-cluster masters. The jars are kept in the user's cache.
"""

import os
import shutil
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import pyspark

# Nothing else of what Delta depends on: Spark ships it, and a second copy of Hadoop or Parquet on
# the class path is a fight to be lost later.
JARS = {
    "delta-spark_4.0_2.13-4.4.0.jar": "io.delta:delta-spark_4.0_2.13:4.4.0",
    "delta-storage-4.4.0.jar": "io.delta:delta-storage:4.4.0",
}

# s3a:// takes Hadoop's module and single modules of Amazon's SDK: its bundle of all is 600 MB. What
# else they depend on (netty, httpclient, ...) Spark ships.
HADOOP, AWS = "3.4.1", "2.29.52"
AWS_MODULES = (
    *("annotations", "apache-client", "arns", "auth", "aws-core", "aws-query-protocol"),
    *("aws-xml-protocol", "checksums", "checksums-spi", "crt-core", "endpoints-spi", "http-auth"),
    *("http-auth-aws", "http-auth-aws-eventstream", "http-auth-spi", "http-client-spi"),
    *("identity-spi", "json-utils", "metrics-spi", "netty-nio-client", "profiles"),
    *("protocol-core", "regions", "retries", "retries-spi", "s3", "s3-transfer-manager"),
    *("sdk-core", "sts", "third-party-jackson-core", "utils"),
)
STORES = (
    f"org.apache.hadoop:hadoop-aws:{HADOOP}",
    *(f"software.amazon.awssdk:{module}:{AWS}" for module in AWS_MODULES),
    "software.amazon.eventstream:eventstream:1.0.1",
    "org.reactivestreams:reactive-streams:1.0.4",
    "org.postgresql:postgresql:42.7.7",
)
JARS |= {"-".join(one.split(":")[1:]) + ".jar": one for one in STORES}
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "tidemill", "jars")
SPARK = Path(pyspark.__file__).parent


def main(settings: Path) -> None:
    """Fetch what the cache lacks, then copy jars and settings into place."""
    missing = [jar for jar in JARS if not is_whole(CACHE / jar)]
    if missing:
        fetch(missing)
    for jar in JARS:
        copy(CACHE / jar, SPARK / "jars" / jar)
    copy(settings / "log4j2.properties", SPARK / "conf" / "log4j2.properties")


def is_whole(jar: Path) -> bool:
    """Say whether a jar is there and each of its members has the checksum it should have."""
    try:
        with zipfile.ZipFile(jar) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False


def fetch(jars: list[str]) -> None:
    """Fetch jars by Spark's own package resolution, from where this machine is set up to ask.

    The way in is that of `ADD JAR ivy://...`, without the seconds that a session takes to start.
    """
    from pyspark import SparkConf
    from pyspark.java_gateway import launch_gateway

    with TemporaryDirectory() as ivy:
        gateway = launch_gateway(SparkConf(loadDefaults=False))
        jvm = gateway.jvm
        jvm.java.lang.System.setProperty("spark.jars.ivy", ivy)
        for jar in jars:
            uri = jvm.java.net.URI(f"ivy://{JARS[jar]}?transitive=false")
            found = jvm.org.apache.spark.util.DependencyUtils.resolveMavenDependencies(uri)
            copy(Path(found.mkString("")), CACHE / jar)
        gateway.shutdown()


def copy(source: Path, to: Path) -> None:
    """Copy a file so that whoever looks sees all of it or nothing."""
    to.parent.mkdir(parents=True, exist_ok=True)
    beside = to.with_name(f".{to.name}.{os.getpid()}")
    shutil.copyfile(source, beside)
    beside.replace(to)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

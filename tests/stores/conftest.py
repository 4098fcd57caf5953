"""An S3 server for the tests of this folder, and a bucket that Spark and Python can reach."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.lake.folder import Folder
from tests.servers import s3

KEYS = {"AWS_ACCESS_KEY_ID": "only-for-tests", "AWS_SECRET_ACCESS_KEY": "only-for-tests"}


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which everything finds the server and may write to it."""
    with s3(tmp_path_factory.mktemp("s3") / "log") as address:
        yield {
            **KEYS,
            "AWS_ENDPOINT_URL": address,
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@pytest.fixture
def bucket(s3_server: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """The URI of a new bucket, which Python code of this process reaches."""
    from pyarrow.fs import S3FileSystem

    for name, value in s3_server.items():
        monkeypatch.setenv(name, value)
    name = f"tests-{uuid.uuid4().hex[:12]}"
    address = os.environ["AWS_ENDPOINT_URL"].partition("://")[2]
    system = S3FileSystem(
        endpoint_override=address, scheme="http", region="us-east-1", allow_bucket_creation=True
    )
    system.create_dir(name)
    return f"s3a://{name}"


def upload(folder: Path, uri: str) -> None:
    """Copy a folder's files into a store."""
    target = Folder(uri)
    for file in folder.rglob("*"):
        if file.is_file():
            target.write(str(file.relative_to(folder)), file.read_bytes())

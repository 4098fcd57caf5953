from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.errors import SetupError
from pipelines.lake.folder import Folder, local_path


@pytest.fixture(params=["path", "file", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    if request.param == "memory":
        return Folder(f"memory://{tmp_path.name}")
    return Folder(str(tmp_path) if request.param == "path" else tmp_path.as_uri())


def test_files_come_and_go_by_name(folder: Folder) -> None:
    assert folder.names() == []
    assert folder.read("a/b.json") is None
    folder.write("a/b.json", b"one")
    folder.write("a/b.json", b"other")
    folder.write("c", b"3")
    assert folder.names() == ["a", "c"]
    assert folder.below("a").names() == ["b.json"]
    assert folder.below("a").read("b.json") == b"other"
    folder.remove("a")
    folder.remove("a")
    folder.remove("c")
    assert folder.names() == []


def test_places_of_this_machine_are_known() -> None:
    assert local_path("/a/b") == Path("/a/b")
    assert local_path("file:/a/b") == Path("/a/b")
    assert local_path("file:///a/b") == Path("/a/b")
    assert local_path("s3a://a/b") is None


def test_a_file_system_without_its_package_says_what_is_missing() -> None:
    with pytest.raises(SetupError, match="Install the fsspec package"):
        Folder("nosuch://bucket/x").names()

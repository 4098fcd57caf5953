"""Files of a local folder: each real file once, whatever links lead to it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipelines.errors import LandingError
from pipelines.ingest import local_files
from pipelines.ingest.local_files import find_files, has_other_letters, link_of, shown


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "s").mkdir()
    return tmp_path / "s"


def put(file: Path, content: str = "x") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    return file


def names(folder: Path, *known: str) -> list[str]:
    found = find_files([str(folder)], [f"{folder}/{path}" for path in known])
    return [one.path.removeprefix(f"{folder}/") for one in found]


def test_a_link_back_to_its_own_folder_is_no_more_files(folder):
    put(folder / "a.csv")
    put(folder / "deep/b.csv")
    (folder / "loop").symlink_to(".")
    (folder / "deep/up").symlink_to("..")
    (folder / "itself").symlink_to("itself")
    found = names(folder)
    assert found == ["a.csv", "deep/b.csv", "itself"], "a link to itself is told when it is opened"


def test_two_folders_that_link_to_each_other_end(folder):
    for one, other in (("a", "b"), ("b", "a")):
        put(folder / one / f"{one}.csv")
        (folder / one / "other").symlink_to(folder / other)
    assert names(folder) == ["a/a.csv", "b/b.csv"]


def test_a_file_with_several_names_counts_by_the_one_that_is_no_link(folder):
    put(folder / "z.csv")
    (folder / "a.csv").symlink_to("z.csv")
    (folder / "b.csv").symlink_to("a.csv")
    assert names(folder) == ["z.csv"]


def test_of_links_to_what_lies_elsewhere_the_one_that_was_read_before_counts(folder, tmp_path):
    put(tmp_path / "store/x.csv")
    put(tmp_path / "one.csv")
    for link in ("b", "c"):
        (folder / link).symlink_to(tmp_path / "store")
        (folder / f"{link}.csv").symlink_to(tmp_path / "one.csv")
    assert names(folder) == ["b.csv", "b/x.csv"]
    assert names(folder, "c/x.csv", "c.csv") == ["c.csv", "c/x.csv"]
    (folder / "a").symlink_to(tmp_path / "store")
    assert names(folder, "b/x.csv", "b.csv") == ["b.csv", "b/x.csv"]


def test_two_hard_links_are_two_files(folder):
    os.link(put(folder / "a.csv"), folder / "b.csv")
    assert names(folder) == ["a.csv", "b.csv"]


def test_a_folder_named_twice_among_the_roots_is_listed_once(folder):
    put(folder / "a.csv")
    (folder.parent / "link").symlink_to(folder)
    found = find_files([str(folder), str(folder.parent / "link"), str(folder / "a.csv")])
    assert [one.path for one in found] == [f"{folder}/a.csv"]


def test_what_spark_does_not_see_is_not_listed(folder):
    for name in ("_hidden.csv", ".part", "a._COPYING_", "_metadata", "_temporary/b.csv"):
        put(folder / name)
    put(folder / "empty.csv", "")
    put(folder / "_day=1/c.csv")
    os.mkfifo(folder / "pipe.csv")
    assert names(folder) == ["_day=1/c.csv"]


def test_a_file_has_the_size_and_the_time_of_what_a_link_leads_to(folder, tmp_path):
    os.utime(put(tmp_path / "x.csv", "12345"), ns=(0, 1_357_000_000_123_999_999))
    (folder / "x.csv").symlink_to(tmp_path / "x.csv")
    (one,) = find_files([str(folder)])
    assert (one.modified_ms, one.length) == (1_357_000_000_123, 5)


def test_a_folder_that_can_not_be_listed_is_named(folder, monkeypatch):
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(local_files.os, "scandir", refuse)
    with pytest.raises(LandingError, match=r"/s can't be listed: Permission denied\. Let the user"):
        find_files([str(folder)])


def test_a_name_that_is_no_text_is_shown_by_its_bytes(folder):
    (Path(os.fsdecode(os.fsencode(folder) + b"/\xe4.csv"))).write_text("x")
    (one,) = find_files([str(folder)])
    assert local_files.as_text(one.path) is None
    assert shown(one.path) == f"{folder}/\\xe4.csv"
    assert has_other_letters(str(folder))


def test_a_link_is_written_as_java_writes_it():
    assert (
        link_of("/l/a [1] {\u00fc}+%20#?.csv")
        == "file:/l/a%20%5B1%5D%20%7B\u00fc%7D+%2520%23%3F.csv"
    )
    assert link_of("/l/\u00a0\u2028\U0001f600\t") == "file:/l/%C2%A0%E2%80%A8\U0001f600%09"

"""The code that ran, told from another that a commit alone can't tell it from."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pipelines.provenance import code_version


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "somebody")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "somebody@example.org")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    (tmp_path / "model.py").write_text("one\n")
    (tmp_path / ".gitignore").write_text("data/\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def git(folder: Path, *command: str) -> None:
    subprocess.run(["git", "-C", str(folder), *command], check=True, capture_output=True)


def test_a_commit_alone_is_told_from_one_with_changes_and_these_from_each_other(project: Path):
    clean = code_version(project)
    assert clean["is_dirty"] is False
    assert "difference" not in clean
    assert len(clean["commit"]) == 40
    (project / "data").mkdir()
    (project / "data" / "rows.csv").write_text("not code")
    assert code_version(project) == clean
    seen = []
    for name, text in [
        ("model.py", "two\n"),
        ("model.py", "three\n"),
        ("neü.py", "x"),
        ("neü.py", "y"),
    ]:
        (project / name).write_text(text)
        found = code_version(project)
        assert (found["commit"], found["is_dirty"]) == (clean["commit"], True)
        seen.append(found["difference"])
    assert len(set(seen)) == 4
    git(project, "add", ".")
    assert code_version(project)["difference"] != seen[0]
    git(project, "commit", "-q", "-m", "second")
    found = code_version(project)
    assert found["is_dirty"] is False
    assert found["commit"] != clean["commit"]


def test_without_git_the_hash_of_the_package_still_tells_what_ran(tmp_path: Path):
    assert code_version(tmp_path).keys() == {"tidemill", "package"}
    assert len(code_version(tmp_path)["package"]) == 64

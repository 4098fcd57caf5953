"""The doctor names what is missing, what was found, and what helps."""

from importlib import metadata
from pathlib import Path

import pytest

from pipelines import doctor

FAKE_JAVA = """#!/bin/sh
echo 'Picked up JAVA_TOOL_OPTIONS: -Xmx1g' >&2
echo 'openjdk version "{version}" 2025-01-01' >&2
"""


def by_name(checks: list[doctor.Check]) -> dict[str, doctor.Check]:
    return {check.name: check for check in checks}


def fake_java(home: Path, version: str) -> None:
    java = home / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(FAKE_JAVA.format(version=version))
    java.chmod(0o755)


def test_every_part_is_looked_at_once_and_each_has_an_expectation():
    checks = doctor.checks()
    names = [check.name for check in checks]
    assert len(names) == len(set(names))
    assert {"python", "java", "g++", "make", "tensorflow-cpu", "pyspark", "horovod"} <= set(names)
    assert all(check.expected for check in checks)
    assert all(check.fix for check in checks if not check.ok)


@pytest.mark.whole_environment
def test_the_environment_of_the_tests_is_healthy():
    versions = [check for check in doctor.checks() if check.name not in {"memory", "disk"}]
    assert [check for check in versions if not check.ok] == []


def test_a_package_of_another_version_is_found_out(monkeypatch):
    real = metadata.version
    monkeypatch.setattr(
        metadata, "version", lambda name: "17.0.0" if name == "pyarrow" else real(name)
    )
    assert by_name(doctor.checks())["pyarrow"] == doctor.Check(
        "pyarrow", "17.0.0", "14.0.2", ok=False, fix="rm -rf .venv && make setup"
    )


def test_tensorflow_for_gpus_takes_the_place_of_tensorflow_cpu(monkeypatch):
    def version(name: str) -> str:
        if name == "tensorflow-cpu":
            raise metadata.PackageNotFoundError
        return "2.21.0" if name == "tensorflow" else real(name)

    real = metadata.version
    monkeypatch.setattr(metadata, "version", version)
    check = by_name(doctor.checks())["tensorflow-cpu"]
    assert (check.found, check.ok) == ("2.21.0", True)


@pytest.mark.whole_environment
def test_horovod_built_for_another_tensorflow_is_refused(monkeypatch):
    monkeypatch.setattr(doctor, "_horovod_built_for", lambda folder: "2.15.0")
    check = by_name(doctor.checks())["horovod"]
    assert not check.ok
    assert check.found == "0.28.1, built for TensorFlow 2.15.0, beside 2.21.0"


@pytest.mark.parametrize(
    ("version", "found", "ok"),
    [("17.0.15", "17.0.15", True), ("21", "21", True), ("1.8.0_452", "1.8.0_452", False)],
)
def test_java_is_judged_by_the_one_of_java_home(tmp_path, monkeypatch, version, found, ok):
    fake_java(tmp_path, version)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    check = by_name(doctor.checks())["java"]
    assert (check.found, check.ok) == (found, ok)
    assert check.fix.startswith("sudo apt-get install openjdk-17-jdk-headless")
    assert str(tmp_path) in check.fix


@pytest.mark.whole_environment
def test_no_java_is_said_with_the_package_to_install(tmp_path, monkeypatch):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    checks = by_name(doctor.checks())
    assert checks["java"] == doctor.Check(
        "java", None, "17 or 21", ok=False, fix="sudo apt-get install openjdk-17-jdk-headless"
    )
    assert checks["g++"].ok, "Horovod is there: its compiler is no longer needed"


def test_a_missing_airflow_is_only_a_note(tmp_path):
    check = by_name(doctor.checks(tmp_path))["airflow"]
    assert (check.found, check.ok) == (None, True)


def test_too_little_memory_is_said_with_both_figures(monkeypatch):
    monkeypatch.setattr(doctor, "MIN_MEMORY_GIB", 10_000)
    check = by_name(doctor.checks())["memory"]
    assert not check.ok
    assert check.expected == "10000 GiB"
    assert "spark.driver.memory" in check.fix

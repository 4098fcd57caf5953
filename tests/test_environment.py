"""The environment's files agree with each other, and its set-up does each thing once."""

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from pipelines import doctor
from pipelines.lake.session import read_profile

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / "conf" / "environment"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# Answers like Python 3.11 and pip, writes down what it was asked, fails where the test says so.
FAKE_PYTHON = """#!/bin/bash
case "$*" in
    *sys.version_info*) echo "${FAKE_VERSION:-3.11.9}" ;;
    "-c import ensurepip, venv") ;;
    *sys._base_executable*) command -v "$0" ;;
    "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && echo venv >>"$CALLS" ;;
    *) echo "$2 $3 ${*: -1}" >>"$CALLS" && [[ "$*" != *"${FAILS_ON:-nothing}"* ]] ;;
esac
"""


def normal(package: str) -> str:
    return package.lower().replace("_", "-")


def pins(name: str) -> dict[str, str]:
    return pins_of(ENVIRONMENT / name)


def pins_of(file: Path) -> dict[str, str]:
    lines = file.read_text().splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    return {normal(package): version for package, version in pairs}


@pytest.mark.parametrize("name", ["ml.txt", "airflow.txt", "servers.txt"])
def test_every_package_is_pinned_and_no_index_is_named(name):
    for line in (ENVIRONMENT / name).read_text().splitlines():
        assert re.fullmatch(r"#.*|[\w.-]+==[\w.+]+", line), line
    assert "://" not in (ENVIRONMENT / name).read_text()


@pytest.mark.parametrize("name", ["ml", "airflow", "servers"])
def test_the_frozen_closure_holds_what_was_asked_for(name):
    frozen = pins(f"{name}.txt")
    for line in (ENVIRONMENT / f"{name}.in").read_text().splitlines():
        asked = re.match(r"([\w.-]+)(?:==(.+))?", line)
        if asked:
            assert asked[2] in (None, frozen[normal(asked[1])])


@pytest.mark.parametrize(("extra", "name"), [("ml", "ml.txt"), ("airflow", "airflow.txt")])
def test_the_extras_pin_what_the_environments_hold(extra, name):
    frozen = pins(name)
    for requirement in PROJECT["optional-dependencies"][extra]:
        package, _, pin = requirement.partition("==")
        if pin:
            assert frozen[normal(package)] == pin


def test_the_doctor_expects_what_the_set_up_installs():
    assert f"horovod={doctor.HOROVOD_VERSION}\n" in (ENVIRONMENT / "horovod.sh").read_text()
    fetched = re.findall(r'"([\w.-]+\.jar)"', (ENVIRONMENT / "spark_files.py").read_text())
    assert tuple(fetched) == doctor.DELTA_JARS


@pytest.mark.parametrize("profile", ["local", "s3", "standalone", "yarn", "kubernetes"])
def test_each_spark_profile_knows_delta_and_keeps_time_in_utc(profile):
    settings = read_profile(ROOT / "conf" / "spark" / f"{profile}.conf")
    assert settings["spark.sql.extensions"] == "io.delta.sql.DeltaSparkSessionExtension"
    assert settings["spark.sql.session.timeZone"] == "UTC"
    assert all(key.startswith("spark.") for key in settings)


@pytest.mark.whole_environment
def test_spark_logs_as_the_repository_says():
    import pyspark

    there = Path(pyspark.__file__).parent / "conf" / "log4j2.properties"
    assert there.read_text() == (ROOT / "conf" / "spark" / "log4j2.properties").read_text()


@pytest.mark.parametrize(
    "module",
    [
        "pipelines.cli",
        "pipelines.config",
        "pipelines.doctor",
        "pipelines.errors",
        "pipelines.feed.plan",
        "pipelines.orchestration",
    ],
)
def test_what_must_be_quick_imports_nothing_heavy(module):
    heavy = {"pyspark", "tensorflow", "keras", "horovod", "petastorm", "mlflow", "pandas"}
    code = f"import sys, {module}; print(*({heavy!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr


WITHOUT_SPARK = """
import importlib, pkgutil, sys

sys.modules["pyspark"] = None
rooms = ("commands", "config", "lake", "landing", "lineage", "maintenance", "registry", "serving")
modules = [f"pipelines.{name}" for name in ("cli", "doctor", "runner", "stages.catalog", *rooms)]
for room in rooms:
    place = importlib.import_module(f"pipelines.{room}").__path__
    modules += [one.name for one in pkgutil.walk_packages(place, f"pipelines.{room}.")]
for module in modules:
    importlib.import_module(module)
print(len(modules))
"""


def test_the_doors_and_what_they_stand_on_can_be_imported_without_spark():
    """The other rooms have it on top of their files; these answer in a moment."""
    done = [sys.executable, "-c", WITHOUT_SPARK]
    found = subprocess.run(done, capture_output=True, text=True, cwd=ROOT, check=False)
    assert found.returncode == 0, found.stderr[-2000:]
    assert int(found.stdout) > 50


@pytest.fixture
def clone(tmp_path):
    """A copy of the set-up with a Python that only writes down what it was asked."""
    folder = tmp_path / "clone" / "conf" / "environment"
    folder.mkdir(parents=True)
    for name in ("setup.sh", "prerequisites.sh"):
        (folder / name).write_text((ENVIRONMENT / name).read_text())
    (folder / "airflow.txt").write_text("pip==1\nsetuptools==1\nsome-package==1\n")
    (tmp_path / "clone" / "pyproject.toml").write_text("")
    python = tmp_path / "python3.11"
    python.write_text(FAKE_PYTHON)
    python.chmod(0o755)
    return tmp_path / "clone"


def set_up(clone: Path, **env: str) -> tuple[int, list[str], str]:
    """Run the set-up; return its exit code, what Python was asked, and what it printed."""
    calls = clone / "calls"
    calls.unlink(missing_ok=True)
    done = subprocess.run(
        ["bash", clone / "conf" / "environment" / "setup.sh", "airflow"],
        env={
            "PATH": os.environ["PATH"],
            "PYTHON": str(clone.parent / "python3.11"),
            "CALLS": str(calls),
            **env,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    asked = calls.read_text().splitlines() if calls.exists() else []
    return done.returncode, asked, done.stdout + done.stderr


def test_a_second_set_up_does_nothing(clone):
    code, asked, _ = set_up(clone)
    assert code == 0
    assert [line.split()[0] for line in asked] == ["venv", *["pip"] * 4]
    assert set_up(clone) == (0, [], "")


def test_the_tools_that_build_packages_come_first_and_with_all_they_need(clone):
    # pip keeps the wheels it built: a set-up that can't build goes unseen where it did before.
    pinned = clone / "conf" / "environment" / "airflow.txt"
    pinned.write_text((ENVIRONMENT / "ml.txt").read_text())
    set_up(clone)
    tools = set(pins_of(clone / ".venv-airflow" / ".tidemill" / "tools.txt"))
    needed = [Requirement(text) for tool in tools for text in requires(tool) or []]
    assert {"pip", "setuptools", "wheel"} <= tools
    assert {normal(one.name) for one in needed if not one.marker} <= tools


def test_a_changed_pin_installs_packages_again_in_the_same_environment(clone):
    set_up(clone)
    pinned = clone / "conf" / "environment" / "airflow.txt"
    pinned.write_text(pinned.read_text().replace("some-package==1", "some-package==2"))
    code, asked, _ = set_up(clone)
    assert code == 0
    assert [line.split()[0] for line in asked] == ["pip"] * 4


def test_a_failed_step_says_so_leaves_no_stamp_and_is_done_again(clone):
    code, _, printed = set_up(clone, FAILS_ON="pip check")
    assert code == 1
    assert "step 'packages' of the airflow environment failed" in printed
    assert not (clone / ".venv-airflow" / ".tidemill" / "packages").exists()
    code, asked, _ = set_up(clone)
    assert (code, "venv" in asked) == (0, False)


def test_a_wrong_python_is_named_with_the_way_to_get_the_right_one(clone, tmp_path):
    for name in ("python3.11", "python3"):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(FAKE_PYTHON)
        (tmp_path / "bin" / name).chmod(0o755)
    code, asked, printed = set_up(
        clone, FAKE_VERSION="3.13.1", PATH=f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    )
    assert (code, asked) == (1, [])
    assert printed.startswith("tidemill: Python 3.11 is missing (")
    assert "python3 is 3.13.1" in printed
    assert "apt-get install python3.11" in printed
    assert len(printed.splitlines()) == 1


def prerequisite(function: str, **env: str) -> tuple[int, str]:
    command = f"set -euo pipefail; source {ENVIRONMENT / 'prerequisites.sh'}; {function}"
    done = subprocess.run(
        ["/bin/bash", "-c", command], env=env, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr


def test_an_environment_is_made_by_no_python_of_an_environment(tmp_path):
    # `make` puts ours first on the path, and one that is made anew is removed first.
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "old"], check=True)
    command = f"source {ENVIRONMENT / 'prerequisites.sh'}; find_python"
    done = subprocess.run(
        ["/bin/bash", "-c", command],
        env={"PATH": f"{tmp_path / 'old' / 'bin'}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = Path(done.stdout.strip())
    assert found.is_file()
    assert not found.is_relative_to(tmp_path)
    assert not found.is_relative_to(sys.prefix)


def test_no_compiler_is_said_in_one_line(tmp_path):
    code, printed = prerequisite("need_compiler", PATH=str(tmp_path))
    assert code == 1
    assert printed == (
        "tidemill: g++ make missing (not on the path), needed to build Horovod. "
        "Get it: sudo apt-get install g++ make\n"
    )


def test_a_java_home_with_no_java_is_said_in_one_line(tmp_path):
    code, printed = prerequisite("need_java", PATH=os.environ["PATH"], JAVA_HOME=str(tmp_path))
    assert code == 1
    assert len(printed.splitlines()) == 1
    assert "Java 17 or 21 is missing" in printed
    assert "openjdk-17-jdk-headless" in printed
    assert str(tmp_path) in printed


def test_an_old_java_is_named(tmp_path):
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    java.chmod(0o755)
    code, printed = prerequisite("need_java", PATH=os.environ["PATH"], JAVA_HOME=str(tmp_path))
    assert code == 1
    assert 'found: openjdk version "11.0.2"' in printed


def test_horovods_sources_are_changed_only_where_they_are_as_expected(tmp_path):
    file = tmp_path / "horovod" / "tensorflow" / "CMakeLists.txt"
    file.parent.mkdir(parents=True)
    file.write_text('list(APPEND S "a.cc")\nlist(APPEND S "b/xla_mpi_ops.cc")\n')
    script = [sys.executable, str(ENVIRONMENT / "patch_horovod.py"), str(tmp_path)]
    ended = subprocess.run(script, capture_output=True, text=True, check=False)
    assert file.read_text() == 'list(APPEND S "a.cc")\n'
    assert "tensor_queue.h" in ended.stderr, "the next file is missing here"
    ended = subprocess.run(script, capture_output=True, text=True, check=False)
    assert ended.returncode
    assert "stands there 0 times; expected 1" in ended.stderr

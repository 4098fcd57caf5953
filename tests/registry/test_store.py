"""MLflow's store: made whole or not at all, reached in time, in places that somebody named."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pipelines.errors import TrackingError
from pipelines.lake.catalog import Lake
from pipelines.registry import store
from pipelines.registry.bundle import Bundle, save_bundle
from pipelines.registry.champion import RegisteredModel, make_champion, register
from pipelines.registry.database import make_whole, rebase, sqlite_file, state_of
from pipelines.registry.store import artifact_root, open_client, ready, takes_copies
from pipelines.registry.tracking import TrainingRecord

# MLflow and what it stands on warn of their own use of libraries.
pytestmark = pytest.mark.filterwarnings("ignore")

EMPTY = "CREATE TABLE alembic_version (version_num TEXT); CREATE TABLE runs (run_uuid TEXT);"
SECRET = "hunter2-hunter2"


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole database of MLflow's."""
    file = tmp_path_factory.mktemp("made") / "mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{file}")
        open_client(Lake("s3a://bucket/lake"))
    return file


def script(file: Path, text: str) -> None:
    with sqlite3.connect(file) as database:
        database.executescript(text)


def fill(uri: str) -> None:
    script(
        sqlite_file(uri),
        f"{EMPTY} CREATE TABLE experiments (artifact_location TEXT);"
        "CREATE TABLE model_versions (source TEXT);"
        "INSERT INTO experiments VALUES ('x'); INSERT INTO alembic_version VALUES ('1');",
    )


def test_the_file_of_an_address_is_known() -> None:
    assert sqlite_file("sqlite:////a/b.db") == Path("/a/b.db")
    assert sqlite_file("sqlite+pysqlite:///b.db?timeout=3") == Path("b.db")
    for other in ("sqlite:///:memory:", "sqlite://", "http://host/x", "postgresql:///db"):
        assert sqlite_file(other) is None


def test_what_mlflow_left_is_judged_by_what_it_held(made: Path, tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    assert state_of(made) == "whole"
    assert state_of(file) == "absent"
    file.touch()
    assert state_of(file) == "absent"
    script(file, EMPTY)
    assert state_of(file) == "unfinished"
    script(file, "INSERT INTO runs VALUES ('r')")
    assert state_of(file) == "broken"
    other = tmp_path / "other.db"
    script(other, "CREATE TABLE mine (x INT)")
    assert state_of(other) == "broken"
    other.write_text("no database, but of some length" * 100)
    assert state_of(other) == "broken"


def test_a_database_appears_whole_and_one_left_unfinished_is_made_anew(tmp_path: Path) -> None:
    file = tmp_path / "mlflow" / "mlflow.db"
    seen = []

    def make(uri: str) -> None:
        seen.append(state_of(file))
        fill(uri)

    make_whole(file, make)
    make_whole(file, make)
    assert (state_of(file), seen) == ("whole", ["absent"])
    file.unlink()
    script(file, EMPTY)
    stale = file.with_name(".mlflow.db.dead.part")
    stale.touch()
    make_whole(file, make)
    assert (state_of(file), seen) == ("whole", ["absent", "unfinished"])
    assert sorted(one.name for one in file.parent.iterdir()) == ["_mlflow.db.lock", "mlflow.db"]


def test_a_kill_while_the_tables_are_made_leaves_the_place_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"

    def killed(uri: str) -> None:
        script(sqlite_file(uri), EMPTY)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_whole(file, killed)
    assert state_of(file) == "absent"


def test_a_broken_database_that_may_have_held_runs_is_left_alone_and_says_how_to_go_on(
    tmp_path: Path,
) -> None:
    file = tmp_path / "mlflow.db"
    script(file, f"{EMPTY} INSERT INTO runs VALUES ('r')")
    before = file.read_bytes()
    with pytest.raises(TrackingError, match=r"may have held runs\. Put back a copy .* move it"):
        make_whole(file, fill)
    assert file.read_bytes() == before


def test_two_first_trainings_at_once_share_one_database(tmp_path: Path) -> None:
    both = [subprocess.Popen(making(tmp_path), stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [one.communicate()[1] for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert state_of(tmp_path / "_mlflow" / "mlflow.db") == "whole"


def test_places_of_another_lake_become_this_ones(tmp_path: Path) -> None:
    file, own = tmp_path / "mlflow.db", tmp_path / "_mlflow" / "artifacts"
    fill(f"sqlite:///{file}")
    script(
        file,
        "INSERT INTO experiments VALUES ('file:///old/_mlflow/artifacts/flights'), ('s3://b/x');"
        f"INSERT INTO model_versions VALUES ('/old/_mlflow/artifacts/f/1'), ('{own.as_uri()}/f/2')",
    )
    assert rebase(file, own) == 2
    assert rebase(file, own) == 0
    with sqlite3.connect(file) as database:
        found = {one for (one,) in database.execute("SELECT * FROM experiments")}
        found |= {one for (one,) in database.execute("SELECT * FROM model_versions")}
    assert found == {
        "x",
        "s3://b/x",
        *(f"{own.as_uri()}/{name}" for name in ("flights", "f/1", "f/2")),
    }


def test_a_copied_lake_that_can_only_be_read_keeps_its_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.errors import LakeError
    from pipelines.registry import database

    def refuse(*_: object) -> None:
        raise LakeError("the lake can't be written")

    file = tmp_path / "mlflow.db"
    fill(f"sqlite:///{file}")
    script(file, "INSERT INTO experiments VALUES ('file:///old/_mlflow/artifacts/flights')")
    monkeypatch.setattr(database, "write_lock", refuse)
    assert rebase(file, tmp_path / "_mlflow" / "artifacts") == 0


@pytest.mark.slow
def test_a_kill_at_any_moment_of_the_making_leaves_nothing_that_the_next_can_not_use(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "_mlflow"
    for moment in (0.0, 0.3, 1.0, 2.0):
        process = subprocess.Popen(making(tmp_path), stderr=subprocess.DEVNULL)
        while process.poll() is None and not list(folder.glob(".*.part")):
            process.poll()
        with suppress(subprocess.TimeoutExpired):
            process.wait(moment)
        process.kill()
        process.wait()
    done = subprocess.run(making(tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert state_of(folder / "mlflow.db") == "whole"
    assert not list(folder.glob(".*"))


def making(lake: Path) -> list[str]:
    """Return a command that makes a lake's database."""
    code = (
        "import sys, warnings; warnings.simplefilter('ignore')\n"
        "from pipelines.lake.catalog import Lake; from pipelines.registry.store import ready\n"
        "ready(Lake(sys.argv[1]))"
    )
    return [sys.executable, "-c", code, str(lake)]


@pytest.mark.parametrize(
    ("lake", "uri", "root"),
    [
        ("/lake", "sqlite:////lake/_mlflow/mlflow.db", "file:///lake/_mlflow/artifacts"),
        ("/lake", "sqlite:////else/mlflow.db", "file:///lake/_mlflow/artifacts"),
        ("/lake", "postgresql://u@host/db", "file:///lake/_mlflow/artifacts"),
        ("s3a://b/lake", "sqlite:////else/mlflow.db", "file:///else/artifacts"),
        ("s3a://b/lake", "postgresql://u@host/db", "s3://b/lake/_mlflow/artifacts"),
        ("/lake", "http://host:5000", None),
    ],
)
def test_copies_of_bundles_go_to_the_lake_or_beside_the_database(lake, uri, root) -> None:
    assert artifact_root(Lake(lake), uri) == root


def test_copies_go_to_no_folder_that_is_not_this_lakes() -> None:
    lake, own = Lake("/lake"), "file:///lake/_mlflow/artifacts"
    assert takes_copies(lake, own, f"{own}/flights/1/artifacts")
    assert not takes_copies(lake, own, "file:///srv/me/mlruns/1/2/artifacts")
    remote = "s3://b/lake/_mlflow/artifacts"
    assert not takes_copies(Lake("s3a://b/lake"), remote, f"{remote}/1")
    for place in ("mlflow-artifacts:/1/2/artifacts", "file:///shared/1/2/artifacts", f"{own}/f/1"):
        assert takes_copies(lake, None, place), "a server knows its places"
    for place in ("file:///old/_mlflow/artifacts/f/1", "/old/_mlflow/artifacts/f/1"):
        assert not takes_copies(lake, None, place), "its database came from a lake that was moved"


def train(lake: Lake, run_id: str) -> RegisteredModel:
    folder = f"{lake.training('toy', run_id)}/bundle"
    save_bundle(folder, Bundle({"run_id": run_id, "tables": {}}, "{}", b"model"))
    return register(lake, "m", TrainingRecord("toy", run_id, {}, {}, [], {}), folder)


def test_nothing_lands_in_the_working_folder(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{made}")
    lake, other = Lake(str(tmp_path / "lake")), Lake(str(tmp_path / "other"))
    train(lake, "run-1")
    found = train(other, "run-2")
    assert list(Path.cwd().iterdir()) == []
    copies = list(Path(lake.tracking).rglob("bundle"))
    assert len(copies) == 1, "the other lake's copy does not go into the lake that was first"
    client = open_client(other)
    version = client.get_model_version("m", str(found.version))
    assert version.source == found.bundle, "MLflow's tools find the bundle itself"


def test_the_summary_shows_the_champion_of_a_database_outside_the_lake(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    from pipelines.config.load import load_pipeline
    from pipelines.summary import _model

    lake = Lake(str(tmp_path / "lake"))
    pipeline = load_pipeline("flights", overrides=["score.model=m"], root=project)
    assert _model(pipeline, lake) is None, "no database is made by looking"
    assert not Path(lake.tracking).exists()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{made}")
    make_champion(lake, train(lake, "run-summary"))
    shown = _model(pipeline, lake)
    assert shown is not None
    assert shown.run_id == "run-summary"


@pytest.fixture
def mute(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server that takes connections and says nothing."""
    monkeypatch.setitem(store._QUICK, "MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setitem(store._QUICK, "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []
        thread = threading.Thread(target=lambda: taken.append(server.accept()[0]), daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        for one in taken:
            one.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_server_that_says_nothing_is_told_without_its_password(
    mute: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://alice:{SECRET}@{mute}")
    with pytest.raises(TrackingError) as failed:
        ready(Lake("/lake"))
    said = str(failed.value)
    assert f"MLflow at http://***@{mute} does not answer as expected" in said
    assert "MLFLOW_TRACKING_URI" in said
    assert "alice" not in said
    assert SECRET not in said
    assert failed.value.__cause__ is None, "the trace of --debug has no address either"


@pytest.mark.parametrize("scheme", ["http", "postgresql+psycopg2", "mysql"])
def test_a_server_that_is_down_is_told_at_once(scheme: str, monkeypatch) -> None:
    monkeypatch.setitem(store._QUICK, "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    address = f"{scheme}://alice:{SECRET}@127.0.0.1:{free_port()}/db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with pytest.raises(TrackingError, match=r"does not answer as expected: .*refused") as failed:
        ready(Lake("/lake"))
    assert SECRET not in str(failed.value)


def test_a_database_of_another_mlflow_says_how_it_is_brought_up_to_date(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "old.db"
    file.write_bytes(made.read_bytes())
    script(file, "UPDATE alembic_version SET version_num = '0a8213491aaa'")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{file}")
    with pytest.raises(TrackingError, match=rf"run `mlflow db upgrade sqlite:///{file}`"):
        ready(Lake("/lake"))

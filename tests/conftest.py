"""What all tests share: one Spark session, an empty lake, slices of the flights data."""

from __future__ import annotations

import datetime as dt
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipelines.lake.catalog import Lake

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pipelines.run import Progress, Run

ROOT = Path(__file__).resolve().parents[1]

# Python workers must be of this environment, and TensorFlow keeps its greetings to itself.
os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
# Spark's JVM lives for minutes on tiny tables: what its second compiler would win, it never earns.
# Without it Java keeps too little room for compiled code, and throws it away again and again.
# What a query leaves is garbage at once: room for much of it, so that it is seldom looked for.
os.environ.setdefault(
    "SPARK_SUBMIT_OPTS",
    "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:ReservedCodeCacheSize=256m -Xms1g -Xmn512m",
)
# Spark's JVM reads keys from the environment that it was started with.
for _number in (1, 2, 3):
    os.environ[f"TIDEMILL_SECRET_K{_number}"] = f"a key of the tests alone, number {_number}"

try:
    from hypothesis import settings as examples
except ImportError:
    pass  # Airflow's environment has none, and no test there makes inputs up
else:
    # How long an example takes tells how busy the machine is, and nothing of the code.
    examples.register_profile("untimed", deadline=None)
    examples.load_profile("untimed")


# Tests of these folders share what took long to make, so one process runs a folder's tests.
_SHARED = (
    *("tests/end_to_end", "tests/scoring", "tests/serving", "tests/stores"),
    "tests/integration/train",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses the Spark session, whoever forgot it, and put the longest tests first."""
    for item in items:
        if "spark" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.spark)
    items.sort(key=_turn)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Deal out whole files, and whole folders that share a lake, to the processes of `-n`."""
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return together(nodeid.partition("::")[0])

    return Together(config, log)


def together(file: str) -> str:
    """Return what must run in one process: the test's file, or a folder that shares its lakes."""
    return next((folder for folder in _SHARED if file.startswith(f"{folder}/")), file)


def _turn(item: pytest.Item) -> tuple[int, bool]:
    """Long ones first, so that no process waits at the end for another's long test."""
    folders = item.path.relative_to(ROOT / "tests").parts[:-1]
    is_heavy = any(item.get_closest_marker(name) for name in ("spark", "tensorflow"))
    order = ("end_to_end", "integration")
    place = next((i for i, name in enumerate(order) if name in folders), len(order))
    return place, not is_heavy


# A query of tests reads a few rows: writing Java for it, and compiling that, takes longer than to
# interpret it. Programs that tests start, and what is marked `compiled`, do as production does.
_INTERPRETED = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}
_COMPILED = {"spark.sql.codegen.wholeStage": "true", "spark.sql.codegen.factoryMode": "FALLBACK"}


@pytest.fixture(scope="session")
def project() -> Path:
    """The project's root."""
    return ROOT


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The suite's one Spark session: conf/spark/local.conf on two cores with little memory."""
    from pipelines.lake.session import spark_session

    settings = {
        "spark.master": "local[2]",
        "spark.driver.memory": "2g",
        "spark.sql.shuffle.partitions": "2",
        "spark.databricks.delta.snapshotPartitions": "1",
        # Each query is described for a page that nobody opens.
        "spark.sql.ui.explainMode": "simple",
        "spark.sql.warehouse.dir": tmp_path_factory.mktemp("warehouse").as_uri(),
        "spark.ui.showConsoleProgress": "false",
    }
    session = spark_session(ROOT, "tidemill tests", "local", **settings)
    _evaluate(session, _INTERPRETED)
    yield session
    session.stop()


@pytest.fixture(autouse=True)
def _compiled(request: pytest.FixtureRequest) -> Iterator[None]:
    """Have Spark compile its queries for a test that is marked so, in new sessions too."""
    if request.node.get_closest_marker("compiled") is None:
        yield
        return
    session = request.getfixturevalue("spark")
    _evaluate(session, _COMPILED)
    yield
    _evaluate(session, _INTERPRETED)


def _evaluate(session: SparkSession, settings: Mapping[str, str]) -> None:
    """Have a session, and new ones beside it, evaluate queries so."""
    defaults = session.sparkContext._jsc.sc().conf()
    for name, value in settings.items():
        session.conf.set(name, value)
        defaults.set(name, value)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake."""
    return Lake(str(tmp_path / "lake"))


OpenTestRun = Callable[..., "Run"]


@pytest.fixture
def open_test_run(spark: SparkSession, lake: Lake) -> OpenTestRun:
    """A function that opens a run on the empty `lake`: `open_test_run(date=..., landing=...)`.

    It loads `conf/<name>/` with the overlay `env` (`test`: a small slice of the flights), the
    `overrides` (`"train.epochs=1"`), and `landing` as the landing folder.
    """
    from pipelines.config.load import load_pipeline
    from pipelines.runner import open_run

    def open_it(
        name: str = "flights",
        *,
        env: str | None = "test",
        overrides: Sequence[str] = (),
        landing: Path | str | None = None,
        root: Path = ROOT,
        date: dt.date | None = None,
        since: dt.date | None = None,
        run_id: str | None = None,
        progress: Progress | None = None,
        lake: Lake = lake,
    ) -> Run:
        overrides = [*overrides, *([f"landing={landing}"] if landing else [])]
        pipeline = load_pipeline(name, env, overrides, lake.root, root)
        dates: dict[str, Any] = {"date": date, "since": since}
        return open_run(pipeline, **dates, run_id=run_id, progress=progress, spark=spark)

    return open_it


@pytest.fixture(scope="session")
def flights_landing(tmp_path_factory: pytest.TempPathFactory) -> Callable[[dt.date], Path]:
    """A function that gives the landing folder of flights as of a day: `flights_landing(until)`.

    Each is made once for the whole suite: read it, and copy it before you change a file.
    """
    made: dict[dt.date, Path] = {}

    def landing(until: dt.date) -> Path:
        from pipelines.landing.flights import deliver

        if until not in made:
            folder = tmp_path_factory.mktemp(f"landing-{until}-")
            deliver(folder, until)
            made[until] = folder
        return made[until]

    return landing


@pytest.fixture(scope="session")
def small_flights(flights_landing: Callable[[dt.date], Path]) -> Path:
    """The landing folder as of 2013-01-10: ten days of flights."""
    return flights_landing(dt.date(2013, 1, 10))

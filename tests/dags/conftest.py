"""Airflow for the tests: its own home, SQLite, no examples. Runs in `.venv-airflow`."""

import gc
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LANDED_UNTIL = "2013-01-16"
ENV = "test"


def pytest_configure(config):
    """Airflow leaves the pipes of spark-submit to the garbage collector."""
    config.addinivalue_line("filterwarnings", "ignore:unclosed file:ResourceWarning")
    config.addinivalue_line("filterwarnings", "ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.hookimpl(tryfirst=True)
def pytest_unconfigure():
    """Collect what Airflow left, before pytest does so with every warning an error again."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="session")
def airflow_home(tmp_path_factory):
    """Give Airflow a fresh home and the slice's settings, before anything imports it."""
    if "airflow" in sys.modules:
        pytest.fail("airflow was imported before its home was set")
    home = tmp_path_factory.mktemp("airflow")
    os.environ |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_CONN_SPARK_DEFAULT": '{"conn_type": "spark", "host": "local[2]"}',
        "PATH": f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYSPARK_PYTHON": str(ROOT / ".venv" / "bin" / "python"),
        "PYSPARK_DRIVER_PYTHON": str(ROOT / ".venv" / "bin" / "python"),
        "TIDEMILL_ROOT": str(ROOT),
        "TIDEMILL_ARGUMENTS": " ".join(
            [f"--env {ENV}", f"--lake {home / 'lake'}", f"--set landing={home / 'landing'}"]
        ),
    }
    airflow = Path(sys.executable).parent / "airflow"
    subprocess.run([airflow, "db", "migrate"], check=True, capture_output=True)
    return home


@pytest.fixture(scope="session")
def landed(airflow_home):
    """Deliver the slice's files."""
    command = [ROOT / ".venv" / "bin" / "tidemill", "land", "flights", "--until", LANDED_UNTIL]
    command += ["--env", ENV, "--set", f"landing={airflow_home / 'landing'}"]
    subprocess.run(command, check=True, cwd=ROOT)
    return airflow_home / "landing"


@pytest.fixture(scope="session")
def dagbag(airflow_home):
    """Load the DAGs as Airflow does."""
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(dag_folder=str(ROOT / "dags"))

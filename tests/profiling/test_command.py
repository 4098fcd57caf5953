"""What `tidemill init` is told reaches the work, and what it says goes where it belongs."""

import datetime as dt
import logging

import pytest
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.profiling import write


@pytest.fixture(autouse=True)
def settings_left_as_they_were(monkeypatch):
    """The command sets up logging and the environment of its process: take that back."""
    for name in ("TIDEMILL_DEBUG", "PYTHONWARNINGS"):
        monkeypatch.setenv(name, "")
    root, names = logging.getLogger(), ("", "pipelines", "py4j")
    handlers, levels = root.handlers[:], [logging.getLogger(name).level for name in names]
    yield
    root.handlers[:] = handlers
    for name, level in zip(names, levels, strict=True):
        logging.getLogger(name).setLevel(level)


@pytest.fixture
def init(monkeypatch, tmp_path):
    """A function that runs the command with the work taken out; returns its result and the ask."""
    asks = []

    def work(asked, profile, tell):
        asks.append((asked, profile))
        tell("reading 1 of 1 files")
        return ["conf/shop: pipeline.yml", "label: bought"]

    monkeypatch.setattr(write, "write_pipeline", work)
    monkeypatch.setenv("TIDEMILL_ROOT", str(tmp_path))

    def call(*arguments):
        done = CliRunner().invoke(app, ["init", "shop", "--from", str(tmp_path), *arguments])
        return done, asks[-1] if asks else None

    return call


def test_results_go_to_stdout_and_progress_to_stderr(init):
    done, (asked, profile) = init()
    assert done.exit_code == 0
    assert done.stdout.splitlines() == ["conf/shop: pipeline.yml", "label: bought"]
    assert done.stderr.strip() == "reading 1 of 1 files"
    assert (asked.label, asked.key, asked.day_first, profile) == (None, (), None, "local")
    assert asked.choose is None, "nobody is at the terminal, so nothing is asked"


def test_options_reach_the_work(init):
    options = ["--label", "bought", "--key", "shop,customer", "--key", "day", "--date", "day"]
    options += ["--test-from", "2025-02-01", "--positive", "ja", "--task", "classes"]
    _, (asked, _) = init(*options, "--month-first", "--profile", "cluster")
    assert asked.key == ("shop", "customer", "day")
    assert (asked.label, asked.date, asked.test_from) == ("bought", "day", dt.date(2025, 2, 1))
    assert (asked.positive, asked.task, asked.day_first) == ("ja", "classes", False)


def test_a_task_that_there_is_not_is_wrong_usage(init):
    done, found = init("--task", "guess")
    assert (done.exit_code, found) == (2, None)
    assert "--task guess: expected classes or number" in done.output

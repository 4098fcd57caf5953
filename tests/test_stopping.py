"""An interrupted command ends with one line, and nothing that it started lives on."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from pipelines import stopping
from pipelines.landing import weather

ROOT = Path(__file__).parents[1]
MAIN = "from pipelines.cli import main; main()"
CTRL_C = "tidemill: stopped by Ctrl-C. The same command goes on from what is done.\n"


class Command:
    """A command in a session of its own, as a terminal's shell starts it."""

    def __init__(self, folder: Path, *arguments: str, code: str = MAIN) -> None:
        self.stderr = folder / "stderr"
        with self.stderr.open("wb") as stderr, (folder / "stdout").open("wb") as stdout:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code, *arguments],
                stdout=stdout,
                stderr=stderr,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                start_new_session=True,
                # Whoever runs the tests in the background has Ctrl-C ignored.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    def wait_for(self, is_there) -> None:
        """Wait until it is there, as long as the command runs."""
        while not is_there():
            assert self.process.poll() is None, self.stderr.read_text()
            time.sleep(0.01)

    def family(self) -> list[psutil.Process]:
        """Return all processes of the session that live."""
        found = []
        for one in psutil.process_iter():
            try:
                if os.getsid(one.pid) == self.process.pid and one.status() != "zombie":
                    found.append(one)
            except (psutil.NoSuchProcess, ProcessLookupError):
                continue
        return found

    def runs(self, word: str) -> bool:
        """Tell whether a process of the session has a word in its command line."""
        for one in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                if word in " ".join(one.cmdline()):
                    return True
        return False

    def interrupt(self, number: int = signal.SIGINT) -> int:
        """Send a signal to the foreground group, as a terminal does; return the exit code."""
        os.killpg(self.process.pid, number)
        return self.process.wait()

    def left(self) -> list[str]:
        """Wait for the family's end; return the command lines of those that go on."""
        for _ in range(300):
            if not self.family():
                return []
            time.sleep(0.1)
        return [" ".join(one.cmdline())[-200:] for one in self.family()]

    def said(self) -> list[str]:
        """Return what the command said, without the greeting of its JVM."""
        lines = self.stderr.read_text().splitlines(keepends=True)
        return [line for line in lines if "incubator modules" not in line]


@pytest.fixture
def command(tmp_path) -> Iterator[Callable[..., Command]]:
    """A function that starts `tidemill run weather` on a lake of its own; kept from living on."""
    started: list[Command] = []

    def start(code: str = MAIN) -> Command:
        weather.deliver(tmp_path / "landing", dt.date(2013, 1, 9))
        arguments = ("--lake", str(tmp_path / "lake"), "--set", f"landing={tmp_path / 'landing'}")
        started.append(Command(tmp_path, "run", "weather", *arguments, code=code))
        return started[-1]

    yield start
    for one in started:
        for process in one.family():
            process.kill()


def test_ctrl_c_amid_the_imports_is_told_in_one_line(command):
    # Typer is the first import that takes time.
    code = (
        "import builtins, signal; real = builtins.__import__\n"
        "def imports(name, *more):\n"
        "    if name == 'typer': builtins.__import__ = real; signal.raise_signal(signal.SIGINT)\n"
        "    return real(name, *more)\n"
        f"builtins.__import__ = imports; {MAIN}"
    )
    started = command(code)
    assert started.process.wait() == 130
    assert started.said() == [CTRL_C]


@pytest.mark.parametrize("moment", ["launcher.Main", "deploy.SparkSubmit"])
def test_ctrl_c_while_spark_starts_leaves_no_jvm_behind(command, moment):
    started = command()
    started.wait_for(lambda: started.runs(moment))
    assert started.interrupt() == 130
    assert started.left() == []
    assert started.said() == [CTRL_C]


@pytest.mark.slow
def test_a_kill_while_spark_starts_leaves_no_jvm_behind(command):
    started = command()
    started.wait_for(lambda: started.runs("deploy.SparkSubmit"))
    started.process.kill()
    started.process.wait()
    assert started.left() == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code", "name"),
    [
        (signal.SIGINT, 130, "Ctrl-C"),
        (signal.SIGTERM, 143, "SIGTERM (a scheduler or `kill` asked for it)"),
        (signal.SIGHUP, 129, "SIGHUP (the terminal is gone)"),
    ],
)
@pytest.mark.parametrize("place", ["_state/weather/attempts", "bronze", "silver"])
def test_a_signal_amid_a_stage_ends_all_with_one_line(command, tmp_path, number, code, name, place):
    started = command()
    started.wait_for(lambda: any((tmp_path / "lake" / place).glob("*")))
    assert started.interrupt(number) == code
    assert started.left() == []
    line = f"tidemill: stopped by {name}. The same command goes on from what is done.\n"
    # A stage that was done by then has its lines in the log.
    assert [one for one in started.said() if " INFO " not in one] == [line]


@pytest.mark.slow
def test_a_kill_amid_a_stage_ends_its_jvm_and_its_workers(command, tmp_path):
    started = command()
    started.wait_for(lambda: any((tmp_path / "lake" / "bronze").glob("*")))
    started.process.kill()
    started.process.wait()
    assert started.left() == []


def test_descendants_that_do_not_end_by_themselves_are_killed():
    # A child with a child of its own: neither ends by itself.
    inner = "import time; time.sleep(600)"
    outer = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    code = (
        "import subprocess, sys, psutil; from pipelines import stopping\n"
        f"subprocess.Popen([sys.executable, '-c', {outer!r}, {inner!r}])\n"
        "me = psutil.Process()\n"
        "while len(family := me.children(recursive=True)) < 2: pass\n"
        "stopping.end_descendants(lambda: 0.0)\n"
        "gone, alive = psutil.wait_procs(family, timeout=30)\n"
        "print(len([one for one in alive if one.status() != 'zombie']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout == "0\n"


def test_under_spark_submit_the_end_of_its_jvm_is_an_end():
    # In the place of spark-submit's JVM: a process that starts the command, and is killed.
    inner = (
        "import time; from pipelines import stopping; stopping.install()\n"
        "print('up', flush=True); time.sleep(600)"
    )
    outer = (
        "import os, subprocess, sys; os.environ['PYSPARK_GATEWAY_PORT'] = '1'\n"
        "subprocess.run([sys.executable, '-c', sys.argv[1]])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", outer, inner],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as jvm:
        assert jvm.stdout.readline() == "up\n"
        jvm.kill()
        # Its streams are closed when the command has ended.
        assert "tidemill: stopped by the end of spark-submit." in jvm.communicate()[1]


def test_a_helper_ends_soon_after_the_command_that_started_it():
    inner = (
        "import time; from pipelines import stopping; stopping.end_with_parent()\n"
        "print('up', flush=True); time.sleep(600)"
    )
    outer = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    command = [sys.executable, "-c", outer, inner]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as started:
        assert started.stdout.readline() == "up\n"
        started.kill()
        assert started.stdout.read() == ""  # closed when the helper has ended


def test_nothing_is_ended_where_tidemill_is_not_the_command(monkeypatch):
    ended = []
    monkeypatch.setattr(stopping.os, "_exit", ended.append)
    stopping.stop(signal.SIGINT)
    stopping.take_back()
    assert ended == []
    assert signal.getsignal(signal.SIGINT) is not stopping._on_signal

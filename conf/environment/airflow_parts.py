"""Runs Airflow's parts: the server first, the others when it answers, and none when one has ended.

Usage: airflow_parts.py AIRFLOW HOST PORT, with AIRFLOW_HOME in the environment.

`airflow standalone` starts all at once, so that tasks of an earlier start use up their tries
against a server that is not there yet; and what its parts have started (tasks, spark-submit, its
JVM and Python workers) lives on when it is stopped.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psutil

MARK = "TIDEMILL_AIRFLOW_HOME"
"""Variable that everything started from here inherits; its value is Airflow's home."""
FIRST, OTHERS = "api-server", ("scheduler", "dag-processor", "triggerer")
PATIENCE_SECONDS = 5.0
START_SECONDS = 180.0
_SET_PDEATHSIG, _SET_CHILD_SUBREAPER = 1, 36


class Stopped(BaseException):
    """A signal asks to stop."""


class Parts:
    """Airflow's parts, and all that they have started."""

    def __init__(self, airflow: str) -> None:
        self._airflow = airflow
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        """Start a part; it is asked to end where this process is killed."""
        self._running[name] = subprocess.Popen(
            [self._airflow, name],
            start_new_session=True,  # Ctrl-C comes here alone
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - there are no threads
        )

    def check(self) -> None:
        """End the program where a part has ended by itself."""
        for name, process in self._running.items():
            if process.poll() is not None:
                sys.exit(f"Airflow's {name} has ended with exit code {process.returncode}.")

    def stop(self) -> None:
        """End the parts and whatever comes from them, at the latest after some seconds."""
        for process in self._running.values():
            process.terminate()
        psutil.wait_procs(_descendants(), timeout=PATIENCE_SECONDS)
        end(_descendants())


def end(processes: list[psutil.Process]) -> None:
    """Ask processes to end, then make them; those they have started meanwhile, too."""
    for one in processes:
        _send(one, signal.SIGTERM)
    psutil.wait_procs(processes, timeout=PATIENCE_SECONDS)
    left = [one for one in processes if one.is_running()]
    while left or (left := _descendants()):
        for one in left:
            _send(one, signal.SIGKILL)
        psutil.wait_procs(left, timeout=PATIENCE_SECONDS)
        left = []


def left_over(home: str) -> list[psutil.Process]:
    """Return what an earlier start with the same home has left, and that nobody will end."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK) == home:
                found.append(process)
        except psutil.Error:
            continue
    return found


def wait_for_server(parts: Parts, host: str, port: int) -> None:
    """Return when the server answers."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        parts.check()
        try:
            with urllib.request.urlopen(f"http://{host}:{port}/api/v2/monitor/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    sys.exit(f"Airflow's server does not answer on http://{host}:{port} for {START_SECONDS:.0f} s.")


def check_port(host: str, port: int) -> None:
    """End the program where somebody listens on the port already."""
    with socket.socket() as probe:
        probe.settimeout(2)
        if probe.connect_ex((host, port)) == 0:
            sys.exit(
                f"port {port} is taken: another Airflow may be running. Stop it, or choose another "
                f"port with AIRFLOW__API__PORT={port + 1} make airflow"
            )


def lock(home: str) -> Any:
    """Return a file that is locked while this process lives; end it where another has the lock."""
    file = (Path(home) / "tidemill.lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit(f"Airflow is running already with its home {home}. Stop it first.")
    return file


def main(airflow: str, host: str, port: int) -> None:
    """Run Airflow until a signal or the end of one of its parts."""
    home = str(Path(os.environ["AIRFLOW_HOME"]).resolve())
    kept = lock(home)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    # Who loses its parent becomes a child of this process, so that none is lost sight of.
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    parts = Parts(airflow)
    try:
        if orphans := left_over(home):
            print(f"Ending {len(orphans)} processes that an earlier start has left.", flush=True)
            end(orphans)
        check_port(host, port)
        os.environ[MARK] = home
        subprocess.run([airflow, "db", "migrate"], check=True, stdout=subprocess.DEVNULL)
        parts.start(FIRST)
        wait_for_server(parts, host, port)
        for name in OTHERS:
            parts.start(name)
        print(f"Airflow is on http://{host}:{port} (no password); Ctrl-C ends it.", flush=True)
        while True:
            parts.check()
            time.sleep(0.5)
    except Stopped:
        print("Stopping Airflow and what it has started.", flush=True)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        parts.stop()
        kept.close()


def _stop(_number: int, _frame: Any) -> None:
    raise Stopped


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _descendants() -> list[psutil.Process]:
    return list(psutil.Process().children(recursive=True))


def _send(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.Error:
        return


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))

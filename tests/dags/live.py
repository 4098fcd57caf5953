"""A running Airflow for tests: started by the project's script, spoken to over its REST API."""

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.dags.conftest import ROOT

# In spark-submit's place: notes its arguments, and does what the test has written down.
STUB = """#!/bin/bash
echo "start $*" >>"$STUB/log"
while [[ -f $STUB/hold ]]; do read -r -t 0.1 <> <(:); done
if [[ -f $STUB/said ]]; then cat "$STUB/said"; fi
echo "end $*" >>"$STUB/log"
exit "$(cat "$STUB/code" 2>/dev/null || echo 0)"
"""
_SETTINGS = ("AIRFLOW", "TIDEMILL")
DONE = ("success", "failed")


def make_project(folder: Path) -> Path:
    """Copy what Airflow reads of the project, with a second of waiting between tries."""
    for name in ("dags", "conf/environment", "conf/spark", "conf/flights"):
        shutil.copytree(ROOT / name, folder / name)
    for name in (".venv", ".venv-airflow"):
        (folder / name).symlink_to(ROOT / name)
    settings = folder / "conf" / "flights" / "pipeline.yml"
    quick = "\nschedule:\n  retries: 1\n  retry_delay_seconds: 1\n"
    settings.write_text(settings.read_text().replace("\nschedule:\n", quick, 1))
    return folder


class LiveAirflow:
    """Airflow in a folder of its own, with a stub for spark-submit, on a free port."""

    def __init__(self, folder: Path) -> None:
        self.project = make_project(folder / "project")
        self.home = folder / "home"
        self.stub = folder / "stub"
        self.stub.mkdir()
        binary = self.stub / "spark3-submit"
        binary.write_text(STUB)
        binary.chmod(0o755)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        spark = {"conn_type": "spark", "host": "local", "extra": {"spark-binary": binary.name}}
        self._env = {
            **{key: os.environ[key] for key in os.environ if not key.startswith(_SETTINGS)},
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
            "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps(spark),
            "PATH": f"{self.stub}{os.pathsep}{os.environ['PATH']}",
            "STUB": str(self.stub),
        }
        self._token = ""
        self.process = None

    def start(self, **more: str) -> None:
        """Start Airflow, and return when its DAGs can be triggered."""
        self._output = (self.home.parent / "airflow.log").open("ab")
        before = self._output.tell()
        self.process = subprocess.Popen(
            ["bash", self.project / "conf" / "environment" / "airflow.sh"],
            env={**self._env, **more},
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        # An earlier start's server that was left may still answer.
        self.until(lambda: b"Airflow is on " in self._log()[before:], 240)
        self.until(lambda: "dag_id" in self.call("GET", "dags/flights_score"), 240)
        for kind in ("prepare", "train", "score", "monitor"):
            self.call("PATCH", f"dags/flights_{kind}", {"is_paused": False})

    def _log(self) -> bytes:
        return (self.home.parent / "airflow.log").read_bytes()

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Send a signal to what the script has become, and wait for its end."""
        self.process.send_signal(number)
        self.process.wait(60)
        self._output.close()

    def is_ours(self, environ: bytes) -> bool:
        """Tell whether a process's environment is one that this Airflow has handed on."""
        return f"STUB={self.stub}\0".encode() in environ

    def processes(self) -> dict[int, str]:
        """Return the command lines of all processes that come from this Airflow."""
        found = {}
        for place in Path("/proc").glob("[0-9]*"):
            try:
                if self.is_ours((place / "environ").read_bytes()):
                    found[int(place.name)] = (place / "cmdline").read_text().replace("\0", " ")
            except OSError:
                continue
        return {pid: line for pid, line in found.items() if line}

    def call(self, method: str, path: str, body: dict | None = None) -> dict:
        """Call the API below `/api/v2/`; an error comes back with its `status` and `detail`."""
        place = f"http://127.0.0.1:{self.port}"
        try:
            if not self._token:
                with urllib.request.urlopen(f"{place}/auth/token", timeout=30) as answer:
                    self._token = json.load(answer)["access_token"]
            request = urllib.request.Request(
                f"{place}/api/v2/{path}",
                method=method,
                data=None if body is None else json.dumps(body).encode(),
                headers={
                    "Authorization": f"Bearer {self._token}",
                    "Content-Type": "application/json",
                    "Accept": "application/json",
                },
            )
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            return {"status": error.code, "detail": error.read().decode()}
        except (urllib.error.URLError, OSError):
            self._token = ""
            return {}

    def until(self, holds, seconds: float = 300):
        """Return what `holds` answers as soon as that is true of it."""
        ends = time.monotonic() + seconds
        while not (found := holds()):
            if time.monotonic() > ends or self.process.poll() is not None:
                log = (self.home.parent / "airflow.log").read_text(errors="replace")
                raise AssertionError(f"it did not come true; Airflow said:\n{log[-4000:]}")
            threading.Event().wait(0.3)
        return found

    def trigger(self, dag_id: str, **body) -> str:
        """Trigger a run, by default with no logical date; return its id."""
        answer = self.call("POST", f"dags/{dag_id}/dagRuns", {"logical_date": None, **body})
        assert "dag_run_id" in answer, answer
        return answer["dag_run_id"]

    def ended(self, dag_id: str, run_id: str) -> dict:
        """Return a run when it has ended."""
        place = f"dags/{dag_id}/dagRuns/{run_id}"
        return self.until(lambda: (run := self.call("GET", place)).get("state") in DONE and run)

    def task(self, dag_id: str, run_id: str, task_id: str, *states: str) -> dict:
        """Return a task of a run when it is in one of the states."""
        place = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
        return self.until(lambda: (task := self.call("GET", place)).get("state") in states and task)

    def said(self, dag_id: str, run_id: str, task_id: str, attempt: int = 1) -> list[str]:
        """Return the lines of a task's log, but not the marks that fold it."""
        place = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{attempt}"
        answer = self.call("GET", f"{place}?full_content=true")
        lines = [line["event"] for line in answer["content"]]
        return [line for line in lines if not line.startswith("::")]

    def submitted(self, run_id: str = "") -> list[str]:
        """Return what the stub noted of a run: `start <arguments>` and `end <arguments>`."""
        log = self.stub / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        sign = run_id.replace(":", "-").replace("+", "-")
        return [line for line in lines if sign in line]

    def job(self, code: int, *said: str) -> None:
        """Have jobs say something and end with an exit code from now on."""
        (self.stub / "code").write_text(str(code))
        (self.stub / "said").write_text("".join(f"{line}\n" for line in said))

    def airflow(self, *arguments: str) -> str:
        """Run Airflow's own command line."""
        env = {
            **self._env,
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.project / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        }
        command = [ROOT / ".venv-airflow" / "bin" / "airflow", *arguments]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

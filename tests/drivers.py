"""Drivers in processes of their own, that can be started side by side and killed.

`python -m tests.drivers` opens a Spark session, says `ready`, and runs a stage for each line of
JSON on stdin: the arguments of `load_pipeline` and `open_run`, and the stage. It answers `done` and
the seconds, or `failed` and the error.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[1]


def drive() -> None:
    """Run stages as they are asked for on stdin."""
    from pipelines.config.load import load_pipeline
    from pipelines.lake.session import spark_session
    from pipelines.runner import open_run, run_stage

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever libraries print is no answer
    settings = {
        "spark.master": "local[2]",
        "spark.driver.memory": "1500m",
        "spark.sql.shuffle.partitions": "2",
        "spark.ui.showConsoleProgress": "false",
    }
    spark = spark_session(ROOT, "tidemill tests", "local", **settings)
    spark.range(1).count()
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        # A lake may have been put back to what it was: nothing known of it holds.
        context: Any = spark.sparkContext
        context._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
        dates = {k: dt.date.fromisoformat(asked[k]) for k in ("date", "since") if asked.get(k)}
        pipeline = load_pipeline(
            asked["pipeline"], "test", asked.get("overrides", ()), asked["lake"], ROOT
        )
        begun = time.monotonic()
        try:
            run = open_run(pipeline, **dates, run_id=asked.get("run_id"), spark=spark)
            counts = run_stage(asked["stage"], run).counts
            answer = {"seconds": round(time.monotonic() - begun, 3), "counts": counts}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


class Driver:
    """A driver's process, as seen from outside."""

    def __init__(self, log: IO[bytes]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.drivers"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYSPARK_PYTHON": sys.executable},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._asks, self._answers = self._process.stdin, self._process.stdout

    def wait_until_ready(self) -> Driver:
        """Wait for its Spark session."""
        if self._answers.readline() != "ready\n":
            raise RuntimeError("the driver ended before it was ready; see its log")
        return self

    def start(self, **asked: Any) -> None:
        """Start a stage: `stage`, `pipeline`, `lake`, `overrides`, `date`, `since`, `run_id`."""
        print(json.dumps(asked), file=self._asks, flush=True)

    def answer(self) -> dict[str, Any]:
        """Wait for the stage's end; return its `seconds` and `counts`, or its `error`."""
        said = self._answers.readline()
        if not said:
            raise RuntimeError("the driver ended in the midst of a stage; see its log")
        found: dict[str, Any] = json.loads(said)
        return found

    def run(self, **asked: Any) -> dict[str, Any]:
        """Run a stage to its end."""
        self.start(**asked)
        return self.answer()

    def killed_after(self, seconds: float) -> bool:
        """Kill the driver and all its children so long from now; tell whether it was at work."""
        timer = threading.Timer(seconds, self.kill)
        timer.start()
        has_ended = bool(self._answers.readline())
        timer.cancel()
        timer.join()
        self.end()
        return not has_ended

    def killed_when(self, is_there: Callable[[], bool]) -> bool:
        """Kill the driver and all its children as soon as something is there.

        Tell whether it was: a stage may end without.
        """
        while not (was_there := is_there()) and not select.select([self._answers], [], [], 0)[0]:
            pass
        self.end()
        return was_there

    def end(self) -> None:
        """Kill what is left of it, and let go of its pipes."""
        self.kill()
        self._asks.close()
        self._answers.close()

    def kill(self) -> None:
        """Kill Python, JVM and Python workers as they stand."""
        import psutil

        try:
            driver = psutil.Process(self._process.pid)
            family = [driver, *driver.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.send_signal(signal.SIGKILL)
        psutil.wait_procs(family, timeout=60)
        self._process.wait()


if __name__ == "__main__":
    drive()

"""Measuring side by side: repeats take turns, medians count, and a key is a ratio."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

REPEATS = 3


@dataclass(frozen=True)
class Figure:
    """One line of the table. `bound` is what the figure must reach: at least, or at most."""

    key: str
    value: float
    what: str
    at_least: float | None = None
    at_most: float | None = None

    @property
    def bound(self) -> str:
        """The bound in words."""
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        return "" if self.at_most is None else f"<= {self.at_most:g}"

    @property
    def is_met(self) -> bool:
        """Whether the figure keeps its bound; one without a bound does."""
        low = self.at_least is None or self.value >= self.at_least
        return low and (self.at_most is None or self.value <= self.at_most)


def side_by_side(
    runs: Mapping[str, Callable[[], float]], repeats: int = REPEATS
) -> dict[str, float]:
    """Return the median of what each run returns; the runs take turns, so that all share noise."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(repeats):
        for name, run in runs.items():
            found[name].append(run())
            say(f"{name}: {found[name][-1]:,.4g} (turn {turn + 1} of {repeats})")
    return {name: statistics.median(values) for name, values in found.items()}


def say(text: str) -> None:
    """Tell how far it is; the table alone goes to stdout."""
    print(f"  {text}", file=sys.stderr, flush=True)


class Helper:
    """A process of its own that answers: one line of JSON in, one out.

    Its module has a function `serve(request) -> dict`; what it prints otherwise goes to stderr.
    """

    def __init__(self, module: str, environment: Mapping[str, str]) -> None:
        program = (
            "import json, os, sys\n"
            "answers = os.fdopen(os.dup(1), 'w')\n"
            "os.dup2(2, 1)\n"
            f"from {module} import serve\n"
            "for line in sys.stdin:\n"
            "    print(json.dumps(serve(json.loads(line))), file=answers, flush=True)\n"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=dict(environment),
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the helper process ended with {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Helper:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

"""How many row groups are decoded at the same time: found out while reading. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

PERIOD_SECONDS = 0.5
PERIOD_PIECES = 8
WORTH_MORE = 0.1
"""Share of the time waited for rows from which one more thread is tried."""
GAIN = 1.05
"""One more thread stays if rows come this much faster with it."""
REST_PERIODS = 20
"""After a thread that did not help, this long none is tried: storage may slow down later."""


@dataclass
class Pace:
    """Threads that decode at once: `at_once`, never more than `limit`.

    While rows are waited for, one thread more is tried; it stays where rows then come faster. A
    store far away takes many, a disk beside busy cores one. The rows and their order don't depend
    on it.
    """

    at_once: int
    limit: int
    _seconds: float = field(default=0.0, init=False)
    _waited: float = field(default=0.0, init=False)
    _rows: int = field(default=0, init=False)
    _pieces: int = field(default=0, init=False)
    _rate_before: float | None = field(default=None, init=False)
    _rest: int = field(default=0, init=False)

    def note(self, rows: int, waited: float, seconds: float) -> bool:
        """Note that `rows` came after `seconds`, `waited` of them without work.

        Return whether `at_once` has changed.
        """
        self._rows += rows
        self._waited += waited
        self._seconds += seconds
        self._pieces += 1
        if self._seconds < PERIOD_SECONDS or self._pieces < PERIOD_PIECES:
            return False
        before = self.at_once
        self._judge(self._rows / self._seconds, self._waited / self._seconds)
        self._rows, self._pieces, self._seconds, self._waited = 0, 0, 0.0, 0.0
        return self.at_once != before

    def _judge(self, rate: float, waited_share: float) -> None:
        if self._rate_before is not None and rate < self._rate_before * GAIN:
            self.at_once -= 1
            self._rest = REST_PERIODS
        self._rate_before = None
        if self._rest:
            self._rest -= 1
        elif waited_share > WORTH_MORE and self.at_once < self.limit:
            self.at_once += 1
            self._rate_before = rate

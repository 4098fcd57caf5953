"""What ranks tell the driver while they train: one line of JSON each, over one TCP connection.

The driver learns how far each rank is, and when a rank fails or falls silent: a connection that
ends without `done` or `failed` belongs to a process that was killed.
"""

from __future__ import annotations

import hmac
import json
import secrets
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

_CLOSE_WAIT = 5.0
_MAX_BEAT = 5.0
_LONGEST_HELLO = 4096


def beat_of(hang_timeout: float | None) -> float | None:
    """Return the seconds between two of a rank's heartbeats: several fit into the timeout."""
    return None if hang_timeout is None else min(_MAX_BEAT, hang_timeout / 5)


@dataclass(frozen=True)
class Address:
    """Where the driver listens; `token` keeps strangers out."""

    host: str
    port: int
    token: str


class Reporter:
    """A rank's line to the driver. Training goes on if the driver can't be told."""

    def __init__(self, address: Address, rank: int, attempt: int) -> None:
        self.rank = rank
        self._lock = threading.Lock()
        self._socket = socket.create_connection((address.host, address.port), timeout=30)
        self._send({"token": address.token, "rank": rank, "attempt": attempt})

    def tell(self, event: dict[str, Any]) -> None:
        """Send an event, such as {"event": "step", "epoch": 1, "step": 32, "steps": 100}."""
        with suppress(OSError):
            self._send(event)

    def close(self) -> None:
        """End the line."""
        with suppress(OSError):
            self._socket.close()

    def _send(self, message: dict[str, Any]) -> None:
        line = json.dumps(message, default=str).encode("utf-8") + b"\n"
        with self._lock:
            self._socket.sendall(line)


@dataclass
class RankState:
    """What the driver knows of one rank in one attempt."""

    rank: int
    epoch: int | None = None
    step: int | None = None
    ended: str | None = None
    """None while it runs; then `done`, `failed`, `lost` or `hung`."""
    failure: dict[str, Any] = field(default_factory=dict)
    """`kind`, `message`, `traceback`, `is_final`, `is_collective` of a failed rank."""
    ended_at: float = 0.0
    heard_at: float = field(default_factory=time.monotonic)
    """When it last said anything."""
    moved_at: float = field(default_factory=time.monotonic)
    """When it last said something new: a sign of progress."""
    signs: int = 0
    where: str = "an unknown line"
    """The line of Python it was in when it last said so."""

    @property
    def place(self) -> str:
        """`rank 1 (epoch 2, step 37)`, as far as it is known."""
        if self.epoch is None:
            return f"rank {self.rank} (before its first step)"
        return f"rank {self.rank} (epoch {self.epoch}, step {self.step})"


class Listener:
    """The driver's end. `on_event` is called for each event of rank 0, in a thread of its own."""

    def __init__(self, host: str, bind: str, on_event: Callable[[dict[str, Any]], None]) -> None:
        self._on_event = on_event
        self._token = secrets.token_hex(16)
        self._attempt = 0
        self._size = 0
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self.ranks: dict[int, RankState] = {}
        listener = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                listener._receive(self)

        self._server = socketserver.ThreadingTCPServer((bind, 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.address = Address(host, int(self._server.server_address[1]), self._token)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()

    def begin(self, attempt: int, size: int) -> None:
        """Forget the ranks of earlier attempts; what they still send is ignored."""
        with self._lock:
            self._attempt = attempt
            self._size = size
            self._began = time.monotonic()
            self.ranks = {}

    def find_hung(self, timeout: float) -> RankState | None:
        """Return the rank that the others wait for, once none has moved for `timeout` seconds.

        Its `ended` is `hung` then. One that never came is named first, then one that stopped
        answering, then the one that is behind.
        """
        now = time.monotonic()
        silence = 3 * (beat_of(timeout) or 0)
        with self._lock:
            running = [state for state in self.ranks.values() if state.ended is None]
            moves = [state.moved_at for state in running]
            if not self.ranks:
                moves = [self._began]  # Spark was asked for ranks then, and none has come
            if not moves or now - max(moves) < timeout:
                return None
            missing = [rank for rank in range(self._size) if rank not in self.ranks]
            if missing:
                self.ranks[missing[0]] = RankState(missing[0], heard_at=0.0)
            hung = min(
                [self.ranks[rank] for rank in missing[:1]] or running,
                key=lambda one: (now - one.heard_at < silence, one.signs, one.moved_at),
            )
            hung.ended, hung.ended_at = "hung", now
            hung.failure = {"is_answering": now - hung.heard_at < silence}
            return hung

    def first_failure(self) -> RankState | None:
        """Return the rank that failed first, once those that failed have fallen silent.

        Ranks whose collective broke come last: they fail because another one did.
        """
        deadline = time.monotonic() + _CLOSE_WAIT
        while time.monotonic() < deadline:
            with self._lock:
                if all(state.ended for state in self.ranks.values()):
                    break
            time.sleep(0.05)
        with self._lock:
            failed = [state for state in self.ranks.values() if state.ended not in (None, "done")]
        failed.sort(key=lambda one: (bool(one.failure.get("is_collective")), one.ended_at))
        return failed[0] if failed else None

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=_CLOSE_WAIT)

    def _receive(self, handler: socketserver.StreamRequestHandler) -> None:
        with suppress(OSError, ValueError):
            # Of a stranger no more than a line is read, and no longer one.
            hello = json.loads(handler.rfile.readline(_LONGEST_HELLO) or b"{}")
            if not hmac.compare_digest(str(hello.get("token")).encode(), self._token.encode()):
                return
            state = RankState(int(hello["rank"]))
            with self._lock:
                if hello["attempt"] != self._attempt:
                    return
                self.ranks[state.rank] = state
            try:
                for line in handler.rfile:
                    self._take(state, json.loads(line))
            finally:
                with self._lock:
                    if state.ended is None:
                        state.ended, state.ended_at = "lost", time.monotonic()

    def _take(self, state: RankState, message: dict[str, Any]) -> None:
        kind = message.get("event")
        with self._lock:
            current = self.ranks.get(state.rank) is state
            state.heard_at = time.monotonic()
            if kind == "alive":
                if message["count"] > state.signs:
                    state.moved_at = state.heard_at
                state.signs, state.where = message["count"], message["where"]
                return
            state.moved_at = state.heard_at
            if kind in ("done", "failed"):
                state.ended, state.ended_at = kind, time.monotonic()
                state.failure = message
                return
            if "step" in message:
                state.epoch, state.step = message["epoch"], message["step"]
        if state.rank == 0 and current:
            self._on_event(message)


@contextmanager
def watching(
    listener: Listener, hang_timeout: float | None, on_hang: Callable[[], None]
) -> Iterator[None]:
    """Call `on_hang` once, from a thread of its own, when the ranks hang."""
    if hang_timeout is None:
        yield
        return
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(min(1.0, hang_timeout / 10)):
            if listener.find_hung(hang_timeout):
                on_hang()
                return

    thread = threading.Thread(target=watch, name="watch-ranks", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()

"""How ranks find each other: their places among the hosts, and Horovod's server where they meet."""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.ranks.backend import Backend
from pipelines.ranks.collective import Collective
from pipelines.ranks.rendezvous import LOOPBACK, Rendezvous

if TYPE_CHECKING:
    from pyspark import BarrierTaskContext

logger = logging.getLogger(__name__)

_LATER = 60.0
"""Seconds after the driver's judgement of a hang in which Horovod still waits."""
_FOREVER = 7 * 24 * 3600.0
_INTERFACE = "HOROVOD_GLOO_IFACE"
_ASKED_FOR = os.environ.get(_INTERFACE, "")
"""The network interface that the cluster's settings name for ranks, before one was set here."""


@dataclass(frozen=True)
class Place:
    """Where ranks meet, as Horovod is told it."""

    address: str
    port: int


Meeting = Future[tuple[Rendezvous | None, Place]]
"""The server (on rank 0, None on the others), and where it is."""


def meet(context: BarrierTaskContext) -> Meeting:
    """Start to meet the other ranks, in a thread: it takes as long as the last one needs to come.

    Spark looks once a second whether all have come: that passes while TensorFlow loads.
    """
    return _aside(lambda: _meet(context))


@contextmanager
def joined(
    context: BarrierTaskContext,
    meeting: Meeting | None,
    hang_timeout: float | None,
    backend: Backend,
) -> Iterator[Collective]:
    """Join the ranks that were met; without a meeting there is one rank."""
    if meeting is None:
        yield backend.alone()
        return
    backend.load_collective()
    hosts, rank = _hosts(context), context.partitionId()
    server, place = meeting.result()
    try:
        os.environ.update(environment(hosts, rank, place, hang_timeout))
        collective = backend.joined()
        try:
            yield collective
        finally:
            collective.close()
    finally:
        if server:
            _aside(server.stop)


def _aside(call: Callable[[], Any]) -> Future[Any]:
    """Return what a call will give, made in a thread that no end of the process waits for."""
    given: Future[Any] = Future()

    def make() -> None:
        try:
            given.set_result(call())
        except BaseException as error:  # raised again by who asks for the result
            logger.debug("aside: %s", error)
            given.set_exception(error)

    threading.Thread(target=make, name="rank-aside", daemon=True).start()
    return given


def _meet(context: BarrierTaskContext) -> tuple[Rendezvous | None, Place]:
    server, mine = None, ["", 0]
    if context.partitionId() == 0:
        hosts = _hosts(context)
        server = Rendezvous(meeting_host(hosts), _slot_infos(hosts, slots(hosts)))
        mine = [server.address, server.port]
    address, port = json.loads(context.allGather(json.dumps(mine))[0])
    return server, Place(str(address), int(port))


def _hosts(context: BarrierTaskContext) -> list[str]:
    return [info.address.rpartition(":")[0] for info in context.getTaskInfos()]


def slots(hosts: Sequence[str]) -> list[dict[str, int]]:
    """Return each rank's place among the ranks of its host, and among the hosts."""
    names = list(dict.fromkeys(hosts))
    places = []
    for rank, host in enumerate(hosts):
        local = hosts[:rank].count(host)
        peers = [name for name in names if hosts.count(name) > local]
        places.append(
            {
                "RANK": rank,
                "SIZE": len(hosts),
                "LOCAL_RANK": local,
                "LOCAL_SIZE": hosts.count(host),
                "CROSS_RANK": peers.index(host),
                "CROSS_SIZE": len(peers),
            }
        )
    return places


def meeting_host(hosts: Sequence[str]) -> str:
    """Return the address that ranks on these hosts meet at: on one machine, nobody else's."""
    return LOOPBACK if len(set(hosts)) == 1 else hosts[0]


def interface(hosts: Sequence[str]) -> str:
    """Return the network interface on which ranks listen for each other; empty: Gloo's choice.

    Gloo asks nobody for a token. On one machine ranks need no network at all; over several Gloo
    takes the address of the host's name, unless the cluster's settings name an interface.
    """
    if _ASKED_FOR or len(set(hosts)) > 1:
        return _ASKED_FOR
    names = [name for _, name in socket.if_nameindex()]
    return next((name for name in names if name.startswith("lo")), "")


def environment(
    hosts: Sequence[str], rank: int, place: Place, hang_timeout: float | None = None
) -> dict[str, str]:
    """Return the variables that Horovod reads at its start."""
    patience = _FOREVER if hang_timeout is None else hang_timeout + _LATER
    return {
        **{f"HOROVOD_{name}": str(value) for name, value in slots(hosts)[rank].items()},
        "HOROVOD_HOSTNAME": hosts[rank],
        "HOROVOD_CONTROLLER": "gloo",
        "HOROVOD_CPU_OPERATIONS": "gloo",
        "HOROVOD_GLOO_RENDEZVOUS_ADDR": place.address,
        "HOROVOD_GLOO_RENDEZVOUS_PORT": str(place.port),
        _INTERFACE: interface(hosts),
        # By default ranks part after 30 seconds: one that writes a large checkpoint would do. The
        # driver is the one that judges, and knows which rank the others wait for.
        "HOROVOD_GLOO_TIMEOUT_SECONDS": str(int(patience)),
        # Milliseconds between looks for work of a Horovod that conf/environment hasn't built: ours
        # is woken by each tensor.
        "HOROVOD_CYCLE_TIME": os.environ.get("HOROVOD_CYCLE_TIME", "0.5"),
    }


def _slot_infos(hosts: Sequence[str], places: Sequence[Mapping[str, int]]) -> list[Any]:
    from horovod.runner.common.util.hosts import SlotInfo

    return [
        SlotInfo(hostname=host, **{name.lower(): value for name, value in place.items()})
        for host, place in zip(hosts, places, strict=True)
    ]

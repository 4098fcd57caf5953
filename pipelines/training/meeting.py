"""How ranks find each other: their places among the hosts, and Horovod's server where they meet."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pipelines.training.collective import Collective, Horovod, SingleProcess

if TYPE_CHECKING:
    from pyspark import BarrierTaskContext

logger = logging.getLogger(__name__)

_LATER = 60.0
"""Seconds after the driver's judgement of a hang in which Horovod still waits."""
_FOREVER = 7 * 24 * 3600.0

Meeting = Future[tuple[Any, int]]
"""Horovod's server on rank 0 (None on the others), and its port."""


def meet(context: BarrierTaskContext) -> Meeting:
    """Start to meet the other ranks, in a thread: it takes as long as the last one needs to come.

    Spark looks once a second whether all have come: that passes while TensorFlow loads.
    """
    return _aside(lambda: _meet(context))


@contextmanager
def joined(
    context: BarrierTaskContext, meeting: Meeting | None, hang_timeout: float | None
) -> Iterator[Collective]:
    """Join the ranks that were met; without a meeting there is one rank."""
    if meeting is None:
        yield SingleProcess()
        return
    import horovod.tensorflow as _  # noqa: F401 - before the ranks join: it takes seconds

    hosts, rank = _hosts(context), context.partitionId()
    server, port = meeting.result()
    try:
        os.environ.update(environment(hosts, rank, port, slots(hosts)[rank], hang_timeout))
        collective = Horovod()
        try:
            yield collective
        finally:
            collective.close()
    finally:
        if server:
            _aside(server.stop)  # which takes half a second


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


def _meet(context: BarrierTaskContext) -> tuple[Any, int]:
    from horovod.runner.http.http_server import RendezvousServer

    server = RendezvousServer(verbose=0) if context.partitionId() == 0 else None
    port = server.start() if server else 0
    if server:
        hosts = _hosts(context)
        server.init(_slot_infos(hosts, slots(hosts)))
    return server, int(json.loads(context.allGather(json.dumps(port))[0]))


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


def environment(
    hosts: Sequence[str],
    rank: int,
    port: int,
    place: Mapping[str, int],
    hang_timeout: float | None = None,
) -> dict[str, str]:
    """Return the variables that Horovod reads at its start."""
    patience = _FOREVER if hang_timeout is None else hang_timeout + _LATER
    return {
        **{f"HOROVOD_{name}": str(value) for name, value in place.items()},
        "HOROVOD_HOSTNAME": hosts[rank],
        "HOROVOD_CONTROLLER": "gloo",
        "HOROVOD_CPU_OPERATIONS": "gloo",
        "HOROVOD_GLOO_RENDEZVOUS_ADDR": hosts[0],
        "HOROVOD_GLOO_RENDEZVOUS_PORT": str(port),
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

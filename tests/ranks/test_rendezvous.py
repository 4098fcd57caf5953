"""Where ranks meet: the server that Horovod asks, and what travels between ranks."""

from __future__ import annotations

import http.client
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pipelines.ranks.meeting import meeting_host
from pipelines.ranks.parcel import pack, unpack
from pipelines.ranks.rendezvous import Rendezvous
from pipelines.training.checkpoint import Checkpoint, Progress


@pytest.fixture
def server():
    slot = SimpleNamespace(hostname="h", local_rank=0, size=2, local_size=2, cross_size=1)
    made = Rendezvous("127.0.0.1", [slot])
    yield made
    made.stop()


def ask(server: Rendezvous, method: str, path: str, body: bytes | None = None, **headers: str):
    line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    line.request(method, path, body, headers)
    answer = line.getresponse()
    return answer.status, answer.read()


@pytest.mark.whole_environment
def test_the_server_answers_horovods_own_requests(server):
    # As Horovod's client spells it: "http://" + address + ":" + port + "/" + scope + "/" + key.
    place = f"{server.address}:{server.port}".partition("/")[2]
    assert ask(server, "GET", f"/{place}/global/0") == (404, b"")
    assert ask(server, "PUT", f"/{place}/global/0", b"where rank 0 is") == (200, b"")
    assert ask(server, "GET", f"/{place}/global/0") == (200, b"where rank 0 is")
    assert ask(server, "DELETE", f"/{place}/global/0")[0] == 200


@pytest.mark.whole_environment
def test_nobody_without_the_token_reads_or_writes_a_key(server):
    token = server.address.partition("/")[2]
    ask(server, "PUT", f"/{token}/global/0", b"secret")
    for method in ("GET", "PUT", "DELETE", "HEAD", "POST"):
        for path in ("/global/0", f"/{token[:-1]}/global/0", "//global/0", "/"):
            status, body = ask(server, method, path, b"other" if method == "PUT" else None)
            assert status in (403, 501), (method, path)
            assert b"secret" not in body
    for method, headers in (("HEAD", {}), ("PUT", {"Content-Length": "99999999"})):
        assert ask(server, method, f"/{token}/global/0", **headers)[0] == 403
    assert ask(server, "GET", f"/{token}/global/0") == (200, b"secret")


@pytest.mark.whole_environment
def test_the_server_listens_on_the_ranks_own_address_alone(server):
    assert server._server.server_address[0] == "127.0.0.1"
    assert meeting_host(["10.0.0.7", "10.0.0.7"]) == "127.0.0.1"
    assert meeting_host(["10.0.0.7", "10.0.0.8"]) == "10.0.0.7"


@pytest.mark.whole_environment
# The first is of the block that is kept for documentation; the second is what a machine may take
# its own name for.
@pytest.mark.parametrize("host", ["192.0.2.1", "localhost"])
def test_an_address_that_others_do_not_reach_is_told_and_served_all_the_same(caplog, host):
    server = Rendezvous(host, [])
    server.stop()
    assert f"{host}, which is no address of this machine that others reach" in caplog.text
    assert server._server.server_address[0] == "0.0.0.0"
    assert server.address.startswith(f"{host}:{server.port}/")


NUMBERS = st.sampled_from(["<f4", "<f8", "<f2", "<i4", "<i8", "|u1", "|b1"])
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.floats(width=32, allow_nan=False).map(np.float32)
    | NUMBERS.flatmap(lambda kind: arrays.arrays(kind, arrays.array_shapes(min_dims=0, min_side=0)))
)
VALUES = st.recursive(
    LEAVES, lambda some: st.lists(some) | st.dictionaries(st.text(), some), max_leaves=8
)


def same(one, other) -> bool:
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray):
        kinds = (one.dtype, one.shape) == (other.dtype, other.shape)
        return kinds and one.tobytes() == other.tobytes()
    return type(one) is type(other) and one == other


@given(VALUES)
def test_what_travels_between_ranks_comes_as_it_was_sent(value):
    assert same(unpack(pack(value)), value)


def test_a_checkpoint_travels_whole():
    progress = Progress(epoch=2, step=7, history=[{"loss": 0.1}], best=float("inf"))
    weights = [np.ones((2, 3), np.float32), np.float32(1.5) * np.ones(())]
    sent = Checkpoint(progress, {"weights": weights, "optimizer": []})
    found = Checkpoint.of(unpack(pack(sent.plain())))
    assert found.progress == progress
    assert same(found.arrays["weights"], weights)
    assert found.arrays["optimizer"] == []


def test_nothing_that_a_stranger_sends_is_run():
    class Evil:
        def __reduce__(self):
            return (print, ("run",))

    with pytest.raises(ValueError):  # noqa: PT011 - any error of a parser will do
        unpack(pickle.dumps(Evil()))
    with pytest.raises(TypeError, match="an array of objects can't travel between ranks"):
        pack(np.array([object()]))
    with pytest.raises(TypeError, match="a set can't travel between ranks; expected plain values"):
        pack({"a": {1}})
    with pytest.raises(TypeError, match=r"the keys \[1\] can't travel"):
        pack({1: 2})

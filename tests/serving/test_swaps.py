"""Ten thousand requests while the champion moves three times: each is answered, by one version."""

import threading

import httpx
import pytest

from pipelines.config.serve import Serve
from pipelines.serving.app import make_app
from pipelines.serving.models import Champion
from tests.serving.test_app import ROW, Registry, serving

REQUESTS, CLIENTS = 10_000, 8


@pytest.mark.slow
def test_ten_thousand_requests_during_three_swaps_are_all_answered():
    registry = Registry()
    champion = Champion(registry.find, registry.load)
    seen, wrong, lock = [], [], threading.Lock()

    def ask(address):
        with httpx.Client(base_url=address, timeout=60) as client:
            for _ in range(REQUESTS // CLIENTS):
                answer = client.post("/predict", json={"rows": [ROW]})
                found = answer.json()
                version = found.get("model_version")
                with lock:
                    seen.append(version)
                    if found.get("predictions") != [{"prediction": 6.5 + 100 * (version - 1)}]:
                        wrong.append(answer.text)

    with serving(make_app(champion, Serve())) as client:
        threads = [
            threading.Thread(target=ask, args=(str(client.base_url),)) for _ in range(CLIENTS)
        ]
        for thread in threads:
            thread.start()
        for version, share in ((2, 0.25), (3, 0.5), (1, 0.75)):
            while len(seen) < share * REQUESTS and any(one.is_alive() for one in threads):
                threading.Event().wait(0.01)
            registry.version = version
            assert champion.refresh()
        for thread in threads:
            thread.join()
    assert (len(seen), wrong) == (REQUESTS, [])
    assert set(seen) == {1, 2, 3}

"""The service beside in-process prediction and beside `mlflow models serve`, on one model.

The model is as large as the flights' champion: 80 numbers and 5 categories, layers of 256 and 128.
Its weights are those it starts with: what it says costs the same. Server and client share the
machine's cores, so absolute figures say little on a small one; ratios take turns.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.encoding.kinds.category import FittedCategory
from pipelines.encoding.kinds.numeric import FittedNumeric
from pipelines.encoding.spec import FeatureSpec
from tests.benchmarks.measure import Figure, say, side_by_side

NUMBERS, CATEGORIES, WORDS = 80, 5, 40
CONCURRENT, SECONDS = 16, 10.0
RATE, RATE_SECONDS = 200, 30.0
LARGE, EXPLAINED = 10_000, 2_000


def spec() -> FeatureSpec:
    """A feature spec as large as the flights'."""
    numbers = [
        FittedNumeric(name=f"n{i}", column=f"n{i}", raw_type="double", center=1.0, spread=2.0)
        for i in range(NUMBERS)
    ]
    words = tuple(f"w{i}" for i in range(WORDS))
    categories = [
        FittedCategory(name=f"c{i}", column=f"c{i}", raw_type="string", vocabulary=words)
        for i in range(CATEGORIES)
    ]
    return FeatureSpec(key=("id",), date="day", features=(*numbers, *categories))


def make_bundle(folder: str) -> str:
    """Write a bundle with an untrained model; return its folder."""
    from pipelines.registry.bundle import Bundle, save_bundle
    from pipelines.training.models import build_model
    from pipelines.training.models.inference import inference_model, model_bytes

    options = {"hidden": [256, 128], "embedding": 4}
    model = build_model("mlp", spec().inputs, options, 1, 1, "float32")
    whole = inference_model(model, spec().inputs, "binary")
    manifest = {"run_id": "bench", "tables": {}, "settings": {"loss": "binary_crossentropy"}}
    place = f"{folder}/bundle"
    save_bundle(place, Bundle(manifest, spec().to_json(), model_bytes(whole)))
    return place


def rows(count: int) -> list[dict[str, Any]]:
    """Return raw rows."""
    random = np.random.default_rng(3)
    numbers = random.normal(size=(count, NUMBERS)).round(4)
    words = random.integers(0, WORDS + 2, (count, CATEGORIES))
    return [
        {
            **{f"n{i}": value for i, value in enumerate(numbers[row].tolist())},
            **{f"c{i}": f"w{word}" for i, word in enumerate(words[row].tolist())},
        }
        for row in range(count)
    ]


def measure(folder: str) -> Iterator[Figure]:
    """Measure requests, large requests, reasons, and the start."""
    bundle = make_bundle(folder)
    start = time.perf_counter()
    with _server(_ours, bundle) as port:
        started = time.perf_counter() - start
        yield from _alone(port, bundle)
        with _server(_mlflow, bundle) as other:
            yield _versus(port, other)
    imported = _seconds([sys.executable, "-c", "import tensorflow"])
    yield Figure(
        "serve_start_seconds",
        started,
        f"seconds from the start to ready (`import tensorflow` alone: {imported:.1f})",
    )


def _alone(port: int, bundle: str) -> Iterator[Figure]:
    from pipelines.reasons.pieces import MOST_PASSES
    from pipelines.registry.bundle import load_bundle
    from pipelines.serving.predictor import Predictor

    one = _request("/predict", {"rows": rows(1)})
    asyncio.run(_throughput(port, one, 2.0))  # warm
    seconds, failed = asyncio.run(_steadily(port, one))
    say(f"{len(seconds)} requests at {RATE} a second, {failed} failed, median "
        f"{1000 * statistics.median(seconds):.2f} ms")  # fmt: skip
    yield Figure(
        "serve_p99_ms_at_200rps",
        float("inf") if failed else 1000 * float(np.percentile(seconds, 99)),
        "ms, 99th percentile of one-row requests at 200 a second; any error is infinite",
        at_most=20,
    )
    predictor, many = Predictor(load_bundle(bundle)), rows(LARGE)
    large = _request("/predict", {"rows": many})
    columns = {name: [row[name] for row in many] for name in many[0]}
    few = {name: values[:EXPLAINED] for name, values in columns.items()}
    found = side_by_side(
        {
            "served": lambda: LARGE / _timed(lambda: asyncio.run(_ask(port, [large]))),
            "in process": lambda: LARGE / _timed(lambda: predictor(columns)),
            "explained": lambda: EXPLAINED / _timed(lambda: predictor.explain(few)),
        }
    )
    yield Figure(
        "serve_batch_vs_predict",
        found["served"] / found["in process"],
        "rows/s of requests of 10,000 rows over in-process prediction",
        at_least=0.5,
    )
    yield Figure(
        "explain_vs_predict",
        found["explained"] / found["in process"],
        f"rows/s with reasons over rows/s without (16 gradients a row at least, {MOST_PASSES} at "
        "most)",
    )


def _versus(ours: int, theirs: int) -> Figure:
    one = rows(1)
    requests = {
        "ours": (ours, _request("/invocations", {"dataframe_records": one})),
        "mlflow": (theirs, _request("/invocations", {"dataframe_records": one})),
    }
    found = side_by_side(
        {
            name: lambda port=port, body=body: asyncio.run(_throughput(port, body, SECONDS))
            for name, (port, body) in requests.items()
        }
    )
    return Figure(
        "serve_vs_mlflow",
        found["ours"] / found["mlflow"],
        "one-row requests/s at 16 at once over `mlflow models serve` of the same bundle",
        at_least=3,
    )


# --- servers


def _ours(bundle: str, port: int) -> list[str]:
    program = (
        "import sys, uvicorn\n"
        "from pipelines.config.serve import Serve\n"
        "from pipelines.registry.bundle import load_bundle\n"
        "from pipelines.registry.champion import RegisteredModel\n"
        "from pipelines.serving.app import make_app\n"
        "from pipelines.serving.models import Champion\n"
        "from pipelines.serving.predictor import Predictor\n"
        "held = Champion(lambda: RegisteredModel('bench', 1, sys.argv[1], 'bench'),\n"
        "                lambda model: Predictor(load_bundle(model.bundle)))\n"
        "uvicorn.run(make_app(held, Serve()), port=int(sys.argv[2]), log_config=None,\n"
        "            access_log=False)\n"
    )
    return [sys.executable, "-W", "ignore", "-c", program, bundle, str(port)]


def _mlflow(bundle: str, port: int) -> list[str]:
    command = str(Path(sys.executable).with_name("mlflow"))
    return [command, "models", "serve", "-m", bundle, "-p", str(port), "--env-manager", "local"]


@contextmanager
def _server(command: Callable[[str, int], list[str]], bundle: str) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = int(held.getsockname()[1])
    process = subprocess.Popen(
        command(bundle, port),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "MLFLOW_DISABLE_TELEMETRY": "true"},
        start_new_session=True,
    )
    try:
        _wait(port, process)
        yield port
    finally:
        os.killpg(process.pid, 15)
        process.wait(60)


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    import urllib.request

    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5).close()
        except OSError:
            time.sleep(0.25)
        else:
            return
    raise RuntimeError("the server does not answer")


# --- a client that costs little: bytes made once, answers read to their length


def _request(path: str, body: Any) -> bytes:
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


async def _exchange(reader: Any, writer: Any, request: bytes) -> bool:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.partition(b":")[2])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length")
    )
    await reader.readexactly(length)
    return bool(head.startswith(b"HTTP/1.1 200"))


async def _ask(port: int, requests: list[bytes]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**26)
    for request in requests:
        assert await _exchange(reader, writer, request), "the request failed"
    writer.close()


async def _throughput(port: int, request: bytes, seconds: float) -> float:
    """Return requests/s of so many clients, each asking again as soon as it has its answer."""
    end = time.perf_counter() + seconds

    async def client() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        count = 0
        while time.perf_counter() < end:
            assert await _exchange(reader, writer, request), "a request failed"
            count += 1
        writer.close()
        return count

    counts = await asyncio.gather(*[client() for _ in range(CONCURRENT)])
    return sum(counts) / seconds


async def _steadily(port: int, request: bytes) -> tuple[list[float], int]:
    """Return the seconds of each request sent at a fixed rate, and how many failed."""
    free = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
    seconds, failed = [], 0

    async def one(due: float) -> None:
        nonlocal failed
        pair = free.pop() if free else await asyncio.open_connection("127.0.0.1", port)
        failed += not await _exchange(*pair, request)
        # From when it was due: waiting for its turn counts.
        seconds.append(time.perf_counter() - due)
        free.append(pair)

    start, tasks = time.perf_counter(), []
    for number in range(int(RATE * RATE_SECONDS)):
        due = start + number / RATE
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(due)))
    await asyncio.gather(*tasks)
    return seconds, failed


def _timed(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _seconds(command: list[str]) -> float:
    return _timed(lambda: subprocess.run(command, check=True, stderr=subprocess.DEVNULL))

"""Whatever comes, the service answers with the caller's fault, never with one of its own."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.config.serve import Serve
from pipelines.serving.app import make_app
from pipelines.serving.models import Champion
from tests.serving.test_app import ROW, Registry, serving

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["2013-12-01", "AAAA", "1e999", "9" * 400])
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES = st.sampled_from([*ROW, "else"])
ROWS = st.dictionaries(NAMES, VALUES, max_size=6).map(lambda some: {**ROW, **some}) | VALUES
TENSOR = st.fixed_dictionaries(
    {
        "name": NAMES | VALUES,
        "shape": st.lists(st.integers(-1, 3), max_size=3) | VALUES,
        "datatype": st.sampled_from(["FP64", "INT32", "BYTES", "BOOL"]) | VALUES,
        "data": st.lists(VALUES, max_size=4) | VALUES,
    }
)
BODIES = st.one_of(
    VALUES,
    st.fixed_dictionaries({"rows": st.lists(ROWS, max_size=3), "explain": VALUES | st.just(False)}),
    st.fixed_dictionaries({"instances": st.lists(ROWS, max_size=3)}),
    st.fixed_dictionaries(
        {"inputs": st.dictionaries(NAMES, st.lists(VALUES, max_size=3) | VALUES)}
    ),
    st.fixed_dictionaries(
        {
            "dataframe_split": st.fixed_dictionaries(
                {
                    "columns": st.lists(NAMES, max_size=5) | VALUES,
                    "data": st.lists(st.lists(VALUES, max_size=5), max_size=3) | VALUES,
                }
            )
        }
    ),
    st.fixed_dictionaries(
        {"inputs": st.lists(TENSOR, max_size=6), "id": VALUES, "outputs": VALUES}
    ),
)
PATHS = ("/predict", "/invocations", "/v2/models/sums/infer", "/v2/models/sums/versions/1/infer")


@pytest.fixture(scope="module")
def asked():
    registry = Registry()
    app = make_app(Champion(registry.find, registry.load), Serve(max_rows=50, max_bytes=20_000))
    with serving(app) as client:
        yield client


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(path=st.sampled_from(PATHS), body=BODIES)
def test_no_body_makes_the_service_fail(asked: Any, path: str, body: Any) -> None:
    answer = asked.post(
        path, content=json.dumps(body), headers={"content-type": "application/json"}
    )
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.json()["error"]


@settings(max_examples=60)
@given(content=st.binary(max_size=60), kind=st.sampled_from(["text/csv", "application/json", "x"]))
def test_nor_do_bytes(asked: Any, content: bytes, kind: str) -> None:
    for path in PATHS[:2]:
        answer = asked.post(path, content=content, headers={"content-type": kind})
        assert answer.status_code < 500, answer.text

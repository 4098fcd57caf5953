"""The service answers in three forms from one model, and says what is wrong with a request."""

import base64
import contextlib
import io
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn

from pipelines.config.serve import Serve
from pipelines.encoding.about import About
from pipelines.errors import BundleError
from pipelines.registry.champion import RegisteredModel
from pipelines.serving.access import AccessLog
from pipelines.serving.app import make_app
from pipelines.serving.columns import RawColumn, by_column, encode
from pipelines.serving.models import Champion
from pipelines.serving.predictor import Prepared, said

COLUMNS = [
    RawColumn("distance", "double"),
    RawColumn("stops", "int"),
    RawColumn("day", "date"),
    RawColumn("xs", "array<int>"),
    RawColumn("file", "binary"),
]
ABOUT = {"distance": About(2.5, "mostly around 2 to 3", [])}
ROW = {"distance": 1.5, "stops": 2, "day": "2013-12-01", "xs": [1, 2], "file": None}


@dataclass
class Sum:
    """A predictor without a model: the sum of a row's numbers, its file's length and `bias`."""

    bias: float = 0.0
    task: str = "number"
    threshold: float = 0.5
    class_names = None
    about = ABOUT
    columns = COLUMNS

    def warm_up(self) -> None:
        pass

    def explain(self, data: Any, top: int | None) -> Any:
        return [{"of": row["distance"], "top": top} for row in data]

    def prepare(self, data: Any) -> Prepared:
        columns, num_rows = by_column(data, self.columns)
        return Prepared(encode(columns, self.columns), num_rows)

    def answer(self, parts: Any) -> Any:
        return [self.of(part.arrays, part.num_rows) for part in parts]

    def of(self, raw: Any, num_rows: int) -> Any:
        xs = np.where(np.arange(raw["xs"].shape[1]) < raw["xs_length"][:, None], raw["xs"], 0)
        size = np.array([len(one) for one in raw["file"]], float)
        total = raw["distance"] + raw["stops"] + xs.sum(axis=1) + size + self.bias
        return said(total.reshape(num_rows, 1), "number")


class Registry:
    """Says who is champion, as a test has it."""

    def __init__(self) -> None:
        self.version = 1
        self.broken: set[int] = set()

    def find(self) -> RegisteredModel:
        return RegisteredModel("sums", self.version, "nowhere", f"run-{self.version}")

    def load(self, model: RegisteredModel) -> Any:
        if model.version in self.broken:
            raise BundleError("no whole model bundle")
        return Sum(bias=100.0 * (model.version - 1))


@pytest.fixture
def registry():
    return Registry()


@pytest.fixture
def champion(registry):
    return Champion(registry.find, registry.load)


@contextlib.contextmanager
def serving(app: Any) -> Iterator[httpx.Client]:
    """A real server on a free port of loopback, and a client of it."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
    is_up = threading.Event()
    start = server.startup

    async def startup(*given: Any, **more: Any) -> None:
        await start(*given, **more)
        is_up.set()

    server.startup = startup
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert is_up.wait(60)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def client(champion):
    with serving(
        make_app(champion, Serve(max_rows=5, max_bytes=20_000, max_explained_rows=2))
    ) as client:
        yield client


def told(response):
    return response.status_code, response.json()["error"]


def test_rows_by_name_are_predicted_by_the_named_version(client):
    answer = client.post("/predict", json={"rows": [ROW, {**ROW, "xs": None}]})
    assert answer.json() == {
        "model_name": "sums",
        "model_version": 1,
        "run_id": "run-1",
        "predictions": [{"prediction": 6.5}, {"prediction": 3.5}],
    }


def test_reasons_come_with_each_prediction_where_they_are_asked_for(client):
    for asked, top in ((True, None), (2, 2)):
        answer = client.post("/predict", json={"rows": [ROW, ROW], "explain": asked}).json()
        explained = [one["explanation"] for one in answer["predictions"]]
        assert explained == [{"of": 1.5, "top": top}] * 2
    many = told(client.post("/predict", json={"rows": [ROW] * 3, "explain": True}))
    assert many == (413, "received 3 rows; expected at most 2 (`serve.max_explained_rows`).")
    answer = client.post("/predict", json={"rows": [ROW], "explain": False}).json()
    assert "explanation" not in answer["predictions"][0]
    for bad in (0, -1, "yes", 1.5, None):
        answer = client.post("/predict", json={"rows": [ROW], "explain": bad})
        assert told(answer)[0] == 400
        assert "`explain` is " in told(answer)[1]


def test_every_form_gives_the_same_answer(client):
    columns = {name: [value] for name, value in ROW.items()}
    split = {"columns": list(ROW), "index": [0], "data": [list(ROW.values())]}
    for body in (
        {"dataframe_records": [ROW]},
        {"instances": [ROW]},
        {"inputs": columns},
        {"dataframe_split": split, "params": {}},
    ):
        answer = client.post("/invocations", json=body)
        assert answer.json() == {"predictions": [{"prediction": 6.5}]}, body
    tensors = [
        {"name": "distance", "shape": [1], "datatype": "FP64", "data": [1.5]},
        {"name": "stops", "shape": [1, 1], "datatype": "INT32", "data": [[2]]},
        {"name": "day", "shape": [1, 1], "datatype": "BYTES", "data": ["2013-12-01"]},
        {"name": "xs", "shape": [1, 2], "datatype": "INT32", "data": [1, 2]},
        {"name": "file", "shape": [1], "datatype": "BYTES", "data": [None]},
    ]
    for place in ("/v2/models/sums", "/v2/models/sums/versions/1"):
        answer = client.post(f"{place}/infer", json={"id": "7", "inputs": tensors})
        assert answer.json() == {
            "model_name": "sums",
            "model_version": "1",
            "id": "7",
            "outputs": [{"name": "prediction", "shape": [1], "datatype": "FP64", "data": [6.5]}],
        }


def test_csv_is_read_with_its_header_and_empty_fields_are_null(registry):
    class Flat(Sum):
        columns = (*COLUMNS[:3], RawColumn("name", "string"))

        def of(self, raw, num_rows):
            return said(np.nan_to_num(raw["distance"] + raw["stops"]).reshape(-1, 1), "number")

    app = make_app(Champion(registry.find, lambda model: Flat()), Serve())
    good = 'distance,stops,day,name\r\n1.5,2,2013-12-01,"a, ""b"""\r\n,3,,007\r\n'
    with serving(app) as client:
        answer, bad = (
            client.post("/invocations", content=text, headers={"content-type": "text/csv"})
            for text in (good, "distance,stops,day,name\nx,2,,\n")
        )
    assert answer.json() == {"predictions": [{"prediction": 3.5}, {"prediction": 0.0}]}
    assert told(bad)[0] == 422
    assert "row 0, column 'distance': 'x'" in told(bad)[1]


def test_files_come_as_base64(client):
    file = base64.b64encode(b"\x00" * 10).decode()
    answer = client.post("/predict", json={"rows": [{**ROW, "file": file}]})
    assert answer.json()["predictions"] == [{"prediction": 16.5}]
    bad = client.post("/predict", json={"rows": [{**ROW, "file": "%"}]})
    assert told(bad) == (422, "row 0, column 'file': the text is no base64.")


@pytest.mark.parametrize(
    ("path", "content", "status", "message"),
    [
        ("/predict", "{", 400, "is no JSON"),
        ("/predict", '{"rows": [{"distance": NaN}]}', 400, "NaN is no JSON"),
        ("/predict", '{"rows": [{"distance": -Infinity}]}', 400, "-Infinity is no JSON"),
        ("/predict", '{"rows": [], "rows": []}', 400, "'rows' stands twice"),
        ("/predict", "[" * 3000, 400, "is no JSON"),
        ("/predict", "\xff", 422, None),
        ("/predict", "[]", 400, 'expected {"rows"'),
        ("/predict", '{"rows": [1]}', 422, "row 0 is a int"),
        ("/predict", '{"rows": [{"distance": 1}]}', 422, "'day', 'xs', 'file' are missing"),
        ("/invocations", '{"data": []}', 400, "exactly one of dataframe_split"),
        ("/invocations", '{"inputs": {}, "instances": []}', 400, "exactly one of"),
        ("/invocations", '{"inputs": {"distance": 5}}', 422, "are missing"),
        ("/invocations", '{"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}', 400,
         "row 0: expected 1 values"),
        ("/v2/models/sums/infer", "{}", 400, 'expected {"inputs"'),
        ("/v2/models/sums/infer", '{"inputs": [{"name": "a", "shape": [2], "data": [1]}]}', 400,
         "holds 1 values, `shape` [2]"),
        ("/v2/models/other/infer", "{}", 404, "no model 'other' here"),
        ("/v2/models/sums/versions/9/infer", "{}", 404, "version 9"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_request_is_said(client, path, content, status, message):
    body = content.encode("latin-1")
    answer = client.post(path, content=body, headers={"content-type": "application/json"})
    if message is None:
        assert 400 <= answer.status_code < 500
    else:
        assert answer.status_code == status
        assert message in answer.json()["error"]


def test_a_value_of_another_type_is_named_with_row_column_and_what_is_expected(client):
    answer = client.post("/predict", json={"rows": [ROW, {**ROW, "stops": 1.5}]})
    assert told(answer) == (
        422,
        "row 1, column 'stops': 1.5 can't be predicted with; expected a whole number or null.",
    )


def test_too_much_is_refused_before_it_is_read(client):
    rows = told(client.post("/predict", json={"rows": [{}] * 6}))
    assert rows == (413, "received 6 rows; expected at most 5 (`serve.max_rows`).")
    body = told(client.post("/predict", content=b" " * 20_001))
    assert body == (413, "the body has more than 20,000 bytes (`serve.max_bytes`).")
    stream = told(client.post("/predict", content=iter([b" " * 15_000] * 2)))
    assert stream[0] == 413
    other = client.post("/invocations", content=b"<x/>", headers={"content-type": "text/xml"})
    assert told(other)[0] == 415


def test_another_champion_takes_over_when_it_is_loaded(client, registry, champion):
    registry.version = 2
    assert champion.refresh()
    answer = client.post("/predict", json={"rows": [ROW]}).json()
    assert (answer["model_version"], answer["predictions"][0]["prediction"]) == (2, 106.5)
    registry.version, registry.broken = 3, {3}
    assert not champion.refresh(), "the old one goes on where the new one can't be loaded"
    assert client.post("/reload").json() == {"reloaded": False, "model_version": 2}
    registry.version = 1
    assert client.post("/reload").json() == {"reloaded": True, "model_version": 1}


def test_no_request_fails_while_champions_move(client, registry, champion):
    done, failed = threading.Event(), []

    def ask() -> None:
        while not done.is_set():
            answer = client.post("/predict", json={"rows": [ROW]})
            expected = 6.5 + 100 * (answer.json().get("model_version", 0) - 1)
            if answer.json().get("predictions") != [{"prediction": expected}]:
                failed.append(answer.text)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for version in (2, 3, 1, 2):
        registry.version = version
        champion.refresh()
    done.set()
    for thread in threads:
        thread.join()
    assert not failed


def test_with_a_token_only_who_has_it_is_answered(champion):
    with serving(make_app(champion, Serve(), token="a secret")) as client:
        codes = {
            given: client.post("/predict", json={"rows": [ROW]}, headers=headers).status_code
            for given in ("", "Bearer b", "a secret", "Basic a secret", "Bearer a secret")
            for headers in [{"authorization": given} if given else {}]
        }
        assert codes.pop("Bearer a secret") == 200
        assert set(codes.values()) == {401}
        assert client.get("/openapi.json").status_code == 401
        assert client.get("/ping").status_code == 200


def test_health_metadata_and_page_say_what_answers(client):
    for path in ("/ping", "/health", "/version", "/v2/health/live", "/v2/health/ready", "/v2"):
        assert client.get(path).status_code == 200, path
    model = client.get("/v2/models/sums").json()
    assert model["inputs"][0] == {"name": "distance", "datatype": "FP64", "shape": [-1]}
    assert [one["name"] for one in model["outputs"]] == ["prediction"]
    page = client.get("/openapi.json").json()
    schema = page["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    rows = schema["schema"]["properties"]["rows"]["items"]
    assert rows["required"] == [column.name for column in COLUMNS]
    assert rows["properties"]["day"]["format"] == "date"
    assert rows["properties"]["distance"]["description"].endswith("mostly around 2 to 3")
    assert schema["schema"]["example"]["rows"] == [{**dict.fromkeys(ROW), "distance": 2.5}]


def test_requests_are_counted_by_route_and_status(client):
    client.post("/predict", json={"rows": [ROW]}, headers={"x-request-id": "mine"})
    assert (
        client.get("/made/up", headers={"x-request-id": "mine"}).headers["x-request-id"] == "mine"
    )
    text = client.get("/metrics").text
    assert 'tidemill_requests_total{route="/predict",status="200"} 1.0' in text
    assert 'tidemill_requests_total{route="other",status="404"} 1.0' in text
    assert 'tidemill_model_version{model="sums"} 1.0' in text


def test_the_access_log_has_a_json_line_a_request_and_no_value_of_a_row(champion):
    stream = io.StringIO()
    with serving(make_app(champion, Serve(), access=AccessLog(stream))) as client:
        secret = {**ROW, "distance": "Ada Lovelace"}
        client.post("/predict", json={"rows": [ROW, ROW]}, headers={"x-request-id": b"a\xfc" * 99})
        client.post("/predict?name=Ada", json={"rows": [secret]})
        client.get("/made/up/Ada")
    good, bad, unknown = map(json.loads, stream.getvalue().splitlines())
    assert (good["status"], good["rows"], good["route"]) == (200, 2, "/predict")
    assert (good["method"], good["model_version"], good["client"]) == ("POST", 1, "127.0.0.1")
    assert len(good["request_id"]) == 128
    assert (bad["status"], unknown["status"], unknown["route"]) == (422, 404, "other")
    assert "Ada" not in stream.getvalue()


def test_a_champion_that_can_not_be_loaded_at_the_start_is_an_error(registry):
    registry.broken = {1}
    with pytest.raises(BundleError):
        Champion(registry.find, registry.load)

"""The service: one champion behind three forms of requests, as an ASGI application."""

from __future__ import annotations

import hmac
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.concurrency import run_in_threadpool

from pipelines.config.serve import Serve
from pipelines.errors import PredictionError
from pipelines.serving import forms
from pipelines.serving.access import silent
from pipelines.serving.batches import Batches
from pipelines.serving.metrics import Metrics
from pipelines.serving.models import Champion, Served
from pipelines.serving.page import description, request_schema
from pipelines.serving.predictor import Prepared

logger = logging.getLogger(__name__)

OPEN = ("/ping", "/health", "/version", "/v2/health/live", "/v2/health/ready")
"""Paths that need no token: they say nothing of the model."""


_LONGEST_ID = 128
_FEW = 16


class Refused(Exception):
    """A request that is answered with an error's status and message."""

    def __init__(self, status: int, message: str) -> None:
        """Take the HTTP status and what the caller is told."""
        super().__init__(message)
        self.status = status


def make_app(
    champion: Champion,
    settings: Serve,
    token: str | None = None,
    access: Callable[..., None] = silent,
) -> FastAPI:
    """Return the application. With a `token`, requests carry `Authorization: Bearer <token>`.

    `access` is told of each request that was answered.
    """
    service = _Service(champion, settings, token, access)
    served = champion.served
    app = FastAPI(
        title=f"tidemill: {served.name}",
        version=str(served.version),
        description=description(served),
    )
    app.middleware("http")(service.around)
    app.exception_handler(Refused)(_refuse)
    app.post("/predict", tags=["predict"])(service.predict)
    app.post("/invocations", tags=["MLflow"])(service.invocations)
    app.get("/ping", tags=["MLflow"])(service.alive)
    app.get("/health", tags=["MLflow"])(service.alive)
    app.get("/version", tags=["MLflow"])(service.mlflow_version)
    app.get("/metrics", tags=["operation"])(service.metrics_page)
    app.post("/reload", tags=["operation"])(service.reload)
    app.get("/v2", tags=["Open Inference Protocol"])(service.v2_server)
    app.get("/v2/health/live", tags=["Open Inference Protocol"])(service.v2_live)
    app.get("/v2/health/ready", tags=["Open Inference Protocol"])(service.v2_ready)
    for prefix in ("/v2/models/{name}", "/v2/models/{name}/versions/{number}"):
        app.get(prefix, tags=["Open Inference Protocol"])(service.v2_model)
        app.get(f"{prefix}/ready", tags=["Open Inference Protocol"])(service.v2_model_ready)
        app.post(f"{prefix}/infer", tags=["Open Inference Protocol"])(service.v2_infer)
    _describe(app, served)
    return app


def _describe(app: FastAPI, served: Served) -> None:
    """Have the page tell of `/predict`'s body. FastAPI would leave nulls out of the example."""
    content = {"application/json": {"schema": request_schema(served)}}
    page = app.openapi()  # it is kept, and handed out from now on
    page["paths"]["/predict"]["post"]["requestBody"] = {"required": True, "content": content}


def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)  # the handler is registered for it alone
    return JSONResponse({"error": str(error)}, error.status)


class _Service:
    """The routes. Each answer comes from the version that was champion when its request came."""

    def __init__(
        self,
        champion: Champion,
        settings: Serve,
        token: str | None,
        access: Callable[..., None],
    ) -> None:
        self._champion, self._settings, self._token = champion, settings, token
        self._access, self._metrics = access, Metrics()
        self._batches = Batches(settings.batch_rows, self._metrics.batched)

    async def around(
        self, request: Request, call: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        """Ask for the token, hand the request's id back, and count."""
        name = request.headers.get("x-request-id", "")[:_LONGEST_ID] or uuid.uuid4().hex
        begin = time.perf_counter()
        if self._token and request.url.path not in OPEN and not self._knows(request):
            response: Response = JSONResponse(
                {"error": "expected the header `Authorization: Bearer <token>`"},
                401,
                {"WWW-Authenticate": "Bearer"},
            )
        else:
            response = await call(request)
        response.headers["x-request-id"] = name
        route = getattr(request.scope.get("route"), "path", "other")
        seconds = time.perf_counter() - begin
        self._metrics.count(route, response.status_code, seconds)
        self._access(
            request_id=name,
            client=request.client.host if request.client else None,
            method=request.method,
            route=route,
            status=response.status_code,
            seconds=round(seconds, 6),
            rows=getattr(request.state, "num_rows", None),
            model_version=self._champion.served.version,
        )
        return response

    def _knows(self, request: Request) -> bool:
        given = request.headers.get("authorization", "").encode("utf-8", "replace")
        return hmac.compare_digest(given, f"Bearer {self._token}".encode())

    # --- requests to predictions

    async def _body(self, request: Request) -> bytes:
        limit = self._settings.max_bytes
        said = request.headers.get("content-length", "0")
        parts, size = [], int(said) if said.isdecimal() else 0
        if size <= limit:
            size = 0
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    break
                parts.append(part)
        if size > limit:
            raise Refused(413, f"the body has more than {limit:,} bytes (`serve.max_bytes`).")
        return b"".join(parts)

    async def _data(
        self, request: Request, read: Callable[[Any], Any], takes_nan: bool = False
    ) -> Any:
        kind = request.headers.get("content-type", "application/json").partition(";")[0].strip()
        if kind.lower() != "application/json":
            raise Refused(415, f"received Content-Type {kind!r}; expected application/json.")
        body = await self._body(request)
        try:
            return read(forms.parse_json(body, takes_nan))
        except PredictionError as error:
            raise Refused(400, str(error)) from error

    def _bound(self, data: Any, setting: str) -> int:
        """Return how many rows there are; refuse more than the setting allows."""
        num_rows, most = forms.number_of_rows(data), int(getattr(self._settings, setting))
        if num_rows > most:
            raise Refused(
                413, f"received {num_rows:,} rows; expected at most {most:,} (`serve.{setting}`)."
            )
        return num_rows

    async def _answers(self, request: Request, served: Served, data: Any) -> Any:
        num_rows = request.state.num_rows = self._bound(data, "max_rows")
        predictor = served.predictor

        def prepare() -> Prepared:
            return predictor.prepare(forms.with_bytes(data, predictor.columns))

        try:
            # A few rows take less time than a way to another thread and back.
            rows = prepare() if num_rows <= _FEW else await run_in_threadpool(prepare)
            found = await self._batches(predictor, rows)
        except PredictionError as error:
            raise Refused(422, str(error)) from error
        self._metrics.predicted(served, num_rows)
        return found

    # --- our own form

    async def predict(self, request: Request) -> dict[str, Any]:
        """Predict rows of raw columns by name."""
        served = self._champion.served
        asked: list[Any] = []

        def read(body: Any) -> Any:
            asked.extend(forms.asks_for_reasons(body))
            return forms.own_rows(body)

        rows = await self._data(request, read)
        if asked[0]:
            self._bound(rows, "max_explained_rows")
        predictions = (await self._answers(request, served, rows)).rows()
        wanted, top = asked
        if wanted:
            given = forms.with_bytes(rows, served.predictor.columns)
            reasons = await run_in_threadpool(served.predictor.explain, given, top)
            for prediction, reason in zip(predictions, reasons, strict=True):
                prediction["explanation"] = reason
        return {
            "model_name": served.name,
            "model_version": served.version,
            "run_id": served.run_id,
            "predictions": predictions,
        }

    async def reload(self) -> dict[str, Any]:
        """Look whether another version has become champion, and have it answer."""
        has_moved = await run_in_threadpool(self._champion.refresh)
        return {"reloaded": has_moved, "model_version": self._champion.served.version}

    async def metrics_page(self) -> Response:
        """Show counts and latencies as Prometheus reads them."""
        return Response(generate_latest(self._metrics.registry), media_type=CONTENT_TYPE_LATEST)

    # --- MLflow's scoring protocol

    async def alive(self) -> Response:
        """Say that the service answers."""
        return Response("\n", media_type="application/json")

    async def mlflow_version(self) -> Response:
        """Say which MLflow's protocol this is."""
        return Response(version("mlflow"), media_type="text/plain")

    async def invocations(self, request: Request) -> dict[str, Any]:
        """Predict in one of MLflow's forms: JSON of four kinds, or CSV."""
        served = self._champion.served
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "text/csv":
            body = await self._body(request)
            try:
                data = forms.csv_data(body, served.predictor.columns)
            except PredictionError as error:
                raise Refused(400, str(error)) from error
        elif kind == "application/json":
            data = await self._data(request, forms.mlflow_data, takes_nan=True)
        else:
            raise Refused(
                415, f"received Content-Type {kind!r}; expected application/json or text/csv."
            )
        return {"predictions": (await self._answers(request, served, data)).rows()}

    # --- Open Inference Protocol 2

    def _named(self, name: str, number: str | None) -> Served:
        served = self._champion.served
        if name != served.name or number not in (None, str(served.version)):
            asked = f"{name!r}" + (f" version {number}" if number else "")
            raise Refused(
                404, f"no model {asked} here; {served.name!r} version {served.version} answers."
            )
        return served

    async def v2_server(self) -> dict[str, Any]:
        """Say what this server is."""
        return {"name": "tidemill", "version": version("tidemill"), "extensions": []}

    async def v2_live(self) -> dict[str, bool]:
        """Say that the server lives."""
        return {"live": True}

    async def v2_ready(self) -> dict[str, bool]:
        """Say that the model is loaded."""
        return {"ready": True}

    async def v2_model(self, name: str, number: str | None = None) -> dict[str, Any]:
        """Say what the model takes and gives."""
        served = self._named(name, number)
        several = served.predictor.task == "classes"
        outputs = [{"name": "prediction", "datatype": "FP64", "shape": [-1]}]
        if served.predictor.task != "number":
            outputs.append({"name": "predicted_class", "datatype": "INT64", "shape": [-1]})
            outputs.append({"name": "predicted_label", "datatype": "BYTES", "shape": [-1]})
        if several:
            outputs.append({"name": "probabilities", "datatype": "FP64", "shape": [-1, -1]})
        return {
            "name": served.name,
            "versions": [str(served.version)],
            "platform": "tidemill_keras",
            "inputs": forms.v2_metadata(served.predictor.columns),
            "outputs": outputs,
        }

    async def v2_model_ready(self, name: str, number: str | None = None) -> dict[str, Any]:
        """Say that the model answers."""
        return {"name": self._named(name, number).name, "ready": True}

    async def v2_infer(
        self, request: Request, name: str, number: str | None = None
    ) -> dict[str, Any]:
        """Predict tensors by name."""
        served = self._named(name, number)
        asked: dict[str, Any] = {}

        def read(body: Any) -> Any:
            data = forms.v2_data(body, served.predictor.columns)
            asked.update(id=body.get("id"), outputs=body.get("outputs"))
            return data

        found = await self._answers(request, served, await self._data(request, read))
        outputs = forms.v2_outputs(found)
        wanted = [one.get("name") for one in asked["outputs"] or [] if isinstance(one, dict)]
        return {
            "model_name": served.name,
            "model_version": str(served.version),
            **({"id": asked["id"]} if asked["id"] is not None else {}),
            "outputs": [one for one in outputs if not wanted or one["name"] in wanted],
        }

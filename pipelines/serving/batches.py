"""Requests that come while the model computes are predicted together, in one call.

Nobody waits for others to come: whoever comes first is computed at once, and those that came
meanwhile go next, as many as fit. Large requests go by themselves, beside the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool

from pipelines.serving.predictor import Predictions, Predictor, Prepared

Told = Callable[[int, int], None]
"""Called with the requests and the rows of a batch."""


class Batches:
    """Brings requests together. All calls come from one event loop."""

    def __init__(self, most_rows: int, told: Told) -> None:
        """Put up to `most_rows` rows into one call; with 0 each request goes by itself."""
        self._most, self._told = most_rows, told
        self._waiting: list[tuple[Predictor, Prepared, asyncio.Future[Predictions]]] = []
        self._works: asyncio.Task[None] | None = None

    async def __call__(self, predictor: Predictor, rows: Prepared) -> Predictions:
        """Return the predictions of a request's rows; raise PredictionError for its own faults."""
        if rows.num_rows > self._most // 2:
            self._told(1, rows.num_rows)
            (found,) = await run_in_threadpool(predictor.answer, [rows])
            return found
        answer: asyncio.Future[Predictions] = asyncio.get_running_loop().create_future()
        self._waiting.append((predictor, rows, answer))
        if self._works is None or self._works.done():
            self._works = asyncio.create_task(self._work())
        return await answer

    async def _work(self) -> None:
        while self._waiting:
            predictor, chosen = self._next()
            parts = [rows for rows, _ in chosen]
            self._told(len(parts), sum(rows.num_rows for rows in parts))
            try:
                found: list[Any] = await run_in_threadpool(predictor.answer, parts)
            except Exception as error:
                found = await self._alone(predictor, parts, error)
            for (_, answer), one in zip(chosen, found, strict=True):
                if answer.done():  # its caller has gone
                    continue
                if isinstance(one, Exception):
                    answer.set_exception(one)
                else:
                    answer.set_result(one)

    def _next(self) -> tuple[Predictor, list[tuple[Prepared, asyncio.Future[Predictions]]]]:
        """Take the oldest request, and those behind it that fit: of the same model version."""
        predictor, num_rows, place = self._waiting[0][0], 0, 0
        for one, rows, _ in self._waiting:
            num_rows += rows.num_rows
            if one is not predictor or (place and num_rows > self._most):
                break
            place += 1
        chosen, self._waiting = self._waiting[:place], self._waiting[place:]
        return predictor, [(rows, answer) for _, rows, answer in chosen]

    async def _alone(
        self, predictor: Predictor, parts: list[Prepared], error: Exception
    ) -> list[Any]:
        """Return each request's own answer or fault: one of them has spoiled it for all."""
        if len(parts) == 1:
            return [error]
        found: list[Any] = []
        for rows in parts:
            try:
                found += await run_in_threadpool(predictor.answer, [rows])
            except Exception as fault:
                found.append(fault)
        return found

"""Settings of `tidemill serve`."""

from __future__ import annotations

from pydantic import Field

from pipelines.settings import Settings


class Serve(Settings):
    """Settings of the service that answers with the champion."""

    max_rows: int = Field(100_000, ge=1)
    """Rows that one request may hold; more are refused with 413."""
    max_explained_rows: int = Field(1000, ge=1)
    """Rows of a request that asks for reasons, which take many times as long; likewise."""
    max_bytes: int = Field(64 * 2**20, ge=1)
    """Bytes that a request's body may have; more are refused with 413."""
    access_log: bool = True
    """Whether a JSON line on stdout tells of each request: id, client, route, status, seconds,
    rows, version. No line holds a value of a row."""
    batch_rows: int = Field(1024, ge=0)
    """Rows of concurrent requests that are predicted in one call, at most. Nobody waits for others:
    those that come while the model computes go together next. 0: each request by itself."""
    reload_seconds: float = Field(10.0, gt=0)
    """How often it looks whether another version has become champion."""

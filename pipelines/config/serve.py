"""Settings of `tidemill serve`."""

from __future__ import annotations

from pydantic import Field

from pipelines.settings import Settings


class Serve(Settings):
    """Settings of the service that answers with the champion."""

    max_rows: int = Field(100_000, ge=1)
    """Rows that one request may hold; more are refused with 413."""
    max_bytes: int = Field(64 * 2**20, ge=1)
    """Bytes that a request's body may have; more are refused with 413."""
    access_log: bool = True
    """Whether a JSON line on stdout tells of each request: id, client, route, status, seconds,
    rows, version. No line holds a value of a row."""
    reload_seconds: float = Field(10.0, gt=0)
    """How often it looks whether another version has become champion."""

"""Delivers scikit-learn's handwritten digits as scans that arrive, thirty a day, as PNG files.

Each day brings a file of scans (JSON lines: id, time, the PNG file as base64), and a file of what
people read on the scans of the day before.
"""

from __future__ import annotations

import base64
import datetime as dt
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.errors import SetupError
from pipelines.landing.files import put

if TYPE_CHECKING:
    import numpy as np

FIRST_DAY = dt.date(2024, 1, 1)
SCANS_A_DAY = 30
KINDS = ("scans", "readings")


def deliver(folder: Path, until: dt.date) -> dict[str, int]:
    """Write what had arrived by the end of the day `until`; return files written per kind.

    Delivering again, or up to an earlier day, changes nothing.
    """
    written = dict.fromkeys(KINDS, 0)
    days = (until - FIRST_DAY).days + 1
    if days < 1:
        return written
    images, digits = _digits()
    for kind, day, rows in _files(images, digits):
        if day <= until:
            lines = "".join(json.dumps(row, sort_keys=True) + "\n" for row in rows)
            written[kind] += put(folder / kind / f"{day}.json", lines.encode())
    return written


def _files(
    images: np.ndarray[Any, Any], digits: np.ndarray[Any, Any]
) -> Iterator[tuple[str, dt.date, list[dict[str, Any]]]]:
    for first in range(0, len(images), SCANS_A_DAY):
        day = FIRST_DAY + dt.timedelta(days=first // SCANS_A_DAY)
        after = day + dt.timedelta(days=1)
        numbers = range(first, min(first + SCANS_A_DAY, len(images)))
        yield "scans", day, [_scan(n, day, images[n]) for n in numbers]
        yield "readings", after, [_reading(n, after, int(digits[n])) for n in numbers]


def _scan(number: int, day: dt.date, pixels: np.ndarray[Any, Any]) -> dict[str, Any]:
    minutes = 8 * 60 + number % SCANS_A_DAY * 20
    at = dt.datetime.combine(day, dt.time(), dt.UTC) + dt.timedelta(minutes=minutes)
    png = base64.b64encode(_png(pixels)).decode()
    return {"scan_id": number, "scanned_at": f"{at:%Y-%m-%dT%H:%M:%SZ}", "png": png}


def _reading(number: int, day: dt.date, digit: int) -> dict[str, Any]:
    return {"scan_id": number, "digit": digit, "read_at": f"{day}T06:00:00Z"}


def _png(pixels: np.ndarray[Any, Any]) -> bytes:
    """Return a PNG file of pixels 0 to 16, as grey values."""
    import numpy as np
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray((pixels * (255 / 16)).round().astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def _digits() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise SetupError(
            "the package scikit-learn, which holds the example's data, is not installed. Run "
            "`make run`, or install scikit-learn into this environment."
        ) from error
    found = load_digits()
    return found.images, found.target

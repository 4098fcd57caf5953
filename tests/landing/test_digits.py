"""Scans land as PNG files, thirty a day; what people read on them the day after."""

import base64
import datetime as dt
import io
import json

import numpy as np

from pipelines.landing.digits import deliver


def lines(file):
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_scans_are_png_files_of_the_digits_and_readings_follow_a_day_later(tmp_path) -> None:
    from PIL import Image
    from sklearn.datasets import load_digits

    assert deliver(tmp_path, dt.date(2024, 1, 3)) == {"scans": 3, "readings": 2}
    scan = lines(tmp_path / "scans" / "2024-01-02.json")[4]
    reading = lines(tmp_path / "readings" / "2024-01-03.json")[4]
    assert (scan["scan_id"], scan["scanned_at"]) == (34, "2024-01-02T09:20:00Z")
    with Image.open(io.BytesIO(base64.b64decode(scan["png"]))) as image:
        pixels = np.asarray(image)
    digits = load_digits()
    np.testing.assert_array_equal(pixels, (digits.images[34] * (255 / 16)).round())
    assert reading == {"scan_id": 34, "digit": digits.target[34], "read_at": "2024-01-03T06:00:00Z"}


def test_all_digits_land_in_sixty_days_and_delivering_again_changes_nothing(tmp_path) -> None:
    end = dt.date(2024, 3, 31)
    assert deliver(tmp_path, end) == {"scans": 60, "readings": 60}
    ids = [row["scan_id"] for file in (tmp_path / "scans").iterdir() for row in lines(file)]
    assert sorted(ids) == list(range(1797))
    assert deliver(tmp_path, end) == {"scans": 0, "readings": 0}
    assert deliver(tmp_path / "other", dt.date(2023, 12, 31)) == {"scans": 0, "readings": 0}

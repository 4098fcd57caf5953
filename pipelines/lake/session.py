"""The Spark session, made from a profile in `conf/spark/` unless spark-submit brought one."""

from __future__ import annotations

import locale
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.config.credentials import refuse_in_profile
from pipelines.errors import SettingsError, nearest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def read_profile(path: Path) -> dict[str, str]:
    """Read a spark-submit properties file (`key value` or `key=value`, `#` comments)."""
    settings = {}
    for line in path.read_text(encoding="utf-8").split("\n"):
        text = line.strip()
        if text and not text.startswith("#"):
            key, *value = text.replace("=", " ", 1).split(None, 1)
            settings[key] = value[0].strip() if value else ""
    return settings


def check_profiles(root: Path) -> None:
    """Raise SettingsError where a profile in `conf/spark/` holds a credential."""
    for file in sorted((root / "conf" / "spark").glob("*.conf")):
        refuse_in_profile(read_profile(file), f"conf/spark/{file.name}")


@contextmanager
def session_settings(spark: SparkSession, settings: Mapping[str, str]) -> Iterator[None]:
    """Have a session with other settings for a while; afterwards they are what they were."""
    before = {name: spark.conf.get(name, None) for name in settings}
    for name, value in settings.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, old in before.items():
            if old is None:
                spark.conf.unset(name)
            else:
                spark.conf.set(name, old)


def spark_session(
    root: Path, name: str = "tidemill", profile: str = "local", **settings: str
) -> SparkSession:
    """Return the running Spark session, or start one from `<root>/conf/spark/<profile>.conf`.

    Under spark-submit the settings are those given to spark-submit; the profile is not read.
    `settings` win over the profile.
    """
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName(name)
    if SparkSession.getActiveSession() is None and "PYSPARK_GATEWAY_PORT" not in os.environ:
        _let_java_see_all_names()
        folder = root / "conf" / "spark"
        file = folder / f"{profile}.conf"
        if not file.is_file():
            known = sorted(path.stem for path in folder.glob("*.conf"))
            raise SettingsError(
                f"no Spark profile '{profile}': {file} does not exist; known are {known}."
                f"{nearest(profile, known)}"
            )
        given = {**read_profile(file), **settings}
        refuse_in_profile(given, f"conf/spark/{file.name}")
        for key, value in given.items():
            builder = builder.config(key, value)
    return builder.getOrCreate()


def _let_java_see_all_names() -> None:
    """Have Java started in a locale with all letters: in another one it finds no file `ä.csv`.

    Cron and bare containers run in the locale `C`. Python reads names as bytes, whatever is set.
    """
    if locale.nl_langinfo(locale.CODESET).upper().replace("-", "") != "UTF8":
        os.environ["LC_ALL"] = "C.UTF-8"

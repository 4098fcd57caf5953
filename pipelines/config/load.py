"""Loading a pipeline: its file, an environment's overlay, overrides, then validation."""

from __future__ import annotations

import codecs
import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from pipelines.config.credentials import refuse_credentials, refuse_in_override
from pipelines.config.document import Document, read_document
from pipelines.config.overlay import lay_over, set_values
from pipelines.config.pipeline import Pipeline
from pipelines.config.problems import settings_error
from pipelines.config.yaml_text import MOST_CHARACTERS
from pipelines.errors import SettingsError, nearest

_FILE = "pipeline.yml"


def project_root() -> Path:
    """Return the project's root, the folder whose `conf/` holds pipelines.

    `TIDEMILL_ROOT` if it is set; else the working directory or the nearest folder above it; else
    the folder above the package.
    """
    given = os.environ.get("TIDEMILL_ROOT")
    if given:
        return Path(given).expanduser().resolve()
    here = Path.cwd()
    for folder in (here, *here.parents):
        if any((folder / "conf").glob(f"*/{_FILE}")):
            return folder
    return Path(__file__).resolve().parents[2]


def pipeline_names(root: Path) -> list[str]:
    """Return the names of all pipelines below `root`."""
    return sorted(file.parent.name for file in (root / "conf").glob(f"*/{_FILE}"))


def environments(folder: Path) -> list[str]:
    """Return the names of a pipeline's overlays."""
    return sorted(file.stem for file in folder.glob("*.yml") if file.name != _FILE)


def load_pipeline(
    name: str,
    env: str | None = None,
    overrides: Sequence[str] = (),
    lake: str | None = None,
    root: Path | None = None,
) -> Pipeline:
    """Load and validate `conf/<name>/pipeline.yml`.

    `env` lays `conf/<name>/<env>.yml` over it, `overrides` (`train.epochs=2`) go over both, and
    `lake` replaces the lake's place. Raises SettingsError with file, line and the nearest known
    key for whatever does not fit.
    """
    root = project_root() if root is None else root
    document = load_document(name, env, overrides, lake, root)
    try:
        pipeline = Pipeline.model_validate(document.values)
    except ValidationError as error:
        raise settings_error(error, document) from None
    if pipeline.name != name:
        raise SettingsError(
            f"{document.origin(('name',))}: name: is '{pipeline.name}', but the folder is "
            f"conf/{name}. Tables and progress go by the name, so give both the same one."
        )
    return pipeline.model_copy(update={"folder": root / "conf" / name, "root": root})


def load_document(
    name: str,
    env: str | None,
    overrides: Sequence[str],
    lake: str | None,
    root: Path,
) -> Document:
    """Return a pipeline's settings before validation, each with its origin."""
    folder = root / "conf" / name
    known = pipeline_names(root)
    if name not in known:
        # Somebody may have given the folder, or the file in it.
        meant = next((part for part in reversed(Path(name).parts) if part in known), name)
        raise SettingsError(
            f"no pipeline '{name}': {folder / _FILE} does not exist. Known in {root / 'conf'} are "
            f"{', '.join(known) or 'none'}.{nearest(meant, known)}"
        )
    document = _read(folder / _FILE, root)
    refuse_credentials(document)
    if env is not None:
        overlays = environments(folder)
        if env not in overlays:
            raise SettingsError(
                f"no environment '{env}': {folder / f'{env}.yml'} does not exist. "
                + (f"Known are {', '.join(overlays)}." if overlays else "There is none.")
                + nearest(env, overlays)
            )
        overlay = _read(folder / f"{env}.yml", root)
        refuse_credentials(overlay)
        document = lay_over(document, overlay)
    for override in overrides:
        refuse_in_override(override)
    document = set_values(document, overrides)
    if lake is not None:
        document = lay_over(document, Document({"lake": lake}, {("lake",): f"--lake {lake}"}))
        refuse_credentials(document)
    return document


def _read(file: Path, root: Path) -> Document:
    shown = str(file.relative_to(root))
    try:
        if file.stat().st_size > 4 * MOST_CHARACTERS:
            raise SettingsError(
                f"{shown} has {file.stat().st_size:,} bytes; a settings file has "
                f"{MOST_CHARACTERS:,} characters at most. Is it another file?"
            )
        content = file.read_bytes()
    except OSError as error:
        raise SettingsError(f"{shown} can't be read: {error.strerror}.") from error
    return read_document(decode(content, shown), shown)


def decode(content: bytes, name: str) -> str:
    """Return the text of a settings file; raise SettingsError where it isn't UTF-8.

    A byte order mark is no part of the text.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise SettingsError(f"{name}:1: is in UTF-16. Save it as UTF-8.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise SettingsError(
            f"{name}:{line}: the byte 0x{byte:02x} is no UTF-8, which settings are read as. Save "
            "the file as UTF-8 (it may be in cp1252 or latin-1)."
        ) from error

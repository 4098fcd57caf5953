"""A tenant's places: what a run may read and write, whatever its settings and SQL say.

`TIDEMILL_TENANT_ROOT` names the place, or several with commas between them, below which lake and
landing folder must lie. It is the operator's, from the environment; no setting changes it. Without
it a run is not confined.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from pipelines.errors import TenantError

ROOT_VARIABLE = "TIDEMILL_TENANT_ROOT"
_SAME_STORE = {"s3": "s3a", "s3n": "s3a", "abfs": "abfss", "wasb": "wasbs"}
_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(?://([^/]*))?(/?.*)", re.DOTALL)


def tenant_roots() -> tuple[str, ...]:
    """Return the places of the tenant that this process runs for; none where it is not confined."""
    given = os.environ.get(ROOT_VARIABLE, "")
    return tuple(place.strip() for place in given.split(",") if place.strip())


def confine(place: str) -> str:
    """Return a place as it is; raise TenantError where it lies outside of the tenant's.

    Links are followed, `..` is taken literally on a local disk and refused in a URI.
    """
    roots = tenant_roots()
    if roots and not any(_is_below(_canonical(place), _canonical(root)) for root in roots):
        raise TenantError(
            f"{place} lies outside of this tenant's place ({', '.join(roots)}, from "
            f"{ROOT_VARIABLE}). A run reads and writes below it alone: give a lake and a landing "
            "folder there, or run as the tenant that owns the other place."
        )
    return place


def confine_links(place: str) -> None:
    """Raise TenantError for a symbolic link below a local folder that leads out of the tenant's."""
    kind, _, path = _canonical(place)
    if not tenant_roots() or kind != "file":
        return
    for link in _links(path):
        try:
            confine(link)
        except TenantError as error:
            raise TenantError(
                f"{link} is a symbolic link to {os.path.realpath(link)}. {error} Take the link "
                "away."
            ) from None


def _canonical(place: str) -> tuple[str, str, str]:
    """Return scheme, authority and path, such that equal places are equal."""
    match = _URI.fullmatch(place)
    if match is None or match[1].lower() == "file":
        path = place if match is None else match[3]
        return "file", "", os.path.realpath(os.path.expanduser(path))  # noqa: PTH111
    scheme, authority, path = match[1].lower(), match[2] or "", match[3]
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts or "\\" in path or re.search("%2[eEfF]", path):
        raise TenantError(
            f"{place}: `..` and escapes are refused in the place of a tenant. Write the path out."
        )
    return _SAME_STORE.get(scheme, scheme), authority, "/" + "/".join(parts)


def _is_below(place: tuple[str, str, str], root: tuple[str, str, str]) -> bool:
    same_store = place[:2] == root[:2]
    return same_store and f"{place[2]}/".startswith(f"{root[2].rstrip('/')}/")


def _links(folder: str) -> Iterator[str]:
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.is_symlink():
            yield entry.path
        elif entry.is_dir(follow_symlinks=False):
            yield from _links(entry.path)

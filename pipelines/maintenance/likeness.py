"""How like a second training is to the first: its weights, and what they depend on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipelines.own_code import own_code

if TYPE_CHECKING:
    from pipelines.registry.bundle import Bundle

RELATIVE, ABSOLUTE = 1e-4, 1e-5
"""How far weights may lie apart where bits can't be expected: ABSOLUTE + RELATIVE * value."""


def compare(was: list[Any], now: list[Any]) -> tuple[bool, float, bool]:
    """Return whether all bits agree, the largest difference, and whether it is tolerated."""
    import numpy as np

    if [array.shape for array in was] != [array.shape for array in now]:
        return False, float("inf"), False
    pairs = list(zip(was, now, strict=True))
    is_identical = all(a.tobytes() == b.tobytes() for a, b in pairs)
    is_near = all(np.allclose(b, a, rtol=RELATIVE, atol=ABSOLUTE) for a, b in pairs)
    gaps = [float(np.max(np.abs(a - b))) for a, b in pairs if a.size]
    return is_identical, max(gaps, default=0.0), is_near


def unlike(
    manifest: Mapping[str, Any],
    now: Mapping[str, Any],
    packages_now: Mapping[str, str],
    code_now: Mapping[str, Any] | None = None,
) -> tuple[str, ...]:
    """Return what a training's bits depend on and that is not as the manifest says."""
    then = manifest["training"]
    found = [
        f"{name} was {then.get(name, 'not recorded')}, is {now[name]}"
        for name in ("cpu", "threads", "ranks")
        if then.get(name) != now[name]
    ]
    if then["ranks"] != manifest["settings"]["ranks"]:
        found.append(
            f"it began with {manifest['settings']['ranks']} ranks and ended with {then['ranks']}"
        )
    package = manifest.get("code", {}).get("package")
    if code_now is not None and package not in (None, code_now["package"]):
        found.append(f"tidemill's code was {package[:12]}, is {code_now['package'][:12]}")
    before = manifest["packages"]
    return tuple(found) + tuple(
        f"{name} was {before.get(name, 'not there')}, is {packages_now.get(name, 'not there')}"
        for name in sorted({*before, *packages_now} - {"pyspark"})
        if before.get(name) != packages_now.get(name)
    )


def project_notes(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what of the project's state in git is not as the manifest says."""
    before, after = _state_of(was), _state_of(now)
    return [] if before == after else [f"the project was {before}, is {after}"]


def _state_of(code: Mapping[str, Any]) -> str:
    if "commit" not in code:
        return "under no git that could be asked"
    found = f"at commit {code['commit'][:12]}"
    if "is_dirty" not in code:
        return f"{found} (whether with changes is not recorded)"
    return f"{found} with changes {code['difference'][:12]}" if code["is_dirty"] else found


def own_code_notes(bundle: Bundle) -> list[str]:
    """Return how the files of a model of the user's own differ from those that the bundle keeps."""
    if bundle.own_module is None:
        return []
    name = str(bundle.manifest["settings"]["model"])
    if bundle.code is None:
        return [f"the bundle keeps no file of {name}: what lies on Python's path was taken"]
    now = own_code(name)
    if now is None:
        return [f"{name} is not on Python's path any more: the bundle's own files were taken"]
    was, found = bundle.code.hashes, now.hashes
    return [
        f"{one} is not what {name} was trained with ({found.get(one, 'gone')[:12]}, was "
        f"{was.get(one, 'not there')[:12]}): the bundle's own files were taken"
        for one in bundle.code.differing(now)
    ]

"""What the modules of the package say, for tests that hold a name to one place."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from tests.conftest import ROOT


def found_in_package(
    find: Callable[[str], Iterable[str]], but: Collection[str]
) -> dict[str, list[str]]:
    """Return what `find` yields of each module's code, by its name; modules of `but` left out."""
    package = ROOT / "pipelines"
    return {
        name: found
        for file in sorted(package.rglob("*.py"))
        if (name := file.relative_to(package).as_posix()) not in but
        and (found := list(find(file.read_text(encoding="utf-8"))))
    }

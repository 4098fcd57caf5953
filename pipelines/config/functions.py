"""`module:function` in settings: looked up without running a line of the module.

Importing it could take TensorFlow along, or fail where only the executors have its packages.
"""

from __future__ import annotations

import ast
import importlib.util
import pkgutil
from collections.abc import Iterable
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from pipelines.errors import SettingsError, nearest


def check_function(where: str, given: str) -> None:
    """Raise SettingsError unless `given` names a function that Python would find.

    `where` is the setting. A module that can't be looked into (compiled, `import *`) passes.
    """
    module, _, function = given.partition(":")
    if not function.isidentifier() or not all(one.isidentifier() for one in module.split(".")):
        raise SettingsError(f"`{where}: {given}` should be like `my_package.features:build`.")
    file = _source(where, given, module)
    if file is None:
        return
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        raise SettingsError(f"`{where}: {given}`: {file}:{line} is no Python: {error}.") from error
    names = list(_names(tree.body))
    if function not in names and "*" not in names and "__getattr__" not in names:
        raise SettingsError(
            f"`{where}: {given}`: {file} defines no '{function}'.{nearest(function, names)}"
        )


def _source(where: str, given: str, module: str) -> Path | None:
    """Return a module's file; None for one that is no Python file."""
    found: ModuleSpec | None = None
    path: Iterable[str] | None = None
    for depth, name in enumerate(module.split(".")):
        whole = ".".join(module.split(".")[: depth + 1])
        # Of a package in a package, `importlib.util.find_spec` would import the outer one.
        known = _modules(path)
        try:
            spec = PathFinder.find_spec(whole, list(path)) if path is not None else _top(whole)
        except (ImportError, ValueError):
            spec = None
        if spec is None:
            inside = f"in {found.name}" if found else "on Python's path"
            raise SettingsError(
                f"`{where}: {given}`: there is no module '{name}' {inside}.{nearest(name, known)} "
                "Python has to find it on the driver and on the executors: install its package, or "
                "add its folder to PYTHONPATH."
            )
        found, path = spec, spec.submodule_search_locations or ()
    origin = found.origin if found else None
    return Path(origin) if origin and origin.endswith(".py") else None


def _top(name: str) -> ModuleSpec | None:
    return importlib.util.find_spec(name)


def _modules(path: Iterable[str] | None) -> list[str]:
    return sorted({one.name for one in pkgutil.iter_modules(None if path is None else list(path))})


def _names(body: Iterable[ast.stmt]) -> Iterable[str]:
    """Yield the names that a module's statements bind, conditions and tries looked into."""
    for one in body:
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield one.name
        elif isinstance(one, ast.Import | ast.ImportFrom):
            yield from ((name.asname or name.name).partition(".")[0] for name in one.names)
        elif isinstance(one, ast.Assign | ast.AnnAssign):
            targets = one.targets if isinstance(one, ast.Assign) else [one.target]
            yield from (
                part.id
                for target in targets
                for part in ast.walk(target)
                if isinstance(part, ast.Name)
            )
        elif isinstance(one, ast.If | ast.Try | ast.With):
            yield from _names(one.body)
            yield from _names(getattr(one, "orelse", ()))
            for handler in getattr(one, "handlers", ()):
                yield from _names(handler.body)

"""A user's own code: which files `module:function` takes, and how a process runs just these.

The files are read on the driver and travel as text, with the ranks' work and in the bundle. So a
model can be loaded wherever its bundle is, whatever is on Python's path there, and by the code that
it was trained with, whatever has become of the file since.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import ModuleType

_OURS = "pipelines"


@dataclass(frozen=True)
class OwnCode:
    """The module that a setting names and those it imports from the same folder of the path.

    `sources` maps file names relative to that folder (`shop/layers.py`) to their text.
    """

    module: str
    sources: Mapping[str, str]
    folder: str = field(default="", compare=False)
    """Where the files were found; nothing that a bundle keeps."""

    @cached_property
    def modules(self) -> dict[str, tuple[str, str]]:
        """File name and text by the module's dotted name."""
        return {_module_of(name): (name, text) for name, text in self.sources.items()}

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of each file's text by its name."""
        return {name: _sha(text) for name, text in sorted(self.sources.items())}

    @property
    def digest(self) -> str:
        """One hash of all files."""
        return _sha(json.dumps(self.hashes, sort_keys=True))

    def differing(self, other: OwnCode | None) -> list[str]:
        """Return the names of files that the other has not, or not so, sorted."""
        mine, others = self.hashes, other.hashes if other else {}
        return sorted(one for one in {*mine, *others} if mine.get(one) != others.get(one))


def own_code(function: str | None) -> OwnCode | None:
    """Return the code of `module:function`; None for a name without a module, or a missing one.

    Read are the files alone: nothing is imported. What is imported from the folder of the path that
    the module lies in belongs to it (of an installed package: the package), by plain `import`
    statements anywhere in a file.
    """
    module, colon, _ = (function or "").partition(":")
    if not colon:
        return None
    top = module.partition(".")[0]
    root = _root_of(top)
    if root is None:
        return None
    sources: dict[str, str] = {}
    waiting = [module]
    seen: set[str] = set()
    files = _Files(root)
    while waiting:
        name = waiting.pop()
        if name in seen or not _is_own(name, top, root):
            continue
        seen.add(name)
        waiting += [name.rpartition(".")[0]] if "." in name else []
        file = files.of(name)
        if file is None:
            continue
        text = importlib.util.decode_source(files.read(file))
        sources[file] = text
        waiting += _imported(text, name, is_package=file.endswith("__init__.py"))
    is_there = any(_module_of(name) == module for name in sources)
    return OwnCode(module, sources, str(root)) if is_there else None


@contextlib.contextmanager
def using(code: OwnCode | None) -> Iterator[None]:
    """Have imports of the code's modules take the kept text, whatever lies on the path.

    Modules of the same names that the process had before come back at the end.
    """
    if code is None:
        yield
        return
    finder = _Kept(code)
    before = {name: sys.modules.pop(name) for name in finder.names if name in sys.modules}
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in finder.names:
            sys.modules.pop(name, None)
        sys.modules.update(before)


class _Kept(importlib.abc.MetaPathFinder, importlib.abc.ExecutionLoader):
    """Finds and loads the modules of an `OwnCode`, and packages above them that have no file."""

    def __init__(self, code: OwnCode) -> None:
        self._modules = code.modules
        self._digest = code.digest[:12]
        parents = {
            ".".join(parts[:length])
            for parts in (name.split(".") for name in code.modules)
            for length in range(1, len(parts))
        }
        self.names: frozenset[str] = frozenset({*code.modules, *parents})

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of a kept module; None for all others."""
        if fullname not in self.names:
            return None
        return importlib.util.spec_from_loader(fullname, self, is_package=self.is_package(fullname))

    def is_package(self, fullname: str) -> bool:
        """Tell whether a module has others below it."""
        file, _ = self._modules.get(fullname, ("__init__.py", ""))
        return Path(file).name == "__init__.py"

    def get_source(self, fullname: str) -> str:
        """Return a module's text: traces show its lines."""
        return self._modules.get(fullname, ("", ""))[1]

    def get_filename(self, fullname: str) -> str:
        """Return a name for traces; there is no such file."""
        file = self._modules.get(fullname, (f"{fullname.replace('.', '/')}/__init__.py", ""))[0]
        return f"<kept {self._digest}>/{file}"


def is_installed(folder: Path) -> bool:
    """Tell whether a folder of the path holds installed packages."""
    return any(part in ("site-packages", "dist-packages") for part in folder.parts)


def _root_of(top: str) -> Path | None:
    """Return the part of the path that has a module or package, without importing it.

    That is a folder or a zip file. A link to a file elsewhere lies where the link does.
    """
    if top == _OURS or top in sys.stdlib_module_names:
        return None
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        spec = importlib.machinery.PathFinder.find_spec(top)
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))).parent.resolve()
    return Path(spec.origin).parent.resolve() if spec.origin and spec.has_location else None


def _is_own(name: str, top: str, root: Path) -> bool:
    first = name.partition(".")[0]
    if first == top:
        return True
    return not is_installed(root) and _root_of(first) == root


class _Files:
    """The source files of a folder or zip file, by their names in it."""

    def __init__(self, root: Path) -> None:
        self._folder = zipfile.Path(root) if root.is_file() else root

    def of(self, module: str) -> str | None:
        """Return the name of a module's file, such as `shop/layers.py`."""
        base = module.replace(".", "/")
        names = (f"{base}/__init__.py", f"{base}.py")
        return next((name for name in names if self._folder.joinpath(name).is_file()), None)

    def read(self, name: str) -> bytes:
        """Return a file's content."""
        content: bytes = self._folder.joinpath(name).read_bytes()
        return content


def _imported(text: str, module: str, *, is_package: bool) -> list[str]:
    """Return what a file's import statements may name as modules."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return []  # told by the import itself, with its line
    package = module if is_package else module.rpartition(".")[0]
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [one.name for one in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")
                kept = above[: len(above) - node.level + 1]
                base = ".".join([*kept, base] if base else kept)
            found += [base, *(f"{base}.{one.name}" for one in node.names)]
    return [name for name in found if name]


def _module_of(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()

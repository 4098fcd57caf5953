"""A settings file as plain values, with the file and line that each of them came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from pipelines.errors import SettingsError

Path = tuple[str | int, ...]
"""Where a value stands: `("train", "epochs")`."""


@dataclass(frozen=True)
class Document:
    """Values, and for each path of them the words that tell a user where it was written.

    An origin is `conf/flights/pipeline.yml:118` or `--set train.epochs=2`.
    """

    values: dict[str, Any]
    origins: Mapping[Path, str] = field(default_factory=dict)

    def origin(self, path: Path) -> str:
        """Return the origin of a path, or of the nearest one above it."""
        while path and path not in self.origins:
            path = path[:-1]
        return self.origins.get(path, "")


class _Reader:
    """Turns a tree of YAML nodes into values and notes their lines."""

    def __init__(self, loader: yaml.SafeLoader, name: str) -> None:
        self._loader = loader
        self._name = name
        self._open: list[yaml.Node] = []
        self.origins: dict[Path, str] = {}

    def read(self, node: yaml.Node, path: Path) -> Any:
        """Return the value of `node`, which stands at `path`."""
        self.origins.setdefault(path, self._place(node))
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if node in self._open:
            raise SettingsError(f"{self._place(node)}: an alias contains itself.")
        self._open.append(node)
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.read(item, (*path, i)) for i, item in enumerate(node.value)]
            assert isinstance(node, yaml.MappingNode)
            return self._mapping(node, path)
        finally:
            self._open.pop()

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        self._refuse_duplicates(node)
        self._loader.flatten_mapping(node)
        values = {}
        for key_node, value_node in node.value:
            key = self._scalar(key_node)
            if not isinstance(key, str):
                raise SettingsError(
                    f"{self._place(key_node)}: the key `{getattr(key_node, 'value', key)}` is read "
                    f"as {type(key).__name__}, not as text. Put it in quotes."
                )
            self.origins[(*path, key)] = self._place(key_node)
            values[key] = self.read(value_node, (*path, key))
        return values

    def _refuse_duplicates(self, node: yaml.MappingNode) -> None:
        seen: dict[str, yaml.Node] = {}
        for key_node, _ in node.value:
            key = str(key_node.value)
            if key in seen and key != "<<":
                first = seen[key].start_mark.line + 1
                raise SettingsError(
                    f"{self._place(key_node)}: the key '{key}' stands here a second time (first in "
                    f"line {first}). Keep one of them."
                )
            seen[key] = key_node

    def _scalar(self, node: yaml.Node) -> Any:
        try:
            return self._loader.construct_object(node, deep=True)
        except (yaml.constructor.ConstructorError, ValueError) as error:
            said = getattr(error, "problem", None) or str(error)
            raise SettingsError(f"{self._place(node)}: {said}.") from error

    def _place(self, node: yaml.Node) -> str:
        return f"{self._name}:{node.start_mark.line + 1}"


def read_document(text: str, name: str) -> Document:
    """Read YAML text; `name` is the file as users know it.

    Raises SettingsError, with file and line, for bad syntax, a key that stands twice, and a key
    that is no text (YAML reads `no` and `2013` as other things).
    """
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return Document({}, {(): name})
        if not isinstance(node, yaml.MappingNode):
            raise SettingsError(
                f"{name}:1: expected keys and values (`name: ...`), found {node.tag[-3:]}."
            )
        reader = _Reader(loader, name)
        values = reader.read(node, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        said = ", ".join(part for part in (error.context, error.problem) if part)
        raise SettingsError(f"{name}{line}: not valid YAML: {said}.") from error
    except yaml.YAMLError as error:
        raise SettingsError(f"{name}: not valid YAML: {error}.") from error
    finally:
        loader.dispose()
    return Document(values, {**reader.origins, (): name})


def read_value(text: str) -> Any:
    """Read one YAML value as it stands behind `--set KEY=`."""
    return yaml.safe_load(text)

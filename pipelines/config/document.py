"""A settings file as plain values, with the file and line that each of them came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import yaml

from pipelines.config.yaml_text import Loader, quoted, syntax_error
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
    sources: Mapping[Path, str] = field(default_factory=dict)
    """What was written of unquoted values that YAML took for no text, of lists and of mappings."""

    def origin(self, path: Path) -> str:
        """Return the origin of a path, or of the nearest one above it."""
        while path and path not in self.origins:
            path = path[:-1]
        return self.origins.get(path, "")


class _Reader:
    """Turns a tree of YAML nodes into values and notes where, and as what, they were written."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._open: list[yaml.Node] = []
        self._count = 0
        self.origins: dict[Path, str] = {}
        self.sources: dict[Path, str] = {}

    def read(self, node: yaml.Node, path: Path) -> Any:
        """Return the value of `node`, which stands at `path`."""
        self.origins.setdefault(path, self._place(node))
        self._count += 1
        self._loader.check_number(self._count, node.start_mark)
        if isinstance(node, yaml.ScalarNode):
            value = self._loader.scalar(node)
            if node.style is None and not isinstance(value, str):
                self.sources[path] = node.value or self._loader.rest_of_line(node.start_mark)
            return value
        if node in self._open:
            raise SettingsError(f"{self._place(node)}: an alias contains itself.")
        assert isinstance(node, yaml.CollectionNode)
        if node.flow_style:
            start, end = node.start_mark.index, node.end_mark.index
            self.sources[path] = self._loader.text[start:end]
        self._open.append(node)
        try:
            if isinstance(node, yaml.SequenceNode):
                self._refuse_cut_text(node, node.value)
                return [self.read(item, (*path, i)) for i, item in enumerate(node.value)]
            assert isinstance(node, yaml.MappingNode)
            return self._mapping(node, path)
        finally:
            self._open.pop()

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        self._refuse_duplicates(node)
        self._refuse_cut_text(node, [part for pair in node.value for part in pair])
        try:
            self._loader.flatten_mapping(node)
        except RecursionError:
            raise SettingsError(f"{self._place(node)}: an alias contains itself.") from None
        values = {}
        for key_node, value_node in node.value:
            written = getattr(key_node, "value", "")
            is_scalar = isinstance(key_node, yaml.ScalarNode)
            key = self._loader.scalar(key_node) if is_scalar else written
            if not isinstance(key, str):
                shown = written if is_scalar else self._written(key_node)
                kind = type(key).__name__ if is_scalar else "list or mapping"
                raise SettingsError(
                    f"{self._place(key_node)}: the key `{shown}` is read as {kind}, not as text. "
                    f"Quote it: {quoted(shown)}."
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

    def _refuse_cut_text(self, node: yaml.CollectionNode, parts: Sequence[yaml.Node]) -> None:
        """Refuse `{type: decimal(10,2)}`: in braces and brackets a comma ends a text."""
        if not node.flow_style:
            return
        for one, after in pairwise(parts):
            if not isinstance(one, yaml.ScalarNode) or one.style is not None:
                continue
            if one.value.count("(") > one.value.count(")"):
                end = self._written(node, one).find(")") + 1
                whole = self._written(node, one)[: end or None].rstrip(" }]")
                raise SettingsError(
                    f"{self._place(one)}: in braces and brackets a comma ends a text, so "
                    f"`{one.value}` and `{after.value}` are read apart. Quote it: {quoted(whole)}."
                )
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        for key, value in pairs:
            if isinstance(value, yaml.ScalarNode) and value.style is None and not value.value:
                raise SettingsError(
                    f"{self._place(key)}: `{self._written(node)}` has `{key.value}` without a "
                    "value: in braces a comma ends a text, and each part is a key with its value. "
                    f"If it belongs to the text before, quote it all; for text in braces quote "
                    f"them too: {quoted(self._written(node))}."
                )

    def _written(self, node: yaml.Node, start: yaml.Node | None = None) -> str:
        """Return a node as it was written, from the beginning of `start` on."""
        begin = (start or node).start_mark.index
        return self._loader.text[begin : node.end_mark.index]

    def _place(self, node: yaml.Node) -> str:
        return self._loader.place(node.start_mark)


def read_document(text: str, name: str) -> Document:
    """Read YAML text; `name` is the file as users know it.

    Raises SettingsError, with file and line, for bad syntax, a key that stands twice, and what
    YAML would read as another value than was written (`no`, `0123`, a comma in braces).
    """
    read = _read(text, name)
    if read is None:
        return Document({}, {(): name})
    node, values, reader = read
    if not isinstance(values, dict):
        raise SettingsError(
            f"{name}:1: expected keys and values (`name: ...`), found {node.tag[-3:]}."
        )
    return Document(values, {**reader.origins, (): name}, reader.sources)


def read_value(text: str, name: str) -> tuple[Any, dict[Path, str]]:
    """Read one YAML value as it stands behind `--set KEY=`; `name` is the whole option.

    Returned with it is what was written, as in `Document.sources`.
    """
    read = _read(text, name)
    return (None, {(): ""}) if read is None else (read[1], read[2].sources)


def _read(text: str, name: str) -> tuple[yaml.Node, Any, _Reader] | None:
    loader = None
    try:
        loader = Loader(text, name)
        node = loader.get_single_node()
        if node is None:
            return None
        reader = _Reader(loader)
        return node, reader.read(node, ()), reader
    except yaml.MarkedYAMLError as error:
        raise syntax_error(error, loader, name) from error
    except yaml.YAMLError as error:
        raise SettingsError(f"{name}: not valid YAML: {error}.") from error
    finally:
        if loader is not None:
            loader.dispose()

"""Which columns of a table the feed hands out, and in which arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from pipelines.errors import FeedError, SchemaError, nearest

if TYPE_CHECKING:
    from pipelines.lake.snapshot import Snapshot

_NUMBERS = frozenset({"byte", "short", "integer", "long", "float", "double", "boolean"})


class _Input(Protocol):
    """What the feed needs to know of a model input (see `features.spec.ModelInput`)."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...


@dataclass(frozen=True)
class Component:
    """One array of a batch: a matrix with a column for each of `columns`, or a vector of one."""

    name: str
    dtype: type[np.generic]
    columns: tuple[str, ...]
    is_matrix: bool


@dataclass(frozen=True)
class FeedColumns:
    """Columns by the array they go into.

    `numeric` becomes one float32 matrix, `category` one int32 matrix, `label` and `weight` float32
    vectors, each of `keys` an int64 vector.
    """

    numeric: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    label: str | None = "_label"
    weight: str | None = None
    keys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field in ("numeric", "category", "keys"):
            object.__setattr__(self, field, tuple(getattr(self, field)))
        reserved = {"numeric", "category", "label", "weight", "row"} & set(self.keys)
        if reserved:
            raise FeedError(f"keys can't be named {sorted(reserved)}: batches use these names")
        if self.weight is not None and self.label is None:
            raise FeedError(f"weight '{self.weight}' without a label; give the label's column too")
        if not self.names:
            raise FeedError("the feed was asked for no column; give it at least one input")
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise FeedError(f"the feed was asked for the same column twice: {twice}")

    @classmethod
    def of(
        cls,
        inputs: Iterable[_Input],
        label: str | None = "_label",
        weight: str | None = None,
        keys: Iterable[str] = (),
    ) -> FeedColumns:
        """Sort a feature spec's inputs into the two matrices, each in the order of `inputs`."""
        inputs = list(inputs)
        return cls(
            numeric=tuple(one.name for one in inputs if one.kind == "numeric"),
            category=tuple(one.name for one in inputs if one.kind == "category"),
            label=label,
            weight=weight,
            keys=tuple(keys),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """All columns that are read."""
        scalars = tuple(name for name in (self.label, self.weight) if name is not None)
        return (*self.numeric, *self.category, *scalars, *self.keys)

    @cached_property
    def components(self) -> tuple[Component, ...]:
        """The arrays that rows are kept in: `numeric`, `category`, `label`, `weight`, the keys."""
        vectors = [("label", self.label), ("weight", self.weight)]
        return (
            Component("numeric", np.float32, self.numeric, is_matrix=True),
            Component("category", np.int32, self.category, is_matrix=True),
            *(Component(n, np.float32, (c,), is_matrix=False) for n, c in vectors if c is not None),
            *(Component(key, np.int64, (key,), is_matrix=False) for key in self.keys),
        )

    def check(self, snapshot: Snapshot) -> None:
        """Raise SchemaError for a column that the snapshot's table lacks, or that is no number."""
        known = snapshot.schema
        where = f"{snapshot.table} at version {snapshot.version}"
        for name in self.names:
            if name not in known:
                raise SchemaError(
                    f"{where} has no column '{name}'.{nearest(name, list(known))} Run `normalize` "
                    "again, or train on the version this feature spec was made for."
                )
            if known[name] not in _NUMBERS and name not in snapshot.files[0].partition_values:
                raise SchemaError(
                    f"column '{name}' of {where} is of type {known[name]}; the feed expects a "
                    f"number, one of {sorted(_NUMBERS)}."
                )

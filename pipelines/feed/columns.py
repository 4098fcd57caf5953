"""Which columns of a table the feed hands out, and in which arrays."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pipelines.errors import FeedError, SchemaError, nearest

if TYPE_CHECKING:
    from pipelines.lake.snapshot import Snapshot

_NUMBERS = frozenset({"byte", "short", "integer", "long", "float", "double", "boolean"})
POSITION = "_position"
_LISTS, _FILES = frozenset({"array"}), frozenset({"binary"})


class _Input(Protocol):
    """What the feed needs to know of a model input (see `encoding.kind.ModelInput`)."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...


@dataclass(frozen=True)
class Component:
    """One array of a batch: a matrix with a column for each of `columns`, or of one column.

    That one holds a number a row, or a list of numbers (`shape` is (length,)), or the bytes of a
    file (dtype object).
    """

    name: str
    dtype: type[np.generic]
    columns: tuple[str, ...]
    is_matrix: bool
    shape: tuple[int, ...] = ()

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of one row of the array."""
        return (len(self.columns),) if self.is_matrix else self.shape

    @property
    def row_bytes(self) -> int:
        """Bytes of one row, as far as they are known: of a file, its reference."""
        return np.dtype(self.dtype).itemsize * math.prod(self.row_shape)


@dataclass(frozen=True)
class Shaped:
    """A column with more than a number in each row: its name and a row's shape in a batch."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class FeedColumns:
    """Columns by the array they go into.

    `numeric` becomes one float32 matrix, `category` one int32 matrix, `label` and `weight` float32
    vectors, each of `keys` an int64 vector. Each of `arrays` (float32) and `sequences` (int32) is
    a matrix by its own name, of lists of one length; each of `images` (float32) has four axes and
    comes from files of PNG or JPEG, which are decoded batch by batch. Raises FeedError for what is
    no list of columns, and for columns that don't fit together.
    """

    numeric: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    arrays: tuple[Shaped, ...] = ()
    sequences: tuple[Shaped, ...] = ()
    images: tuple[Shaped, ...] = ()
    label: str | None = "_label"
    weight: str | None = None
    keys: tuple[str, ...] = ()
    row_name: str | None = None
    """Column of whole numbers by which an error names the row of an image; not handed out."""
    row: bool = False
    """Whether `open_table` hands out `x["row"]`, a row's number in the epoch; a training does."""

    def __post_init__(self) -> None:
        for field in ("numeric", "category", "keys"):
            object.__setattr__(self, field, _listed(field, getattr(self, field), str))
        for field in ("arrays", "sequences", "images"):
            object.__setattr__(self, field, _listed(field, getattr(self, field), Shaped))
        for field in ("label", "weight", "row_name"):
            name = getattr(self, field)
            if name is not None and not isinstance(name, str):
                raise FeedError(f"{field}={name!r} is no column; expected its name, or None.")
        own = {*self.keys, *(one.name for one in self._shaped)}
        reserved = {"numeric", "category", "label", "weight", "row"} & own
        if reserved:
            raise FeedError(
                f"keys, arrays, sequences and images can't be named {sorted(reserved)}: batches "
                "use these names"
            )
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
        """Sort a feature spec's inputs by kind, each in the order of `inputs`."""
        inputs, keys = list(inputs), tuple(keys)

        def shaped(kind: str) -> tuple[Shaped, ...]:
            return tuple(Shaped(one.name, one.shape) for one in inputs if one.kind == kind)

        return cls(
            numeric=tuple(one.name for one in inputs if one.kind == "numeric"),
            category=tuple(one.name for one in inputs if one.kind == "category"),
            arrays=shaped("array"),
            sequences=shaped("sequence"),
            images=shaped("image"),
            label=label,
            weight=weight,
            keys=keys,
            row_name=POSITION if shaped("image") and POSITION not in keys else None,
        )

    @property
    def names(self) -> tuple[str, ...]:
        """All columns that are read."""
        scalars = tuple(n for n in (self.label, self.weight, self.row_name) if n is not None)
        shaped = (one.name for one in self._shaped)
        return (*self.numeric, *self.category, *scalars, *self.keys, *shaped)

    @property
    def _shaped(self) -> tuple[Shaped, ...]:
        return (*self.arrays, *self.sequences, *self.images)

    @cached_property
    def components(self) -> tuple[Component, ...]:
        """The arrays that rows are kept in, images still encoded."""
        vectors = [("label", self.label), ("weight", self.weight)]
        lists: list[tuple[Shaped, type[np.generic]]] = [
            *((one, np.float32) for one in self.arrays),
            *((one, np.int32) for one in self.sequences),
        ]
        return (
            Component("numeric", np.float32, self.numeric, is_matrix=True),
            Component("category", np.int32, self.category, is_matrix=True),
            *(Component(n, np.float32, (c,), is_matrix=False) for n, c in vectors if c is not None),
            *(Component(key, np.int64, (key,), is_matrix=False) for key in self.keys),
            *(Component(n, np.int64, (n,), is_matrix=False) for n in [self.row_name] if n),
            *(Component(one.name, t, (one.name,), False, one.shape) for one, t in lists),
            *(Component(one.name, np.object_, (one.name,), False) for one in self.images),
        )

    def check(self, snapshot: Snapshot) -> None:
        """Raise SchemaError for a column that the table lacks, or that is of another type."""
        known = snapshot.schema
        where = f"{snapshot.table} at version {snapshot.version}"
        expected = {one.name: (_LISTS, "a list of numbers") for one in self._shaped}
        expected |= {one.name: (_FILES, "the bytes of image files") for one in self.images}
        for name in self.names:
            if name not in known:
                raise SchemaError(
                    f"{where} has no column '{name}'.{nearest(name, list(known))} Run `normalize` "
                    "again, or train on the version this feature spec was made for."
                )
            types, what = expected.get(name, (_NUMBERS, "a number"))
            is_partition = types is _NUMBERS and name in snapshot.partitioned_by
            if known[name] not in types and not is_partition:
                raise SchemaError(
                    f"column '{name}' of {where} is of type {known[name]}; the feed expects "
                    f"{what}, one of {sorted(types)}."
                )


def _listed(field: str, given: Any, kind: type) -> tuple[Any, ...]:
    """Return a list of columns as a tuple; refuse a text, which is a list of its letters."""
    expected = "names" if kind is str else "Shaped(name, shape)"
    if isinstance(given, str | Shaped):
        raise FeedError(f"{field}={given!r} is one column; expected a list: {field}=[{given!r}].")
    if not isinstance(given, Iterable) or isinstance(given, bytes | Set | Mapping):
        raise FeedError(
            f"{field}={given!r} is no list; expected a list or tuple of {expected}, whose order is "
            "that of the columns."
        )
    listed = tuple(given)
    for one in listed:
        if not isinstance(one, kind):
            raise FeedError(f"{field} holds {one!r}; expected a list of {expected}.")
    return listed

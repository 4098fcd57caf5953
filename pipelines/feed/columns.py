"""Which columns of a table the feed hands out, and in which arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from pipelines.errors import FeedError


class _Input(Protocol):
    """What the feed needs to know of a model input (see `features.spec.ModelInput`)."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...


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

"""The feature kinds: each module here is one, found by its name alone."""

from __future__ import annotations

import pkgutil
from functools import reduce
from importlib import import_module
from operator import or_
from typing import TYPE_CHECKING, Annotated, TypeVar

from pydantic import Field

from pipelines.encoding.kind import FeatureSettings, Fitted

_Class = TypeVar("_Class")


def _own(base: type[_Class]) -> list[type[_Class]]:
    """Return the one subclass of each module."""
    found = []
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        own = [
            one
            for one in vars(import_module(module.name)).values()
            if isinstance(one, type) and issubclass(one, base) and one.__module__ == module.name
        ]
        if len(own) != 1:
            raise TypeError(
                f"{module.name} has {len(own)} subclasses of {base.__name__}; a feature kind is a "
                "module with one"
            )
        if lacks := ", ".join(sorted(getattr(own[0], "__abstractmethods__", ()))):
            raise TypeError(f"{module.name}: {own[0].__name__} has no {lacks}")
        found += own
    return found


if TYPE_CHECKING:
    Feature = FeatureSettings
    FittedFeature = Fitted
else:
    Feature = Annotated[reduce(or_, _own(FeatureSettings)), Field(discriminator="kind")]
    FittedFeature = Annotated[reduce(or_, _own(Fitted)), Field(discriminator="kind")]

"""Which errors would come again: after these, ranks are not started anew.

Everything else may pass, as a lost connection does or a socket that could not be opened once, and
leads to a restart as long as `train.max_restarts` allows one.
"""

from __future__ import annotations

import builtins
import re

from pipelines import errors
from pipelines.errors import TidemillError

FINAL = (
    TidemillError,
    # A mistake in a model's or a loss's Python: the same lines are run again.
    *(ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, NameError),
    *(NotImplementedError, RecursionError, SyntaxError, TypeError, ValueError),
)
_FINAL_NAMES = frozenset({"InvalidArgumentError", "PicklingError", "UnimplementedError"})
"""Errors of packages that are not loaded here: what a TensorFlow graph says of wrong shapes, and
Python of what can't travel to a rank."""


def is_known_final(error: BaseException | str) -> bool:
    """Tell whether an error, or one of this kind (a class's name), would come again."""
    if isinstance(error, str):
        name = error.rpartition(".")[2]
        found = getattr(errors, name, None) or getattr(builtins, name, None)
        return name in _FINAL_NAMES or (isinstance(found, type) and issubclass(found, FINAL))
    names = {one.__name__ for one in type(error).__mro__}
    return isinstance(error, FINAL) or not names.isdisjoint(_FINAL_NAMES)


def kind_told(text: str) -> str | None:
    """Return the kind of the Python error in a message of Spark's; None where it tells of none.

    It holds a traceback, where the errors that led to the one that was raised come before it.
    """
    kinds = re.findall(r"^\s*(\w[\w.]*(?:Error|Exception)): ", text, re.MULTILINE)
    return kinds[-1] if kinds else None

"""Models by name, and models of the user's own as `module:function`.

A model function is called as `function(inputs: ModelInputs, **options) -> keras.Model`. Its model
takes the feed's arrays, a dict with `numeric` (rows, n) float32 and `category` (rows, m) int32
(each only where there are such inputs), and returns one value a row, (rows, 1): the logit for
`binary_crossentropy`, the value itself for `mse`. `inference.py` makes of it the model of a
bundle, whose inputs go by name and whose output is the probability.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from pipelines.errors import SettingsError, TrainingError, nearest
from pipelines.features.spec import ModelInput

if TYPE_CHECKING:
    import keras

BUILT_IN = {"mlp": "pipelines.training.models.mlp:mlp"}


@dataclass(frozen=True)
class ModelInputs:
    """Inputs in the order of their columns in the two arrays of the feed.

    `categories` maps a name to the number of its values (indices 0 .. cardinality - 1).
    """

    numeric: tuple[str, ...]
    categories: Mapping[str, int]
    order: tuple[str, ...]
    """All names, in the order of the feature spec."""

    @classmethod
    def of(cls, inputs: Iterable[ModelInput]) -> ModelInputs:
        """Sort a feature spec's inputs by kind."""
        inputs = list(inputs)
        categories = {}
        for one in inputs:
            if one.kind == "category":
                if one.cardinality is None:
                    raise TrainingError(f"the category input '{one.name}' has no cardinality")
                categories[one.name] = one.cardinality
        numeric = tuple(one.name for one in inputs if one.kind == "numeric")
        return cls(numeric, categories, tuple(one.name for one in inputs))


def model_function(name: str) -> Callable[..., Any]:
    """Return the function of a built-in model or of `module:function`."""
    module_name, colon, function = BUILT_IN.get(name, name).partition(":")
    if not colon:
        known = sorted(BUILT_IN)
        raise SettingsError(
            f"`train.model: {name}` is unknown; expected one of {known} or `module:function`."
            f"{nearest(name, known)}"
        )
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(module_name), function)
    except (ImportError, AttributeError) as error:
        raise SettingsError(
            f"`train.model: {name}` can't be found: {error}. Expected `module:function` with a "
            "module that Python finds on driver and executors."
        ) from error
    return found


def check_model(name: str, options: Mapping[str, Any]) -> None:
    """Raise SettingsError for an unknown model or unfit options, without TensorFlow."""
    function = model_function(name)
    if name != "mlp":
        parameters = inspect.signature(function).parameters.values()
        known = [one.name for one in parameters if one.kind is not one.VAR_KEYWORD][1:]
        takes_all = any(one.kind is one.VAR_KEYWORD for one in parameters)
        unknown = [key for key in options if key not in known]
        if unknown and not takes_all:
            raise SettingsError(
                f"`train.options.{unknown[0]}` is unknown to the model '{name}'; expected some of "
                f"{known}.{nearest(unknown[0], known)}"
            )
        return
    from pipelines.training.models.mlp import MlpOptions

    try:
        MlpOptions(**options)
    except ValidationError as error:
        raise _unfit(name, options, error) from error


def build_model(
    name: str, inputs: Iterable[ModelInput], options: Mapping[str, Any], seed: int = 0
) -> keras.Model:
    """Return a model with its initial weights, which `seed` alone decides.

    Raises SettingsError for options that the model doesn't know and TrainingError for a model
    whose output isn't (rows, 1).
    """
    import keras

    function = model_function(name)
    keras.utils.set_random_seed(seed)
    try:
        model = function(ModelInputs.of(inputs), **options)
    except (TypeError, ValidationError) as error:
        raise _unfit(name, options, error) from error
    shape = tuple(model.output_shape)
    if shape != (None, 1):
        raise TrainingError(
            f"the model '{name}' gives outputs of shape {shape}; expected (None, 1), one value a "
            "row. End it with a Dense layer of one unit and no activation."
        )
    return model


def _unfit(name: str, options: Mapping[str, Any], error: Exception) -> SettingsError:
    if isinstance(error, ValidationError):
        said = "; ".join(
            f"`train.options.{'.'.join(map(str, one['loc']))}`: {one['msg']}, "
            f"received {one['input']!r}"
            for one in error.errors()
        )
    else:
        said = str(error)
    return SettingsError(f"options {dict(options)} don't fit the model '{name}': {said}")

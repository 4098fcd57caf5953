"""Models by name, and models of the user's own as `module:function`.

A model function is called as `function(inputs: ModelInputs, **options) -> keras.Model`. Its model
takes the feed's arrays as a dict: `numeric` (rows, n) float32 and `category` (rows, m) int32, each
only where there are such inputs, and by its own name each array (rows, length) float32, sequence
(rows, length) int32 and image (rows, height, width, channels) float32. It may leave some out. It
returns (rows, outputs): logits for the two cross-entropies, else the value. `inference.py` makes
of it the model of a bundle, whose inputs go by name and whose outputs are probabilities.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from pipelines.encoding.kind import ModelInput
from pipelines.errors import SettingsError, TrainingError, nearest
from pipelines.training.models import built_in
from pipelines.training.models.inputs import ModelInputs
from pipelines.training.models.parts import Options
from pipelines.training.models.precision import computing_in

if TYPE_CHECKING:
    import keras

BUILT_IN = tuple(module.name for module in pkgutil.iter_modules(built_in.__path__))
"""Each is a function in the module of its name, beside its options. Neither needs TensorFlow to be
imported."""


def model_function(name: str) -> Callable[..., Any]:
    """Return the function of a built-in model or of `module:function`."""
    if name in BUILT_IN:
        found: Callable[..., Any] = getattr(_module(name), name)
        return found
    module_name, colon, function = name.partition(":")
    if not colon:
        known = sorted(BUILT_IN)
        raise SettingsError(
            f"`train.model: {name}` is unknown; expected one of {known} or `module:function`."
            f"{nearest(name, known)}"
        )
    try:
        found = getattr(importlib.import_module(module_name), function)
    except (ImportError, AttributeError) as error:
        raise SettingsError(
            f"`train.model: {name}` can't be found: {error}. Expected `module:function` with a "
            "module that Python finds on the driver: `PYTHONPATH=FOLDER tidemill ...`."
        ) from error
    except Exception as error:
        raise SettingsError(
            f"`train.model: {name}`: its module can't be imported: {type(error).__name__}: "
            f"{error}. Mend the file; Python runs all of it once to find the function."
        ) from error
    if not callable(found):
        raise SettingsError(
            f"`train.model: {name}` names {found!r:.80}; expected a function that takes "
            "`ModelInputs` and `train.options` and returns a keras.Model."
        )
    return found


def options_model(name: str) -> type[Options]:
    """Return the options of a built-in model."""
    module = _module(name)
    own = [
        one
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, Options) and one.__module__ == module.__name__
    ]
    if len(own) != 1:
        raise TypeError(
            f"{module.__name__} has {len(own)} subclasses of Options; a built-in model has one"
        )
    return own[0]


def check_model(
    name: str, options: Mapping[str, Any], inputs: Iterable[ModelInput] | None = None
) -> None:
    """Raise SettingsError for an unknown model or unfit options, without TensorFlow.

    With `inputs` also for options that don't fit them.
    """
    function = model_function(name)
    if name in BUILT_IN:
        try:
            chosen = options_model(name)(**options)
        except ValidationError as error:
            raise _unfit(name, options, error) from error
        if inputs is not None:
            chosen.check(ModelInputs.of(inputs))
        return
    parameters = inspect.signature(function).parameters.values()
    known = [one.name for one in parameters if one.kind is not one.VAR_KEYWORD][1:]
    takes_all = any(one.kind is one.VAR_KEYWORD for one in parameters)
    unknown = [key for key in options if key not in known]
    if unknown and not takes_all:
        raise SettingsError(
            f"`train.options.{unknown[0]}` is unknown to the model '{name}'; expected some of "
            f"{known}.{nearest(unknown[0], known)}"
        )


def build_model(
    name: str,
    inputs: Iterable[ModelInput],
    options: Mapping[str, Any],
    seed: int = 0,
    outputs: int = 1,
    precision: str = "float32",
) -> keras.Model:
    """Return a model with its initial weights, which `seed` alone decides.

    Raises SettingsError for options that the model doesn't know and TrainingError for a model
    whose output isn't (rows, outputs).
    """
    import keras

    function = model_function(name)
    keras.utils.set_random_seed(seed)
    try:
        with computing_in(precision):
            model = function(ModelInputs.of(inputs, outputs), **options)
    except (TypeError, ValidationError) as error:
        raise _unfit(name, options, error) from error
    shape = _output_shape(name, model)
    if shape != (None, outputs):
        raise TrainingError(
            f"the model '{name}' gives outputs of shape {shape}; expected (None, {outputs}), "
            f"{'one value' if outputs == 1 else 'one logit per class'} a row. End it with a Dense "
            "layer of `inputs.outputs` units and no activation."
        )
    return model


def _output_shape(name: str, model: Any) -> tuple[Any, ...]:
    """Return the shape of a model's outputs; raise TrainingError for what has none."""
    import keras

    shape = getattr(model, "output_shape", None)
    if isinstance(model, keras.Model) and isinstance(shape, tuple | list):
        return tuple(shape)
    found = f"{type(model).__name__} (a keras.Model whose inputs and outputs are not known)"
    if not isinstance(model, keras.Model):
        found = f"{model!r:.80}"
    raise TrainingError(
        f"the function '{name}' returned {found}; expected a keras.Model made of its inputs and "
        "outputs, `keras.Model({'numeric': numeric}, outputs)`. What has a `call` of its own "
        "is a layer in such a model."
    )


def _module(name: str) -> Any:
    return importlib.import_module(f"{built_in.__name__}.{name}")


def _unfit(name: str, options: Mapping[str, Any], error: Exception) -> SettingsError:
    if isinstance(error, ValidationError):
        said = "; ".join(_said(name, one) for one in error.errors())
    else:
        said = str(error)
    return SettingsError(f"options {dict(options)} don't fit the model '{name}': {said}")


def _said(name: str, problem: Any) -> str:
    option = ".".join(map(str, problem["loc"]))
    if problem["type"] != "extra_forbidden" or name not in BUILT_IN:
        return f"`train.options.{option}`: {problem['msg']}, received {problem['input']!r}"
    known: Any = options_model(name)
    for part in problem["loc"][:-1]:
        known = known.model_fields[part].annotation
    names = list(known.model_fields)
    hint = nearest(str(problem["loc"][-1]), names)
    return f"`train.options.{option}` is unknown; expected some of {', '.join(names)}.{hint}"

"""A FeatureSpec as a Keras model: raw feature values in, model inputs out, for online use.

Raw numbers come in as float64, so that they are the values Spark computes with; float32 tensors
are widened. The layer is TensorFlow's (strings exist nowhere else). A saved `.keras` file needs
`custom_objects()` to be loaded; an export (`model.export`) needs no code of ours.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

from pipelines.encoding.kind import Fitted, RawTensors
from pipelines.encoding.raw import base_type, element_type
from pipelines.encoding.spec import FeatureSpec
from pipelines.encoding.tensors import lookup_table
from pipelines.errors import FeatureError


def raw_dtypes(spec: FeatureSpec) -> dict[str, Literal["float64", "string"]]:
    """Return the dtype of each raw column as the Keras model takes it.

    Strings and dates (ISO text) are strings, missing is `""`, and so are image files; numbers and
    booleans are float64, missing is NaN. Arrays have these as elements.
    """
    return {
        feature.column: "string"
        if (element_type(feature.raw_type) or base_type(feature.raw_type))
        in ("string", "date", "binary")
        else "float64"
        for feature in spec.features
    }


def array_columns(spec: FeatureSpec) -> list[str]:
    """Return the raw columns that are arrays: tensors (rows, longest), with `<column>_length`.

    What stands behind a row's length is padding, whatever it is; a null array has length 0.
    """
    return list(dict.fromkeys(one.column for one in spec.features if one.is_array))


def to_keras(spec: FeatureSpec) -> Any:
    """Return a `keras.Model` from a dict of raw tensors to a dict of model inputs.

    Inputs are named as `spec.raw_columns`, of dtype `raw_dtypes(spec)` and shape (rows,), arrays
    (rows, longest) and beside them `<column>_length`, int32 (rows,); outputs are named as
    `spec.inputs`, of shape (rows, *shape) and their dtype.
    """
    import keras

    arrays = array_columns(spec)
    raw = {
        name: keras.Input(shape=(None,) if name in arrays else (), dtype=dtype, name=name)
        for name, dtype in raw_dtypes(spec).items()
    }
    for name in arrays:
        length = f"{name}_length"
        if length in raw:
            raise FeatureError(
                f"the raw column '{length}' has the name that the length of the array '{name}' "
                "has in the Keras model. Rename one of them in `featurize`."
            )
        raw[length] = keras.Input(shape=(), dtype="int32", name=length)
    layer = feature_layer_class()(spec.to_json(), name="features")
    return keras.Model(raw, layer(raw), name="feature_spec")


def custom_objects() -> dict[str, Any]:
    """Return what `keras.models.load_model` needs to load a saved feature model."""
    return {"tidemill>FeatureLayer": feature_layer_class()}


@cache
def feature_layer_class() -> Any:
    """Return the layer class, made on first use: TensorFlow is imported here, not above."""
    import keras

    @keras.saving.register_keras_serializable(package="tidemill")
    class FeatureLayer(keras.layers.Layer):
        """Computes all model inputs of a feature spec, given as JSON text."""

        def __init__(self, spec: str, **kwargs: Any) -> None:
            # Without float64 Keras would narrow raw numbers before they come here.
            super().__init__(**{**kwargs, "dtype": "float64", "trainable": False})
            self.spec_json = spec
            self._computation = _Computation(FeatureSpec.from_json(spec))
            # Keras tracks resources that are attributes of the layer itself.
            self._tables = self._computation.tables

        def call(self, raw: dict[str, Any]) -> dict[str, Any]:
            return self._computation(raw)

        def compute_output_spec(self, raw: dict[str, Any]) -> dict[str, Any]:
            rows = next(iter(raw.values())).shape[0]
            return {
                each.name: keras.KerasTensor((rows, *each.shape), each.dtype, name=each.name)
                for each in self._computation.spec.inputs
            }

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "spec": self.spec_json}

    return FeatureLayer


class _Computation:
    """The TensorFlow side of a feature spec, all features of a kind at once."""

    def __init__(self, spec: FeatureSpec) -> None:
        self.spec = spec
        self.dtypes = raw_dtypes(spec)
        self.arrays = array_columns(spec)
        self.tables = {
            one.name: lookup_table(vocabulary)
            for one in spec.features
            if (vocabulary := one.lookup()) is not None
        }
        self.kinds: dict[type[Fitted], list[Fitted]] = {}
        for one in spec.features:
            self.kinds.setdefault(type(one), []).append(one)

    def __call__(self, raw: dict[str, Any]) -> dict[str, Any]:
        import tensorflow as tf

        lengths = [f"{name}_length" for name in self.arrays]
        lacking = [name for name in (*self.dtypes, *lengths) if name not in raw]
        if lacking:
            raise FeatureError(f"raw columns {lacking} are missing from the model's input")
        given = RawTensors(
            columns={
                name: tf.convert_to_tensor(raw[name])
                if dtype == "string"
                else tf.cast(raw[name], tf.float64)
                for name, dtype in self.dtypes.items()
            },
            sizes={name: raw[f"{name}_length"] for name in self.arrays},
            tables=self.tables,
        )
        values: dict[str, Any] = {}
        for kind, features in self.kinds.items():
            values |= kind.keras_together(features, given)
        return {each.name: values[each.name] for each in self.spec.inputs}

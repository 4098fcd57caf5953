"""A FeatureSpec as a Keras model: raw feature values in, model inputs out, for online use.

Raw numbers come in as float64, so that they are the values Spark computes with; float32 tensors
are widened. The layer is TensorFlow's (strings exist nowhere else). A saved `.keras` file needs
`custom_objects()` to be loaded; an export (`model.export`) needs no code of ours.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

from pipelines.errors import FeatureError
from pipelines.features.hashing import crc32_tensor
from pipelines.features.spec import (
    MISSING,
    OUT_OF_VOCABULARY,
    FeatureSpec,
    FittedCategory,
    FittedCyclical,
    FittedHashed,
    FittedNumeric,
    base_type,
)


def raw_dtypes(spec: FeatureSpec) -> dict[str, Literal["float64", "string"]]:
    """Return the dtype of each raw column as the Keras model takes it.

    Strings and dates (ISO text) are strings, missing is `""`; numbers and booleans are float64,
    missing is NaN.
    """
    return {
        feature.column: "string" if base_type(feature.raw_type) in ("string", "date") else "float64"
        for feature in spec.features
    }


def to_keras(spec: FeatureSpec) -> Any:
    """Return a `keras.Model` from a dict of raw tensors to a dict of model inputs.

    Inputs are named as `spec.raw_columns`, of shape (rows,) and dtype `raw_dtypes(spec)`; outputs
    are named as `spec.inputs`, of shape (rows,) and dtype float32 or int32.
    """
    import keras

    raw = {
        name: keras.Input(shape=(), dtype=dtype, name=name)
        for name, dtype in raw_dtypes(spec).items()
    }
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
            shape = next(iter(raw.values())).shape
            return {
                each.name: keras.KerasTensor(shape, each.dtype, name=each.name)
                for each in self._computation.spec.inputs
            }

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "spec": self.spec_json}

    return FeatureLayer


class _Computation:
    """The TensorFlow side of a feature spec, all numeric features at once."""

    def __init__(self, spec: FeatureSpec) -> None:
        self.spec = spec
        self.dtypes = raw_dtypes(spec)
        self.numeric = [one for one in spec.features if isinstance(one, FittedNumeric)]
        self.tables = {
            one.name: _lookup_table(one.vocabulary)
            for one in spec.features
            if isinstance(one, FittedCategory)
        }

    def __call__(self, raw: dict[str, Any]) -> dict[str, Any]:
        import tensorflow as tf

        lacking = [name for name in self.dtypes if name not in raw]
        if lacking:
            raise FeatureError(f"raw columns {lacking} are missing from the model's input")
        raw = {
            name: tf.convert_to_tensor(raw[name])
            if dtype == "string"
            else tf.cast(raw[name], tf.float64)
            for name, dtype in self.dtypes.items()
        }
        values = self._numeric_values(raw)
        for feature in self.spec.features:
            match feature:
                case FittedCyclical():
                    values |= _cyclical(feature, raw[feature.column])
                case FittedCategory():
                    text = _text(raw[feature.column], feature.raw_type)
                    values[feature.name] = self.tables[feature.name].lookup(text)
                case FittedHashed():
                    text = _text(raw[feature.column], feature.raw_type)
                    place = tf.cast(1 + crc32_tensor(text) % feature.buckets, tf.int32)
                    values[feature.name] = tf.where(tf.equal(text, ""), MISSING, place)
        return {each.name: values[each.name] for each in self.spec.inputs}

    def _numeric_values(self, raw: dict[str, Any]) -> dict[str, Any]:
        import tensorflow as tf

        if not self.numeric:
            return {}

        def constants(field: str) -> Any:
            return tf.constant([float(getattr(one, field)) for one in self.numeric], tf.float64)

        zero, spread = tf.constant(0.0, tf.float64), constants("spread")
        x = tf.stack([raw[one.column] for one in self.numeric], axis=-1)
        is_present = tf.math.is_finite(x)
        x = tf.where(is_present, x, zero)
        x = tf.where(constants("log1p") > 0, tf.math.log1p(tf.maximum(x, zero)), x)
        x = (x - constants("center")) / tf.where(spread == 0, tf.ones_like(spread), spread)
        x = tf.where(is_present, tf.where(spread == 0, zero, x), constants("missing"))
        columns = tf.unstack(tf.cast(x, tf.float32), axis=-1)
        values = {one.name: column for one, column in zip(self.numeric, columns, strict=True)}
        flags = tf.unstack(tf.cast(~is_present, tf.float32), axis=-1)
        for one, flag in zip(self.numeric, flags, strict=True):
            if one.missing_flag:
                values[f"{one.name}_is_missing"] = flag
        return values


def _cyclical(feature: FittedCyclical, raw: Any) -> dict[str, Any]:
    import tensorflow as tf

    zero, is_present = tf.constant(0.0, tf.float64), tf.math.is_finite(raw)
    period = tf.constant(feature.period, tf.float64)
    rest = tf.raw_ops.TruncateMod(x=tf.where(is_present, raw, zero), y=period)
    angle = 6.283185307179586 * (rest / period)
    return {
        f"{feature.name}_{name}": tf.cast(tf.where(is_present, function(angle), zero), tf.float32)
        for name, function in (("sin", tf.math.sin), ("cos", tf.math.cos))
    }


def _text(raw: Any, raw_type: str) -> Any:
    """Return a category's text as Spark's CAST(... AS STRING) gives it, "" where missing."""
    import tensorflow as tf

    if raw.dtype == tf.string:
        return raw
    is_present = tf.math.is_finite(raw)
    value = tf.where(is_present, raw, tf.zeros_like(raw))
    if raw_type == "boolean":
        text = tf.where(value != 0, "true", "false")
    else:
        text = tf.strings.as_string(tf.cast(value, tf.int64))
    return tf.where(is_present, text, "")


def _lookup_table(vocabulary: tuple[str, ...]) -> Any:
    import tensorflow as tf

    # A layer may be made while a graph is traced; its tables must outlive that graph.
    with tf.init_scope():
        keys = tf.constant(["", *vocabulary])
        values = tf.constant([MISSING, *range(2, len(vocabulary) + 2)], tf.int32)
        return tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(keys, values), OUT_OF_VOCABULARY
        )

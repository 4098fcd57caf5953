"""A FeatureSpec as a Keras model: raw feature values in, model inputs out, for online use.

Raw numbers come in as float64, so that they are the values Spark computes with; float32 tensors
are widened. The layer is TensorFlow's (strings exist nowhere else). A saved `.keras` file needs
`custom_objects()` to be loaded; an export (`model.export`) needs no code of ours.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal, assert_never

from pipelines.errors import FeatureError
from pipelines.features.hashing import crc32_tensor
from pipelines.features.images import EXPECTED, decode
from pipelines.features.spec import (
    MISSING,
    OUT_OF_VOCABULARY,
    FeatureSpec,
    FittedArray,
    FittedCategory,
    FittedCyclical,
    FittedHashed,
    FittedImage,
    FittedNumeric,
    FittedSequence,
    base_type,
    element_type,
)


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
    arrays = [one.column for one in spec.features if isinstance(one, FittedArray | FittedSequence)]
    return list(dict.fromkeys(arrays))


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
    """The TensorFlow side of a feature spec, all numeric features at once."""

    def __init__(self, spec: FeatureSpec) -> None:
        self.spec = spec
        self.dtypes = raw_dtypes(spec)
        self.numeric = [one for one in spec.features if isinstance(one, FittedNumeric)]
        self.tables = {
            one.name: _lookup_table(one.vocabulary)
            for one in spec.features
            if isinstance(one, FittedCategory)
            or (isinstance(one, FittedSequence) and one.buckets is None)
        }
        self.arrays = array_columns(spec)

    def __call__(self, raw: dict[str, Any]) -> dict[str, Any]:
        import tensorflow as tf

        lengths = [f"{name}_length" for name in self.arrays]
        lacking = [name for name in (*self.dtypes, *lengths) if name not in raw]
        if lacking:
            raise FeatureError(f"raw columns {lacking} are missing from the model's input")
        sizes = {name: raw[f"{name}_length"] for name in self.arrays}
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
                    values[feature.name] = _hashed(text, feature.buckets)
                case FittedArray():
                    column = feature.column
                    values |= _array(feature, *_kept(feature, raw[column], sizes[column]))
                case FittedSequence():
                    column = feature.column
                    kept, is_there = _kept(feature, raw[column], sizes[column])
                    text = _text(kept, element_type(feature.raw_type) or "")
                    if feature.buckets is None:
                        index = self.tables[feature.name].lookup(text)
                    else:
                        index = _hashed(text, feature.buckets)
                    values[feature.name] = tf.where(is_there, index, MISSING)
                case FittedImage():
                    values[feature.name] = _image(feature, raw[feature.column])
                case FittedNumeric():
                    pass  # all at once, above
                case _:
                    assert_never(feature)
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


def _hashed(text: Any, buckets: int) -> Any:
    import tensorflow as tf

    place = tf.cast(1 + crc32_tensor(text) % buckets, tf.int32)
    return tf.where(tf.equal(text, ""), MISSING, place)


def _kept(feature: FittedArray | FittedSequence, raw: Any, size: Any) -> tuple[Any, Any]:
    """Return the elements that fit into `length`, (rows, length), and which of them are there."""
    import tensorflow as tf

    # One column more, so that there is one to point at.
    padding = tf.constant("" if raw.dtype == tf.string else 0.0, raw.dtype)
    raw = tf.concat([raw, tf.fill([tf.shape(raw)[0], 1], padding)], axis=1)
    size = tf.minimum(tf.cast(size, tf.int32), tf.shape(raw)[1] - 1)[:, None]
    place = tf.range(feature.length)[None, :]
    if feature.keep == "last":
        place += tf.maximum(size - feature.length, 0)
    is_there = place < size
    index = tf.where(is_there, place, tf.shape(raw)[1] - 1)
    return tf.gather(raw, index, axis=1, batch_dims=1), is_there


def _array(feature: FittedArray, kept: Any, is_there: Any) -> dict[str, Any]:
    import tensorflow as tf

    zero = tf.constant(0.0, tf.float64)
    is_present = tf.math.is_finite(kept)
    x = (tf.where(is_present, kept, zero) - feature.center) / (feature.spread or 1.0)
    x = tf.where(is_present, x if feature.spread else tf.zeros_like(x), feature.missing)
    values = {feature.name: tf.cast(tf.where(is_there, x, zero), tf.float32)}
    if feature.mask:
        values[f"{feature.name}_is_present"] = tf.cast(is_present & is_there, tf.float32)
    return values


def _image(feature: FittedImage, files: Any) -> Any:
    import tensorflow as tf

    (one,) = feature.inputs()
    images, failed = decode(files, one.shape)
    told = tf.debugging.assert_less(
        failed,
        tf.constant(0, tf.int64),
        f"image `{feature.name}` is not decodable, expected {EXPECTED}; number of the row:",
    )
    with tf.control_dependencies([told] if told is not None else []):
        return tf.identity(images)


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

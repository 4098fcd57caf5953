"""A model of a user's own, as files that tests write into a folder of the path."""

from __future__ import annotations

from pathlib import Path

NET = """
import keras

from {name}_layers import Scaled


def network(inputs, scale=2.0):
    numeric = keras.Input((len(inputs.numeric),), name="numeric")
    return keras.Model({{"numeric": numeric}}, keras.layers.Dense(1)(Scaled(scale)(numeric)))
"""

LAYERS = """
import keras


@keras.saving.register_keras_serializable("{name}")
class Scaled(keras.layers.Layer):
    def __init__(self, scale, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, x):
        return x * self.scale

    def get_config(self):
        return {{**super().get_config(), "scale": self.scale}}
"""


def write(folder: Path, name: str, net: str = NET, layers: str = LAYERS) -> str:
    """Write a model's two modules; return what `train.model` calls it."""
    (folder / f"{name}_net.py").write_text(net.format(name=name))
    (folder / f"{name}_layers.py").write_text(layers.format(name=name))
    return f"{name}_net:network"

"""`kind: image`: a PNG or JPEG file."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from pipelines.encoding import sql
from pipelines.encoding.images import EXPECTED, decode
from pipelines.encoding.kind import FeatureSettings, Fitted, Found, ModelInput, RawTensors
from pipelines.encoding.raw import Expected


class Image(FeatureSettings):
    """A binary column of PNG or JPEG files; float32 (height, width, channels) in 0..1.

    The training set keeps the bytes as they are. They are decoded, and resized bilinearly where
    their size differs, batch by batch on their way to the model. So a rank holds some windows of
    encoded images (`train.window_rows` x the size of one, a few times), and a row group of them
    while it is read (`row_group_rows`): make both small where images are large.
    """

    expected: ClassVar[Expected] = Expected(
        ("binary",),
        words="binary: whole PNG or JPEG files",
        how="`unbase64(...)` in `featurize` makes bytes of text.",
    )

    kind: Literal["image"]
    column: str | None = None
    height: int = Field(ge=1)
    width: int = Field(ge=1)
    channels: Literal[1, 3] = 1

    def fitted(self, found: Found) -> FittedImage:
        """Take the settings as they are."""
        size = {"height": self.height, "width": self.width}
        return FittedImage(**found.base, **size, channels=self.channels)


class FittedImage(Fitted):
    """A PNG or JPEG file, decoded by `encoding.images`."""

    kind: Literal["image"] = "image"
    height: int
    width: int
    channels: Literal[1, 3]

    def inputs(self) -> list[ModelInput]:
        """Return the image."""
        shape = (self.height, self.width, self.channels)
        return [ModelInput(name=self.name, dtype="float32", kind="image", shape=shape)]

    def sql(self) -> list[str]:
        """Return the file's bytes, none for null: they are decoded on their way to the model."""
        return [f"coalesce({sql.quoted(self.column)}, X'')"]

    def keras(self, raw: RawTensors) -> dict[str, Any]:
        """Return the decoded images; a file that can't be decoded fails the computation."""
        import tensorflow as tf

        (one,) = self.inputs()
        images, failed = decode(raw.columns[self.column], one.shape)
        told = tf.debugging.assert_less(
            failed,
            tf.constant(0, tf.int64),
            f"image `{self.name}` is not decodable, expected {EXPECTED}; number of the row:",
        )
        with tf.control_dependencies([told] if told is not None else []):
            return {self.name: tf.identity(images)}

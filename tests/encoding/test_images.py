import numpy as np
import pytest

from pipelines.encoding.images import decode
from pipelines.encoding.kinds.image import FittedImage
from pipelines.encoding.spec import FeatureSpec
from tests.encoding.pictures import encoded, pattern

pytestmark = pytest.mark.tensorflow
GOOD = [encoded(pattern(n)) for n in range(5)]


def decoded(files: list[bytes], shape=(4, 5, 1)) -> tuple[np.ndarray, int]:
    import tensorflow as tf

    images, failed = decode(tf.constant(files, tf.string), shape)
    return images.numpy(), int(failed)


def test_pixels_come_out_as_shares_of_255() -> None:
    images, failed = decoded(GOOD)
    pixels = np.stack([pattern(n) for n in range(5)])[..., None]
    expected = pixels.astype(np.float32) * np.float32(1 / 255)
    assert (images.dtype, failed) == (np.float32, -1)
    np.testing.assert_array_equal(images, expected)


def test_grey_becomes_colour_and_colour_grey() -> None:
    grey = encoded(np.full((4, 5), 51))
    colour = encoded(np.full((4, 5, 3), 51))
    for files, channels in (([grey, colour], 3), ([grey, colour], 1)):
        images, failed = decoded(files, (4, 5, channels))
        assert failed == -1
        np.testing.assert_allclose(images, np.full((2, 4, 5, channels), 0.2), atol=1e-6)


def test_other_sizes_are_resized_bilinearly_and_jpeg_is_taken() -> None:
    halves = np.repeat([[0, 255]], 2, axis=0)
    images, failed = decoded([encoded(halves), encoded(np.full((16, 16), 102), "JPEG")], (2, 4, 1))
    assert failed == -1
    np.testing.assert_allclose(images[0, :, :, 0], [[0, 0.25, 0.75, 1]] * 2, atol=1e-6)
    np.testing.assert_allclose(images[1], 0.4, atol=0.01)


@pytest.mark.parametrize("bad", [b"", b"no image", b"GIF89a" + b"\0" * 20, GOOD[0][:-20]])
@pytest.mark.parametrize("place", [0, 2, 4])
def test_the_first_row_that_can_t_be_decoded_is_named(bad: bytes, place: int) -> None:
    files = [*GOOD[:place], bad, *GOOD[place + 1 : 4], bad][:5]
    assert decoded(files)[1] == place


def test_no_rows_give_no_images() -> None:
    images, failed = decoded([])
    assert (images.shape, failed) == ((0, 4, 5, 1), -1)


def test_a_feature_model_takes_image_files() -> None:
    import tensorflow as tf

    from pipelines.encoding.to_keras import to_keras

    picture = FittedImage(
        name="picture", column="file", raw_type="binary", height=4, width=5, channels=1
    )
    model = to_keras(FeatureSpec(key=("id",), date="day", features=(picture,)))
    assert tuple(model.output["picture"].shape) == (None, 4, 5, 1)
    found = model.predict({"file": tf.constant(GOOD)}, verbose=0)["picture"]
    np.testing.assert_array_equal(found, decoded(GOOD)[0])
    with pytest.raises(tf.errors.InvalidArgumentError, match="image `picture` is not decodable"):
        model({"file": tf.constant([GOOD[0], b"no image"])})

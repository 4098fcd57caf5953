"""Augmentation, masks and padding: what the models' parts promise."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.encoding.kind import ModelInput
from pipelines.errors import SettingsError
from tests.training.kinds import IMAGE, INPUTS, OPTIONS, STEPS, TABULAR, rows_of_all_kinds

pytestmark = pytest.mark.tensorflow


def in_training(layer, values, rows=None, epoch=0):
    import tensorflow as tf

    from pipelines.training.models.layers import row_seeds

    rows = range(len(values)) if rows is None else rows
    with row_seeds(tf.constant(list(rows), tf.int64), 7, tf.constant(epoch)):
        return layer(tf.constant(values, tf.float32), training=True).numpy()


def augmentations():
    from pipelines.training.models.augment import RowFlip, RowNoise, RowShift

    return [RowFlip(name="f"), RowShift(0.4, name="s"), RowNoise(0.3, name="n")]


@pytest.mark.parametrize("place", range(3))
def test_augmentation_follows_the_row_and_acts_in_training_only(place: int) -> None:
    layer = augmentations()[place]
    images = np.random.default_rng(1).random((400, 5, 6, 2)).astype(np.float32)
    everything = in_training(layer, images)
    np.testing.assert_array_equal(
        in_training(layer, images[1::3], range(1, 400, 3)), everything[1::3]
    )
    assert not np.array_equal(in_training(layer, images, epoch=1), everything)
    np.testing.assert_array_equal(layer(images, training=False), images)


def test_a_flip_turns_every_second_image_by_chance() -> None:
    images = np.random.default_rng(1).random((1000, 3, 4, 1)).astype(np.float32)
    turned = in_training(augmentations()[0], images)
    is_turned = (turned == images[:, :, ::-1]).all(axis=(1, 2, 3))
    is_kept = (turned == images).all(axis=(1, 2, 3))
    assert (is_turned ^ is_kept).all()
    assert is_turned.mean() == pytest.approx(0.5, abs=0.05)


def test_a_shift_moves_whole_pixels_and_lets_zeros_in() -> None:
    images = np.random.default_rng(1).random((300, 5, 5, 1)).astype(np.float32) + 1
    moved = in_training(augmentations()[1], images)
    seen = set()
    for image, found in zip(images[..., 0], moved[..., 0], strict=True):
        fitting = []
        for down in range(-2, 3):
            for right in range(-2, 3):
                expected = np.zeros_like(image)
                expected[max(0, down) : 5 + min(0, down), max(0, right) : 5 + min(0, right)] = (
                    image[max(0, -down) : 5 - max(0, down), max(0, -right) : 5 - max(0, right)]
                )
                if np.array_equal(expected, found):
                    fitting.append((down, right))
        assert len(fitting) == 1
        seen.update(fitting)
    assert len(seen) == 25


def test_noise_has_the_standard_deviation_asked_for() -> None:
    added = in_training(augmentations()[2], np.zeros((500, 4, 4, 1)))
    assert added.std() == pytest.approx(0.3, rel=0.02)
    assert added.mean() == pytest.approx(0, abs=0.01)


def test_dropout_keeps_the_shape_of_any_tensor() -> None:
    from pipelines.training.models.layers import RowDropout

    found = in_training(RowDropout(0.25, name="d"), np.ones((200, 3, 5, 7)))
    assert found.shape == (200, 3, 5, 7)
    assert (found == 0).mean() == pytest.approx(0.25, abs=0.01)


def longer(one: ModelInput) -> ModelInput:
    return one.model_copy(update={"shape": (one.shape[0] + 4,)}) if len(one.shape) == 1 else one


def padded(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The rows with four places more, which hold nothing but, in `past`, rubbish."""
    found = dict(rows)
    for name in ("past", "past_mask", "visits"):
        found[name] = np.pad(rows[name], [(0, 0), (0, 4)])
    found["past"] = np.where(found["past_mask"] > 0, found["past"], 99).astype(np.float32)
    return found


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_padding_changes_nothing_in_a_convolution(pooling: str) -> None:
    assert_padding_changes_nothing("cnn", {**OPTIONS["cnn"], "pooling": pooling})


@pytest.mark.parametrize(
    "options",
    [{"cell": "lstm"}, {"cell": "gru", "bidirectional": True}, {"units": [4, 3], "dropout": 0.1}],
)
def test_padding_changes_nothing_in_a_recurrent_model(options: dict) -> None:
    assert_padding_changes_nothing("rnn", {"units": [4], "hidden": [8], **options})


def test_padding_changes_nothing_in_a_transformer() -> None:
    assert_padding_changes_nothing("transformer", OPTIONS["transformer"])


def assert_padding_changes_nothing(name: str, options: dict) -> None:
    from pipelines.training.models import build_model

    inputs = [*TABULAR, *STEPS]
    rows = rows_of_all_kinds(40, 1)
    assert (rows["past_mask"].sum(axis=1) == 0).any(), "rows without any value are among them"
    short = build_model(name, inputs, options, seed=2)
    long = build_model(name, [longer(one) for one in inputs], options, seed=2)
    for mine, other in zip(long.variables, short.variables, strict=True):
        values = other.numpy()
        if mine.shape != other.shape:  # the places of a transformer: those used are the same
            values = np.concatenate([values, mine.numpy()[len(values) :]])
        mine.assign(values)
    taken = {tensor.name for tensor in short.inputs}
    first = short({n: a for n, a in rows.items() if n in taken})
    second = long({n: a for n, a in padded(rows).items() if n in taken})
    np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-6)


def test_a_value_in_a_sequence_does_matter() -> None:
    from pipelines.training.models import build_model

    rows = rows_of_all_kinds(40, 1)
    for name in ("cnn", "rnn", "transformer"):
        model = build_model(name, [*TABULAR, *STEPS], OPTIONS[name], seed=2)
        taken = {tensor.name for tensor in model.inputs}
        given = {n: a for n, a in rows.items() if n in taken}
        for changed in (
            {"past": given["past"] + given["past_mask"]},
            {"visits": given["visits"] + ((given["visits"] > 0) & (given["visits"] < 5))},
        ):
            assert not np.allclose(model(given), model({**given, **changed}), atol=1e-4), name


@pytest.mark.parametrize(
    ("model", "options", "inputs", "said"),
    [
        ("cnn", {}, TABULAR, "cnn` needs an image or an array among the inputs, received x0, x1"),
        ("rnn", {}, TABULAR, "rnn` needs a sequence or an array"),
        ("rnn", {}, STEPS + IMAGE, r"can't look at images \(picture\)"),
        ("transformer", {}, TABULAR + IMAGE, r"can't look at images \(picture\)"),
        ("transformer", {"width": 9, "heads": 2}, TABULAR, "heads: 2` must divide"),
        (
            "wide_and_deep",
            {"crosses": [["c0", "c3"]]},
            TABULAR,
            "names 'c3', which is none.*: c0, c1",
        ),
        ("wide_and_deep", {"crosses": [["c0"]]}, TABULAR, "expected two categories or more"),
        ("mlp", {"embedding": {"c7": 3}}, TABULAR, "names 'c7'"),
    ],
)
def test_options_that_do_not_fit_the_inputs_are_refused(model, options, inputs, said) -> None:
    from pipelines.training.models import check_model

    with pytest.raises(SettingsError, match=said):
        check_model(model, options, inputs)


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        ("cnn", {"filter": [3]}, "`train.options.filter` is unknown.*Did you mean 'filters'"),
        ("cnn", {"augment": {"flop": True}}, r"augment\.flop` is unknown.*Did you mean 'flip'"),
        ("rnn", {"cell": "lstn"}, "`train.options.cell`.*received 'lstn'"),
        ("transformer", {"head": 2}, "Did you mean 'heads'"),
        ("wide_and_deep", {"cross": []}, "Did you mean 'crosses'"),
        ("mlp", {"initializer": "lecun"}, "`train.options.initializer`"),
    ],
)
def test_unknown_options_are_named_with_the_nearest(model, options, said) -> None:
    from pipelines.training.models import check_model

    with pytest.raises(SettingsError, match=said):
        check_model(model, options)


def test_options_are_checked_without_tensorflow() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from pipelines.training.models import BUILT_IN, check_model;"
        "[check_model(name, {}) for name in BUILT_IN];"
        "print({'tensorflow', 'keras'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(("name", "spread"), [("xavier_uniform", 1 / 16), ("he_normal", 2 / 16)])
def test_kernels_start_as_the_initializer_says(name: str, spread: float) -> None:
    from pipelines.training.models import build_model

    inputs = [ModelInput(name=f"x{i}", dtype="float32", kind="numeric") for i in range(16)]
    model = build_model("mlp", inputs, {"hidden": [16], "initializer": name}, seed=1)
    kernel = model.get_layer("dense_0").kernel.numpy()
    assert kernel.var() == pytest.approx(spread, rel=0.35)


def test_every_model_takes_all_its_inputs() -> None:
    from pipelines.training.models import build_model

    for name, inputs in INPUTS.items():
        model = build_model(name, inputs, OPTIONS[name])
        arrays = {one.name for one in inputs if one.shape} | {"numeric", "category"}
        assert {tensor.name for tensor in model.inputs} == arrays

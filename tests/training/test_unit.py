"""A label far from 0 to 1 is learnt by its distance from the mean, and said in its own unit."""

import numpy as np
import pytest

from pipelines.config.train import Train
from pipelines.ranks.rank import Rank
from pipelines.training.collective import SingleProcess
from pipelines.training.work import Work, train_rank
from tests.training.memory import INPUTS, Events, MemoryRows, settings, some_rows

pytestmark = pytest.mark.tensorflow


def prices(num_rows, seed):
    rows = some_rows(num_rows, seed)
    numeric = rows["numeric"]
    price = 250_000 + 40_000 * (numeric[:, 2] + 0.5 * numeric[:, 0] * numeric[:, 1])
    return {**rows, "label": price.astype(np.float32)}


def test_prices_are_learnt_with_a_scaled_label_and_hardly_without(tmp_path):
    chosen = settings(loss="mse", scale_label=True, epochs=12)
    rows = MemoryRows(chosen.batch_size, make=prices)
    labels = np.array(rows.training_labels())
    found = {}
    for name, scale in (("scaled", (labels.mean(), labels.std())), ("plain", None)):
        work = Work(
            settings=chosen,
            inputs=INPUTS,
            rows=rows,
            folder=str(tmp_path / name),
            versions={"gold.toy": 3},
            label_scale=scale,
        )
        trained = train_rank(Rank(SingleProcess(), Events(), 0, 1), work)
        found[name] = trained.evaluation["metrics"]["r2"]
    assert found["scaled"] > 0.6
    assert found["plain"] < 0


def test_the_model_of_the_bundle_says_the_label_in_its_own_unit(tmp_path):
    import keras

    from pipelines.training.models.unit import in_unit

    entrance = keras.Input((2,), name="numeric")
    plain = keras.Model(
        {"numeric": entrance}, keras.layers.Dense(1, kernel_initializer="zeros")(entrance)
    )
    model = in_unit(plain, 250_000.0, 40_000.0)
    assert [tensor.name for tensor in model.inputs] == ["numeric"]
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.predict({"numeric": np.ones((3, 2))}, verbose=0).tolist() == [[250_000.0]] * 3


def test_a_label_of_one_value_alone_has_no_deviation_to_divide_by():
    import keras

    from pipelines.training.models.unit import in_unit

    entrance = keras.Input((2,), name="numeric")
    plain = keras.Model({"numeric": entrance}, keras.layers.Dense(1)(entrance))
    layer = in_unit(plain, 3.0, 0.0).get_layer("label_unit")
    assert (layer.scale, layer.offset) == (1.0, 3.0)


def test_a_class_has_no_scale():
    said = "`train.scale_label` is for numbers; received `train.loss: binary_crossentropy`"
    with pytest.raises(ValueError, match=said):
        Train(scale_label=True)

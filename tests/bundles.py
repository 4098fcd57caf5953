"""A small bundle: two inputs, a spec fitted by hand, weights set by hand."""

from pathlib import Path

from pipelines.encoding.kinds.category import FittedCategory
from pipelines.encoding.kinds.numeric import FittedNumeric
from pipelines.encoding.spec import FeatureSpec
from pipelines.registry.bundle import Bundle

SPEC = FeatureSpec(
    key=("flight_date", "flight"),
    date="flight_date",
    label="is_late",
    num_rows=10,
    features=(
        FittedNumeric(
            name="distance", column="distance", raw_type="double", center=1000.0, spread=500.0
        ),
        FittedCategory(
            name="carrier", column="carrier", raw_type="string", vocabulary=("UA", "B6")
        ),
    ),
)


def small_bundle(folder: Path) -> Bundle:
    """A model that gives sigmoid(distance + index of carrier)."""
    import keras

    distance = keras.Input((), name="distance", dtype="float32")
    carrier = keras.Input((), name="carrier", dtype="int32")
    reshape = keras.layers.Reshape((1,))
    total = reshape(distance) + keras.ops.cast(reshape(carrier), "float32")
    model = keras.Model(
        {"distance": distance, "carrier": carrier}, keras.layers.Activation("sigmoid")(total)
    )
    file = folder / "model.keras"
    model.save(file)
    manifest = {
        "format_version": 1,
        "run_id": "hand-made",
        "pipeline": "flights",
        "tables": {"gold.flights": 0},
        "split": {
            "by": "date",
            "train": ["2013-01-15", "2013-01-15"],
            "validation": ["2013-01-16", "2013-01-16"],
            "test": ["2013-01-17", "2013-01-17"],
        },
    }
    return Bundle(manifest=manifest, feature_spec=SPEC.to_json(), model=file.read_bytes())

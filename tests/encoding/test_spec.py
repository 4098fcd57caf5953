import json

import pytest

from pipelines.encoding.kind import ModelInput
from pipelines.encoding.kinds.array import FittedArray
from pipelines.encoding.kinds.category import FittedCategory
from pipelines.encoding.kinds.cyclical import FittedCyclical
from pipelines.encoding.kinds.hashed import FittedHashed
from pipelines.encoding.kinds.image import FittedImage
from pipelines.encoding.kinds.numeric import FittedNumeric
from pipelines.encoding.kinds.sequence import FittedSequence
from pipelines.encoding.spec import FeatureSpec, check_names
from pipelines.errors import FeatureError

DISTANCE = FittedNumeric(
    name="distance",
    column="distance",
    raw_type="int",
    center=0.1,
    spread=1e-300,
    missing_flag=True,
)
HOUR = FittedCyclical(name="hour", column="sched_hour", raw_type="int", period=24)
CARRIER = FittedCategory(
    name="carrier", column="carrier", raw_type="string", vocabulary=("UA", "Zürich 'x'")
)
TAIL = FittedHashed(name="tail", column="tailnum", raw_type="string", buckets=100)
CURVE = FittedArray(name="curve", column="xs", raw_type="array<double>", length=4, mask=True)
WORDS = FittedSequence(
    name="words", column="ws", raw_type="array<string>", length=3, vocabulary=("a", "b")
)
TAILS = FittedSequence(name="tails", column="ws", raw_type="array<string>", length=3, buckets=7)
PICTURE = FittedImage(
    name="picture", column="file", raw_type="binary", height=2, width=5, channels=3
)


def spec(*features) -> FeatureSpec:
    return FeatureSpec(key=("id",), date="day", label="is_late", num_rows=3, features=features)


def test_a_spec_comes_back_from_json_as_it_was() -> None:
    one = spec(DISTANCE, HOUR, CARRIER, TAIL, CURVE, WORDS, TAILS, PICTURE)

    assert FeatureSpec.from_json(one.to_json()) == one
    assert FeatureSpec.from_json(one.to_json()).to_json() == one.to_json()


def test_a_spec_lists_model_inputs_in_the_order_of_its_features() -> None:
    assert spec(DISTANCE, HOUR, CARRIER, TAIL).inputs == [
        ModelInput(name="distance", dtype="float32", kind="numeric"),
        ModelInput(name="distance_is_missing", dtype="float32", kind="numeric"),
        ModelInput(name="hour_sin", dtype="float32", kind="numeric"),
        ModelInput(name="hour_cos", dtype="float32", kind="numeric"),
        ModelInput(name="carrier", dtype="int32", kind="category", cardinality=4),
        ModelInput(name="tail", dtype="int32", kind="category", cardinality=101),
    ]


def test_inputs_of_arrays_sequences_and_images_say_a_row_s_shape() -> None:
    mask = "curve_is_present"
    assert spec(CURVE, WORDS, TAILS, PICTURE).inputs == [
        ModelInput(name="curve", dtype="float32", kind="array", shape=(4,), mask=mask),
        ModelInput(name=mask, dtype="float32", kind="array", shape=(4,)),
        ModelInput(name="words", dtype="int32", kind="sequence", cardinality=4, shape=(3,)),
        ModelInput(name="tails", dtype="int32", kind="sequence", cardinality=8, shape=(3,)),
        ModelInput(name="picture", dtype="float32", kind="image", shape=(2, 5, 3)),
    ]


def test_a_list_can_t_have_the_name_of_one_of_the_feed_s_arrays() -> None:
    with pytest.raises(FeatureError, match=r"'numeric' can't have this name: the feed's own"):
        check_names(spec(WORDS.model_copy(update={"name": "numeric"})))
    check_names(spec(CARRIER.model_copy(update={"name": "category"})))


def test_a_raw_column_of_two_features_is_named_once() -> None:
    again = HOUR.model_copy(update={"name": "hour_again"})

    assert spec(HOUR, CARRIER, again).raw_columns == ["sched_hour", "carrier"]


def test_a_newer_format_version_is_refused() -> None:
    text = json.dumps({**json.loads(spec(HOUR).to_json()), "format_version": 2})

    with pytest.raises(FeatureError, match=r"format version 2; this release reads version 1\. Use"):
        FeatureSpec.from_json(text)


@pytest.mark.parametrize("text", ["", "[]", '{"features": []}', "not json"])
def test_what_is_no_spec_is_refused(text: str) -> None:
    with pytest.raises(FeatureError, match=r"this is no feature spec: expected .*, received"):
        FeatureSpec.from_json(text)


def test_a_damaged_spec_is_refused_with_what_is_wrong() -> None:
    text = json.dumps({**json.loads(spec(HOUR).to_json()), "features": [{"kind": "numeric"}]})

    with pytest.raises(FeatureError, match=r"(?s)the feature spec is damaged: .*features\.0"):
        FeatureSpec.from_json(text)


def test_two_features_with_one_input_name_are_refused() -> None:
    clash = FittedNumeric(name="hour_sin", column="x", raw_type="double")

    with pytest.raises(FeatureError, match=r"two features give the model input 'hour_sin'\. Ren"):
        check_names(spec(HOUR, clash))


def test_an_input_whose_name_belongs_to_the_training_set_is_refused() -> None:
    own = FittedNumeric(name="_label", column="x", raw_type="double")

    with pytest.raises(FeatureError, match=r"the model input '_label' starts with '_'"):
        check_names(spec(own))

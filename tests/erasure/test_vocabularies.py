"""Values of a key in stored feature specs, told without Spark."""

from __future__ import annotations

from pipelines.encoding.kinds.category import FittedCategory
from pipelines.encoding.kinds.numeric import FittedNumeric
from pipelines.encoding.kinds.sequence import FittedSequence
from pipelines.encoding.spec import FeatureSpec
from pipelines.erasure.record import Record
from pipelines.erasure.subject import Subject
from pipelines.erasure.vocabularies import vocabularies_holding
from pipelines.lake.folder import Folder
from pipelines.privacy.keys import pseudonym


def spec(**vocabularies: tuple[str, ...]) -> bytes:
    raw = {"raw_type": "string"}
    features = [FittedCategory(name=n, column=n, vocabulary=v, **raw)
                for n, v in vocabularies.items()]  # fmt: skip
    number = FittedNumeric(name="seats", column="seats", raw_type="int")
    stops = FittedSequence(name="stops", column="s", length=2, vocabulary=("N1", "x"), **raw)
    made = FeatureSpec(key=("flight",), date="day", features=(*features, number, stops))
    return made.to_json().encode()


def test_specs_that_hold_a_value_of_the_key_are_named_with_their_features(lake):
    root = Folder(lake.root)
    root.write("_state/flights/normalize/t-1.json", spec(tailnum=("N14228", "N1")))
    root.write("_state/flights/normalize/t-2.json", spec(tailnum=("N142280",)))
    root.write("_state/flights/clean/planes.json", b'{"N14228": 1}')
    plane = pseudonym(["k1"], "N14228")
    root.write("_training/other/run-1/bundle/feature_spec.json", spec(a=(plane,), b=("c",)))
    root.write("_training/other/run-2/checkpoint-1/x", b"")

    found = vocabularies_holding(lake, Subject.of(["tailnum=N14228"], ["k1"]))
    assert found == [
        "_state/flights/normalize/t-1.json (tailnum)",
        "_training/other/run-1/bundle/feature_spec.json (a)",
    ]
    named = vocabularies_holding(lake, Subject.of(["tailnum=N1"], []))
    assert named[0] == "_state/flights/normalize/t-1.json (tailnum, stops)"
    assert vocabularies_holding(lake, Subject.of(["tailnum=N2"], [])) == []

    record = Record("e-1", "flights", ["tailnum"], "hash", "2013-01-01", vocabularies=found)
    said = "\n".join(record.lines())
    assert "Vocabularies of features hold a value of the key" in said
    assert said.endswith("    _training/other/run-1/bundle/feature_spec.json (a)")
    assert "N14228" not in said

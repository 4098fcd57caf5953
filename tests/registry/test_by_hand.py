"""Versions by hand: who was champion since when and why, promoted and taken back by somebody."""

from __future__ import annotations

import pytest

from pipelines.errors import NoChampion, UsageError
from pipelines.lake.catalog import Lake
from pipelines.registry import history
from pipelines.registry.bundle import Bundle, save_bundle
from pipelines.registry.by_hand import promote, rollback
from pipelines.registry.champion import RegisteredModel, champion, make_champion, register
from pipelines.registry.history import Move, before, rolled_back
from pipelines.registry.store import open_client
from pipelines.registry.tracking import TrainingRecord, set_alias
from pipelines.registry.versions import lines, versions
from tests.bundles import SPEC

pytestmark = pytest.mark.filterwarnings("ignore")


def trained(lake: Lake, model: str, count: int) -> list[RegisteredModel]:
    found = []
    for number in range(1, count + 1):
        folder = f"{lake.training(model, f'run-{number}')}/bundle"
        facts = {
            "run_id": f"run-{number}",
            "tables": {"gold.t": number},
            "metrics": {"roc_auc": 0.6 + number / 100},
            "created_at": "2026-01-02T03:04:05+00:00",
        }
        save_bundle(folder, Bundle(facts, SPEC.to_json(), b"model"))
        record = TrainingRecord("toy", f"run-{number}", {}, {}, [], {})
        found.append(register(lake, model, record, folder))
    return found


def test_promotions_and_rollbacks_leave_who_when_and_why(store: Lake) -> None:
    first, second, _ = trained(store, "m", 3)
    for one in (first, second):
        make_champion(store, one, "gate", f"run {one.run_id}", "passed its gate")
    history.note_refusal(store, "m", 3, "roc_auc is 0.5")
    by_hand = promote(store, "m", 3, "ann", "the other two lie")
    assert (by_hand.before, champion(store, "m").version) == (2, 3)
    back = rollback(store, "m", "bob", "it lies more")
    assert (back.version, back.before) == (2, 3)
    assert back.reason == "version 3 taken back: it lies more"
    assert "by bob" in back.lines()[0]
    assert rollback(store, "m", "bob", "").version == 1, "a second one goes further back"
    with pytest.raises(NoChampion, match="not recorded who was champion of 'm' before version 1"):
        rollback(store, "m", "bob", "")

    states = {one.version: (one.is_champion, one.state) for one in versions(store, "m")}
    assert states[1][0]
    assert states[1][1].startswith("champion since ")
    assert "by bob (version 2 taken back)" in states[1][1]
    assert "by bob (version 3 taken back: it lies more)" in states[3][1]
    text = "\n".join(lines("m", versions(store, "m")))
    assert "*       1  2026-01-02 03:04     0.6100  run-1  champion since" in text
    assert "from gold.t@2" in text


def test_what_nobody_recorded_is_not_made_up(store: Lake) -> None:
    first, _ = trained(store, "old", 2)
    set_alias(store, "old", "champion", first.version)  # as releases before did
    history.note_refusal(store, "old", 2, "roc_auc is 0.5")
    states = [one.state for one in versions(store, "old")]
    assert states == ["champion (since when is not recorded)", "refused: roc_auc is 0.5"]
    with pytest.raises(NoChampion, match="Name the version"):
        rollback(store, "old", "bob", "")
    with pytest.raises(NoChampion, match="no version of model 'unknown'"):
        versions(store, "unknown")


def test_a_promotion_by_hand_needs_a_version_there_is_and_a_reason(store: Lake) -> None:
    trained(store, "few", 2)
    with pytest.raises(UsageError, match=r"has no version 9 in .*; there are 1, 2"):
        promote(store, "few", 9, "ann", "why not")
    with pytest.raises(UsageError, match="needs a reason"):
        promote(store, "few", 1, "ann", "  ")
    promote(store, "few", 1, "ann", "why not " * 1000)
    again = promote(store, "few", 1, "ann", "again")
    assert again.lines() == ["few version 1 is champion already: nothing was changed"]
    (move,) = history.moves(store, "few")
    assert move.reason.endswith("..."), "MLflow takes no longer tag"
    tags = open_client(store).get_registered_model("few").tags
    assert all(len(text) < 5000 for text in tags.values())


def line(*steps: str) -> list[Move]:
    kinds = {"b": "rollback", "h": "hand", "g": "gate"}
    return [
        Move(int(step[1:]), str(place), kinds[step[0]], "x")  # type: ignore[arg-type]
        for place, step in enumerate(steps)
    ]


@pytest.mark.parametrize(
    ("steps", "champion", "expected"),
    [
        ((), 1, None),
        (("g1",), 1, None),
        (("g1", "g2"), 2, 1),
        (("g1", "g2", "g2"), 2, 1),
        (("g1", "g2", "g3", "b2"), 2, 1),
        (("g1", "g2", "g3", "b2", "h3"), 3, 2),
        (("g1", "g2", "b1"), 1, None),
        (("g1", "g2", "g1"), 1, 2),
        (("g1", "g2"), 7, 2),  # somebody else moved the alias
    ],
)
def test_a_rollback_takes_back_the_last_promotion_that_still_holds(
    steps: tuple[str, ...], champion: int, expected: int | None
) -> None:
    assert before(line(*steps), champion) == expected


def test_a_version_that_was_taken_back_is_known_until_it_is_promoted_again() -> None:
    assert rolled_back(line("g1", "g2", "b1"), 2) is not None
    assert rolled_back(line("g1", "g2", "b1"), 1) is None
    assert rolled_back(line("g1", "g2", "b1", "h2"), 2) is None

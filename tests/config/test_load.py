from pathlib import Path

import pytest

from pipelines.config.load import load_pipeline, project_root
from pipelines.errors import SettingsError, UsageError


def problem(root: Path, *overrides: str, env: str | None = None, name: str = "shop") -> str:
    with pytest.raises(SettingsError) as caught:
        load_pipeline(name, env, overrides, root=root)
    assert caught.value.exit_code == 2
    return str(caught.value)


def line_of(text: str, start: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), 1) if line.startswith(start))


def test_a_pipeline_knows_its_folder_and_its_root(shop):
    root = shop()
    pipeline = load_pipeline("shop", root=root)
    assert pipeline.root == root
    assert pipeline.folder == root / "conf" / "shop"
    assert pipeline.clean.entities["orders"].key == ("order_id",)


def test_an_overlay_merges_mappings_and_replaces_lists_and_values(shop):
    root = shop(small="train:\n  epochs: 1\n  options: {hidden: [2]}\n")
    train = load_pipeline("shop", "small", root=root).train
    assert train.epochs == 1
    assert train.options == {"hidden": [2]}
    assert train.seed == load_pipeline("shop", root=root).train.seed


def test_a_null_in_an_overlay_sets_null(shop):
    root = shop(small="train: {early_stopping: null}\n")
    assert load_pipeline("shop", root=root).train.early_stopping is not None
    assert load_pipeline("shop", "small", root=root).train.early_stopping is None


def test_overrides_win_over_the_overlay_and_lake_over_all(shop):
    root = shop(small="train: {epochs: 1}\nlake: here\n")
    pipeline = load_pipeline("shop", "small", ["train.epochs=2", "lake=there"], root=root)
    assert (pipeline.train.epochs, pipeline.lake) == (2, "there")
    pipeline = load_pipeline("shop", "small", ["lake=there"], "s3a://bucket/lake", root=root)
    assert pipeline.lake == "s3a://bucket/lake"


def test_an_override_is_read_as_yaml_and_its_mapping_replaces(shop):
    overrides = ["train.options={dropout: 0.5}", "train.early_stopping=null"]
    train = load_pipeline("shop", overrides=overrides, root=shop()).train
    assert train.options == {"dropout": 0.5}
    assert train.early_stopping is None


def test_an_override_may_set_what_has_a_default(shop):
    pipeline = load_pipeline("shop", overrides=["monitor.drift.warn=0.2"], root=shop())
    assert pipeline.monitor.drift.warn == 0.2


def test_an_unknown_key_is_named_with_file_line_and_the_nearest_known_one(shop, shop_yml):
    root = shop(shop_yml.replace("  epochs: 3", "  epoch: 3"))
    line = line_of(shop_yml, "  epochs: 3")
    expected = f"conf/shop/pipeline.yml:{line}: train.epoch: unknown key. Did you mean 'epochs'?"
    assert problem(root) == expected


def test_an_unknown_key_in_an_overlay_is_named_with_the_overlays_line(shop):
    root = shop(small="# a comment\ntrain:\n  epoch: 1\n")
    expected = "conf/shop/small.yml:3: train.epoch: unknown key. Did you mean 'epochs'?"
    assert problem(root, env="small") == expected


def test_an_unknown_key_in_an_override_is_named_with_the_override(shop):
    expected = "--set train.epoch=2: train.epoch: unknown key. Did you mean 'epochs'?"
    assert problem(shop(), "train.epoch=2") == expected


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("trian.epochs=2", "trian: unknown key. Did you mean 'train'?"),
        ("ingest.sources.ordes.path=x", "ingest.sources.ordes: unknown key. Did you mean 'orders'"),
        ("monitor.drfit.warn=1", "monitor.drfit: unknown key. Did you mean 'drift'?"),
        ("normalize.features.amount.scal=none", "unknown key. Did you mean 'scale'?"),
        ("train.epochs.first=2", "`train.epochs` is 3, so it has no key 'first'."),
    ],
)
def test_an_unknown_path_in_an_override_is_refused_with_the_nearest_key(shop, override, expected):
    assert expected in problem(shop(), override)


def test_an_override_without_a_value_is_wrong_usage(shop):
    with pytest.raises(UsageError, match=r"--set train\.epochs: expected KEY=VALUE"):
        load_pipeline("shop", overrides=["train.epochs"], root=shop())


def test_all_problems_are_listed_each_with_its_place(shop, shop_yml):
    root = shop(shop_yml.replace("{threshold: 0.5}", "{threshold: high, metric: roc_acu}"))
    said = problem(root, "train.epochs=0")
    lines = said.splitlines()
    assert lines[0] == "3 problems in the settings:"
    assert any("--set train.epochs=0: train.epochs: Input should be greater" in x for x in lines)
    assert any("promote.threshold" in x and "received 'high'" in x for x in lines)
    assert any("promote.metric" in x and "Did you mean 'roc_auc'?" in x for x in lines)
    place = f"conf/shop/pipeline.yml:{line_of(shop_yml, 'promote: ')}: promote."
    assert sum(line.startswith(place) for line in lines) == 2


def test_a_missing_key_points_at_the_mapping_it_is_missing_in(shop, shop_yml):
    root = shop(shop_yml.replace("  training_set: orders_training\n", ""))
    line = line_of(shop_yml, "normalize:")
    expected = f"conf/shop/pipeline.yml:{line}: normalize.training_set: is missing."
    assert problem(root) == expected


def test_a_contradiction_points_at_the_key_it_names(shop, shop_yml):
    root = shop(shop_yml.replace("source: orders", "source: order"))
    line = line_of(shop_yml, "      source: orders")
    said = problem(root)
    assert said.startswith(f"conf/shop/pipeline.yml:{line}: ")
    assert "Did you mean 'orders'?" in said


def test_a_value_of_a_wrong_type_is_shown_once_for_all_it_might_have_been(shop):
    said = problem(shop(), "normalize.features.amount.impute=avg")
    assert len(said.splitlines()) == 1
    assert "normalize.features.amount.impute" in said
    assert "received 'avg'" in said


def test_bad_yaml_is_named_with_its_line(shop):
    assert problem(shop("name: shop\ntrain: {epochs: 3\n")).startswith(
        "conf/shop/pipeline.yml:3: not valid YAML:"
    )


def test_a_key_that_stands_twice_is_refused(shop, shop_yml):
    said = problem(shop(shop_yml + "train:\n  epochs: 5\n"))
    assert "the key 'train' stands here a second time (first in line" in said


def test_a_key_that_yaml_takes_for_something_else_is_refused(shop, shop_yml):
    said = problem(shop(shop_yml.replace("amount: {kind", "no: {kind")))
    assert "the key `no` is read as bool, not as text. Quote it: 'no'." in said


def test_a_file_that_holds_no_mapping_is_refused(shop):
    assert "conf/shop/pipeline.yml:1: expected keys and values" in problem(shop("- a\n- b\n"))


def test_an_empty_overlay_changes_nothing(shop):
    root = shop(small="# nothing yet\n")
    assert load_pipeline("shop", "small", root=root) == load_pipeline("shop", root=root)


def test_an_unknown_pipeline_is_refused_with_the_nearest(shop):
    assert "Known in" in (said := problem(shop(), name="shpo"))
    assert said.endswith("Did you mean 'shop'?")


def test_an_unknown_environment_is_refused_with_the_nearest(shop):
    said = problem(shop(small=""), env="smal")
    assert "no environment 'smal'" in said
    assert said.endswith("Did you mean 'small'?")


def test_the_name_must_be_that_of_the_folder(shop, shop_yml):
    said = problem(shop(shop_yml.replace("name: shop", "name: store")))
    assert said.startswith(
        "conf/shop/pipeline.yml:1: name: is 'store', but the folder is conf/shop"
    )


def test_anchors_and_merges_of_yaml_work(shop, shop_yml):
    text = shop_yml.replace("day: {type: date}", "day: &day {type: date}").replace(
        "amount: {type: double}", "amount: {<<: *day, trim: false}"
    )
    columns = load_pipeline("shop", root=shop(text)).clean.entities["orders"].columns
    assert columns["amount"].type == "date"
    assert not columns["amount"].trim


def test_the_root_is_found_from_a_folder_below_it(shop, monkeypatch):
    root = shop()
    monkeypatch.delenv("TIDEMILL_ROOT", raising=False)
    monkeypatch.chdir(root / "conf" / "shop")
    assert project_root() == root


def test_the_root_is_what_the_environment_says(shop, monkeypatch):
    root = shop()
    monkeypatch.setenv("TIDEMILL_ROOT", str(root))
    assert project_root() == root


def test_without_both_the_root_is_above_the_package(monkeypatch, tmp_path, project):
    monkeypatch.delenv("TIDEMILL_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    assert project_root() == project

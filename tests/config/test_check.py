import pytest

from pipelines.config.check import check_files, check_function, describe
from pipelines.config.load import load_pipeline
from pipelines.errors import SettingsError


def test_a_pipeline_whose_files_are_there_passes(shop):
    pipeline = load_pipeline("shop", root=shop())
    check_files(pipeline)
    check_function(pipeline)
    assert describe(pipeline) == (
        "1 sources, 1 entities, 3 columns, 0 rules, 1 features, model mlp -> shop"
    )


def test_a_sql_file_that_is_not_there_is_named_with_the_nearest(shop):
    pipeline = load_pipeline("shop", overrides=["featurize.sql=[feature.sql]"], root=shop())
    with pytest.raises(SettingsError) as caught:
        check_files(pipeline)
    assert str(caught.value) == (
        "`featurize.sql` names 'feature.sql', which is no file in conf/shop. "
        "Did you mean 'features.sql'?"
    )


def test_a_function_without_a_module_is_refused(shop):
    overrides = ["featurize.sql=[]", "featurize.function=build"]
    pipeline = load_pipeline("shop", overrides=overrides, root=shop())
    with pytest.raises(SettingsError, match=r"`featurize\.function: build` should be like"):
        check_function(pipeline)

import pytest

from pipelines.config.check import check_files, check_functions, check_queries, describe
from pipelines.config.load import load_pipeline
from pipelines.errors import SettingsError

MODELS = ("cnn", "mlp")


def test_a_pipeline_whose_files_are_there_passes(shop):
    pipeline = load_pipeline("shop", root=shop())
    check_files(pipeline)
    check_functions(pipeline, MODELS)
    check_queries(pipeline)
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
        check_functions(pipeline, MODELS)


@pytest.fixture
def own_modules(tmp_path, monkeypatch):
    """Modules of a user's own on Python's path, which end the tests when they are imported."""
    package = tmp_path / "path" / "my_models" / "deep"
    package.mkdir(parents=True)
    ends = "raise SystemExit('imported')\n"
    (tmp_path / "path" / "my_models" / "__init__.py").write_text(ends)
    (package / "__init__.py").write_text(ends)
    (package / "layers.py").write_text(f"{ends}def build(inputs):\n    return 1\n")
    (package / "given.py").write_text(f"{ends}from x import *\n")
    (package / "broken.py").write_text("x = 1\ndef build(:\n")
    monkeypatch.syspath_prepend(tmp_path / "path")


@pytest.mark.parametrize(
    "given", ["my_models.deep.layers:build", "my_models.deep.given:whatever", "mlp"]
)
def test_a_model_that_is_there_passes_and_is_not_imported(shop, own_modules, given):
    check_functions(load_pipeline("shop", None, [f"train.model='{given}'"], root=shop()), MODELS)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("mpl", "is unknown; expected one of cnn, mlp or `module:function`. Did you mean 'mlp'?"),
        ("no.such:thing", "there is no module 'no' on Python's path."),
        ("my_model.deep.layers:build", "on Python's path. Did you mean 'my_models'?"),
        ("my_models.dep.layers:build", "no module 'dep' in my_models. Did you mean 'deep'?"),
        ("my_models.deep.layer:build", "in my_models.deep. Did you mean 'layers'?"),
        ("my_models.deep.layers:biuld", "layers.py defines no 'biuld'. Did you mean 'build'?"),
        ("my_models.deep.broken:build", "broken.py:2 is no Python"),
        ("../../x:build", "should be like `my_package.features:build`"),
        ("my_models.deep.layers:", "should be like `my_package.features:build`"),
    ],
)
def test_a_model_that_is_not_there_is_refused_with_the_nearest(shop, own_modules, given, said):
    pipeline = load_pipeline("shop", None, [f"train.model='{given}'"], root=shop())
    with pytest.raises(SettingsError) as caught:
        check_functions(pipeline, MODELS)
    assert str(caught.value).startswith(f"`train.model: {given}`")
    assert said in str(caught.value)


def test_a_query_that_reads_a_file_or_calls_java_is_refused(shop):
    root = shop()
    file = root / "conf" / "shop" / "features.sql"
    for text, said in {
        "SELECT * FROM csv.`/etc/passwd`": "has `csv.`/etc/passwd``",
        "SELECT reflect ('java.lang.System', 'getenv', 'X')": "has `reflect(...)`",
        "SELECT * FROM read_files('/etc')": "has `read_files(...)`",
    }.items():
        file.write_text(text)
        with pytest.raises(SettingsError) as caught:
            check_queries(load_pipeline("shop", root=root))
        assert str(caught.value).startswith(f"conf/shop/features.sql {said}")
    file.write_text("-- csv.`x` is a comment\nSELECT 'reflect(1)' AS text FROM silver.orders")
    check_queries(load_pipeline("shop", root=root))

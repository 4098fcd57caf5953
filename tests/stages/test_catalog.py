"""The catalog of stages: what it refuses, what it says, and that nobody else lists stages."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from pipelines.config.load import load_pipeline
from pipelines.errors import UsageError
from pipelines.lake.tables import SHARED, PipelineTables, quarantine
from pipelines.stages.catalog import STAGES
from pipelines.stages.stage import DAG_KINDS, Equation, Stage, Stages
from tests.conftest import ROOT
from tests.house import found_in_package

ADDS_UP = (Equation("rows_in", ("rows_out",)),)


def stage(name: str = "enrich", **more) -> Stage:
    words = {"help": "Enrich.", "reads": "silver", "writes": "gold", "again": "nothing"}
    return Stage(name=name, **{**words, "equations": ADDS_UP, **more})


def test_a_stage_that_says_nothing_of_its_rows_is_refused_when_it_is_described() -> None:
    with pytest.raises(TypeError, match="equations"):
        Stage(name="enrich", help="", reads="", writes="", again="")  # type: ignore[call-arg]
    with pytest.raises(UsageError, match="'enrich' has no equations: nothing would notice"):
        stage(equations=())
    stage(equations=(), counted_elsewhere="by the rows' own sums")


@pytest.mark.parametrize(
    ("name", "more", "said"),
    [
        ("clean", {}, "there is a stage 'clean' already"),
        ("enrich", {"after": ("claen",)}, "works on what 'claen' leaves, .*; those are clean"),
        ("enrich", {"shares_run_of": "train"}, "works on what 'train' leaves"),
        ("en rich", {}, "'en rich' can't name a stage"),
    ],
)
def test_a_stage_that_fits_nowhere_is_refused(name: str, more: dict, said: str) -> None:
    stages = Stages(stage("clean"))
    with pytest.raises(UsageError, match=said):
        stages.add(stage(name, **more))


def test_a_result_depends_on_what_the_stages_behind_it_depend_on() -> None:
    settings = {name: set(STAGES.depends_on(name).settings) for name in STAGES.names}
    data = {"ingest", "clean", "featurize", "normalize", "train.folds"}
    assert settings["clean"] == {"ingest", "clean"}
    assert settings["normalize"] == data
    assert settings["train"] == {*data, "train", "score.threshold"}
    assert settings["monitor"] == {*settings["train"], "promote", "score", "monitor"}
    assert STAGES.depends_on("clean").queries == ()
    assert STAGES.depends_on("normalize").queries == ("featurize.sql",)
    assert STAGES.depends_on("score").functions == ("featurize.function", "train.model")


def test_only_stages_on_the_way_count() -> None:
    stages = Stages(stage("a"), stage("b"), stage("c", after=("a",)), stage("d", after=("c",)))
    assert [one.name for one in stages.until("d")] == ["a", "c", "d"]


def test_every_table_of_a_pipeline_has_a_stage_that_writes_it() -> None:
    tables = PipelineTables(load_pipeline("flights", root=ROOT))
    written = [table for one in STAGES for table in one.writes_tables(tables)]
    assert sorted(written) == sorted(set(tables.every) - set(SHARED)), "each by one stage"
    assert {table for one in STAGES for table in one.reads_tables(tables)} <= set(written)
    assert STAGES.writer_of(quarantine("flights"), tables).name == "clean"


def test_every_dag_runs_stages_in_an_order_in_which_they_can() -> None:
    place = {name: number for number, name in enumerate(STAGES.names)}
    for dag in DAG_KINDS:
        numbers = [place[one.name] for one in STAGES.of_dag(dag)]
        assert numbers
        assert numbers == sorted(numbers)


def test_settings_that_stages_name_are_there() -> None:
    pipeline = load_pipeline("flights", root=ROOT)
    for one in STAGES:
        for name in (*(name for part in one.depends_on for name in part),):
            pipeline.setting(name)
        for dag in one.dags:
            assert dag.since is None or isinstance(pipeline.setting(dag.since), int)


def test_readme_tells_of_each_stage_what_the_catalog_says() -> None:
    told = [
        line
        for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| `tidemill ") and "tidemill land" not in line
    ]
    assert told == [
        f"| `tidemill {one.name} flights{' --date D' if one.follows_date else ''}` "
        f"| {one.reads} | {one.writes} | {one.again} |"
        for one in STAGES
    ]


def lists_of_stages(code: str) -> Iterator[str]:
    """Yield where a module lists several stages, or asks whether a stage is a certain one."""
    tree, names = ast.parse(code), set(STAGES.names)
    literals = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript)
        for part in ast.walk(node.slice)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Tuple | ast.List | ast.Set | ast.Dict) and id(node) not in literals:
            parts = node.keys if isinstance(node, ast.Dict) else node.elts
            found = {p.value for p in parts if isinstance(p, ast.Constant)} & names
            if len(found) > 1:
                yield ast.unparse(node)
        elif isinstance(node, ast.Compare) and ast.unparse(node.left).endswith("stage"):
            asked = {p.value for p in ast.walk(node) if isinstance(p, ast.Constant)}
            if asked & names:
                yield ast.unparse(node)


@pytest.mark.parametrize(
    ("code", "is_one"),
    [
        ("WITH_MODELS = ('promote', 'score')", True),
        ("HELP = {'ingest': 'Read.', 'clean': 'Type.'}", True),
        ("if run.stage == 'clean': pass", True),
        ("if stage in ('train', 'x'): pass", True),
        ("SPLITS = ('train', 'validation', 'test')", False),
        ("At = Literal['ingest', 'clean']", False),
        ("run.resolve('clean', look)", False),
    ],
)
def test_a_list_of_stages_is_seen(code: str, is_one: bool) -> None:
    assert bool(list(lists_of_stages(code))) == is_one


def test_no_stages_are_listed_outside_the_catalog() -> None:
    found = found_in_package(lists_of_stages, but=("stages/catalog.py", "stages/stage.py"))
    assert found == {}, "ask pipelines.stages.catalog"

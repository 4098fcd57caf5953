import json
import logging
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.errors import GateRefused, QualityError
from pipelines.orchestration.describe import JOB
from pipelines.run import Done
from pipelines.stages.catalog import STAGES

LEVELS = ("", "pipelines", "py4j")


@pytest.fixture(autouse=True)
def settings_left_as_they_were(monkeypatch, project):
    """The command sets up logging and the environment of its process: take that back."""
    for name in ("TIDEMILL_DEBUG", "PYTHONWARNINGS"):
        monkeypatch.setenv(name, "")
    monkeypatch.chdir(project)
    root = logging.getLogger()
    handlers, levels = root.handlers[:], [logging.getLogger(name).level for name in LEVELS]
    yield
    root.handlers[:] = handlers
    for name, level in zip(LEVELS, levels, strict=True):
        logging.getLogger(name).setLevel(level)


@pytest.fixture
def tidemill():
    """A function that runs the command and returns its result."""

    def call(*arguments):
        return CliRunner().invoke(
            app, [str(argument) for argument in arguments], prog_name="tidemill"
        )

    return call


@pytest.fixture
def stage(monkeypatch):
    """A function that puts a stage in place which writes nothing, or raises `error`."""

    def put(name, error=None):
        calls = []

        def run(run):
            calls.append(run)
            print("what a library says")
            if error:
                raise error
            counts = {"rows_in": 3, "rows_out": 2}
            return Done(counts=counts)

        module = ModuleType(f"pipelines.stages.{name}")
        module.run = run
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return calls

    return put


def test_help_names_every_stage(tidemill):
    result = tidemill("--help")
    assert result.exit_code == 0
    assert all(stage in result.stdout for stage in STAGES.names)


@pytest.mark.parametrize("arguments", [("--version",), ("--version", "clean"), ("--version", "no")])
def test_the_version_is_that_of_the_package_whatever_comes_behind_it(tidemill, arguments):
    declared = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    result = tidemill(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"tidemill {declared['project']['version']}\n"


def test_an_unknown_command_is_refused_with_the_nearest(tidemill):
    result = tidemill("clen", "flights")
    assert result.exit_code == 2
    assert result.stderr == "tidemill: no such command 'clen'. Did you mean 'clean'?\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("clean flights --dat 2013-01-01", "no option '--dat'. Did you mean '--date'?"),
        ("clean flights --jsno", "no option '--jsno'. Did you mean '--json'?"),
        ("--hlp", "no option '--hlp'. Did you mean '--help'?"),
        ("quarantine lits flights", "no such command 'lits'. `tidemill quarantine --help` shows"),
        ("clean", "missing argument 'PIPELINE'. `tidemill clean --help` shows what there is."),
        ("clean flights --date", "option '--date' requires an argument."),
        ("clean flights extra", "got unexpected extra argument(s) (extra)"),
        ("score flights --date 2013-02-30", "invalid value for '--date': '2013-02-30' is no day;"),
        (
            "score flights --date 01.02.2024",
            "invalid value for '--date': '01.02.2024' is no day; expected YYYY-MM-DD. "
            "Did you mean 2024-02-01?",
        ),
        ("score flights --date 20240201", "invalid value for '--date': '20240201' is no day; "),
        ("run flights --epochs 3", "no option '--epochs'. It is a setting: --set train.epochs="),
        ("run flights --batch-size 3", "no option '--batch-size'. It is a setting: --set train.ba"),
        ("run conf/flights", "no pipeline 'conf/flights'"),
        ("runs flights --last 0", "invalid value for '--last'"),
        ("runs flights --stage claen", "no stage 'claen'; stages are ingest, clean,"),
        ("clean flihgts", "no pipeline 'flihgts'"),
        ("clean flights --env tset", "no environment 'tset'"),
    ],
)
def test_wrong_usage_is_told_in_one_line_and_ends_with_2(tidemill, arguments, said):
    result = tidemill(*arguments.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"tidemill: {said}")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("given", ["conf/flights", "conf/flights/", "conf/flights/pipeline.yml"])
def test_who_gives_the_folder_or_its_file_is_told_the_name(tidemill, given):
    assert "Did you mean 'flights'?" in tidemill("validate", given).stderr


def test_a_model_that_is_not_there_is_told_by_validate_with_file_and_line(
    tidemill, tmp_path, monkeypatch, project
):
    folder = tmp_path / "conf" / "weather"
    shutil.copytree(project / "conf" / "weather", folder)
    file = folder / "pipeline.yml"
    file.write_text(file.read_text().replace("model: rnn", "model: no.such:thing"))
    line = 1 + file.read_text()[: file.read_text().index("no.such")].count("\n")
    monkeypatch.setenv("TIDEMILL_ROOT", str(tmp_path))
    result = tidemill("validate")
    assert result.exit_code == 2
    assert result.stderr.startswith(
        f"tidemill: conf/weather/pipeline.yml:{line}: `train.model: no.such:thing`: there is no "
    )


def test_a_folder_without_pipelines_is_told(tidemill, tmp_path, monkeypatch):
    monkeypatch.setenv("TIDEMILL_ROOT", str(tmp_path))
    result = tidemill("validate")
    assert result.exit_code == 2
    assert f"there are no pipelines: {tmp_path / 'conf'} holds no folder" in result.stderr
    assert "there are no pipelines" in tidemill("validate", "flights").stderr


def test_an_unknown_pipeline_is_a_settings_error(tidemill):
    result = tidemill("clean", "flihgts", "--json")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "no pipeline 'flihgts'" in result.stderr
    assert "Did you mean 'flights'?" in result.stderr


def test_an_unknown_setting_is_said_without_a_trace(tidemill):
    result = tidemill("train", "flights", "--set", "train.epoch=2")
    assert result.exit_code == 2
    assert result.stderr == (
        "tidemill: --set train.epoch=2: train.epoch: unknown key. Did you mean 'epochs'?\n"
    )


def test_a_lake_that_can_not_be_written_ends_with_1(tidemill, tmp_path):
    (tmp_path / "file").write_text("no folder")
    result = tidemill("ingest", "flights", "--lake", tmp_path / "file" / "lake")
    assert result.exit_code == 1
    assert "tidemill: the lake can't be written:" in result.stderr


def test_validate_warns_of_settings_that_fight_each_other(tidemill):
    result = tidemill("validate", "flights", "--set", "train.class_weights=balanced")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0].startswith("flights: warning: `train.class_weights` makes the model say other")
    assert lines[0].endswith("lower `score.threshold` instead.")
    assert lines[-1].endswith("ok")


def test_validate_says_what_a_pipeline_is_made_of(tidemill):
    result = tidemill("validate", "flights")
    assert result.exit_code == 0
    assert result.stdout.startswith("flights: 6 sources, 6 entities,")
    assert result.stdout.endswith("ok\n")


def test_land_writes_the_files_that_had_arrived(tidemill, tmp_path):
    arguments = ("land", "flights", "--until", "2013-01-02", "--set", f"landing={tmp_path}")
    written = json.loads(tidemill(*arguments, "--json").stdout)["written"]
    assert (written["schedules"], written["outcomes"]) == (2, 1)
    assert set(json.loads(tidemill(*arguments, "--json").stdout)["written"].values()) == {0}


def test_summary_of_an_empty_lake_says_how_to_fill_it(tidemill, lake):
    result = tidemill("summary", "flights", "--lake", lake.root)
    assert result.exit_code == 0
    assert "`tidemill run flights` makes them." in result.stdout


def test_doctor_ends_with_1_where_a_part_is_missing(tidemill, monkeypatch):
    from pipelines import doctor

    checks = [
        doctor.Check("python", "3.11.7", "3.11", ok=True),
        doctor.Check("java", None, "17", ok=False, fix="apt install java"),
    ]
    monkeypatch.setattr(doctor, "checks", lambda: checks)
    result = tidemill("doctor")
    assert result.exit_code == 1
    assert "MISSING java" in result.stdout
    assert "-> apt install java" in result.stdout
    monkeypatch.setattr(doctor, "checks", lambda: checks[:1])
    assert tidemill("doctor").exit_code == 0


@pytest.mark.spark
class TestStages:
    @pytest.fixture(autouse=True)
    def _session(self, spark):
        """Have the suite's session running, so that the command takes it."""

    def test_json_is_the_only_thing_on_stdout(self, tidemill, stage, lake):
        stage("clean")
        result = tidemill("clean", "flights", "--lake", lake.root, "--run-id", "one", "--json")
        assert result.exit_code == 0
        found = json.loads(result.stdout)
        assert found["stage"] == "clean"
        assert found["run_id"] == "one"
        assert found["counts"] == {"rows_in": 3, "rows_out": 2}

    def test_options_reach_the_stage(self, tidemill, stage, lake):
        calls = stage("score")
        dates = ("--date", "2013-01-05", "--since", "2013-01-03")
        settings = ("--env", "test", "--set", "score.batch_size=7", "--set", "train.epochs=4")
        result = tidemill("score", "flights", "--lake", lake.root, *dates, *settings)
        assert (result.exit_code, result.stdout) == (0, "")
        [run] = calls
        assert (str(run.since), str(run.date)) == ("2013-01-03", "2013-01-05")
        assert (run.pipeline.score.batch_size, run.pipeline.train.epochs) == (7, 4)
        assert run.lake.root == lake.root
        assert run.run_id.startswith("flights-")

    @pytest.mark.parametrize("error", [QualityError("a rule broke"), GateRefused("not better")])
    def test_a_refusal_ends_with_3(self, tidemill, stage, lake, error):
        stage("promote", error)
        result = tidemill("promote", "flights", "--lake", lake.root, "--json")
        assert result.exit_code == 3
        assert result.stdout == ""
        assert f"tidemill: {error}" in result.stderr
        assert "Traceback" not in result.stderr

    def test_an_unexpected_error_ends_with_1_and_says_how_to_see_more(self, tidemill, stage, lake):
        stage("clean", ValueError("first line\nsecond line"))
        result = tidemill("clean", "flights", "--lake", lake.root)
        assert result.exit_code == 1
        assert "tidemill: unexpected ValueError: first line\n" in result.stderr
        assert "--debug" in result.stderr
        assert "Traceback" not in result.stderr
        shown = tidemill("clean", "flights", "--lake", lake.root, "--debug")
        assert "Traceback" in shown.stderr

    def test_ctrl_c_ends_with_130_and_one_line(self, tidemill, stage, lake):
        stage("clean", KeyboardInterrupt())
        result = tidemill("clean", "flights", "--lake", lake.root)
        assert result.exit_code == 130
        assert "tidemill: stopped by Ctrl-C." in result.stderr

    def test_run_goes_through_all_stages_and_on_where_it_stopped(self, tidemill, stage, lake):
        calls = {name: stage(name) for name in STAGES.names}
        stage("train", GateRefused("stop here"))
        arguments = ("run", "flights", "--lake", lake.root, "--run-id", "one", "--json")
        assert tidemill(*arguments).exit_code == 3
        calls["train"] = stage("train")
        result = tidemill(*arguments)
        assert result.exit_code == 0
        found = json.loads(result.stdout)
        assert [done["stage"] for done in found["stages"]] == list(STAGES.names)
        assert {name: len(seen) for name, seen in calls.items()} == dict.fromkeys(STAGES.names, 1)
        assert found["summary"]["pipeline"] == "flights"


def test_a_spark_job_has_the_commands_options_and_exit_codes(project):
    job = [sys.executable, project / JOB, "clean"]
    done = subprocess.run([*job, "nothing", "--json"], capture_output=True, text=True, cwd=project)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "no pipeline 'nothing'" in done.stderr


def test_help_imports_nothing_heavy(project):
    code = (
        "import sys; from pipelines.cli import app; "
        "print([m for m in ('pyspark', 'pydantic', 'tensorflow', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=project, check=True
    )
    assert done.stdout == "[]\n"


def test_a_summary_without_mlflow_tells_of_the_tables_and_fails_in_one_line(
    tidemill, monkeypatch, tmp_path
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://alice:hunter2-hunter2@127.0.0.1:1")
    result = tidemill("summary", "flights", "--lake", tmp_path, "--json")
    assert result.exit_code == 1
    lines = [line for line in result.stderr.splitlines() if " WARNING " not in line]
    assert len(lines) == 1
    assert lines[0].startswith(
        "tidemill: the champion is not known: MLflow at http://***@127.0.0.1"
    )
    told = json.loads(result.stdout)
    assert told["tables"] == []
    assert f"tidemill: the champion is not known: {told['model_unknown']}" == lines[0]

"""In a running Airflow, schedules mean the day they say, and errors what they are."""

import re
import signal

import pytest

from tests.dags.live import LiveAirflow

# Airflow takes half a minute to start, and each task of it some seconds.
pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def airflow(tmp_path_factory):
    live = LiveAirflow(tmp_path_factory.mktemp("live"))
    broken = live.project / "conf" / "broken" / "pipeline.yml"
    broken.parent.mkdir()
    broken.write_text("name: broken\nsorces: {}\n")
    try:
        live.start()
        yield live
    finally:
        live.stop()
    assert live.processes() == {}


def computed(airflow, run_id):
    """Return the days that the jobs of a run were given."""
    return re.findall(r"--date (\S+)", "\n".join(airflow.submitted(run_id)))


def test_a_backfill_runs_each_day_of_its_bounds_in_order_and_one_at_a_time(airflow):
    days = ["2013-12-01", "2013-12-02", "2013-12-03", "2013-12-04"]
    bounds = ["--from-date", days[0], "--to-date", days[-1]]
    airflow.airflow("backfill", "create", "--dag-id", "flights_prepare", *bounds)
    runs = airflow.call("GET", "dags/flights_prepare/dagRuns?run_type=backfill")["dag_runs"]
    assert sorted(run["partition_key"] for run in runs) == days
    for run in runs:
        assert airflow.ended("flights_prepare", run["dag_run_id"])["state"] == "success"
        # What is shown (partition key, run id) is what was computed.
        assert set(computed(airflow, run["dag_run_id"])) == {run["partition_key"]}
        assert f"__{run['partition_key']}__" in run["dag_run_id"]
    for stage in ("ingest", "clean", "featurize"):
        lines = airflow.submitted("backfill__")
        lines = [line for line in lines if f"tidemill.py {stage} " in line]
        order = [re.search(r"^(\w+) .*__(\d{4}-\d\d-\d\d)__", line).groups() for line in lines]
        assert order == [(word, day) for day in days for word in ("start", "end")], stage


@pytest.mark.parametrize(
    ("how", "day"),
    [
        ({"conf": {"date": "2013-12-05"}}, "2013-12-05"),
        ({"partition_key": "2013-12-06"}, "2013-12-06"),
        # As the command line and the picker of the UI (which speaks UTC) send a day.
        ({"logical_date": "2013-12-07T00:00:00Z"}, "2013-12-07"),
        ({"logical_date": "2013-12-08T00:00:00-05:00"}, "2013-12-08"),
    ],
)
def test_a_run_by_hand_computes_the_day_that_was_asked_for(airflow, how, day):
    # Scoring waits for the features of a day, so these are made by the same words.
    run_id = airflow.trigger("flights_prepare", **how)
    run = airflow.ended("flights_prepare", run_id)
    assert run["state"] == "success"
    assert set(computed(airflow, run_id)) == {day}
    shown = [run["partition_key"], run["data_interval_start"], run["conf"].get("date")]
    assert [text[:10] for text in shown if text] == [day]


def test_score_begins_when_the_features_of_its_day_are_made(airflow):
    early = airflow.trigger("flights_score", conf={"date": "2013-12-20"})
    airflow.task("flights_score", early, "wait_for_flights_prepare", "up_for_reschedule")
    assert airflow.submitted(early) == []
    made = airflow.trigger("flights_prepare", conf={"date": "2013-12-21"})
    airflow.ended("flights_prepare", made)
    airflow.call("PATCH", f"dags/flights_score/dagRuns/{early}", {"state": "failed"})
    run_id = airflow.trigger("flights_score", partition_key="2013-12-21")
    assert airflow.ended("flights_score", run_id)["state"] == "success"
    assert set(computed(airflow, run_id)) == {"2013-12-21"}


def test_a_day_that_was_prepared_elsewhere_is_told_by_an_event_of_the_asset(airflow):
    run_id = airflow.trigger("flights_score", conf={"date": "2013-12-22"})
    airflow.task("flights_score", run_id, "wait_for_flights_prepare", "up_for_reschedule")
    assert "Days that were prepared elsewhere" in "".join(
        airflow.said("flights_score", run_id, "wait_for_flights_prepare")
    )
    assets = airflow.call("GET", "assets?name_pattern=flights_prepare")["assets"]
    assert [one["name"] for one in assets] == ["flights_prepare"]
    event = {"asset_id": assets[0]["id"], "extra": {"date": "2013-12-22"}}
    assert airflow.call("POST", "assets/events", event)["extra"]["date"] == "2013-12-22"
    assert airflow.ended("flights_score", run_id)["state"] == "success"
    assert set(computed(airflow, run_id)) == {"2013-12-22"}


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({}, "this run names no day"),
        ({"logical_date": "2013-12-09T02:30:00Z"}, "2013-12-08 21:30 in America/New_York"),
        (
            {"partition_key": "2013-12-10", "conf": {"date": "2013-12-11"}},
            "this run names several days",
        ),
    ],
)
def test_a_run_without_a_clear_day_fails_at_once_and_says_what_to_do(airflow, how, said):
    run_id = airflow.trigger("flights_prepare", **how)
    assert airflow.ended("flights_prepare", run_id)["state"] == "failed"
    task = airflow.task("flights_prepare", run_id, "ingest", "failed")
    assert task["try_number"] == 1
    last = airflow.said("flights_prepare", run_id, "ingest")[-1]
    assert said in last
    assert "`date`" in last
    assert airflow.submitted(run_id) == []


def test_the_trigger_form_takes_days_and_nothing_else(airflow):
    param = airflow.call("GET", "dags/flights_prepare/details")["params"]["date"]
    assert param["schema"]["format"] == "date"
    assert "America/New_York" in param["description"]
    for how in ({"conf": {"date": "5.12.2013"}}, {"partition_key": "today"}):
        answer = airflow.call("POST", "dags/flights_prepare/dagRuns", {"logical_date": None} | how)
        assert answer["status"] == 400


def test_a_refusal_is_not_retried_a_failure_is_and_a_clear_begins_anew(airflow):
    said = ["WARN Utils: hm", "tidemill: 12 rows break `positive`.", "Nothing was written."]
    line = "tidemill: 12 rows break `positive`. Nothing was written."
    try:
        for code, tries in ((3, 1), (2, 1), (1, 2)):
            airflow.job(code, *said)
            run_id = airflow.trigger("flights_train")
            assert airflow.ended("flights_train", run_id)["state"] == "failed"
            task = airflow.task("flights_train", run_id, "featurize", "failed")
            assert task["try_number"] == tries
            assert airflow.said("flights_train", run_id, "featurize", tries)[-1] == line
    finally:
        airflow.job(0)
    jobs = [re.search(r"--run-id (\S+)", line)[1] for line in airflow.submitted(run_id)]
    assert len(set(jobs)) == 1
    body = {"dry_run": False, "dag_run_id": run_id, "only_failed": False, "reset_dag_runs": True}
    airflow.call("POST", "dags/flights_train/clearTaskInstances", body)
    assert airflow.ended("flights_train", run_id)["state"] == "success"
    anew = {re.search(r"--run-id (\S+)", line)[1] for line in airflow.submitted(run_id)[4:]}
    assert anew == {f"{jobs[0]}-clear1"}


def test_a_broken_pipeline_is_shown_by_name_and_takes_no_other_dag_away(airflow):
    errors = airflow.call("GET", "importErrors")["import_errors"]
    assert [error["filename"] for error in errors] == ["tidemill_broken.py"]
    assert "no DAGs for broken" in errors[0]["stack_trace"]
    assert "conf/broken/pipeline.yml:2: sorces" in errors[0]["stack_trace"]
    dags = airflow.call("GET", "dags")["dags"]
    assert {dag["dag_id"] for dag in dags if not dag["has_import_errors"]} >= {
        f"flights_{kind}" for kind in ("prepare", "train", "score", "monitor")
    }


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_stop_in_mid_run_ends_everything_and_the_next_start_goes_on(tmp_path, number):
    airflow = LiveAirflow(tmp_path)
    hold = airflow.stub / "hold"
    hold.touch()
    try:
        airflow.start()
        run_id = airflow.trigger("flights_train")
        airflow.until(lambda: airflow.submitted(run_id))
    finally:
        airflow.stop(number)
    if number != signal.SIGKILL:
        assert airflow.processes() == {}
    hold.unlink()
    # What a kill has left, the next start ends first.
    left = set(airflow.processes())
    try:
        airflow.start()
        assert left & set(airflow.processes()) == set()
        assert airflow.ended("flights_train", run_id)["state"] == "success"
        task = airflow.task("flights_train", run_id, "featurize", "success")
        assert task["try_number"] == 2
        log = (tmp_path / "airflow.log").read_text(errors="replace")
        assert "Invalid auth token" not in log
    finally:
        airflow.stop()
    assert airflow.processes() == {}

"""What a stage's exit code and last lines mean."""

import pytest

from pipelines import errors
from pipelines.orchestration.outcome import is_final, remote_codes, what_was_said

STAGE_ERRORS = [
    one
    for one in vars(errors).values()
    if isinstance(one, type) and issubclass(one, errors.TidemillError)
]


@pytest.mark.parametrize("error", STAGE_ERRORS)
def test_refused_settings_rules_and_gates_are_final_and_nothing_else_is(error):
    assert is_final(error.exit_code) == (error.exit_code in (2, 3))
    assert is_final(error.exit_code) == (
        issubclass(
            error,
            (
                errors.UsageError,
                errors.SettingsError,
                errors.TenantError,
                errors.QualityError,
                errors.GateRefused,
                errors.NotReproduced,
            ),
        )
    )


@pytest.mark.parametrize("code", [None, 0, 1, 130, 137, -9, -15])
def test_a_crash_or_a_kill_is_not_final(code):
    assert not is_final(code)


def test_the_error_of_a_stage_becomes_one_line():
    lines = [
        "23:59:01 INFO    ingest flights: rows_in=3",
        "tidemill: flights: 12 of 40 rows break `positive`",
        "  Nothing was written.",
    ]
    said = "tidemill: flights: 12 of 40 rows break `positive` Nothing was written."
    assert what_was_said(lines) == said


def test_where_a_stage_said_nothing_the_other_words_are_kept():
    assert what_was_said(["java.lang.OutOfMemoryError"], "exit code 137") == "exit code 137"


def test_the_exit_code_of_a_driver_on_a_cluster_is_found_in_what_spark_submit_prints():
    lines = [
        "	 diagnostics: User application exited with status 3",
        "INFO LoggingPodStatusWatcherImpl: container spark-kubernetes-driver, Exit code: 2",
        "INFO something else with status 4",
    ]
    assert list(remote_codes(lines)) == [3, 2]

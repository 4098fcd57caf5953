"""The runner of all parts: what it says at the end."""

from pathlib import Path

from tests.suite import Case, Done, parts, read_report, summary

REPORT = """<testsuites><testsuite>
<testcase classname="tests.a" name="one" time="1.5"/>
<testcase classname="tests.a" name="two" time="0.1"><failure message="x"/></testcase>
<testcase classname="tests.a" name="three" time="0"><skipped/></testcase>
<testcase classname="tests.a" name="four" time="0.2"><error message="x"/></testcase>
</testsuite></testsuites>"""


def test_a_report_is_read_case_by_case():
    assert read_report(REPORT) == (
        Case("tests.a::one", 1.5, "passed"),
        Case("tests.a::two", 0.1, "failed"),
        Case("tests.a::three", 0.0, "skipped"),
        Case("tests.a::four", 0.2, "failed"),
    )


def test_the_end_says_what_took_long_what_each_part_took_and_what_failed():
    done = [Done("lint", 1, 2.0), Done("suite", 1, 61.5, read_report(REPORT))]
    lines = summary(done, 63.5, {"CI": "true"}).splitlines()
    assert lines[2] == "     1.5 s  tests.a::one"
    assert lines[6:9] == ["", "slowest files", "     1.8 s  tests.a"]
    assert "     2.0 s  lint      FAILED (exit code 1)" in lines
    assert "    61.5 s  suite        4 tests  FAILED (exit code 1)" in lines
    assert "    63.5 s  in all on continuous integration" in lines
    assert lines[-1] == "1 passed, 3 failed, 1 skipped"


def test_the_slow_part_is_left_out_unless_asked_for():
    quick, whole = parts(Path("r"), slow=False), parts(Path("r"), slow=True)
    assert [part.name for part in quick] == [part.name for part in whole]
    for part in (*quick, *whole):
        if "pytest" in part.command:
            assert ("not slow" in part.command) == (part in quick), part.name

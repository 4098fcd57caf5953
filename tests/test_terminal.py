import pytest

from pipelines import terminal


def test_what_is_printed_inside_goes_to_stderr(capfd):
    with terminal.results_only():
        print("a library's greeting")
    print("a result")
    said = capfd.readouterr()
    assert said.out == "a result\n"
    assert "a library's greeting" in said.err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("called o1.save.\n: java.A: a\n\tat x\nCaused by: B: b\n", "Caused by: B: b"),
        ("called o1.save.\n: java.A: a\n\tat x\n", "java.A: a"),
        ("first\nsecond", "first"),
        ("", "without a message"),
    ],
)
def test_of_an_error_the_line_that_says_most_is_shown(text, expected):
    assert terminal._headline(ValueError(text)) == expected


def test_neither_the_message_nor_the_trace_shows_a_password(monkeypatch, capsys):
    from pipelines.terminal import _end

    monkeypatch.setenv("TIDEMILL_DEBUG", "1")
    try:
        raise ValueError("GET http://alice:hunter2@host/x failed")
    except ValueError as error:
        _end(f"unexpected: {error}", 1)
    said = capsys.readouterr().err
    assert "hunter2" not in said
    assert "alice" not in said
    assert said.count("http://***@host/x failed") == 3, "in the line, the trace and the message"

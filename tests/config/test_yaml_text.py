"""What YAML makes of text that stands without quotes: that text, or an error that says to quote."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipelines.config.document import read_document
from pipelines.config.load import decode
from pipelines.config.problems import settings_error
from pipelines.config.yaml_text import MOST_CHARACTERS
from pipelines.errors import SettingsError
from pipelines.settings import Settings

FILE = "conf/shop/pipeline.yml"
WORDS = ("y", "n", "yes", "no", "on", "off", "true", "null", "Null", "NO", ".nan", "-.inf", "1e3")


class Model(Settings):
    """A model with one setting that is text, and one that may be."""

    text: str
    other: str | None = None


def said(text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        read_document(text, FILE)
    return str(caught.value)


def outcome(written: str, key: str = "text") -> str:
    """Return the setting's value, or the error that its document ends in."""
    try:
        document = read_document(f"# a shop\n{key}: {written}\n", FILE)
        return getattr(Model.model_validate({"text": "", **document.values}), key)
    except ValidationError as error:
        return f"ERROR {settings_error(error, document)}"
    except SettingsError as error:
        return f"ERROR {error}"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("gekündigt?", "gekündigt?"),
        ("no", "a valid string, received False. YAML reads an unquoted `no` so. If it is text, "),
        ("off", "quote it: 'off'"),
        ("1:30", "YAML reads an unquoted `1:30` as the number 90. If it is text, quote it: '1:30'"),
        ("0123", "as the number 83. If it is text, quote it: '0123'; if that number is meant, "),
        ("1_000", "received 1000. YAML reads an unquoted `1_000` so. If it is text, quote it: '1_"),
        ("2024-01-01", "quote it: '2024-01-01'"),
        ("2024-13-45", "month must be in 1..12. If `2024-13-45` is text, quote it: '2024-13-45'"),
        (".inf", "`.inf` is no number that a setting can have; expected a finite one"),
        ("~", "quote it: '~'"),
        ("null", "quote it: 'null'"),
        ("", "received None. Nothing stands behind the key; an empty text is ''."),
        ("@x", "quotes, for example '@x'"),
        ("%x", "quotes, for example '%x'"),
        ("`x", "quotes, for example '`x'"),
        ("Note: this", "quotes, for example 'Note: this'"),
        ("Flight #5 late", "quote it: 'Flight #5 late'; for a comment, put a space behind the `#`"),
        ("#5", "quote it: '#5'"),
        ("Flight # a comment", "Flight"),
        ("*x", "quotes, for example '*x'"),
        ("&x", "for the name of a value that is not there. If it is text, quote it: '&x'"),
        ("!x y", "a tag of YAML, which settings don't use. If it is text, quote it: '!x y'"),
        ("=", "`=` means something of its own to YAML. If `=` is text, quote it: '='"),
        ("|", "`|` begins a block of lines, but none follow. For the sign itself, quote it: '|'"),
        ("- x", "quotes, for example '- x'"),
        ("[x", "Are all brackets and quotes closed"),
        ("[x]", "quote it: '[x]'"),
        ("{x: y}", "quote it: '{x: y}'"),
        ("{x}", "`{x}` has `x` without a value"),
        ("it's", "it's"),
        ("'it''s'", "it's"),
    ],
)
def test_odd_text_without_quotes_is_that_text_or_an_error_that_says_to_quote_it(written, expected):
    for key in ("text", "other"):
        found = outcome(written, key)
        if key == "other" and written in ("~", "null", ""):
            assert found is None  # as it says
        elif expected.startswith(("gek", "it's")) or written == "Flight # a comment":
            assert found == expected
        else:
            assert found.startswith(f"ERROR {FILE}:2: ") or "(begun in line 2)" in found
            assert expected in found


@pytest.mark.parametrize(
    ("written", "quoted"),
    [
        ("{type: decimal(10,2)}", "'decimal(10,2)'"),
        ("{type: decimal(10, 2), trim: false}", "'decimal(10, 2)'"),
        ("[decimal(10,2), int]", "'decimal(10,2)'"),
        ("[name, gekündigt?]", "'gekündigt?'"),
        ("{source: gekündigt?, type: string}", "'gekündigt?'"),
    ],
)
def test_a_comma_or_question_mark_in_braces_is_answered_with_the_text_to_write(written, quoted):
    found = said(f"name: shop\ncolumn: {written}\n")
    assert found.startswith(f"{FILE}:2: ")
    assert quoted in found


@given(
    st.one_of(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=12),
        st.text("ab01 :-#?*&!|>%@`=~<.,_+e[]{}()'\"\\", min_size=1, max_size=8),
        st.from_regex(r"[-+]?[0-9._:xobe]{1,8}", fullmatch=True),
        st.sampled_from(WORDS),
    )
)
@example("a\x85b")
@example("'")
@example('"')
def test_any_text_without_quotes_is_that_text_or_an_error_that_says_to_quote_it(text):
    written = text.strip()
    found = outcome(text)
    if found == written or "quote" in found.replace("'quote", ""):
        return
    # What is quoted or followed by a comment means what it says; a text of several lines is folded.
    is_quoted = written[:1] in ("'", '"')
    has_comment = " #" in written or written[:1] == "#" or "\t#" in written
    assert is_quoted or has_comment or not written or found.split() == written.split(), found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: b\0c\n", f"{FILE}:1: the character U+0000 can't stand in YAML"),
        ("a: 1\nb: \x07\n", f"{FILE}:2: the character U+0007 can't stand in YAML"),
        ("a: x\u2028y\n", f"{FILE}:1: holds the character U+2028, at which YAML would end"),
        ("a:\n\t- b\n", f"{FILE}:2: not valid YAML: a tab stands where YAML wants spaces"),
        ("a: " + "[" * 3000, f"{FILE}:1: more than 50 lists or mappings stand in one another"),
        ("a: " + "{a: " * 3000, f"{FILE}:1: more than 50 lists or mappings stand in one another"),
        ("a: &x [*x]\n", f"{FILE}:1: an alias contains itself"),
        ("a: 1\nb: 2\na: 3\n", f"{FILE}:3: the key 'a' stands here a second time"),
        ("no: 1\n", f"{FILE}:1: the key `no` is read as bool, not as text. Quote it: 'no'."),
        ("? [a]\n: 1\n", f"{FILE}:1: the key `[a]` is read as list or mapping, not as text."),
        ("a: " + "9" * 5000, f"{FILE}:1: Exceeds the limit (4300 digits)"),
        ("a: " + "x" * MOST_CHARACTERS, f"{FILE} has 1,000,003 characters; a settings file has"),
        ("a: 1\n---\nb: 2\n", f"{FILE}:2: not valid YAML: expected a single document"),
    ],
)
def test_what_no_settings_file_holds_is_refused_with_its_line(text, expected):
    found = said(text)
    assert found.startswith(expected)
    assert len(found) < 700


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, levels):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]")
    return "\n".join(lines)


def merge_bomb(levels: int) -> str:
    parts = ["&m0 {k: 1}"]
    for level in range(1, levels):
        parts.append(f"&m{level} {{q{level}: 1, <<: [*m{level - 1}, *m{level - 1}]}}")
    return f"a:\n  <<: [{', '.join(parts)}]\n"


@pytest.mark.parametrize("text", [bomb(8), merge_bomb(30)])
def test_aliases_are_counted_so_that_a_bomb_of_them_ends(text):
    assert "the file holds more than 100,000 values, counting what aliases" in said(text)


@pytest.mark.timeout(120)  # seconds are enough; what looks at the rest of the file each time hangs
@pytest.mark.parametrize(
    "text",
    [
        "a: [" + ",".join(f"&n{number} x" for number in range(60_000)) + "]",
        "a: [" + ",".join("x" for _ in range(90_000)) + "]",
        "a:\n" + "".join(f"- x{number}\n" for number in range(90_000)),
    ],
    ids=["names", "one line", "many lines"],
)
def test_a_file_as_large_as_one_may_be_is_read_in_one_go(text):
    assert len(read_document(text, FILE).values["a"]) >= 60_000


@pytest.mark.parametrize("half", ["\\ud800", "\\udc00 and more", "x\\udfff"])
def test_half_a_character_is_no_text(half):
    place = f"{FILE}:2: `"
    assert said(f'b: 1\na: "{half}"').startswith(place)
    assert said(f'b: 1\n"{half}": 1').startswith(place)
    assert "half of a character" in said(f'b: 1\na: "{half}"')


def test_aliases_as_people_use_them_are_read():
    values = read_document("a: &a {x: 1}\nb: *a\nc: {<<: *a, y: 2}\n", FILE).values
    assert values == {"a": {"x": 1}, "b": {"x": 1}, "c": {"x": 1, "y": 2}}
    assert read_document(bomb(4), FILE).values["a3"][0][0][0][0] == "x"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a: ü\n".encode("utf-16"), f"{FILE}:1: is in UTF-16. Save it as UTF-8."),
        (b"a: 1\nb: \xfc\n", f"{FILE}:2: the byte 0xfc is no UTF-8"),
    ],
)
def test_a_file_that_is_no_utf_8_is_refused_with_its_line(content, expected):
    with pytest.raises(SettingsError) as caught:
        decode(content, FILE)
    assert str(caught.value).startswith(expected)


def test_a_byte_order_mark_and_the_line_ends_of_windows_are_read():
    text = decode("\ufeffa: ü\r\nb:\r\n  - 1\r\n".encode(), FILE)
    assert read_document(text, FILE).values == {"a": "ü", "b": [1]}

"""YAML as settings take it: nothing that silently becomes another value than was written.

YAML reads an unquoted `no` as false, `0123` as 83, `1:30` as 90, ends a text at ` #`, and in braces
at a comma. Where such a reading can't be meant it is refused here, with the line and what to write;
where it may be (`true`), `Document.sources` keeps what was written for whoever finds it unfit.
"""

from __future__ import annotations

import math
import re
from typing import Any

import yaml

from pipelines.errors import SettingsError

MOST_CHARACTERS = 1_000_000
MOST_VALUES = 100_000
"""Values of a file, those that aliases repeat among them."""
DEEPEST = 50

_SHOWN = 120
_ODD_NUMBER = re.compile(r"[-+]?(0[0-7_]+|\d[\d_]*(:[0-5]?\d)+(\.[\d_]*)?)")
_OTHER_BREAKS = {"\x85": r"\x85", "\u2028": r"\u2028", "\u2029": r"\u2029"}
_HALF = re.compile(r"[\ud800-\udfff]")
_LINE_END = re.compile(r"[\r\n]")
_AFTER_COMMENT_SIGN = re.compile(r"[ \t]+#[^\s#]")


def quoted(text: str) -> str:
    """Return a text as it stands in quotes in a YAML file."""
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return '"' + text.encode("unicode_escape").decode("ascii").replace('"', '\\"') + '"'


def place_of(name: str, line: int) -> str:
    """Return a place as users know it; an option has no lines."""
    return name if name.startswith("--") else f"{name}:{line}"


class Loader(yaml.SafeLoader):
    """Makes the tree of a text, as long as it is one that settings may have."""

    def __init__(self, text: str, name: str) -> None:
        _check_text(text, name)
        super().__init__(text)
        self.text, self.name = text, name
        self._depth = 0

    def place(self, mark: Any) -> str:
        """Return file and line of a mark."""
        return place_of(self.name, mark.line + 1)

    def rest_of_line(self, mark: Any) -> str:
        """Return what stands on a mark's line from the mark on."""
        return _rest_of_line(self.text, mark.index).strip()

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Make one node, unless it lies too deep."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        mark = event.start_mark
        self._depth += 1
        if self._depth > DEEPEST:
            raise SettingsError(
                f"{self.place(mark)}: more than {DEEPEST} lists or mappings stand in one another; "
                "no setting is that deep. Look for a bracket that is not closed."
            )
        if getattr(event, "tag", None) is not None:
            raise SettingsError(
                f"{self.place(mark)}: `{self.rest_of_line(mark)}` begins with `!`, a tag of YAML, "
                f"which settings don't use. If it is text, quote it: "
                f"{quoted(self.rest_of_line(mark))}."
            )
        if isinstance(event, yaml.ScalarEvent) and event.anchor and not event.value:
            raise SettingsError(
                f"{self.place(mark)}: YAML takes `&{event.anchor}` for the name of a value that "
                f"is not there. If it is text, quote it: '&{event.anchor}'."
            )
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def flatten_mapping(self, node: Any) -> None:
        """Take in what `<<` names, unless aliases make too much of it."""
        super().flatten_mapping(node)
        self.check_number(len(node.value), node.start_mark)

    def check_number(self, count: int, mark: Any) -> None:
        """Raise SettingsError where so many values are more than settings have."""
        if count > MOST_VALUES:
            raise SettingsError(
                f"{self.place(mark)}: the file holds more than {MOST_VALUES:,} values, counting "
                "what aliases (`*name`) repeat. Write out what is meant."
            )

    def scalar(self, node: yaml.ScalarNode) -> Any:
        """Return the value of a scalar; raise SettingsError where it can't be meant."""
        if node.style is None:
            self._check_comment(node)
        elif node.style in "|>" and not node.value.strip():
            sign = node.style
            raise SettingsError(
                f"{self.place(node.start_mark)}: `{sign}` begins a block of lines, but none "
                f"follow. For the sign itself, quote it: '{sign}'."
            )
        try:
            value = self.construct_object(node, deep=True)
        except (yaml.constructor.ConstructorError, ValueError) as error:
            said = getattr(error, "problem", None) or str(error)
            if "could not determine a constructor" in said:
                said = f"`{node.value}` means something of its own to YAML"
            shown = node.value if len(node.value) <= _SHOWN else f"{node.value[:_SHOWN]}..."
            raise SettingsError(
                f"{self.place(node.start_mark)}: {said}. If `{shown}` is text, quote it: "
                f"{quoted(shown)}."
            ) from error
        if isinstance(value, str) and (half := _HALF.search(value)):
            raise SettingsError(
                f"{self.place(node.start_mark)}: `\\u{ord(half.group()):x}` is half of a character "
                "and no text. Write the character itself, or all of it as `\\U` and eight digits."
            )
        if node.style is None and isinstance(value, int | float) and not isinstance(value, bool):
            self._check_number_is_meant(node, value)
        return value

    def _check_number_is_meant(self, node: yaml.ScalarNode, value: float) -> None:
        place, text = self.place(node.start_mark), node.value
        if not math.isfinite(value):
            raise SettingsError(
                f"{place}: `{text}` is no number that a setting can have; expected a finite one. "
                f"If it is text, quote it: {quoted(text)}."
            )
        if _ODD_NUMBER.fullmatch(text):
            raise SettingsError(
                f"{place}: YAML reads an unquoted `{text}` as the number {value:g}. If it is text, "
                f"quote it: {quoted(text)}; if that number is meant, write {value:g}."
            )

    def _check_comment(self, node: yaml.ScalarNode) -> None:
        """Refuse `Flight #5`: a comment without a space is likelier to be text that was cut."""
        begin, end = node.start_mark.index, node.end_mark.index
        is_text = node.tag == "tag:yaml.org,2002:str" or end == begin
        if is_text and _AFTER_COMMENT_SIGN.match(self.text, end):
            rest = _rest_of_line(self.text, end)
            whole = f"{node.value}{rest.rstrip()}".strip()
            raise SettingsError(
                f"{self.place(node.start_mark)}: YAML takes `{rest.strip()}` for a comment, and "
                f"what stands before it for the value. If it is text, quote it: {quoted(whole)}; "
                "for a comment, put a space behind the `#`."
            )


def _rest_of_line(text: str, index: int) -> str:
    # A slice of all that follows, for each value of a file, would take minutes.
    end = _LINE_END.search(text, index)
    return text[index : end.start() if end else len(text)]


def _check_text(text: str, name: str) -> None:
    """Raise SettingsError for what a settings file can't hold, with its line."""
    if len(text) > MOST_CHARACTERS:
        raise SettingsError(
            f"{name} has {len(text):,} characters; a settings file has {MOST_CHARACTERS:,} at "
            "most. Is it another file?"
        )
    odd = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if odd is not None:
        place = place_of(name, text.count("\n", 0, odd.start()) + 1)
        raise SettingsError(
            f"{place}: the character U+{ord(odd.group()):04X} can't stand in YAML. Take it "
            f'out, or write it as an escape in double quotes: "\\x{ord(odd.group()):02x}".'
        )
    for sign, escape in _OTHER_BREAKS.items():
        if sign in text:
            place = place_of(name, text.count("\n", 0, text.index(sign)) + 1)
            raise SettingsError(
                f"{place}: holds the character U+{ord(sign):04X}, at which YAML would end "
                f'the line. Take it out, or write it as an escape in double quotes: "{escape}".'
            )


def syntax_error(error: yaml.MarkedYAMLError, loader: Loader | None, name: str) -> SettingsError:
    """Return what is wrong with a text that is no YAML, with its line and what may be meant."""
    mark = error.problem_mark or error.context_mark
    place = place_of(name, mark.line + 1) if mark else name
    begun = error.context_mark.line + 1 if error.context_mark else None
    since = f" (begun in line {begun})" if mark and begun not in (None, mark.line + 1) else ""
    said = ", ".join(part for part in (error.context, error.problem) if part)
    if mark is None or loader is None:
        return SettingsError(f"{place}: not valid YAML: {said}.")
    if "'\\t'" in said:
        return SettingsError(
            f"{place}: not valid YAML: a tab stands where YAML wants spaces. Indent with "
            'spaces; a tab that is part of a text stands in double quotes: "\\t".'
        )
    written = _written_at(loader.text, mark.index)
    hint = f", for example {quoted(written)}" if 0 < len(written) <= _SHOWN else ""
    return SettingsError(
        f"{place}: not valid YAML: {said}{since}. Are all brackets and quotes closed, and all "
        "lines indented alike? Text that holds signs of YAML (one of , : # ? [ ] { } & * ! | > % "
        f"@ ` or a quote) has to stand in quotes{hint}."
    )


def _written_at(text: str, index: int) -> str:
    """Return the text around a place that was perhaps meant to be one value."""
    begin = max(text.rfind("\n", 0, index), text.rfind("\r", 0, index)) + 1
    end = re.search(r"[\r\n]|$", text[index:])
    line = text[begin : index + (end.start() if end else 0)]
    at = index - begin
    if re.search(r"[\[{]", line[:at]):
        left = max(line.rfind(sign, 0, at) for sign in ("[", "{", ",", ": "))
        left += 1 + line[left:].startswith(": ")
        right = re.search(r"[,\]}]|$", line[at:])
        return line[left : at + (right.start() if right else 0)].strip(" \"'")
    value = re.match(r"[\s-]*[^\s:'\"\[{]+:\s+(.*)", line)
    return (value[1] if value else line).strip(" \"'")

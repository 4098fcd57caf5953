"""Texts that hypothesis makes up: some of each type, some that are nearly so."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

_DAYS = st.dates().map(str)
_TIMES = st.times()
_OFFSETS = st.from_regex(r" ?(Z|UTC|[+-](0[0-9]|1[0-7])(:?[0-5][0-9])?)", fullmatch=True)
_NUMBERS = st.one_of(
    st.from_regex(r"[+-]?[0-9]{1,20}(\.[0-9]{0,20})?", fullmatch=True),
    st.from_regex(r"[+-]?[0-9]{0,3}\.[0-9]{1,4}0*", fullmatch=True),
    st.from_regex(r"[+-]?[0-9]{1,3}(\.[0-9]{1,3})?[eE][+-]?[0-9]{1,3}", fullmatch=True),
    st.integers(-(2**65), 2**65).map(str),
    st.integers(-(2**55), 2**55).map(lambda n: f"{n}.0"),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
)
GOOD = {
    "number": _NUMBERS,
    "date": st.one_of(_DAYS, _DAYS.map(lambda day: f"{day} 00:00:00.000")),
    "timestamp": st.one_of(
        _DAYS,
        st.builds("{}{}{:%H:%M}".format, _DAYS, st.sampled_from("T "), _TIMES),
        st.builds("{}T{:%H:%M:%S}".format, _DAYS, _TIMES),
        st.builds("{} {:%H:%M:%S.%f}{}".format, _DAYS, _TIMES, st.sampled_from(["", "0", "1"])),
        st.builds("{}T{:%H:%M:%S}{}".format, _DAYS, _TIMES, _OFFSETS),
        st.builds("{} {:%H:%M:%S.%f}{}".format, _DAYS, _TIMES, _OFFSETS),
    ),
}
_ODD = "FfdDlLxXeE_+-.,:'TZzp 0159\n\t\x00\x0b\u0663\uff11\u2003\u200b\u2212\u00bd"


def _spoilt(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def put(text: str, odd: str, place: int, cut: int) -> str:
        place %= len(text) + 1
        return text[:place] + odd + text[place + cut :]

    odd = st.text(st.sampled_from(_ODD), max_size=2)
    return st.builds(put, texts, odd, st.integers(0, 40), st.integers(0, 2))


def texts(kind: str, num: int) -> list[str]:
    """Return texts of and around a type, each once. All of them then go into one frame of Spark."""
    found: list[str] = []

    @settings(
        max_examples=num, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.one_of(GOOD[kind], _spoilt(GOOD[kind])))
    def collect(text: str) -> None:
        found.append(text)

    collect()
    return list(dict.fromkeys(found))

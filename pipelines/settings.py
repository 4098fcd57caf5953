"""What all settings models share: frozen, and unknown keys refused."""

from __future__ import annotations

from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import BaseModel, BeforeValidator, ConfigDict

from pipelines.errors import nearest


class Settings(BaseModel):
    """Base of all settings: frozen, no unknown keys, attribute docstrings become descriptions.

    No number of a setting is NaN or infinite: all comparisons with such a bound pass, or none.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )


def known_zone(value: str) -> str:
    """Return the name of a time zone as it is; raise ValueError where there is none of the name."""
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError) as error:
        city = value.strip().replace(" ", "_").lower()
        zones = sorted(available_timezones())
        same = [zone for zone in zones if zone.lower().rsplit("/", 1)[-1] == city]
        near = nearest(value, zones) if "/" in value else ""
        near = f" Did you mean '{same[0]}'?" if same else near
        raise ValueError(
            f"unknown time zone '{value}'; expected a name of IANA's, as Europe/Berlin.{near}"
        ) from error
    return value


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Names = Annotated[
    tuple[str, ...], BeforeValidator(_as_tuple, json_schema_input_type=str | tuple[str, ...])
]
"""One name or a list of names."""

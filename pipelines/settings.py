"""What all settings models share: frozen, and unknown keys refused."""

from __future__ import annotations

from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict


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
        raise ValueError(f"unknown time zone '{value}'") from error
    return value


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Names = Annotated[
    tuple[str, ...], BeforeValidator(_as_tuple, json_schema_input_type=str | tuple[str, ...])
]
"""One name or a list of names."""

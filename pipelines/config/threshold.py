"""From which probability on a prediction says yes: a number, or what the number has to achieve."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pipelines.settings import Settings

DEFAULT = 0.5


class ErrorCosts(Settings):
    """What the two errors cost, in one unit; only their ratio matters."""

    false_positive: float = Field(gt=0)
    """Of a no that is called a yes."""
    false_negative: float = Field(gt=0)
    """Of a yes that is called a no."""


class WantedThreshold(Settings):
    """What the threshold is to achieve on the validation split: exactly one of these."""

    precision: float | None = Field(None, gt=0, le=1)
    """At least this share of those called yes are a yes; with it as many yes found as can be."""
    recall: float | None = Field(None, gt=0, le=1)
    """At least this share of the yes is found; with it as few false alarms as can be."""
    costs: ErrorCosts | None = None
    """The sum of what the errors cost is smallest."""

    @model_validator(mode="after")
    def _one(self) -> WantedThreshold:
        given = [name for name in ("precision", "recall", "costs") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(
                "a threshold is chosen by exactly one of `precision`, `recall` and `costs`; "
                f"received {' and '.join(given) or 'none'}"
            )
        return self


Number = Annotated[float, Field(gt=0, lt=1)]
Threshold = Number | Literal["f1", "youden"] | WantedThreshold


def in_training(threshold: Threshold) -> float:
    """Return the number that counts while a model is trained: one to be chosen is not known yet."""
    return threshold if isinstance(threshold, float) else DEFAULT


def plain(threshold: Threshold) -> Any:
    """Return the setting as a plain JSON value."""
    if isinstance(threshold, WantedThreshold):
        return threshold.model_dump(mode="json", exclude_none=True)
    return threshold


def in_words(asked: Any) -> str:
    """Say a plain setting as people wrote it: `0.5`, `f1`, `precision: 0.8`."""
    if not isinstance(asked, dict):
        return str(asked)
    ((name, value),) = asked.items()
    if isinstance(value, dict):
        value = "{" + ", ".join(f"{key}: {cost:g}" for key, cost in value.items()) + "}"
    return f"{name}: {value}"

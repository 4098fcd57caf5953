"""The sensor that waits until another DAG has done a day."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Asset, BaseSensorOperator


class DaySensor(BaseSensorOperator):
    """Waits for an event of an asset that carries the day, however the run that made it began.

    (Runs are told apart by their day, not by a logical date, which most of them don't have.)
    """

    template_fields = ("day",)

    def __init__(self, *, asset: Asset, day: str, **kwargs: Any) -> None:
        """Take the asset that the other DAG's last task updates, and the day (a template)."""
        super().__init__(inlets=[asset], **kwargs)
        self.asset = asset
        self.day = day

    def poke(self, context: Any) -> bool:
        """Look whether the day is done."""
        self.log.info(
            "Waiting for %s of the day %s. If that was done outside of this Airflow, or by a "
            "release that kept no days, tell of it: docs/airflow.md, "
            '"Days that were prepared elsewhere".',
            self.asset.name,
            self.day,
        )
        events = context["inlet_events"][self.asset]
        return any((event.extra or {}).get("date") == self.day for event in events)

"""The operator that runs a stage with spark-submit."""

from __future__ import annotations

import contextlib
import logging
from typing import Any

import psutil
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from pipelines.orchestration.outcome import is_final, remote_codes, what_was_said


class StageOperator(SparkSubmitOperator):
    """A stage of a pipeline for one local day, or for none.

    A stage that refused its settings or its data (see `pipelines.errors`) fails at once: the same
    again would end the same. What the stage said stands last in the task's log. The task's outlets
    carry the day, for those who wait for it.
    """

    template_fields = (*SparkSubmitOperator.template_fields, "day")

    def __init__(self, *, day: str | None = None, **kwargs: Any) -> None:
        """Take the run's day (a template) beside what SparkSubmitOperator takes."""
        super().__init__(on_failure_callback=_say_again, on_retry_callback=_say_again, **kwargs)
        self.day = day
        self.said = ""

    def execute(self, context: Any) -> None:
        """Run the job; raise AirflowFailException where a retry can't help."""
        try:
            super().execute(context)
        except AirflowException as error:
            lines = tuple(getattr(self._hook, "_last_submit_log_lines", ()))
            process = getattr(self._hook, "_submit_sp", None)
            codes = {getattr(process, "returncode", None), *remote_codes(lines)}
            self.said = what_was_said(lines, str(error))
            if any(map(is_final, codes)):
                raise AirflowFailException(self.said) from None
            raise AirflowException(self.said) from None
        for asset in self.outlets:
            context["outlet_events"][asset].extra = {"date": self.day}

    def on_kill(self) -> None:
        """End the job with all of its processes; the driver in Python would outlive its JVM."""
        process = getattr(self._hook, "_submit_sp", None)
        family: list[psutil.Process] = []
        if process is not None and process.poll() is None:
            family = psutil.Process(process.pid).children(recursive=True)
        super().on_kill()
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()


def _say_again(context: Any) -> None:
    """Repeat what a stage said: after it come Spark's last words, and Airflow's stack trace."""
    said = getattr(context["ti"].task, "said", "") or str(context.get("exception") or "")
    if said:
        logging.getLogger(__name__).error(said)

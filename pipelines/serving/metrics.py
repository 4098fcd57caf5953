"""What Prometheus is told of the service."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from pipelines.serving.models import Served

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ROWS = (1, 2, 5, 10, 100, 1_000, 10_000, 100_000)


class Metrics:
    """Counters of one application, in a registry of their own."""

    def __init__(self) -> None:
        """Make them, all at zero."""
        self.registry = CollectorRegistry()
        labels = ("route", "status")
        self._requests = Counter(
            "tidemill_requests", "Requests answered.", labels, registry=self.registry
        )
        self._seconds = Histogram(
            "tidemill_request_seconds",
            "Seconds from a request's headers to its answer.",
            ("route",),
            registry=self.registry,
            buckets=_SECONDS,
        )
        self._rows = Histogram(
            "tidemill_request_rows", "Rows of a request.", registry=self.registry, buckets=_ROWS
        )
        self._batch_requests, self._batch_rows = (
            Histogram(
                f"tidemill_batch_{what}",
                f"The {what} that one call of the model predicted.",
                registry=self.registry,
                buckets=_ROWS,
            )
            for what in ("requests", "rows")
        )
        self._version = Gauge(
            "tidemill_model_version", "The version that answers.", ("model",),
            registry=self.registry,
        )  # fmt: skip

    def count(self, route: str, status: int, seconds: float) -> None:
        """Count a request; `route` is its pattern, never a path that a caller made up."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def batched(self, num_requests: int, num_rows: int) -> None:
        """Count a call of the model: of how many requests, with how many rows."""
        self._batch_requests.observe(num_requests)
        self._batch_rows.observe(num_rows)

    def predicted(self, served: Served, num_rows: int) -> None:
        """Count rows that were predicted."""
        self._rows.observe(num_rows)
        self._version.labels(served.name).set(served.version)

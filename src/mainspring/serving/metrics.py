"""What a server counts and times, in the text format that Prometheus scrapes."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

__all__ = ["Metrics"]

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class Metrics:
    """One registry for each server, so that several can live in one process."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.latency = Histogram(
            "mainspring_request_seconds",
            "Time from the whole request to the answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.answers = Counter(
            "mainspring_answers", "Requests answered, by status.", ["route", "status"], registry=self.registry
        )
        self.facts = Counter(
            "mainspring_facts", "Rows of facts received, by what became of them.", ["table", "outcome"],
            registry=self.registry,
        )  # fmt: skip
        self.predictions = Counter(
            "mainspring_predictions", "Predictions answered.", ["arm", "model"], registry=self.registry
        )
        self.missing = Counter(
            "mainspring_missing_features", "Values of features that were missing.", ["feature"], registry=self.registry
        )
        self.state_bytes = Gauge("mainspring_state_bytes", "Memory of the online state.", registry=self.registry)
        self.state_time = Gauge(
            "mainspring_now_seconds", "The service's clock, in seconds since the epoch.", registry=self.registry
        )

    def text(self) -> bytes:
        """Return all figures as text."""
        return generate_latest(self.registry)

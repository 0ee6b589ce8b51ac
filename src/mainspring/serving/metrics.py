"""What a server counts and times, in the text format that Prometheus scrapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric

from mainspring.clock import SECOND
from mainspring.declare import Aggregate, Expression, walk
from mainspring.serving.alerts import OpenAlerts
from mainspring.serving.service import Service
from mainspring.serving.sink import LAKE_GROUP
from mainspring.serving.skew import Skew
from mainspring.stream import EmbeddedLog

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
            ["route", "arm"],
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
        self._by_arm: dict[tuple[str, str], Counter] = {}

    def predicted(self, arm: str, model: str) -> None:
        """Count a prediction that was answered."""
        counter = self._by_arm.get((arm, model))
        if counter is None:
            counter = self._by_arm[arm, model] = self.predictions.labels(arm, model)
        counter.inc()

    def of_route(self, name: str) -> Callable[[int, str, float], None]:
        """Return what counts an answer of a route: by its status, the arm that answered ("" for none) and the seconds."""
        statuses: dict[int, Counter] = {}
        arms: dict[str, Histogram] = {}

        def count(status: int, arm: str, seconds: float) -> None:
            answers = statuses.get(status)
            if answers is None:
                answers = statuses[status] = self.answers.labels(name, str(status))
            latency = arms.get(arm)
            if latency is None:
                latency = arms[arm] = self.latency.labels(name, arm)
            answers.inc()
            latency.observe(seconds)

        return count

    def watch(
        self, service: Service, log: EmbeddedLog, skew: Callable[[], Skew], alerts: OpenAlerts | None = None
    ) -> None:
        """Tell of a service, its log, the last check of its features and its alerts, as they are when somebody asks."""
        self.registry.register(_Watched(service, log, skew))
        if alerts is not None:
            self.registry.register(_Alerts(alerts))

    def text(self) -> bytes:
        """Return all figures as text."""
        return generate_latest(self.registry)


class _Watched:
    """Figures that are read when they are asked for."""

    def __init__(self, service: Service, log: EmbeddedLog, skew: Callable[[], Skew]) -> None:
        self._service, self._log, self._skew = service, log, skew
        self._tables = {name: _tables(each) for name, each in service.predictor.system.features.items()}

    def describe(self) -> list[Metric]:
        return []  # registering asks nothing of the log

    def collect(self) -> Iterator[Metric]:
        service = self._service
        now = service.clock.now()
        yield GaugeMetricFamily("mainspring_now_seconds", "The service's clock since the epoch.", now / SECOND)
        size = service.predictor.state.size()
        yield GaugeMetricFamily("mainspring_state_bytes", "Memory of the online state.", size.bytes)
        yield GaugeMetricFamily("mainspring_state_facts", "Facts in the online state.", size.n_facts)
        yield GaugeMetricFamily(
            "mainspring_pending_decisions", "Decisions asked for and not answered yet.", service.remembered.n_pending
        )
        lag = CounterMetricFamily(
            "mainspring_facts_lag_seconds",
            "Time from when facts were known to when they arrived, summed over accepted facts.",
            labels=["table"],
        )
        for table, microseconds in list(service.lags.items()):  # at once: another thread takes facts in
            lag.add_metric([table], microseconds / SECOND)
        yield lag
        staleness = GaugeMetricFamily(
            "mainspring_feature_staleness_seconds",
            "Time since the newest fact of the stalest table that a feature reads.",
            labels=["feature"],
        )
        for feature, tables in self._tables.items():
            newest = min((service.fresh.get(table, 0) for table in tables), default=0)
            if newest:
                staleness.add_metric([feature], max(0, now - newest) / SECOND)
        yield staleness
        missing = CounterMetricFamily(
            "mainspring_missing_features", "Values of features that were missing in predictions.", labels=["feature"]
        )
        for feature in self._service.predictor.system.features:
            missing.add_metric([feature], service.missing[feature])
        yield missing
        skew = self._skew()
        yield GaugeMetricFamily(
            "mainspring_skew_checked_predictions",
            "Predictions whose features were last computed again.",
            skew.predictions,
        )
        skewed = GaugeMetricFamily(
            "mainspring_skewed_values", "Values of features that batch does not confirm.", labels=["feature"]
        )
        for feature, values in skew.different.items():
            skewed.add_metric([feature], values)
        yield skewed
        behind = GaugeMetricFamily(
            "mainspring_lake_lag_records", "Records of the log that the lake has not got yet.", labels=["topic"]
        )
        for topic in self._log.topics():
            committed = self._log.groups(topic).get(LAKE_GROUP)
            if committed is not None:
                behind.add_metric([topic], self._log.end(topic) - committed)
        yield behind


class _Alerts:
    """What is open, and how often somebody was told, as the ledger was last read."""

    def __init__(self, alerts: OpenAlerts) -> None:
        self._alerts = alerts

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        by = ["monitor", "severity", "owner"]
        opened = GaugeMetricFamily("mainspring_alerts_open", "Alerts that have not ended.", labels=by)
        for alert in self._alerts.open:
            opened.add_metric([alert.monitor, alert.severity, alert.owner], 1)
        yield opened
        yield CounterMetricFamily(
            "mainspring_alerts_sent", "Times that an alert was sent: once, and again when it grew worse.",
            self._alerts.sends,
        )  # fmt: skip


def _tables(expression: Expression) -> frozenset[str]:
    """The tables, other than static ones, whose facts a feature reads."""
    read = [node.table for node in walk(expression) if isinstance(node, Aggregate)]
    return frozenset(
        table.__schema__.name for table in read if table is not None and table.__schema__.known_at is not None
    )

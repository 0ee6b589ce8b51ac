"""What goes through a server: requests and predictions a second, how long they take, as its own counters tell."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import pairwise

from msgspec import Struct

from mainspring.clock import SECOND
from mainspring.serving.metrics import Metrics

__all__ = ["ArmTraffic", "Moment", "Traffic", "TrafficTold"]

_KEPT = 121  # samples: ten minutes at five seconds
_MINUTE = 12  # samples
_ROUTES = (
    "predict",
    "infer",
    "facts",
    "outcomes",
    "prediction",
)  # what clients ask; pages and scrapers are not counted


class ArmTraffic(Struct, frozen=True, kw_only=True):
    """What one arm answered: since the server began, and a second over the last minute."""

    arm: str
    model: str
    predictions: int
    per_second: float


class Moment(Struct, frozen=True):
    """Requests a second between two samples; `at` is real time, microseconds."""

    at: int
    per_second: float


class TrafficTold(Struct, frozen=True, kw_only=True):
    """The traffic of the last minute. Milliseconds are bounds of a histogram: so long at the most, or longer than any.
    None where nobody asked."""

    requests: int = 0  # since the server began
    per_second: float = 0.0
    failed: float = 0.0  # the share of answers that were the server's own failures
    p50: float | None = None
    p99: float | None = None
    arms: list[ArmTraffic] = []
    moments: list[Moment] = []  # of the last ten minutes, the oldest first


class _Sample(Struct, frozen=True):
    at: int
    answers: int
    failures: int
    buckets: dict[float, int]  # by bound in seconds: answers that took no longer
    arms: dict[tuple[str, str], int]


class Traffic:
    """Samples the counters of a server now and then. For one thread; costs nothing where no request passes by."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._samples: deque[_Sample] = deque(maxlen=_KEPT)

    def sample(self, now: int) -> None:
        """Read the counters at an instant (microseconds)."""
        answers = failures = 0
        for labels, value in _values(self._metrics.answers, "_total"):
            if labels["route"] in _ROUTES:
                answers += value
                failures += value if labels["status"].startswith("5") else 0
        buckets: dict[float, int] = {}
        for labels, value in _values(self._metrics.latency, "_bucket"):
            if labels["route"] in _ROUTES:
                bound = float(labels["le"])
                buckets[bound] = buckets.get(bound, 0) + value
        arms = {
            (labels["arm"], labels["model"]): value for labels, value in _values(self._metrics.predictions, "_total")
        }
        self._samples.append(_Sample(now, answers, failures, buckets, arms))

    def told(self) -> TrafficTold:
        """Return what the samples tell; nothing while there are fewer than two."""
        if len(self._samples) < 2:
            return TrafficTold()
        samples = list(self._samples)
        then, now = samples[-min(_MINUTE + 1, len(samples))], samples[-1]
        seconds = max(now.at - then.at, 1) / SECOND
        answers = now.answers - then.answers
        buckets = {bound: count - then.buckets.get(bound, 0) for bound, count in now.buckets.items()}
        return TrafficTold(
            requests=now.answers,
            per_second=answers / seconds,
            failed=(now.failures - then.failures) / answers if answers else 0.0,
            p50=_quantile(buckets, 0.5),
            p99=_quantile(buckets, 0.99),
            arms=[
                ArmTraffic(
                    arm=arm,
                    model=model,
                    predictions=count,
                    per_second=(count - then.arms.get((arm, model), 0)) / seconds,
                )
                for (arm, model), count in sorted(now.arms.items())
            ],
            moments=[
                Moment(b.at, (b.answers - a.answers) * SECOND / max(b.at - a.at, 1)) for a, b in pairwise(samples)
            ],
        )


def _values(counted: object, kind: str) -> Iterator[tuple[dict[str, str], int]]:
    (family,) = counted.collect()  # type: ignore[attr-defined]
    for sample in family.samples:
        if sample.name.endswith(kind):
            yield sample.labels, int(sample.value)


def _quantile(buckets: dict[float, int], share: float) -> float | None:
    """The least bound that a share of answers keeps, in milliseconds; None where there are none, infinite where they keep none."""
    total = max(buckets.values(), default=0)
    kept = [bound for bound, count in buckets.items() if total and count >= share * total]
    return min(kept) * 1000 if kept else None

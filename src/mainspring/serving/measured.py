"""What a running server did of what its system promises: good and bad of every SLO since somebody last asked.

Nothing is added to the way of a request: all is read from what `Metrics` counts in any case, and from when the newest fact of
each table is visible.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from prometheus_client import Counter, Histogram
from prometheus_client.samples import Sample

from mainspring.clock import MINUTE, SECOND, parse_span
from mainspring.declare import SLO
from mainspring.serving.metrics import Metrics
from mainspring.serving.service import Service

__all__ = ["Measured", "MeasuredCounts", "fresh_minutes"]

Instants = NDArray[np.int64]


class MeasuredCounts(Struct, frozen=True):
    """What was counted in (begin, end] (microseconds) by the service's clock: good and bad of each operational SLO by name."""

    begin: int
    end: int
    counts: dict[str, tuple[int, int]]


class Measured:
    """Reads the counts of one server. For one thread, which need not be the server's.

    Guarantee: what is told from the first time to any other sums up to what the server has counted since this was made; nothing
    is told twice, and nothing is lost but what was told to somebody who did not keep it.
    """

    def __init__(self, slos: Sequence[SLO], metrics: Metrics, service: Service) -> None:
        self._slos = [slo for slo in slos if slo.is_operational]
        self._metrics, self._service = metrics, service
        self._until = service.clock.now()
        self._fresh = self._newest()
        self._requests = {slo.name: self._of_requests(slo) for slo in self._slos if slo.of != "freshness"}

    def told(self) -> MeasuredCounts:
        """Return what has been counted since the last time, or since this was made.

        Latency is held to the longest bound of the histogram that is no longer than the SLO's span: never flattered. It speaks
        of every answer, refusals too, because the histogram does not tell them apart. Where the clock was set back, what was
        counted since the last time is told as of the instant that it was set back to.
        """
        now = self._service.clock.now()
        begin = min(self._until, now)
        before, after = self._fresh, self._newest()
        self._until, self._fresh = now, after
        # A row that will be visible only later has arrived: until then its table is fresh. Of several rows that came at once
        # only the newest is known, so that a table may have been fresh a little longer than is told.
        visible = {
            table: np.array([min(before[table], begin), max(before[table], newest)])
            if newest
            else np.zeros(0, np.int64)
            for table, newest in after.items()
        }
        counts = {}
        for slo in self._slos:
            if slo.within is not None and slo.of == "freshness":
                counts[slo.name] = fresh_minutes(visible, parse_span(slo.within), begin, self._until)
            else:
                last, newest = self._requests[slo.name], self._of_requests(slo)
                self._requests[slo.name] = newest
                counts[slo.name] = (newest[0] - last[0], newest[1] - last[1])
        return MeasuredCounts(begin, self._until, counts)

    def _newest(self) -> dict[str, int]:
        """From when the newest fact of each table is visible, 0 where it has none; static tables left out."""
        fresh, tables = self._service.fresh, self._service.predictor.system.tables
        return {t.__schema__.name: fresh.get(t.__schema__.name, 0) for t in tables if not t.__schema__.static}

    def _of_requests(self, slo: SLO) -> tuple[int, int]:
        """Good and bad since the server began."""
        return self._in_time(slo) if slo.of == "latency" else self._answered(slo)

    def _answered(self, slo: SLO) -> tuple[int, int]:
        good = bad = 0
        for sample in _samples(self._metrics.answers, "_total", slo):
            status = int(sample.labels["status"])
            good += int(sample.value) if status < 400 else 0
            bad += int(sample.value) if status >= 500 else 0
        return good, bad

    def _in_time(self, slo: SLO) -> tuple[int, int]:
        within = parse_span(slo.within or "0s") / SECOND
        good: dict[tuple[str, str], int] = {}
        for sample in _samples(self._metrics.latency, "_bucket", slo):
            if float(sample.labels["le"]) <= within:
                of = sample.labels["route"], sample.labels["arm"]
                good[of] = max(good.get(of, 0), int(sample.value))  # a bucket holds all that was quicker, too
        in_time = sum(good.values())
        return in_time, sum(int(each.value) for each in _samples(self._metrics.latency, "_count", slo)) - in_time


def _samples(counted: Counter | Histogram, kind: str, slo: SLO) -> list[Sample]:
    (family,) = counted.collect()
    return [each for each in family.samples if each.name.endswith(kind) and each.labels["route"] in slo.routes]


def fresh_minutes(visible: Mapping[str, Instants], within: int, begin: int, end: int) -> tuple[int, int]:
    """Return in how many minutes that end in (begin, end] all tables were fresh, and in how many not.

    `visible` holds for each table the instants (microseconds, ascending) from which its rows are visible. A table is fresh at an
    instant when its newest visible row became visible at most `within` microseconds before; one without a row is not.
    """
    ends = np.arange(begin // MINUTE + 1, end // MINUTE + 1, dtype=np.int64) * MINUTE
    fresh = np.ones(len(ends), bool)
    for instants in visible.values():
        place = np.searchsorted(instants, ends, "right") - 1
        fresh &= (place >= 0) & (ends - np.append(instants, 0)[place] <= within)
    good = int(fresh.sum())
    return good, len(ends) - good

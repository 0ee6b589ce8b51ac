"""What a proxy tells of labels that have not come: counted per cohort of decision time, as realised quality is.

A proxy is a yes/no fact that hints at a yes/no label and is known sooner. Per cohort there are sums by cell, a proxy value
and a bin of the prediction, and no row: they suffice to learn how often the label is yes in each cell (`ProxyMap`), and to
say from that what a figure of quality will be on cohorts whose labels are still to come.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray
from scipy.special import stdtrit

from mainspring.clock import DAY, parse_span
from mainspring.declare import Proxy
from mainspring.monitoring.calibration_check import Unknown
from mainspring.monitoring.estimated import Estimate
from mainspring.monitoring.proxy_map import CELLS, ProxyMap, cells, learned
from mainspring.monitoring.readings import Reading
from mainspring.monitoring.realised import Figure

__all__ = ["ProxyCohorts", "proxy_readings"]

Floats = NDArray[np.float64]

_ROWS, _KNOWN, _CAME = 0, 1, 2  # the sums that every cohort has: decisions with a proxy, with a label too, with a yes
_FIGURE = 3  # where those of the first figure begin: what rows add if the label is no, how much more if yes, its square


class ProxyCohorts(Struct, frozen=True):
    """What one proxy told of one model's decisions, `width` microseconds of decision time to a cohort.

    Every method returns a new value. Guarantee: the same rows in the same order give the same value to the last bit,
    however they are cut into calls. Cohorts older than the newest `kept` are forgotten.
    """

    width: int
    figures: tuple[str, ...]
    kept: int = 42
    held: dict[int, tuple[tuple[float, ...], ...]] = {}

    def told(
        self, decided_at: NDArray[np.int64], predictions: Floats, proxy: Floats, figures: Mapping[str, Figure]
    ) -> ProxyCohorts:
        """Count decisions whose proxy is settled: its value 0 or 1 (n,) and the model's probability of yes (n,).

        Rows where either is NaN are left out.
        """
        there = ~(np.isnan(predictions) | np.isnan(proxy))
        p = predictions[there]
        added = {_ROWS: np.ones(len(p))}
        for k, name in enumerate(self.figures):
            no, yes = (figures[name].row(np.full(len(p), label), p) for label in (0.0, 1.0))
            first = _FIGURE + 3 * k
            added |= {first: no, first + 1: yes - no, first + 2: np.square(yes - no)}
        return self._added(decided_at[there], cells(p, proxy[there]), added)

    def matured(
        self, decided_at: NDArray[np.int64], predictions: Floats, proxy: Floats, labels: Floats
    ) -> ProxyCohorts:
        """Count decisions whose label is settled, 0 or 1 (n,): from them the map is learned. Rows with any NaN are left out."""
        there = ~(np.isnan(predictions) | np.isnan(proxy) | np.isnan(labels))
        added = {_KNOWN: np.ones(int(there.sum())), _CAME: labels[there]}
        return self._added(decided_at[there], cells(predictions[there], proxy[there]), added)

    def learn(self) -> ProxyMap | Unknown:
        """Return what the proxy has told of the label so far, or why that is unknown or does not hold any more."""
        known = {n: sums for n, sums in self.held.items() if any(sums[_KNOWN])}
        counts = np.array([(sums[_KNOWN], sums[_CAME]) for sums in known.values()]).reshape(-1, 2, CELLS)
        return learned(counts[:, 0], counts[:, 1])

    def estimate(self, name: str, found: ProxyMap, begin: int, end: int) -> Estimate | Unknown:
        """Return what to expect of a figure over the cohorts that begin in [begin, end) (microseconds), by a map.

        The interval is that of the figure once the labels are there, 95%: labels vary in each cell, days more than rows do
        (dispersion), and the map is itself an estimate.
        """
        newest = [sums for number, sums in self.held.items() if begin <= number * self.width < end]
        if not newest:
            return Unknown("No decision of that time has a proxy yet.")
        sums = np.array(newest).sum(axis=0)
        first = _FIGURE + 3 * self.figures.index(name)
        rows, (no, more, square) = float(sums[_ROWS].sum()), sums[first : first + 3]
        chance, error = np.array(found.chance), np.array(found.error)
        value = float(no.sum() + chance @ more) / rows
        variance = found.dispersion * float((chance * (1.0 - chance)) @ square) + float(np.square(more * error).sum())
        half = float(stdtrit(found.cohorts - 1, 0.975)) * math.sqrt(variance) / rows
        return Estimate(value, value - half, value + half)

    def _added(
        self, decided_at: NDArray[np.int64], cell: NDArray[np.intp], added: Mapping[int, Floats]
    ) -> ProxyCohorts:
        """Add to the sums of each cohort row after row: NumPy's own sum adds in pairs, which depends on how rows are cut."""
        held = dict(self.held)
        number = decided_at // self.width
        for each in np.unique(number).tolist():
            mine = number == each
            sums = np.array(held[each]) if each in held else np.zeros((_FIGURE + 3 * len(self.figures), CELLS))
            for column, values in added.items():
                np.add.at(sums[column], cell[mine], values[mine])
            held[each] = tuple(tuple(row) for row in sums.tolist())
        oldest = max(held, default=0) - self.kept
        return replace(self, held={each: held[each] for each in sorted(held) if each > oldest})


def proxy_readings(
    counted: Mapping[str, ProxyCohorts],
    proxies: Mapping[str, Proxy],
    figure: Figure,
    *,
    now: int,
    over: int = DAY,
    limit: float | None = None,
) -> list[Reading]:
    """Say for each proxy, by name, what it lets one expect of a figure on the newest decisions.

    Those are the last `over` microseconds of cohorts whose proxies are all settled at `now`. A reading fires where the whole
    interval is worse than `limit`, and is unknown where the map was never learned or does not hold any more.
    """
    return [_reading(name, counted[name], proxy, figure, now, over, limit) for name, proxy in proxies.items()]


def _reading(
    name: str, cohorts: ProxyCohorts, proxy: Proxy, figure: Figure, now: int, over: int, limit: float | None
) -> Reading:
    monitor = f"proxy {name}"

    def unknown(why: Unknown) -> Reading:
        return Reading(
            monitor=monitor,
            kind="outcomes",
            about=figure.name,
            limit=limit,
            state="unknown",
            severity="note",
            told=why.reason,
        )

    found = cohorts.learn()
    if isinstance(found, Unknown):
        return unknown(found)
    end = (now - parse_span(proxy.within)) // cohorts.width * cohorts.width
    expected = cohorts.estimate(figure.name, found, end - over, end)
    if isinstance(expected, Unknown):
        return unknown(expected)
    surely = expected.high if figure.greater_is_better else expected.low
    worse = limit is not None and (surely < limit if figure.greater_is_better else surely > limit)
    return Reading(
        monitor=monitor,
        kind="outcomes",
        about=figure.name,
        value=expected.value,
        limit=limit,
        state="firing" if worse else "ok",
        severity="ticket" if worse else "note",
        told=(
            f"By the proxy {name!r} {figure.name} is expected to be {expected.value:.4f}, in [{expected.low:.4f}, "
            f"{expected.high:.4f}], on the newest decisions; it agreed with {found.agreement:.0%} of {found.labels:,} labels."
        ),
    )

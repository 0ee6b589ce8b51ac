"""What a step of the loop leaves to the ledger for every day: how good models were, whether that could be told, what moved.

A state forgets. A model that is dropped takes its cohorts with it, and of drift only the last look is known. So a step says
what became known of each day, as a pure function of the state before and after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from mainspring.clock import DAY, parse_span
from mainspring.ledger import Signal
from mainspring.loop.state import Followed, LoopState, Policy
from mainspring.monitoring.calibration_check import Unknown, check_calibration
from mainspring.monitoring.column_counts import Floats, Ints, Shares, moved_columns
from mainspring.monitoring.column_days import ColumnDays
from mainspring.monitoring.estimated import Estimate
from mainspring.monitoring.feature_monitors import ColumnLimits
from mainspring.monitoring.proxies import ProxyCohorts
from mainspring.monitoring.proxy_map import ProxyMap
from mainspring.monitoring.realised import Cohort
from mainspring.monitoring.slices import SliceDays

__all__ = [
    "CHECKS",
    "FEATURES",
    "QUALITY",
    "ChecksDay",
    "FeaturesDay",
    "ProxyTold",
    "QualityDay",
    "SliceTold",
    "signals_of",
]

QUALITY, CHECKS, FEATURES = "quality", "checks", "features"
"""The kinds of signals that are kept: `QualityDay` and `ChecksDay` about each model, `FeaturesDay` about the champion."""

_WEEK = 7 * DAY


class SliceTold(Struct, frozen=True, array_like=True):
    """Settled decisions of a group: how many, the sum of the figure that models are compared by, and of its excess."""

    rows: int
    figure: float
    excess: float


class QualityDay(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The decisions of a day that one model predicted, as its cohorts hold them; said again whenever those have changed.

    Sums are in the order of `figures`. `expected` is of the labels that the probabilities let one expect. `slices` are by
    column and group, those without a settled decision left out.
    """

    figures: tuple[str, ...]
    realised: Cohort
    expected: Cohort | None = None
    slices: dict[str, dict[str, SliceTold]] = {}


class ProxyTold(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a proxy let one expect of the compared figure on the newest day of which all that it tells is known; or why not.

    It is what was told then: the map is learned from labels that came before.
    """

    day: int
    value: float | None = None
    low: float | None = None
    high: float | None = None
    unknown: str = ""


class ChecksDay(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What could be told of a model without labels when a day ended; said once.

    `refused` is why its probabilities were not to be relied on then: they did not hold on the newest labels, or it was not
    known whether they do. Empty: they hold.
    """

    refused: str = ""
    proxies: dict[str, ProxyTold] = {}


class FeaturesDay(Struct, frozen=True, kw_only=True):
    """How the features of the decisions of a day lay to those that the champion learned from; said once, when it ended.

    `values` are float32, (5, features) in the order of `names`: the PSI of the day, that of the last seven days together,
    and of the day the shares of missing values, of categories that are new and of numbers beyond all that it learned from.
    NaN where nothing can be compared. Use `array`.
    """

    names: tuple[str, ...]
    rows: int
    values: bytes

    SIGNALS: ClassVar[tuple[str, ...]] = ("psi", "drift", "missing", "new", "outside")

    def array(self) -> NDArray[np.float32]:
        """Return the values as (signals, features), in the order of `SIGNALS` and `names`; read-only."""
        return np.frombuffer(self.values, np.float32).reshape(len(self.SIGNALS), -1)


def signals_of(policy: Policy, before: LoopState, after: LoopState) -> list[Signal]:
    """Return what a step made known of days: of each day of decisions whose cohort it changed, and of the one that it ended.

    The newest that was said of a day and a model is what the model's cohorts hold, however labels are cut into steps, as
    long as it is followed.
    """
    said: list[tuple[str, str, int, Any]] = []
    for model, followed in after.models.items():
        said += [(QUALITY, model, *each) for each in _quality(policy, before.models.get(model), followed)]
    if after.day_ended:
        day = (after.now - 1) // policy.width
        for model, followed in after.models.items():
            said.append((CHECKS, model, day, _checks(policy, after, model, followed)))
        features = _features(policy, after)
        if features is not None:
            said.append((FEATURES, after.champion, day, features))
    encode = msgspec.msgpack.encode
    return [
        Signal(system=policy.system.name, kind=kind, about=about, day=day, at=after.now, document=encode(document))
        for kind, about, day, document in said
    ]


# -- quality -------------------------------------------------------------------------------------------------------------


def _quality(policy: Policy, before: Followed | None, after: Followed) -> list[tuple[int, QualityDay]]:
    """The days of a model's decisions of which it is known more than before."""
    # what is expected of labels changes with the count of what was predicted
    changed = _changed({} if before is None else before.cohorts.held, after.cohorts.held)
    slices = {} if after.slices is None else after.slices.days
    changed |= _changed({} if before is None or before.slices is None else before.slices.days, slices)
    nothing = Cohort(0, 0, (), ())
    return [
        (
            day,
            QualityDay(
                figures=after.cohorts.figures,
                realised=after.cohorts.held.get(day, nothing),
                expected=after.expected.held.get(day),
                slices={} if after.slices is None or day not in slices else _sliced(after.slices, day),
            ),
        )
        for day in sorted(changed)
    ]


def _changed(before: Mapping[int, Any], after: Mapping[int, Any]) -> set[int]:
    # those that nothing was added to are mostly the same objects: comparing a year of them takes microseconds
    return {day for day, each in after.items() if (old := before.get(day)) is not each and old != each}


def _sliced(slices: SliceDays, day: int) -> dict[str, dict[str, SliceTold]]:
    return {
        column: {
            name: SliceTold(int(rows), figure, excess)
            for name, rows, figure, excess in zip(
                slices.names(column), tally.rows, tally.figures, tally.excess, strict=True
            )
            if rows
        }
        for column, tally in slices.days[day].items()
    }


# -- what can be told without labels -------------------------------------------------------------------------------------


def _checks(policy: Policy, state: LoopState, model: str, followed: Followed) -> ChecksDay:
    return ChecksDay(
        refused=_refused(policy, state, model),
        proxies={
            name: _proxy(policy, state.now - parse_span(policy.system.proxies[name].within), cohorts)
            for name, cohorts in followed.proxies.items()
            if name in policy.system.proxies
        },
    )


def _refused(policy: Policy, state: LoopState, model: str) -> str:
    """Why the probabilities of a model are not to be relied on, "" where they are."""
    if policy.system.label.task == "regression":
        return "A number tells nothing of its own error."
    if model != state.champion:
        return "The probabilities of a model are held against labels once it is the champion."
    if not state.newest.days:
        return "No label of its decisions has settled yet."
    newest = state.newest.settled()
    holds = check_calibration(newest.predictions, newest.labels, days=newest.days)
    return holds.reason if isinstance(holds, Unknown) else ""


def _proxy(policy: Policy, known: int, cohorts: ProxyCohorts) -> ProxyTold:
    """What a proxy tells of the last whole day before an instant."""
    day = known // policy.width - 1
    found: Estimate | Unknown | ProxyMap = cohorts.learn()
    if isinstance(found, ProxyMap):
        found = cohorts.estimate(policy.judged.name, found, day * policy.width, (day + 1) * policy.width)
    if isinstance(found, Unknown):
        return ProxyTold(day=day, unknown=found.reason)
    return ProxyTold(day=day, value=found.value, low=found.low, high=found.high)


# -- features ------------------------------------------------------------------------------------------------------------


def _features(policy: Policy, state: LoopState) -> FeaturesDay | None:
    """How the last day lies to what the champion learned from; None where that is not known."""
    reference, layout = state.leading.reference, state.layout
    if reference is None or layout is None:
        return None
    day = (state.now - 1) // policy.width
    seen = ColumnDays.of(layout, reference, state.days, state.now, _WEEK, ColumnLimits().fewest_rows)
    places, unknown = seen.places, np.full(len(layout.columns), np.nan)

    def drift(counts: Ints | None) -> Floats:
        return unknown if counts is None else moved_columns(places, seen.reference, counts).psi

    shares = Shares(unknown, unknown, unknown) if seen.today is None else places.shares(seen.today)
    values = np.stack([drift(seen.today), drift(seen.recent), *shares]).astype(np.float32)
    rows_of_day = state.days[day].rows if day in state.days else 0
    return FeaturesDay(names=places.names, rows=rows_of_day, values=values.tobytes())

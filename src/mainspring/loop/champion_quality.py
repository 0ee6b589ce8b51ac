"""How good the champion of a loop is: by the labels that came, by what its probabilities let one expect, and when it was let in."""

from __future__ import annotations

from msgspec import Struct

from mainspring.clock import DAY
from mainspring.loop.state import LoopState, Policy
from mainspring.monitoring.calibration_check import Unknown, check_calibration
from mainspring.monitoring.realised import Cohorts, Figure

__all__ = ["Quality", "Quantity", "quality_of"]

_DAYS = 7


class Quantity(Struct, frozen=True, kw_only=True):
    """A figure over the decisions of whole days [begin, end), microseconds, with its 95% interval; or why it is not known.

    `known` tells of how many of the `predicted` decisions the label is known.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    known: int = 0
    predicted: int = 0
    begin: int | None = None
    end: int | None = None
    unknown: str = ""


class Quality(Struct, frozen=True, kw_only=True):
    """How good a champion is in the figure by which models are compared.

    `promoted` is its figure when it was let in, or when it was last judged beside a candidate that did no better.
    """

    model: str
    metric: str
    greater_is_better: bool
    realised: Quantity
    estimated: Quantity
    promoted: float | None


def quality_of(policy: Policy, state: LoopState) -> Quality:
    """Return the quality of a loop's champion over the newest seven whole days that it has answered in, or as many as there are.

    Realised over days whose horizon is over; estimated over those up to now, where its probabilities hold on the newest labels.
    """
    figure, leading = policy.judged, state.leading
    settled = (state.now - policy.horizon) // policy.width * policy.width
    return Quality(
        model=state.champion,
        metric=figure.name,
        greater_is_better=figure.greater_is_better,
        realised=_over(leading.cohorts, figure, settled, "of no whole day of its decisions every label is settled yet"),
        estimated=_estimated(policy, state, figure),
        promoted=leading.quality.get(figure.name),
    )


def _estimated(policy: Policy, state: LoopState, figure: Figure) -> Quantity:
    if policy.system.label.task == "regression":
        return Quantity(unknown="a number tells nothing of its own error")
    if not state.newest.days:
        return Quantity(unknown="no label of its decisions is settled yet")
    newest = state.newest.settled()
    holds = check_calibration(newest.predictions, newest.labels, days=newest.days)
    if isinstance(holds, Unknown):
        return Quantity(unknown=holds.reason)
    end = state.now // policy.width * policy.width
    return _over(state.leading.expected, figure, end, "it has not answered for a whole day yet")


def _over(cohorts: Cohorts, figure: Figure, end: int, unknown: str) -> Quantity:
    """A figure over the days before an instant; the day on which a model began to answer counts as one."""
    begin = end - _DAYS * DAY
    found = cohorts.quality(figure, begin, end)
    if found is None:
        return Quantity(unknown=unknown)
    first = min(number * cohorts.width for number in cohorts.held if begin <= number * cohorts.width)
    return Quantity(
        value=found.value,
        low=found.low,
        high=found.high,
        known=found.known,
        predicted=found.predicted,
        begin=first,
        end=end,
    )

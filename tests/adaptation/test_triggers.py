"""Triggers: each asks when what it waits for has come, and tells why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from mainspring.adaptation.triggers import Why, asked_by, leaves
from mainspring.clock import DAY
from mainspring.declare import AllOf, AnyOf, Degraded, Drifted, EstimatedDegraded, Every, Volume
from mainspring.declare.policy import Trigger
from mainspring.monitoring.realised import Realised


@dataclass
class Told:
    """Signals that say what a test wants them to."""

    now: int = 100 * DAY
    trained_as_of: int = 90 * DAY
    labels_since: int = 500
    columns: int = 10
    found: Realised | None = None
    expected: Realised | None = None
    before: float | None = 0.40
    moved: Sequence[str] | None = ()

    def realised(self, metric: str, over: int) -> Realised | None:
        return self.found

    def estimated(self, metric: str, over: int) -> Realised | None:
        return self.expected

    def at_promotion(self, metric: str) -> float | None:
        return self.before

    def worse_by(self, metric: str, found: float, before: float) -> float:
        return before - found if metric == "accuracy" else found - before

    def drifted(self, effect: float, over: int) -> Sequence[str] | None:
        return self.moved


def asked(trigger: Trigger, **told: object) -> Why | None:
    return asked_by([trigger], Told(**told))  # type: ignore[arg-type]


def around(value: float, error: float = 0.01) -> Realised:
    return Realised(value, value - error, value + error, 900, 1000)


@pytest.mark.parametrize(
    ("trigger", "told", "word"),
    [
        (Every("10d"), {}, "10.0 days"),
        (Volume(500), {}, "500 labels"),
        (Drifted(0.3), {"moved": ["a", "b", "c"]}, "30% of features"),
        (Degraded("log_loss", by=0.05), {"found": around(0.46)}, "log_loss is 0.4600, worse by 0.0600"),
        (Degraded("accuracy", by=0.05), {"found": around(0.34)}, "worse by 0.0600"),
        (EstimatedDegraded("log_loss", by=0.05), {"expected": around(0.46)}, "estimated log_loss"),
        (AnyOf(Every("30d"), Volume(10)), {}, "500 labels"),
        (AllOf(Every("10d"), Volume(10)), {}, "10.0 days since the last training; 500 labels"),
    ],
)
def test_it_asks_and_says_why(trigger: Trigger, told: dict[str, object], word: str) -> None:
    why = asked(trigger, **told)
    assert why is not None
    assert word in why.told
    assert why.evidence


@pytest.mark.parametrize(
    ("trigger", "told"),
    [
        (Every("11d"), {}),
        (Volume(501), {}),
        (Drifted(0.3), {"moved": ["a", "b"]}),
        (Drifted(0.0), {"moved": []}),
        (Drifted(0.3), {"moved": None}),
        (Degraded("log_loss", by=0.05), {"found": around(0.44)}),
        (Degraded("log_loss", by=0.05), {"found": around(0.46, error=0.07)}),  # so wide that it may be no worse at all
        (Degraded("log_loss", by=0.05), {"found": None, "expected": around(0.9)}),
        (Degraded("log_loss", by=0.05), {"found": around(0.9), "before": None}),
        (EstimatedDegraded("log_loss", by=0.05), {"found": around(0.9), "expected": None}),
        (AllOf(Every("10d"), Volume(501)), {}),
        (AnyOf(Every("11d"), Volume(501)), {}),
    ],
)
def test_it_does_not_ask(trigger: Trigger, told: dict[str, object]) -> None:
    assert asked(trigger, **told) is None


def test_leaves_are_what_combinations_are_made_of() -> None:
    every, volume, drifted = Every("7d"), Volume(10), Drifted()
    assert leaves([AnyOf(every, AllOf(volume, drifted)), every]) == [every, volume, drifted, every]

"""The newest decisions of a model whose labels are settled: a part of each day, so that they span two weeks of any traffic."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from mainspring.clock import DAY
from mainspring.remembered import remembered

__all__ = ["Newest", "Settled"]

_DAYS, _A_DAY = 14, 512


class Settled(NamedTuple):
    """Settled decisions, the oldest day first: the number of each one's day, what was said of it, and its label."""

    days: NDArray[np.int64]  # (n,)
    predictions: NDArray[np.float64]  # (n,) or (n, classes)
    labels: NDArray[np.float64]  # (n,)


class _Day(Struct, frozen=True, array_like=True):
    """Every `stride`-th decision of a day, of all that were counted."""

    count: int = 0
    stride: int = 1
    predictions: tuple[Any, ...] = ()
    labels: tuple[float, ...] = ()

    def after(self, predictions: list[Any], labels: list[float]) -> _Day:
        count, stride = self.count, self.stride
        said, came = list(self.predictions), list(self.labels)
        for prediction, label in zip(predictions, labels, strict=True):
            if count % stride == 0:
                said.append(prediction)
                came.append(label)
            count += 1
            if len(said) > _A_DAY:
                said, came, stride = said[::2], came[::2], stride * 2
        return _Day(count, stride, tuple(said), tuple(came))


class Newest(Struct, frozen=True):
    """The decisions of the newest days on which any settled, at most 512 of each. Plain data, which a method returns anew.

    Guarantee: however a stream of decisions is cut, the same are left of it.
    """

    days: dict[int, _Day] = {}

    def after(
        self, decided_at: NDArray[np.int64], predictions: NDArray[np.float64], labels: NDArray[np.float64]
    ) -> Newest:
        """Take in decisions that have settled, in that order: made at (n,) microseconds, predictions (n,) or (n, classes)."""
        number = decided_at // DAY
        days = dict(self.days)
        for day in np.unique(number).tolist():
            mine = number == day
            days[day] = days.get(day, _Day()).after(predictions[mine].tolist(), labels[mine].tolist())
        oldest = max(days, default=0) - _DAYS
        return Newest({day: days[day] for day in sorted(days) if day > oldest})

    @property
    def span(self) -> int:
        """From the first to the last day, both counted; 0 where nothing has settled."""
        return max(self.days) - min(self.days) + 1 if self.days else 0

    @property
    def is_full(self) -> bool:
        """Whether there are as many days as are kept."""
        return self.span >= _DAYS

    def settled(self) -> Settled:
        """Return what is kept as arrays, the same ones for the same days."""
        return _settled(self)


@remembered(4)
def _settled(newest: Newest) -> Settled:
    held = newest.days.values()
    return Settled(
        np.repeat(np.array([*newest.days], np.int64), [len(day.labels) for day in held]),
        np.array([each for day in held for each in day.predictions]),
        np.array([each for day in held for each in day.labels]),
    )

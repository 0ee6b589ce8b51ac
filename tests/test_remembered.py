"""What is remembered is what was computed, for the very same values and for no others."""

from __future__ import annotations

import gc
import threading

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mainspring.remembered import remembered


def test_the_very_same_values_are_computed_once() -> None:
    asked = []

    @remembered(4)
    def total(values: np.ndarray, parts: list[np.ndarray], *, sign: int = 1) -> float:
        asked.append(1)
        return sign * float(values.sum() + sum(each.sum() for each in parts))

    a, b = np.arange(3.0), np.arange(5.0)
    assert total(a, [a, b]) == total(a, [a, b]) == 3 + 3 + 10
    assert len(asked) == 1
    assert total(a, [b, a]) == 16  # another order is another question
    assert total(a, [a, b], sign=-1) == -16
    assert total(a.copy(), [a, b]) == 16  # equal, and not the same
    assert len(asked) == 4


@given(st.lists(st.integers(0, 9), max_size=60))
def test_no_value_stands_in_for_another_however_many_come_and_go(numbers: list[int]) -> None:
    @remembered(3)
    def doubled(value: np.ndarray) -> int:
        return 2 * int(value[0])

    for number in numbers:
        assert doubled(np.array([number])) == 2 * number
        gc.collect(0)  # what is forgotten may give its place in memory to the next


def test_threads_may_share_one() -> None:
    @remembered(8)
    def square(value: np.ndarray) -> int:
        return int(value[0]) ** 2

    values = [np.array([k]) for k in range(16)]
    wrong = []

    def ask() -> None:
        for _ in range(200):
            wrong.extend(k for k, value in enumerate(values) if square(value) != k * k)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []

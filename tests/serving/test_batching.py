"""Requests computed together: each gets its own answer, waits a bounded number of batches, and harms no other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from mainspring.declare.estimator import Sklearn
from mainspring.errors import BundleError
from mainspring.model import compile_model
from mainspring.serving.batching import MicroBatcher
from mainspring.training.fit import fit
from mainspring.training.task import Task

LONG = 60.0  # seconds: longer than any test may take


class Doubling:
    """A model that doubles a number, refuses negative ones, and remembers what it was asked together.

    While the gate is shut a batch stays where it is.
    """

    batches = True

    def __init__(self) -> None:
        self.asked: list[list[float]] = []
        self.gate = threading.Event()
        self.gate.set()

    def predict_one(self, values: Mapping[str, Any]) -> float:
        return float(self._double([values])[0])

    def predict_many(self, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
        return self._double(rows)

    def _double(self, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
        self.asked.append([row["x"] for row in rows])
        assert self.gate.wait(LONG)
        for row in rows:
            if row["x"] < 0:
                raise BundleError("BUNDLE_INPUT", f"The value {row['x']} is negative.", fix="Give another.")
        return np.array([2.0 * row["x"] for row in rows])


def served(
    model: Any, work: Callable[[MicroBatcher], Awaitable[Any]], max_rows: int = 64, max_wait_seconds: float = LONG
) -> Any:
    batcher = MicroBatcher(model, max_rows, max_wait_seconds)

    async def run() -> Any:
        return await asyncio.wait_for(work(batcher), LONG)

    try:
        return asyncio.run(run())
    finally:
        batcher.close()


def ask(batcher: MicroBatcher, x: float) -> asyncio.Task[Any]:
    return asyncio.create_task(batcher.predict_one({"x": x}))  # type: ignore[arg-type]


async def until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0.001)


REQUESTS = st.lists(
    st.tuples(st.integers(-3, 30), st.sampled_from([0, 0, 1, 3]), st.sampled_from([None, None, None, 0, 1, 4])),
    min_size=1,
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(requests=REQUESTS, max_rows=st.integers(1, 5), max_wait_seconds=st.sampled_from([0.0, 0.0005, LONG]))
def test_in_any_interleaving_each_request_gets_its_own_answer(
    requests: list[tuple[int, int, int | None]], max_rows: int, max_wait_seconds: float
) -> None:
    """A request comes some turns of the loop after the one before, and may be cancelled some turns after it came."""
    model = Doubling()

    async def one(batcher: MicroBatcher, x: int, patience: int | None) -> Any:
        task = ask(batcher, x)
        if patience is not None:
            for _ in range(patience):
                await asyncio.sleep(0)
            task.cancel()
        return await task

    async def work(batcher: MicroBatcher) -> list[Any]:
        tasks = []
        for x, turns, patience in requests:
            for _ in range(turns):
                await asyncio.sleep(0)
            tasks.append(asyncio.create_task(one(batcher, x, patience)))
        return await asyncio.gather(*tasks, return_exceptions=True)

    answers = served(model, work, max_rows, max_wait_seconds)
    for (x, _, patience), answer in zip(requests, answers, strict=True):
        if patience is not None and isinstance(answer, asyncio.CancelledError):
            continue
        if x < 0:
            assert isinstance(answer, BundleError)
            assert answer.problem == f"The value {x} is negative."
        else:
            assert answer == 2.0 * x
    assert max(map(len, model.asked), default=0) <= max_rows


@settings(max_examples=30, deadline=None)
@given(waiting=st.integers(0, 30), max_rows=st.integers(1, 8))
def test_the_kth_in_the_queue_is_in_its_batch_or_an_earlier_one(waiting: int, max_rows: int) -> None:
    model = Doubling()
    model.gate.clear()

    async def work(batcher: MicroBatcher) -> None:
        tasks = [ask(batcher, x) for x in range(waiting + 1)]
        await asyncio.sleep(0)
        model.gate.set()
        await asyncio.gather(*tasks)

    served(model, work, max_rows)
    assert model.asked[0] == [0]  # nothing was computed when it came
    where = {x: number for number, batch in enumerate(model.asked) for x in batch}
    # Two batches may begin at nearly the same time, so the order in which two threads write it down may be swapped.
    assert all(where[k] <= -(-k // max_rows) + 1 for k in range(1, waiting + 1))
    assert sorted(x for batch in model.asked for x in batch) == list(range(waiting + 1))
    assert max(map(len, model.asked)) <= max_rows


def test_an_idle_batcher_asks_at_once_and_alone() -> None:
    model = Doubling()

    async def work(batcher: MicroBatcher) -> list[Any]:
        return [await batcher.predict_one({"x": x}) for x in range(5)]

    assert served(model, work) == [0, 2, 4, 6, 8]
    assert model.asked == [[0], [1], [2], [3], [4]]


def test_what_waits_for_a_batch_is_the_next_one() -> None:
    model = Doubling()
    model.gate.clear()

    async def work(batcher: MicroBatcher) -> None:
        tasks = [ask(batcher, x) for x in range(6)]
        await asyncio.sleep(0.02)
        assert model.asked == [[0]]
        model.gate.set()
        await asyncio.gather(*tasks)

    served(model, work)
    assert model.asked == [[0], [1, 2, 3, 4, 5]]


@pytest.mark.parametrize(("max_rows", "max_wait_seconds"), [(64, 0.01), (2, LONG)])
def test_a_slow_batch_holds_nobody_up_for_ever(max_rows: int, max_wait_seconds: float) -> None:
    """After the longest wait, or with a full batch waiting, the next one begins beside the slow one; a third does not."""
    model = Doubling()
    model.gate.clear()

    async def work(batcher: MicroBatcher) -> None:
        tasks = [ask(batcher, x) for x in range(3)]
        await until(lambda: len(model.asked) == 2)
        assert model.asked == [[0], [1, 2]]
        tasks += [ask(batcher, x) for x in range(3, 7)]
        await asyncio.sleep(0.03)
        assert len(model.asked) == 2
        model.gate.set()
        assert await asyncio.gather(*tasks) == [2.0 * x for x in range(7)]

    served(model, work, max_rows, max_wait_seconds)


def test_a_request_that_is_cancelled_while_it_waits_is_not_computed() -> None:
    model = Doubling()
    model.gate.clear()

    async def work(batcher: MicroBatcher) -> None:
        first, second, third = tasks = [ask(batcher, x) for x in range(3)]
        await until(lambda: model.asked == [[0]])
        first.cancel()  # being computed
        second.cancel()  # waiting
        model.gate.set()
        assert await third == 4
        assert [task.cancelled() for task in tasks] == [True, True, False]

    served(model, work)
    assert model.asked == [[0], [2]]


def test_a_model_for_which_batches_do_not_pay_answers_in_place() -> None:
    model = Doubling()
    model.batches = False  # type: ignore[misc]

    async def work(batcher: MicroBatcher) -> tuple[Any, int]:
        return await asyncio.gather(*[batcher.predict_one({"x": x}) for x in range(3)]), threading.active_count()

    before = threading.active_count()
    assert served(model, work) == ([0, 2, 4], before)
    assert model.asked == [[0], [1], [2]]


def test_bounds_that_mean_nothing_are_refused() -> None:
    for bounds in ({"max_rows": 0}, {"max_wait_seconds": -1.0}):
        with pytest.raises(ValueError, match="at least"):
            MicroBatcher(Doubling(), **bounds)  # type: ignore[arg-type]


def test_an_estimator_answers_many_at_once_as_one_by_one() -> None:
    random = np.random.default_rng(0)
    rows = pl.DataFrame({"delay": random.normal(size=300), "carrier": random.choice(["AA", "US"], 300)})
    names = np.array(["low", "mid", "top"])[np.digitize(rows["delay"], [-0.5, 0.5])]
    kinds, task = {"delay": "float", "carrier": "category"}, Task(kind="multiclass", classes=("low", "mid", "top"))
    fast = compile_model(fit(Sklearn(LogisticRegression()), rows, kinds, names, task))
    assert fast.batches
    asked = rows.head(80).to_dicts()

    async def work(batcher: MicroBatcher) -> list[Any]:
        return await asyncio.gather(*[batcher.predict_one(row) for row in asked])

    answers = served(fast, work, max_rows=16)
    assert all(isinstance(answer, tuple) for answer in answers)
    np.testing.assert_allclose(answers, [fast.predict_one(row) for row in asked], rtol=0, atol=1e-12)

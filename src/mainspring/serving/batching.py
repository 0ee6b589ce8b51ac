"""Requests that wait at the same time are answered by one call of the model, where that is cheaper."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from mainspring.model.fast import CompiledModel

__all__ = ["MicroBatcher"]

Answer = float | tuple[float, ...]

_WORKERS = 2  # one batch that is slow, and one beside it for those who have waited long enough


class MicroBatcher:
    """Answers rows one by one for the coroutines of one event loop, and computes them together.

    A row that comes while nothing is computed is computed at once: an idle server adds no wait. Rows that come during a
    batch wait for its end, in the order in which they came, and at most `max_rows` of them are the next batch. A batch that
    takes longer than `max_wait_seconds`, or keeps `max_rows` waiting, holds nobody up: the next begins beside it. At most
    two are computed at a time, each in a thread of its own, so the loop is free meanwhile.

    Guarantees: every row gets the answer of `CompiledModel.predict_one`, as near as `predict_many` is to it; the k-th row
    in the queue is in the ceil(k / max_rows)-th batch that begins from now on, or an earlier one; a row that the model
    refuses, and a request that is cancelled, touch no other. Models for which batches do not pay answer in the calling
    coroutine.
    """

    def __init__(self, model: CompiledModel, max_rows: int = 64, max_wait_seconds: float = 0.005) -> None:
        if max_rows < 1 or max_wait_seconds < 0:
            raise ValueError(f"max_rows {max_rows} and max_wait_seconds {max_wait_seconds} must be at least 1 and 0")
        self._model, self._max_rows, self._max_wait = model, max_rows, max_wait_seconds
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="batch")
        self._waiting: deque[_Request] = deque()
        self._running = 0  # batches being computed
        self._alarm: asyncio.TimerHandle | None = None

    async def predict_one(self, values: Mapping[str, Any]) -> Answer:
        """Return what `CompiledModel.predict_one` returns.

        Raises BundleError (BUNDLE_INPUT) for a value that its feature cannot have, and whatever else the model raises for
        this row alone.
        """
        if not self._model.batches:
            return self._model.predict_one(values)
        loop = asyncio.get_running_loop()
        request = _Request(values, loop.create_future())
        self._waiting.append(request)
        if not self._running or len(self._waiting) >= self._max_rows:
            self._begin()
        elif self._alarm is None:
            self._alarm = loop.call_later(self._max_wait, self._begin)
        return await request.answer

    def close(self) -> None:
        """Wait for the batches that are being computed, and end the threads. Nothing may be asked afterwards."""
        self._workers.shutdown()

    def _begin(self) -> None:
        """Begin the next batch if a thread is free; otherwise the end of a batch will."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._running >= _WORKERS:
            return
        batch: list[_Request] = []
        while self._waiting and len(batch) < self._max_rows:
            request = self._waiting.popleft()
            if not request.answer.done():  # cancelled while it waited
                batch.append(request)
        if not batch:
            return
        loop = asyncio.get_running_loop()
        done = loop.run_in_executor(self._workers, self._answers, [request.values for request in batch])
        done.add_done_callback(partial(self._tell, batch))
        self._running += 1
        if self._waiting:
            self._alarm = loop.call_later(self._max_wait, self._begin)

    def _tell(self, batch: Sequence[_Request], done: asyncio.Future[list[Answer | Exception]]) -> None:
        self._running -= 1
        for request, answer in zip(batch, done.result(), strict=True):
            if request.answer.done():  # cancelled while it was computed
                continue
            if isinstance(answer, Exception):
                request.answer.set_exception(answer)
            else:
                request.answer.set_result(answer)
        self._begin()

    def _answers(self, rows: Sequence[Mapping[str, Any]]) -> list[Answer | Exception]:
        if len(rows) > 1:
            try:
                return _plain(self._model.predict_many(rows))
            except Exception:  # some row is to blame, and its error is raised to whoever sent it, below
                pass
        return [self._alone(values) for values in rows]

    def _alone(self, values: Mapping[str, Any]) -> Answer | Exception:
        try:
            return self._model.predict_one(values)
        except Exception as error:  # carried to the coroutine that asked, which raises it
            return error


class _Request:
    """A row and who waits for its answer."""

    __slots__ = ("answer", "values")

    def __init__(self, values: Mapping[str, Any], answer: asyncio.Future[Answer]) -> None:
        self.values, self.answer = values, answer


def _plain(predictions: np.ndarray) -> list[Answer | Exception]:
    return [tuple(each) if isinstance(each, list) else each for each in predictions.tolist()]

"""Predictions ahead: a decision on a schedule is made for every key at its tick, and only looked up when it is asked for."""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import Any

import msgspec

from mainspring.answers import Prediction
from mainspring.clock import SECOND, format_instant
from mainspring.errors import ServingError
from mainspring.serving.predictor import Asked
from mainspring.serving.service import Service

__all__ = ["Ahead"]

_log = logging.getLogger("mainspring.serving")
_AT_ONCE = 200
_PAUSE_SECONDS = 0.2  # how often it is asked whether a tick has come
_RETRY_SECONDS = 2.0


class Ahead:
    """Makes the predictions of each tick, for every key that is known then, and hands them out.

    A prediction tells its age: the time since its tick, not since it was computed. Until those of a new tick, or of other
    arms, are made the older ones are handed out, with the age they have. A key that came after the tick has none: it is
    answered at once, in the usual way; so is whoever sends the whole row. Each prediction is journalled when it is made,
    once, however often it is looked up and however often the server begins again.
    """

    def __init__(self, service: Service) -> None:
        """Raises ServingError (SERVE_OPTION) when the system's decision is not on a schedule."""
        if service.predictor.system.decision.every is None:
            raise ServingError(
                "SERVE_OPTION",
                f"{service.predictor.system.name} decides for rows as they come; nothing can be predicted ahead.",
                fix="Leave out --ahead, or declare the decision on a schedule: Decision(Station, every='1h').",
            )
        self._service = service
        self._made: dict[tuple[Any, ...], Prediction] = {}
        self._at = 0  # the tick of what is handed out
        self._predictor, self._router = service.predictor, service.predictor.router
        self._time = ""  # another one whenever time was turned back

    def find(self, asked: Asked) -> Prediction | None:
        """Return the prediction that was made ahead, with its age; None where there is none, or it is to be explained."""
        if asked.explain or not asked.by_key or self._predictor is not self._service.predictor:
            return None
        try:
            made = self._made.get(self._predictor.rows.key(asked.given))
        except ServingError:  # no key: the usual way says why
            return None
        if made is None:
            return None
        age = max(0, self._service.clock.now() - self._at) / SECOND
        return msgspec.structs.replace(made, age_seconds=age)

    async def refresh(self) -> bool:
        """Make the predictions of the last tick by the arms of now, if that was not done yet; say whether it was.

        Raises ServingError (SERVE_UNAVAILABLE) when they cannot be kept; then the older ones stay.
        """
        predictor = self._service.predictor
        if predictor is not self._predictor:  # it was rewound: what was made is of the future
            self._made, self._at, self._predictor, self._time = {}, 0, predictor, secrets.token_hex(8)
        router = predictor.router
        tick = predictor.due({}, self._service.settled())
        if tick is None or (tick <= self._at and router is self._router):
            return False
        made: dict[tuple[Any, ...], Prediction] = {}
        told, keys = format_instant(tick), predictor.current.keys()
        name = f"ahead {self._time} {tick} {router.arms}"
        for begin in range(0, len(keys), _AT_ONCE):
            some = keys[begin : begin + _AT_ONCE]
            asked = [Asked(dict(zip(predictor.rows.key_names, key, strict=True)), by_key=True) for key in some]
            answers = await self._service.predict_many(asked, event_id=name)
            if self._service.predictor is not predictor:
                return False
            for key, answer in zip(some, answers, strict=True):
                if isinstance(answer, Prediction) and answer.decided_at == told:
                    made[key] = answer
        self._made, self._at, self._router = made, tick, router
        _log.info("%d predictions made ahead as of %s", len(made), told)
        return True

    async def run(self) -> None:
        """Make predictions ahead until cancelled."""
        while True:
            try:
                await self.refresh()
                await asyncio.sleep(_PAUSE_SECONDS)
            except ServingError as error:
                _log.warning("nothing is predicted ahead for now: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)

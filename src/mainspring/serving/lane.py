"""The lane for what nearly all requests are: one decision, asked for with a key. Its way is the same as through the handlers,
without a task, a future and a scope for each request: half of the time of the server.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from mainspring.errors import BundleError, DataError, ServingError
from mainspring.serving.front import encode, new_request_id
from mainspring.serving.handlers import Site, decode_predict
from mainspring.serving.predictor import Predicted
from mainspring.serving.problems import body_of, headers_of, status_of

__all__ = ["LANE_PATH", "LONGEST", "Lane", "Respond"]

LANE_PATH = b"/v1/predict"
Respond = Callable[[int, Sequence[tuple[bytes, bytes]], bytes], None]
"""Sends a response: its status, its headers, its body."""

_UNUSUAL = {b"prefer", b"idempotency-key", b"request-id", b"content-encoding"}
LONGEST = 64 * 1024
"""Bytes of a body: a longer one goes to the handlers."""
_JSON = (b"content-type", b"application/json")


class Lane:
    """Answers requests to predict, or leaves them to the handlers: all that is refused, and all that is unusual."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._counted = site.front.metrics.of_route("predict")

    def answer(self, headers: Sequence[tuple[bytes, bytes]], body: bytes, respond: Respond) -> bool:
        """Take a request, and respond once its prediction is durable; False: nothing was done, the handlers shall have it.

        Names of headers are in lower case.
        """
        begin, site = time.perf_counter(), self._site
        front, service = site.front, site.service
        if site.ahead is not None or front.log_requests or len(body) > LONGEST:
            return False
        presented = b""
        for name, value in headers:
            if name == b"authorization":
                presented = value
            elif name in _UNUSUAL:
                return False
        if presented[:7] != b"Bearer ":
            return False
        grant = front.access.check(presented[7:].decode("latin-1"), "read")
        if isinstance(grant, ServingError) or front.limits.refuse_body(body) is not None:
            return False
        try:
            one = decode_predict(body).one()
            if one is None or front.rates.admit(grant.key, time.monotonic_ns() // 1000):
                return False
            made = service.answer_now(one)
        except (msgspec.MsgspecError, UnicodeDecodeError, ServingError, DataError, BundleError):
            return False
        if made is None:
            return False
        predicted, message = made
        service.journal.keep(message, partial(self._kept, predicted, begin, respond))
        return True

    def _kept(self, predicted: Predicted, begin: float, respond: Respond, error: BaseException | None) -> None:
        request_id = (b"request-id", new_request_id().encode())
        if error is None:
            prediction = self._site.service.answered(predicted)
            status, told, arm = 200, encode(prediction), prediction.arm
            respond(status, (_JSON, request_id), told)
            self._site.front.metrics.predicted(arm, prediction.model)
        else:
            refused = self._site.service.not_kept(error)
            status, arm = status_of(refused), ""
            more = [(name.encode(), value.encode()) for name, value in headers_of(status, page=False).items()]
            respond(status, (_JSON, request_id, *more), encode(body_of(refused)))
        self._counted(status, arm, time.perf_counter() - begin)

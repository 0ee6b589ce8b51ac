"""How long a client keeps trying: exponential backoff with full jitter, inside a time and a number of attempts.

The pause before the n-th retry is drawn evenly from 0 to min(5, 0.1 x 2^n) seconds, so that clients which failed together do
not come back together (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mainspring.errors import ClientError

__all__ = ["Pace", "Patience"]

_FIRST_SECONDS, _LONGEST_SECONDS = 0.1, 5.0
_DOUBLINGS = 20  # more of them change nothing, and would overflow


@dataclass(frozen=True)
class Pace:
    """How a client knows that time passes, waits, and draws its luck; a test gives one in which no time passes."""

    seconds: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    sleep_async: Callable[[float], Awaitable[None]] = asyncio.sleep
    luck: Callable[[], float] = random.random  # from 0 to 1


@dataclass(frozen=True)
class Patience:
    """A request is tried again at most `retries` times, and no attempt begins later than `timeout_seconds` after the first.

    Raises ClientError (CLIENT_OPTION) for a time that is not above 0, or fewer than no retries.
    """

    timeout_seconds: float
    retries: int
    pace: Pace

    def __post_init__(self) -> None:
        if not 0 < self.timeout_seconds < math.inf or self.retries < 0:
            raise ClientError(
                "CLIENT_OPTION",
                f"A request cannot be given {self.timeout_seconds} s and {self.retries} retries.",
                fix="Give timeout_seconds above 0, and retries of 0 or more.",
            )

    def pause(self, failed: int, asked: float) -> float:
        """Return the seconds to wait after so many failed attempts: what the server asked for, and the backoff on top.

        On top, because all whom a server asks for the same would come back at the same instant.
        """
        return asked + self.pace.luck() * min(_LONGEST_SECONDS, _FIRST_SECONDS * 2 ** min(failed, _DOUBLINGS))

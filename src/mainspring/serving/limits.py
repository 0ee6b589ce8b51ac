"""How much one request may bring, and how many requests one key may send."""

from __future__ import annotations

import math
import threading

import numpy as np
from msgspec import Struct

from mainspring.errors import ServingError

__all__ = ["Limits", "RateLimiter", "json_depth"]

_UNMARKED = bytes(set(range(256)) - set(b'"[]{}'))
_SLOWEST_PER_SECOND = 1 / 86_400  # one a day
_PICOSECONDS = 1_000_000  # in a microsecond


class Limits(Struct, frozen=True, kw_only=True):
    """What a server takes.

    Raises ServingError (SERVE_LIMITS) for a limit that is not finite, for less than one whole byte, row, level or request
    in a burst, and for less than one request a day.
    """

    body_bytes: int = 4 * 1024 * 1024
    rows_per_request: int = 10_000
    json_depth: int = 32
    requests_per_second: float = 1_000.0  # of one key, in the long run
    burst: int = 2_000  # of one key, at once after a rest

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            whole = name != "requests_per_second"
            least = 1 if whole else _SLOWEST_PER_SECOND
            if not least <= value < math.inf or (whole and value != int(value)):
                raise ServingError(
                    "SERVE_LIMITS",
                    f"{name.replace('_', ' ')} cannot be {value}.",
                    fix=f"Give a {'whole ' if whole else ''}number of at least {least:.2g}.",
                )

    def refuse_body(self, body: bytes) -> ServingError | None:
        """Return why a body is not even parsed, None where it may be: it is too large or nested too deep.

        A server reads no more than `body_bytes` + 1 bytes of a request to ask this.
        """
        if len(body) > self.body_bytes:
            return ServingError(
                "SERVE_BODY",
                f"The body has more than {self.body_bytes:,} bytes.",
                fix="Send the rows in several requests.",
            )
        if body.count(b"[") + body.count(b"{") > self.json_depth and json_depth(body) > self.json_depth:
            return ServingError(
                "SERVE_BODY",
                f"The body is nested deeper than {self.json_depth} levels.",
                fix="Send rows as an array of flat objects.",
            )
        return None

    def refuse_rows(self, rows: int) -> ServingError | None:
        """Return why a request of so many rows is not answered, None where it is."""
        if rows <= self.rows_per_request:
            return None
        return ServingError(
            "SERVE_BODY",
            f"The request has {rows:,} rows; one may have {self.rows_per_request:,}.",
            fix="Send the rows in several requests.",
        )


def json_depth(text: bytes) -> int:
    """Return how deep arrays and objects of a JSON text stand in each other; brackets inside strings count for nothing.

    Of bytes that are no JSON it is at least the depth at which a parser meets the first fault. Time and memory grow with
    the length alone.

    >>> json_depth(b'{"rows": [{"carrier": "]["}]}')
    3
    """
    without_escapes = text.replace(rb"\\", b"").replace(rb"\"", b"")
    marks = np.frombuffer(without_escapes.translate(None, _UNMARKED), np.uint8)
    quotes = marks == ord('"')
    outside_strings = np.cumsum(quotes, dtype=np.uint8) % 2 == 0  # the sum overflows, and stays even or odd as it was
    opens = (marks[outside_strings & ~quotes] & 2).astype(np.int8)  # 2 for [ and {, 0 for ] and }
    return int(np.cumsum(opens - 1, dtype=np.int32).max(initial=0))


class RateLimiter:
    """A bucket of tokens for each key: `burst` at most, filled again with `per_second` tokens; a request takes one.

    Guarantees: between any two instants a key is admitted at most burst + per_second x seconds between them times, exactly;
    after the wait that was told a lone request is admitted; keys do not touch each other; threads may share it. Of a key
    one number is kept until its bucket is full again, and at most that long once more (or a second): a full bucket is as
    good as none, so forgetting it changes no answer.

    The number is the instant at which the bucket will be full (the generic cell rate algorithm, ITU-T I.371): equal to
    counting tokens, without adding up fractions. It is in whole picoseconds, and the time of a token is rounded up.

    Raises ServingError (SERVE_LIMITS) as `Limits` does.
    """

    def __init__(self, *, per_second: float, burst: int) -> None:
        self._limits = Limits(requests_per_second=per_second, burst=burst)
        tokens, seconds = per_second.as_integer_ratio()
        self._token = -(-seconds * 1_000_000 * _PICOSECONDS // tokens)
        self._room = self._token * (burst - 1)
        self._full_at: dict[str, int] = {}
        self._latest = 0
        self._forget_at = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._full_at)

    def admit(self, key: str, now: int) -> float:
        """Take a token for a request at `now`, in microseconds; return 0.0, or the seconds to wait where there is none.

        A request that is not admitted takes nothing. An instant before the latest one counts as that, so that threads may
        come a little out of order.
        """
        with self._lock:
            self._latest = instant = max(now * _PICOSECONDS, self._latest)
            if instant >= self._forget_at:
                self._forget(instant)
            full_at = max(self._full_at.get(key, instant), instant)
            missing = full_at - instant - self._room
            if missing > 0:
                return -(-missing // _PICOSECONDS) / 1_000_000
            self._full_at[key] = full_at + self._token
            return 0.0

    def refusal(self, wait: float) -> ServingError:
        """Return the error for a request that is to wait so many seconds."""
        return ServingError(
            "SERVE_RATE",
            f"This key may send {self._limits.requests_per_second:g} requests a second, {self._limits.burst:,} at once.",
            fix=f"Try again in {max(wait, 0.001):.3f} s, or send many rows in one request.",
        )

    def _forget(self, instant: int) -> None:
        """Forget full buckets, once in the time that a bucket takes to fill: each is looked at about once a request."""
        self._full_at = {key: full_at for key, full_at in self._full_at.items() if full_at > instant}
        self._forget_at = instant + max(self._room + self._token, 1_000_000 * _PICOSECONDS)

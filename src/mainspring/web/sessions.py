"""Who has signed in: a browser's cookie, made of a key once and held to that key ever after."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from msgspec import Struct

from mainspring.clock import HOUR, SECOND
from mainspring.serving.access import Access, Grant

__all__ = ["Session", "Sessions"]

_LIVES = 12 * HOUR
_PARTS = 3  # the id of a key, when the session ends, a signature


class Session(Struct, frozen=True):
    """A browser that has signed in."""

    cookie: str
    grant: Grant
    csrf: str  # what a form must bring along


class Sessions:
    """Signs cookies and checks them; nothing is kept of a session but the secret that signs all of them.

    Guarantees:

    - A cookie holds no key: whoever reads it learns the id of one, and can use it until the session ends.
    - A session ends 12 hours after it began, when its key is revoked (within a second), or with the server: the secret is
      drawn anew each time.
    - What a form must bring along follows from the cookie and the secret, so that a page of a stranger cannot know it.
    """

    def __init__(self, access: Access) -> None:
        self._access, self._secret = access, secrets.token_bytes(32)

    def begin(self, grant: Grant, now: int) -> Session:
        """Return the session of somebody whose key was checked at an instant (microseconds)."""
        told = f"{grant.key}.{(now + _LIVES) // SECOND}"
        return self._session(f"{told}.{self._signed('session', told)}", grant)

    def find(self, cookie: str, now: int) -> Session | None:
        """Return the session of a cookie, None where it is none, is over, or its key is not valid any more."""
        parts = cookie.split(".")
        if len(parts) != _PARTS or not parts[1].isdecimal() or not parts[1].isascii():
            return None
        told = f"{parts[0]}.{parts[1]}"
        if not hmac.compare_digest(self._signed("session", told).encode(), parts[2].encode()):
            return None
        if int(parts[1]) * SECOND <= now:
            return None
        grant = self._access.grant_of(parts[0])
        return None if grant is None else self._session(cookie, grant)

    def _session(self, cookie: str, grant: Grant) -> Session:
        return Session(cookie, grant, self._signed("form", cookie))

    def _signed(self, what: str, text: str) -> str:
        return hmac.new(self._secret, f"{what}:{text}".encode(), hashlib.sha256).hexdigest()

"""Pages that were just made: ten tabs that ask for one page in the same second get the one that was made for the first."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from mainspring.web.asked import Asked, Shown

__all__ = ["KeptPages"]

_SECONDS = 2.0
_MOST = 64

_Key = tuple[str, tuple[tuple[str, str], ...], str]


class _Kept(NamedTuple):
    begun: float
    page: asyncio.Task[tuple[Shown, str]]


class KeptPages:
    """Makes pages, and keeps each for two seconds. For one event loop.

    Who asks while a page is made waits for that one. A page depends on its path, its query and the role of who asks, on
    nothing else that is a session's.
    """

    def __init__(self, render: Callable[[Asked], Awaitable[Shown]], end: Callable[[], Awaitable[None]]) -> None:
        self._render, self.end = render, end
        self._kept: dict[_Key, _Kept] = {}

    async def show(self, asked: Asked) -> tuple[Shown, str]:
        """Return a page, with a digest of it. Raises as `render` does."""
        now = time.monotonic()
        key = asked.path, tuple(sorted(asked.query.items())), asked.role
        found = self._kept.get(key)
        if found is None or (found.page.done() and now - found.begun > _SECONDS):
            self._kept = {each: kept for each, kept in self._kept.items() if now - kept.begun <= _SECONDS}
            if len(self._kept) >= _MOST:
                self._kept.clear()
            found = self._kept[key] = _Kept(now, asyncio.create_task(self._made(asked)))
        return await asyncio.shield(found.page)  # the others still wait when one goes away

    def forget(self) -> None:
        """Make every page anew: something was changed."""
        self._kept.clear()

    async def _made(self, asked: Asked) -> tuple[Shown, str]:
        shown = await self._render(asked)
        return shown, hashlib.blake2b(shown.html.encode(), digest_size=12).hexdigest()

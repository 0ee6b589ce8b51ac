"""The process that makes pages, and the server's end of it.

Pages are made beside the server, at low priority: what a chart or a query takes would be taken from the requests, for
an interpreter does one thing at a time. The process begins with the first page that somebody asks for, and again should it
end or take too long.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Sequence

import msgspec

from mainspring.errors import ServingError
from mainspring.web.asked import Asked, Shown

__all__ = ["Renderer", "render_pages"]

_log = logging.getLogger("mainspring.web")
_COMMAND = "import sys; from mainspring.web.renderer import render_pages; render_pages(*sys.argv[1:])"
_LESS_URGENT = 10
_ONE_CORE = {"POLARS_MAX_THREADS": "1", "PYICEBERG_MAX_WORKERS": "1", "OMP_NUM_THREADS": "1"}
_LENGTH_BYTES = 4
_PATIENCE_SECONDS = 30.0
_MAY_RAISE = (OSError, EOFError, asyncio.IncompleteReadError)


class Renderer:
    """Makes pages of one served system, one after the other. For one event loop.

    `seconds` is how long a page may take once the process has begun.
    """

    def __init__(self, arguments: Sequence[str], seconds: float = _PATIENCE_SECONDS) -> None:
        self._arguments, self._seconds = arguments, seconds
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def render(self, asked: Asked) -> Shown:
        """Return a page.

        Raises ServingError (SERVE_UNAVAILABLE) where the process has ended or takes too long; the next call begins another.
        """
        async with self._turn:
            try:
                process = self._process or await self._start()
                return await asyncio.wait_for(_exchange(process, asked), self._seconds)
            except TimeoutError:
                told, fix = f"The page was not made within {self._seconds:g} seconds.", "Ask for less."
            except _MAY_RAISE:
                told, fix = "The process that makes pages has ended; another one begins.", "Try again."
            except asyncio.CancelledError:  # whoever asked has gone, and its answer must not go to the next one
                await self.end()
                raise
            await self.end()
        _log.warning("%s (%s)", told, asked.path)
        raise ServingError("SERVE_UNAVAILABLE", told, fix=fix)

    async def end(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    async def _start(self) -> asyncio.subprocess.Process:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _COMMAND,
            *self._arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | _ONE_CORE,
            start_new_session=True,  # a Ctrl-C is for the server
        )
        return self._process


async def _exchange(process: asyncio.subprocess.Process, asked: Asked) -> Shown:
    stdin, stdout = process.stdin, process.stdout
    assert stdin is not None
    assert stdout is not None
    message = msgspec.msgpack.encode(asked)
    stdin.write(len(message).to_bytes(_LENGTH_BYTES, "big") + message)
    await stdin.drain()
    size = int.from_bytes(await stdout.readexactly(_LENGTH_BYTES), "big")
    return msgspec.msgpack.decode(await stdout.readexactly(size), type=Shown)


def render_pages(file: str, folder: str, fingerprint: str) -> None:
    """Make a page for each message that comes in on standard input, until it ends.

    `fingerprint` is that of the declaration which is served: pages of another one are not made.
    """
    os.nice(_LESS_URGENT)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asked_from, shown_to = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the user's file or a library prints is no page
    from mainspring.web.site import Pages

    pages = Pages(file, folder, fingerprint)
    while length := asked_from.read(_LENGTH_BYTES):
        asked = msgspec.msgpack.decode(asked_from.read(int.from_bytes(length, "big")), type=Asked)
        message = msgspec.msgpack.encode(pages.show(asked))
        try:
            shown_to.write(len(message).to_bytes(_LENGTH_BYTES, "big") + message)
            shown_to.flush()
        except BrokenPipeError:  # the server was killed
            os.dup2(os.open(os.devnull, os.O_WRONLY), shown_to.fileno())
            break

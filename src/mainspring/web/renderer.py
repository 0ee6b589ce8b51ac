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
import subprocess
import sys
from collections.abc import Sequence
from typing import IO

import msgspec

from mainspring.cores import ONE_CORE
from mainspring.errors import ServingError
from mainspring.web.asked import Asked, Shown

__all__ = ["Renderer", "render_pages"]

_log = logging.getLogger("mainspring.web")
_COMMAND = (
    "from mainspring.cores import give_way; give_way();"  # before what takes long to import
    "import sys; from mainspring.web.renderer import render_pages; render_pages(*sys.argv[1:])"
)
_LENGTH_BYTES = 4
_PATIENCE_SECONDS = 60.0  # the first page waits for all that is to be imported


class Renderer:
    """Makes pages of one served system, one after the other. For one event loop.

    `seconds` is how long a page may take, the beginning of the process included.
    """

    def __init__(self, arguments: Sequence[str], seconds: float = _PATIENCE_SECONDS) -> None:
        self._command, self._seconds = (sys.executable, "-c", _COMMAND, *arguments), seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = asyncio.Lock()

    async def render(self, asked: Asked) -> Shown:
        """Return a page.

        Raises ServingError (SERVE_UNAVAILABLE) where the process has ended or takes too long; the next call begins another.
        """
        async with self._turn:
            work = asyncio.create_task(asyncio.to_thread(self._exchange, asked))
            try:
                return await asyncio.wait_for(asyncio.shield(work), self._seconds)
            except TimeoutError:
                told, fix = f"The page was not made within {self._seconds:g} seconds.", "Ask for less."
            except (OSError, EOFError):
                told, fix = "The process that makes pages has ended; another one begins.", "Try again."
            except asyncio.CancelledError:  # whoever asked has gone, and its answer must not go to the next one
                await self._end(work)
                raise
            await self._end(work)
        _log.warning("%s (%s)", told, asked.path)
        raise ServingError("SERVE_UNAVAILABLE", told, fix=fix)

    async def end(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()  # whoever reads from it finds its end
            await asyncio.to_thread(process.communicate)

    async def _end(self, work: asyncio.Task[Shown]) -> None:
        process = self._process
        if process is not None:
            process.kill()
        await asyncio.gather(work, return_exceptions=True)
        await self.end()

    def _exchange(self, asked: Asked) -> Shown:
        """Raises OSError, EOFError."""
        if self._process is None:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=os.environ | ONE_CORE,
                process_group=0,  # a Ctrl-C is for the server
            )
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        _write(stdin, msgspec.msgpack.encode(asked))
        return msgspec.msgpack.decode(_read(stdout), type=Shown)


def _write(stream: IO[bytes], message: bytes) -> None:
    stream.write(len(message).to_bytes(_LENGTH_BYTES, "big") + message)
    stream.flush()


def _read(stream: IO[bytes]) -> bytes:
    """Raises EOFError at the end of a stream, also within a message."""
    length = stream.read(_LENGTH_BYTES)
    message = stream.read(int.from_bytes(length, "big"))
    if len(length) < _LENGTH_BYTES or len(message) < int.from_bytes(length, "big"):
        raise EOFError
    return message


def render_pages(file: str, folder: str, fingerprint: str) -> None:
    """Make a page for each message that comes in on standard input, until it ends.

    `fingerprint` is that of the declaration which is served: pages of another one are not made.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asked_from, shown_to = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the user's file or a library prints is no page
    from mainspring.web.site import Pages

    pages = Pages(file, folder, fingerprint)
    with contextlib.suppress(EOFError, BrokenPipeError):  # the server has ended, or was killed
        while True:
            _write(shown_to, msgspec.msgpack.encode(pages.show(msgspec.msgpack.decode(_read(asked_from), type=Asked))))
    os.dup2(os.open(os.devnull, os.O_WRONLY), shown_to.fileno())

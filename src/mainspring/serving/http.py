"""The HTTP server under the application: uvicorn on uvloop and httptools.

Granian was tried: the same requests a second at 16 connections within the noise, and two thirds of them at one.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mainspring.errors import ServingError

__all__ = ["listen", "run_server"]

_PATIENCE_SECONDS = 10
_BACKLOG = 1024


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 takes a free one.

    Raises ServingError (SERVE_OPTION).
    """
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, proto=socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise ServingError(
            "SERVE_OPTION", f"{host}:{port} cannot be listened on: {error.strerror}.", fix="Choose another --port."
        ) from error
    return listening


def run_server(app: Any, listening: socket.socket) -> None:
    """Answer requests until the process is asked to end by SIGINT or SIGTERM; finish those that were begun."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="on",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_PATIENCE_SECONDS,
        http=_Protocol,
    )
    _Server(config).run(sockets=[listening])


class _Joined:
    """A transport that sends the head of a response together with what follows: one packet and one system call, not two."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport, self._head = transport, b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if self._head:
            data, self._head = self._head + data, b""
        elif data.endswith(b"\r\n\r\n"):
            self._head = data
            asyncio.get_running_loop().call_soon(self.flush)  # where the body takes its time, or there is none
            return
        self._transport.write(data)

    def flush(self) -> None:
        """Send a head that is held back."""
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)

    def close(self) -> None:
        self.flush()
        self._transport.close()


class _Protocol(HttpToolsProtocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_Joined(transport))  # type: ignore[arg-type]


class _Server(uvicorn.Server):
    """A server for which being asked to end is no error: the signal is not raised again once it has ended."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

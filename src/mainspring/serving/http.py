"""The HTTP server under the application: uvicorn, with uvloop and httptools where they are installed."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

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
        timeout_graceful_shutdown=_PATIENCE_SECONDS,
    )
    _Server(config).run(sockets=[listening])


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

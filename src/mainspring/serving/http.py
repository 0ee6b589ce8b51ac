"""The HTTP server under the application: uvicorn on uvloop and httptools.

Granian was tried: the same requests a second at 16 connections within the noise, and two thirds of them at one.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from mainspring.errors import ServingError
from mainspring.serving.app import App
from mainspring.serving.lane import LANE_PATH, LONGEST, Lane

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


def run_server(app: App, listening: socket.socket) -> None:
    """Answer requests until the process is asked to end by SIGINT or SIGTERM; finish those that were begun."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="on",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_PATIENCE_SECONDS,
        http=type("_LaneProtocol", (_Protocol,), {"lane": app.lane}),
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


class _Nobody:
    """In the place of an event that nobody waits for."""

    def set(self) -> None:
        pass


class _Turn:
    """A request in the lane, in the place where the protocol keeps the one that is being answered: the next waits for it."""

    message_event = _Nobody()

    def __init__(self, protocol: _Protocol) -> None:
        self._protocol = protocol
        self.response_complete = self.disconnected = False
        self.keep_alive = protocol.parser.should_keep_alive()

    def respond(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
        """Send the whole response at once; nothing where the client has gone."""
        self.response_complete = True
        protocol = self._protocol
        if self.disconnected or protocol.transport.is_closing():
            return
        parts = [STATUS_LINE[status]]
        for name, value in (*protocol.server_state.default_headers, *headers):
            parts += (name, b": ", value, b"\r\n")
        if not self.keep_alive:
            parts.append(b"connection: close\r\n")
        parts += (b"content-length: %d\r\n\r\n" % len(body), body)
        protocol.transport.write(b"".join(parts))
        if not self.keep_alive:
            protocol.transport.close()
        protocol.on_response_complete()


class _Protocol(HttpToolsProtocol):
    """uvicorn's protocol, with a lane beside it: a request for a prediction is read whole and offered to the lane first."""

    lane: ClassVar[Lane | None] = None
    _offered: list[bytes] | None = None  # the parts of a body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_Joined(transport))  # type: ignore[arg-type]

    def on_headers_complete(self) -> None:
        alone = self.cycle is None or self.cycle.response_complete  # others wait for their turn in uvicorn
        usual = self.parser.get_method() == b"POST" and self.parser.get_http_version() == "1.1"
        if self.lane is not None and self.url == LANE_PATH and alone and usual and not self.expect_100_continue:
            self._offered, self._size = [], 0
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._offered is None:
            super().on_body(body)
            return
        self._offered.append(body)
        self._size += len(body)
        if self._size > LONGEST:
            self._hand_over(b"".join(self._offered))

    def on_message_complete(self) -> None:
        if self._offered is None:
            super().on_message_complete()
            return
        body, before = b"".join(self._offered), self.cycle
        turn = _Turn(self)
        self.cycle = turn  # type: ignore[assignment]
        if self.lane is None or not self.lane.answer(self.headers, body, turn.respond):
            self.cycle = before
            self._hand_over(body)
            super().on_message_complete()
        self._offered = None

    def _hand_over(self, body: bytes) -> None:
        """Begin again in uvicorn's own way, with what was read."""
        self._offered = None
        super().on_headers_complete()
        super().on_body(body)


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

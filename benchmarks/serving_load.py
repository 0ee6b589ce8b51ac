"""Load for HTTP servers: as much as wrk can get through, and an open loop that asks at a fixed rate whatever comes back."""

from __future__ import annotations

import json
import select
import socket
import subprocess
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

__all__ = ["Target", "closed_loop", "open_loop"]

CONNECTIONS = 16
PATIENCE_SECONDS = 30

# wrk formats each request once and walks through them again and again; a single row would be too kind to caches.
LUA = """
local requests, position = {}, 0
function init()
  for key, value in pairs(%(headers)s) do wrk.headers[key] = value end
  for body in io.lines(%(bodies)s) do requests[#requests + 1] = wrk.format("POST", nil, nil, body) end
end
function request()
  position = position %% #requests + 1
  return requests[position]
end
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('{"requests": %%d, "microseconds": %%d, "p50": %%d, "p99": %%d, "refused": %%d, "timeouts": %%d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status + errors.connect + errors.read + errors.write, errors.timeout))
end
"""


@dataclass(frozen=True)
class Target:
    """A route that answers POST with 200, and the bodies (one line each) that it is asked in turn."""

    url: str
    headers: Mapping[str, str]
    bodies: Sequence[bytes]


def closed_loop(target: Target, connections: int, seconds: int, folder: Path) -> dict[str, float]:
    """Let wrk ask over some connections, each as soon as it was answered; return requests/s, p50 and p99 in ms.

    These latencies hide what a stalled server keeps from being asked: for latencies read `open_loop`.
    """
    bodies, script = folder / "bodies", folder / "load.lua"
    bodies.write_bytes(b"\n".join(target.bodies) + b"\n")
    headers = ", ".join(f"[{json.dumps(name)}] = {json.dumps(value)}" for name, value in target.headers.items())
    script.write_text(LUA % {"headers": "{" + headers + "}", "bodies": json.dumps(str(bodies))})
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "--timeout",
        f"{PATIENCE_SECONDS}s",
        "-s",
        str(script),
    ]
    printed = subprocess.run([*command, target.url], check=True, capture_output=True, text=True).stdout
    found = json.loads(printed.splitlines()[-1])
    if found["refused"] or found["timeouts"] or not found["requests"]:
        raise SystemExit(f"{target.url} did not answer all that wrk asked: {found}")
    return {
        "rps": found["requests"] / found["microseconds"] * 1e6,
        "p50_ms": found["p50"] / 1e3,
        "p99_ms": found["p99"] / 1e3,
    }


def open_loop(target: Target, rate: float, seconds: float) -> dict[str, float]:
    """Ask `rate` times a second at equal distances; return p50 and p99 in ms, from when each request was due.

    So a request that waits for one of the connections, because the server has stalled, has waited for its answer too.
    `late_ms` is the p99 of how late this loop sent what it could have sent at once: where it is not small, the machine was too
    busy for the loop itself, and the latencies are not the server's alone.
    """
    requests, total = _requests(target), int(rate * seconds)
    address = urlsplit(target.url)
    everyone = [socket.create_connection((address.hostname, address.port or 80)) for _ in range(CONNECTIONS)]
    idle = deque((connection, 0.0) for connection in everyone)  # and since when
    busy: dict[socket.socket, tuple[float, bytearray]] = {}
    latencies, late = [], []
    begin, sent = time.perf_counter() + 0.01, 0
    try:
        for each in everyone:
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while len(latencies) < total:
            due, now = begin + sent / rate, time.perf_counter()
            if sent < total and idle and due <= now:
                connection, free_since = idle.popleft()
                connection.sendall(requests[sent % len(requests)])
                busy[connection] = due, bytearray()
                late.append(now - max(due, free_since))
                sent += 1
                continue
            # select counts microseconds where epoll counts milliseconds
            waiting = due - now if sent < total and idle else PATIENCE_SECONDS
            readable = select.select(list(busy), [], [], waiting)[0]
            if not readable and waiting == PATIENCE_SECONDS:
                raise SystemExit(f"{target.url} has not answered for {PATIENCE_SECONDS} s.")
            for connection in readable:
                due, answer = busy[connection]
                answer += _received(connection, target)
                if _whole(answer, target):
                    now = time.perf_counter()
                    latencies.append(now - due)
                    del busy[connection]
                    idle.append((connection, now))
    finally:
        for each in everyone:
            each.close()
    p50, p99 = (float(np.percentile(latencies, part)) * 1e3 for part in (50, 99))
    return {"rate": rate, "p50_ms": p50, "p99_ms": p99, "late_ms": float(np.percentile(late, 99)) * 1e3}


def _requests(target: Target) -> list[bytes]:
    address = urlsplit(target.url)
    lines = [
        f"POST {address.path} HTTP/1.1",
        f"Host: {address.netloc}",
        *(f"{k}: {v}" for k, v in target.headers.items()),
    ]
    return [
        "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode("ascii") + body for body in target.bodies
    ]


def _received(connection: socket.socket, target: Target) -> bytes:
    received = connection.recv(65_536)
    if not received:
        raise SystemExit(f"{target.url} closed a connection.")
    return received


def _whole(answer: bytearray, target: Target) -> bool:
    """Say whether an answer is complete; stop unless it is a 200 that tells its length."""
    head, mark, body = bytes(answer).partition(b"\r\n\r\n")
    if not mark:
        return False
    status, *lines = head.split(b"\r\n")
    length: Any = next((line[15:] for line in lines if line[:15].lower() == b"content-length:"), None)
    if b" 200 " not in status + b" " or length is None:
        raise SystemExit(f"{target.url} answered {status.decode()}, and length {length}: {body[:300]!r}")
    return len(body) >= int(length)

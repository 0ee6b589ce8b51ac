"""Delivery: the one place where an alert leaves the system, to the log and to webhooks, until every address has taken it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

import msgspec

import mainspring
from mainspring.clock import MINUTE, SECOND, Clock, format_instant
from mainspring.errors import MainspringError
from mainspring.ledger import Alert, AlertLog

__all__ = ["Delivery", "body_of", "key_of", "line_of"]

_alerts = logging.getLogger("mainspring.alerts")
_log = logging.getLogger("mainspring.loop")
_FIRST_PAUSE, _LONGEST_PAUSE = SECOND, 5 * MINUTE
_ABOUTS_SHOWN = 5


class Delivery:
    """Tells of a system's alerts at the addresses that it declares: "log", or addresses of webhooks.

    Guarantees: nothing is raised, whatever the addresses and the ledger do; at least once: an alert is marked as delivered
    after every address took it, so that one interrupted between is sent again, under the same key. An address that fails
    is left alone for a second, then two, four and so on up to five minutes, and holds up no other. An address is a secret
    (whoever knows it can post there) and appears in no log.

    `clock` is real time. Not to be used by two threads at once.
    """

    def __init__(
        self, system: str, to: Sequence[str], alerts: AlertLog, clock: Clock, *, timeout_seconds: float = 5.0
    ) -> None:
        self._system, self._to, self._kept, self._clock = system, tuple(dict.fromkeys(to)), alerts, clock
        self._timeout_seconds = timeout_seconds
        self._taken: set[tuple[str, str]] = set()  # by key and address; of alerts that another address has yet to take
        self._failures: dict[str, int] = {}  # in a row, by address
        self._due: dict[str, int] = {}  # when an address that failed is tried again
        self._opener = build_opener(_NoRedirects)

    def deliver(self) -> int:
        """Send what is undelivered to each address that has not taken it and is not left alone; say how much is done with.

        Takes a moment where all goes well, and up to the timeout for each address that does not answer.
        """
        done = 0
        try:
            waiting = self._kept.undelivered(self._system)
            self._taken &= {(key_of(alert), address) for alert in waiting for address in self._to}
            for alert in waiting:
                told = [self._told(address, alert) for address in self._to]
                if all(told):
                    self._kept.mark_delivered(self._system, alert, at=self._clock.now())
                    done += 1
        except MainspringError as error:
            _log.warning("alerts cannot be delivered for now: %s", error)
        return done

    def _told(self, address: str, alert: Alert) -> bool:
        """Whether an address has taken an alert, now or before."""
        known = (key_of(alert), address)
        if known not in self._taken and self._clock.now() >= self._due.get(address, 0):
            problem = self._send(address, alert)
            if problem is None:
                self._taken.add(known)
                self._failures.pop(address, None)
            else:
                failures = self._failures[address] = self._failures.get(address, 0) + 1
                pause = min(_FIRST_PAUSE * 2 ** min(failures - 1, 20), _LONGEST_PAUSE)
                self._due[address] = self._clock.now() + pause
                _log.warning("an alert was not taken, and is sent again in %d s: %s", pause // SECOND, problem)
        return known in self._taken

    def _send(self, address: str, alert: Alert) -> str | None:
        """Send an alert; return why it was not taken."""
        if address == "log":
            level = logging.ERROR if alert.severity == "page" else logging.WARNING
            _alerts.log(level, "%s", line_of(self._system, alert))
            return None
        try:
            request = Request(address, msgspec.json.encode(body_of(self._system, alert)), method="POST")
            request.add_header("Content-Type", "application/json")
            request.add_header("Idempotency-Key", key_of(alert))
            request.add_header("User-Agent", f"mainspring/{mainspring.__version__}")
            with self._opener.open(request, timeout=self._timeout_seconds):
                return None
        except (OSError, HTTPException, ValueError) as error:  # no answer, no HTTP, no address
            if callable(close := getattr(error, "close", None)):  # an answer that refuses holds a connection
                close()
            status = getattr(error, "code", None)
            told = f"answered {status}" if status is not None else f"did not answer: {type(error).__name__}"
            return f"a webhook at {_host(address)} {told}"


def key_of(alert: Alert) -> str:
    """Return what names a sending for ever: the alert's id, with the severity after it once it has grown worse."""
    return "/".join([alert.id, *alert.sent[1:]])


def line_of(system: str, alert: Alert) -> str:
    """Return an alert as one line for a person."""
    more = len(alert.abouts) - _ABOUTS_SHOWN
    about = ", ".join(alert.abouts[:_ABOUTS_SHOWN]) + (f" and {more} more" if more > 0 else "")
    told = f"{alert.severity}: {alert.monitor} of {system}{f' ({about})' if about else ''}: {alert.told}"
    told += f" Since {_instant(alert.opened_at)}."
    told += f" Ended {_instant(alert.ended_at)}." if alert.ended_at is not None else ""
    return " ".join((told + (f" For {alert.owner}" if alert.owner else "")).split())


def body_of(system: str, alert: Alert) -> dict[str, Any]:
    """Return an alert as the document a webhook gets: `text` for Slack and those like it, `alert` for programs.

    Instants are ISO 8601 in UTC.
    """
    told: dict[str, Any] = msgspec.to_builtins(alert)
    told |= {name: at and format_instant(at) for name, at in told.items() if name in ("opened_at", "ended_at")}
    return {"text": line_of(system, alert), "alert": {"system": system, **told}}


class _NoRedirects(HTTPRedirectHandler):
    """A redirect is a failure: following it would ask with GET, and take any page for an answer."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or "no host"
    except ValueError:
        return "no host"


def _instant(at: int) -> str:
    return format_instant(at)[:16].replace("T", " ")

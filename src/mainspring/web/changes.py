"""What a person may change from a page: which model answers, and who is told of which alerts. Each is written down with its reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from mainspring.answers import Arm
from mainspring.clock import parse_span
from mainspring.errors import ServingError
from mainspring.ledger import AlertLog
from mainspring.ledger.records import Role
from mainspring.serving.access import Grant, may
from mainspring.serving.handlers import Site

__all__ = ["change"]

_SHORTEST_REASON, _LONGEST_REASON = 3, 500


def change(what: str, form: Mapping[str, str], site: Site, alerts: AlertLog, grant: Grant) -> None:
    """Do what a form asks for, once and wholly, or nothing.

    Raises ServingError (SERVE_UNKNOWN for a change that does not exist, SERVE_ROLE, SERVE_BODY, SERVE_MODEL), LedgerError,
    BundleError, WorkspaceError.
    """
    known = _CHANGES.get(what)
    if known is None:
        raise ServingError(
            "SERVE_UNKNOWN",
            f"There is no change {what!r:.100}.",
            exists=f"There are {', '.join(_CHANGES)}.",
            fix="Use a form of a page.",
        )
    if refused := may(grant, known.role):
        raise refused
    known.do(form, site, alerts, grant)


def _promote(form: Mapping[str, str], site: Site, alerts: AlertLog, grant: Grant) -> None:
    """Let one model answer everybody: that is also how one goes back to an earlier one."""
    arms = [Arm(name="champion", role="champion", model=_given(form, "model"), share=1.0)]
    site.deployed.deploy(arms, clock=site.clock, by=_by(grant), reason=_reason(form))
    site.service.predictor.router = site.deployed.router


def _acknowledge(form: Mapping[str, str], site: Site, alerts: AlertLog, grant: Grant) -> None:
    alerts.acknowledge(_system(site), _given(form, "alert"), by=_by(grant), at=site.clock.now())


def _silence(form: Mapping[str, str], site: Site, alerts: AlertLog, grant: Grant) -> None:
    now = site.clock.now()
    until = now + parse_span(_given(form, "span"))
    monitor = _given(form, "monitor")
    alerts.silence(_system(site), monitor, at=now, until=until, by=_by(grant), reason=_reason(form))


def _unsilence(form: Mapping[str, str], site: Site, alerts: AlertLog, grant: Grant) -> None:
    alerts.unsilence(_system(site), _given(form, "monitor"), at=site.clock.now())


class _Change(NamedTuple):
    role: Role
    do: Callable[[Mapping[str, str], Site, AlertLog, Grant], None]


_CHANGES = {
    "promote": _Change("admin", _promote),
    "acknowledge": _Change("write", _acknowledge),
    "silence": _Change("write", _silence),
    "unsilence": _Change("write", _unsilence),
}


def _given(form: Mapping[str, str], name: str) -> str:
    value = form.get(name, "").strip()
    if not value:
        raise ServingError("SERVE_BODY", f"The form says nothing about its {name}.", fix="Fill it in.")
    return value


def _reason(form: Mapping[str, str]) -> str:
    reason = " ".join(_given(form, "reason").split())
    if not _SHORTEST_REASON <= len(reason) <= _LONGEST_REASON:
        raise ServingError(
            "SERVE_BODY",
            f"A reason has {_SHORTEST_REASON} to {_LONGEST_REASON} characters; this one has {len(reason)}.",
            fix="Say why, for whoever reads it later.",
        )
    return reason


def _by(grant: Grant) -> str:
    return grant.name or f"key {grant.key}"


def _system(site: Site) -> str:
    return site.service.predictor.system.name

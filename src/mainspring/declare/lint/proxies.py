"""Rules about what is known before the label: proxies, and what users do after an answer."""

from __future__ import annotations

from collections.abc import Iterator

from mainspring.clock import parse_span
from mainspring.declare.kind import Kind
from mainspring.declare.lint.rule import Problem, rule
from mainspring.declare.system import System

__all__: list[str] = []


@rule("proxy-kind", "error", "A proxy is not a condition, or the label that it is to tell is none.")
def proxy_kind(system: System) -> Iterator[Problem]:
    label = system.label.outcome
    for name, proxy in system.proxies.items():
        if proxy.outcome.kind not in {Kind.BOOL, None}:
            yield Problem(
                f"The proxy {name!r} is {proxy.outcome!r}, which is {proxy.outcome.kind}.",
                "Make it a condition, for example Departure.dep_delay >= 15.",
                origin=proxy.origin,
            )
        if label.kind not in {Kind.BOOL, None}:
            yield Problem(
                f"The proxy {name!r} is to tell the label {label!r}, which is {label.kind}.",
                "Drop it: what a proxy tells is learned for yes/no labels alone.",
                origin=proxy.origin,
            )


@rule("proxy-sooner", "error", "A proxy is known no sooner than the label.")
def proxy_sooner(system: System) -> Iterator[Problem]:
    for name, proxy in system.proxies.items():
        if parse_span(proxy.within) >= parse_span(system.label.within):
            yield Problem(
                f"The proxy {name!r} takes {proxy.within}, and after {system.label.within} the label itself is known.",
                "Shorten within, or drop the proxy.",
                origin=proxy.origin,
            )


@rule("friction-again", "error", "Nobody asks again where decisions have no key, or are made on a schedule.")
def friction_again(system: System) -> Iterator[Problem]:
    decision = system.decision
    for name, friction in system.friction.items():
        if friction.outcome is None and (decision.every is not None or not decision.table.__schema__.keys):
            why = (
                f"{decision.table.__name__} has no ms.Key()" if decision.every is None else "the schedule decides again"
            )
            yield Problem(
                f"The friction {name!r} counts who asks again, and {why}.",
                "Drop it, or read what users do from a table of its own.",
                origin=friction.origin,
            )

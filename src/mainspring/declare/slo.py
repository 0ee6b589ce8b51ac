"""Service objectives: what is promised of a system that runs, over a rolling window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mainspring.clock import DAY, SECOND, format_span, parse_span
from mainspring.declare.value import Declared, check_choice, check_range
from mainspring.errors import DeclarationError

__all__ = ["OPERATIONAL", "ROUTES", "SLO"]

OPERATIONAL = ("availability", "latency", "freshness")
"""What good and bad can be counted of; every other SLO limits a metric of the objective."""

ROUTES = ("predict", "infer", "facts", "prediction", "outcomes")
"""The routes of a server that something can be promised of."""

_DECISIONS = ("predict", "infer")
_SHORTEST_WINDOW, _LONGEST_WINDOW = 3 * DAY, 90 * DAY
_SHORTEST_LATENCY = SECOND // 1000


@dataclass(frozen=True, eq=False, repr=False)
class SLO(Declared):
    """A service objective: a share of good ones, or a limit of a metric, over the last `window`.

    - `SLO("availability", target=0.999)`: requests that did not fail by our fault. What answers 5xx is bad and what succeeds
      is good; what the client did wrong (4xx) counts neither way.
    - `SLO("latency", target=0.99, within="0.05s")`: requests that were answered, however, within the span.
    - `SLO("freshness", target=0.99, within="2h")`: minutes at whose end every table that is not static had a row that had
      become visible within the span.
    - `SLO("log_loss", at_most=0.45)`: a metric of the objective over decisions of the window that are settled.

    `routes` are those that the first two speak of: by default the two at which decisions are asked for. A target below 0.9 is
    refused: an error budget so large can hardly burn fast enough to be noticed.

    Raises DeclarationError (DECLARE_OPTION, DECLARE_SPAN).
    """

    of: str
    target: float | None = field(default=None, kw_only=True)
    within: str | None = field(default=None, kw_only=True)
    at_most: float | None = field(default=None, kw_only=True)
    at_least: float | None = field(default=None, kw_only=True)
    routes: Sequence[str] = field(default=_DECISIONS, kw_only=True)
    window: str = field(default="30d", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("routes", tuple(self.routes))
        takes = {"availability": {"target"}, "latency": {"target", "within"}, "freshness": {"target", "within"}}.get(
            self.of
        )
        given = {name for name in ("target", "within", "at_most", "at_least") if getattr(self, name) is not None}
        if takes is None and not (given and given <= {"at_most", "at_least"}):
            raise self._refuse(
                f"SLO({self.of!r}) {_listing(given)}, and a metric has a limit.",
                f"Give at_most or at_least and nothing else; or promise one of {', '.join(OPERATIONAL)}.",
            )
        if takes is not None and given != takes:
            raise self._refuse(f"SLO({self.of!r}) {_listing(given)}.", f"Give {' and '.join(sorted(takes))}.")
        if takes is not None:
            check_range(self, "target", 0.9, 0.99999)
        if self.within is not None:
            within = parse_span(self.within, origin=self.origin)
            if within < _SHORTEST_LATENCY:
                raise self._refuse(
                    f"SLO(within={self.within!r}) is too short to be measured.", 'Give at least "0.001s".'
                )
            self._set("within", format_span(within))
        window = parse_span(self.window, origin=self.origin)
        if not _SHORTEST_WINDOW <= window <= _LONGEST_WINDOW:
            raise self._refuse(f"SLO(window={self.window!r}) is not possible.", "Give between 3d and 90d.")
        self._set("window", format_span(window))
        self._check_routes()

    def _check_routes(self) -> None:
        if not set(self.routes) <= set(ROUTES):
            check_choice(self, "routes", ROUTES)
        if not self.routes or (self.routes != _DECISIONS and self.of not in ("availability", "latency")):
            raise self._refuse(
                f"SLO({self.of!r}, routes={self.routes!r}) speaks of no request.",
                "Give routes for availability and latency alone, one at least.",
            )

    def _refuse(self, problem: str, fix: str) -> DeclarationError:
        return DeclarationError("DECLARE_OPTION", problem, fix=fix, origin=self.origin)

    @property
    def is_operational(self) -> bool:
        """Whether good and bad are counted, so that there is an error budget."""
        return self.of in OPERATIONAL

    @property
    def name(self) -> str:
        """What it is called, unique in a system: "availability", "latency 0.05s", "availability of facts", "log_loss"."""
        of = f" of {' and '.join(self.routes)}" if self.routes != _DECISIONS else ""
        return self.of + of + (f" {self.within}" if self.within is not None else "")

    @property
    def limits(self) -> str:
        """What it asks for, without the window: "99.9%", "at most 0.45"."""
        if self.target is not None:
            return f"{100 * self.target:.6g}%"
        both = (("at most", self.at_most), ("at least", self.at_least))
        return " and ".join(f"{word} {limit:g}" for word, limit in both if limit is not None)


def _listing(given: set[str]) -> str:
    return f"was given {' and '.join(sorted(given))}" if given else "was given nothing to promise"

"""A reading: what one monitor says at one instant. Every monitor speaks in these; alerts, pages and replays listen to them."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

__all__ = ["Kind", "Reading", "Severity"]

Kind = Literal["inputs", "features", "predictions", "outcomes", "operations"]
"""What a monitor looks at, the cheapest and earliest first."""

Severity = Literal["page", "ticket", "note"]
"""What is to be done about it: wake somebody, look within a day or two, or only know it."""


class Reading(Struct, frozen=True, kw_only=True):
    """What a monitor says of one thing at an instant.

    `monitor` names what is watched ("volume", "drift", "realised log_loss"), `about` the table, feature, slice or route it
    speaks of. `value` is the figure and `limit` what it is held against, in the unit of the monitor; None where there is no
    one figure. A monitor that cannot say anything ("unknown") tells why in `told`, one sentence for a person.
    """

    monitor: str
    kind: Kind
    about: str = ""
    value: float | None = None
    limit: float | None = None
    state: Literal["ok", "firing", "unknown"]
    severity: Severity = "ticket"
    told: str

"""States and severities as every page shows them: a word, a mark and a colour."""

from __future__ import annotations

from mainspring.page.components import Html, Tone, badge

__all__ = ["severity_badge", "severity_tone", "state_badge"]

_STATES: dict[str, Tone] = {"ok": "good", "firing": "bad", "unknown": "plain"}
_SEVERITIES: dict[str, Tone] = {"page": "bad", "ticket": "warning", "note": "plain"}


def state_badge(state: str) -> Html:
    """Return the state of a monitor or an objective."""
    return badge(state, _STATES[state])


def severity_tone(severity: str) -> Tone:
    """Return how loud a severity is shown."""
    return _SEVERITIES.get(severity, "plain")


def severity_badge(severity: str) -> Html:
    """Return the severity of an alert."""
    return badge(severity, severity_tone(severity))

"""What a step of the loop rested on, as a table that people read: each figure in words, beside what it is held against."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mainspring.page.components import Child, Html, table
from mainspring.page.wording import count, metric_title, moment, number, plain, signed
from mainspring.web.links import alert_link

__all__ = ["evidence_table"]

_Row = tuple[str, Child, Child]
_INSTANTS = (631_152_000_000_000, 4_102_444_800_000_000)  # 1990 and 2100: what lies between is no count
_SHOWN, _LONGEST, _DEEPEST = 40, 500, 6
_LARGEST = 1e300
_WORDS = {
    "abouts": "about",
    "broken": "guards that it breaks",
    "days": "days since the last training",
    "ended_at": "ended",
    "estimate": "improvement a decision so far",
    "fate": "what was decided",
    "kind": "looks at",
    "labels": "labels",
    "moved": "what has moved",
    "opened_at": "opened",
    "rows": "labels that judged it",
    "sent": "told as",
    "told": "what it said",
    "what": "verdict",
    "window": "window that was taken",
    "windows": "by window",
    "worse_slices": "slices where it is worse",
}
_LOG_EVIDENCE = {"better": "evidence that it is better", "worse": "evidence that it is worse"}


def evidence_table(evidence: Mapping[str, Any]) -> Html:
    """Return evidence as a table of what, how much, and beside which figure. What nobody has named is shown by its own name."""
    rows = [*_rows(dict(evidence))]
    return table("What this rests on", ["what", "value", "beside"], [list(row) for row in rows])


def _rows(left: dict[str, Any]) -> Iterator[_Row]:
    if "monitor" in left and "abouts" in left:
        yield from _alert(left)
    if isinstance(metric := left.get("metric"), str):
        yield from _judged(left, metric)
    if "estimate" in left:
        yield from _improvement(left)
    for name, value in left.items():
        yield from _anything(_WORDS.get(name, name.replace("_", " ")), value)


def _alert(left: dict[str, Any]) -> Iterator[_Row]:
    """The alert itself, and its worst value beside its limit."""
    name, identity = str(left.pop("monitor")), str(left.pop("id", ""))
    shown: Child = alert_link(identity, name) if identity else name
    yield "alert", shown, None
    value, limit = (_number_of(left, name) for name in ("value", "limit"))
    if value is not None:
        yield "worst value", number(value), None if limit is None else f"limit {plain(limit)}"
        left.pop("value")
        left.pop("limit", None)


def _judged(left: dict[str, Any], metric: str) -> Iterator[_Row]:
    """A figure of a candidate beside the champion's, or of the champion beside what it was."""
    title = metric_title(metric)
    for ours, theirs, of, beside in (
        ("candidate", "champion", "the model", "the champion"),
        ("now", "at_promotion", "the champion now", "when it was last judged"),
    ):
        value, before = _number_of(left, ours), _number_of(left, theirs)
        if value is None:
            continue
        told = None if before is None else f"{beside} {number(before)}: {signed(value - before)}"
        yield f"{title} of {of}", number(value), told
        for name in (ours, "metric", *([] if before is None else [theirs])):
            left.pop(name, None)


def _improvement(left: dict[str, Any]) -> Iterator[_Row]:
    """By how much a candidate is better with its bounds, and the evidence for it and against it."""
    estimate, low, high = (_number_of(left, name) for name in ("estimate", "low", "high"))
    if estimate is None and left["estimate"] is not None:
        return
    ends = ["not bounded yet" if end is None else signed(end) for end in (low, high)]
    none = low is None and high is None
    beside = "no bound is known yet" if none else f"{ends[0]} to {ends[1]}, at all looks together"
    yield _WORDS["estimate"], "no label yet" if estimate is None else signed(estimate), beside
    for name, title in _LOG_EVIDENCE.items():
        if (found := _number_of(left, name)) is not None:
            yield f"{title} (log)", number(max(found, 0.0)), "3.0 is what chance alone reaches once in 20"
            del left[name]
    for name in ("estimate", "low", "high"):
        left.pop(name, None)


def _number_of(left: Mapping[str, Any], name: str) -> float | None:
    """The number of this name; None where there is none."""
    value = left.get(name)
    return (
        float(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST
        else None
    )


def _anything(title: str, value: Any, depth: int = 0) -> Iterator[_Row]:
    if isinstance(value, Mapping) and value and depth < _DEEPEST:
        for name, inside in [*value.items()][:_SHOWN]:
            yield from _anything(f"{title}: {name}", inside, depth + 1)
        if len(value) > _SHOWN:
            yield title, f"and {count(len(value) - _SHOWN)} more", None
    elif (
        isinstance(value, Sequence) and not isinstance(value, str) and any(isinstance(each, Mapping) for each in value)
    ):
        yield from _anything(title, {f"{place}": each for place, each in enumerate(value, 1)}, depth)
    else:
        yield title, _value(value), None


def _value(value: Any) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case int() if _INSTANTS[0] <= value <= _INSTANTS[1]:
            return f"{moment(value)} UTC"
        case int():
            return count(value)
        case float():
            return number(value)
        case str():
            return value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"
        case Mapping():
            return f"{count(len(value))} entries" if value else "none"
        case Sequence():
            shown = ", ".join(_value(each) for each in value[:_SHOWN]) or "none"
            return f"{shown} and {count(len(value) - _SHOWN)} more" if len(value) > _SHOWN else shown
        case _:
            return str(value)[:_LONGEST]

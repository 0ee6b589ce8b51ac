"""From a decision to the slots of its keys, and from what the kernels found to values: each a function written out once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mainspring.declare import Aggregate, Kind
from mainspring.declare.kind import STRINGS
from mainspring.features.online import kernels
from mainspring.features.online.intake import MISSING_TIME
from mainspring.features.online.layout import Group, Layout

__all__ = ["SlotsFunction", "ValuesFunction", "slots_function", "values_function"]

SlotsFunction = Callable[[Sequence[Mapping[Any, int]], Mapping[str, Any]], list[int]]
"""From the slots by key of each group, and a decision's row, to the first slot of its key in each; NO_SLOT: none."""
ValuesFunction = Callable[[list[float], list[int], list[float], Sequence[str | None]], list[Any]]
"""From the numbers found, the words picked, the same words as floats, and the texts by code, to the value of each aggregate."""


def slots_function(groups: Sequence[Group]) -> SlotsFunction:
    """Return how the slots of a decision's keys are looked up; a missing part is a key that no fact has."""
    items = []
    for place, group in enumerate(groups):
        columns = [f"row[{ours!r}]" for _, ours in group.scan.by]
        key = columns[0] if len(columns) == 1 else f"({', '.join(columns)})"
        items.append(f"held[{place}].get({key}, {kernels.NO_SLOT})")
    function: SlotsFunction = _function("held, row", items)
    return function


def values_function(layout: Layout) -> ValuesFunction:
    """Return how the answers of the kernels become values; None is missing."""
    items = [
        _value(place, aggregate, int(layout.asked[place, kernels.STATISTIC]), known)
        for place, (aggregate, known) in enumerate(zip(layout.aggregates.values(), layout.known, strict=True))
    ]
    function: ValuesFunction = _function("found, words, reals, texts", items)
    return function


def _function(parameters: str, items: list[str]) -> Callable[..., list[Any]]:
    given: dict[str, Any] = {}
    exec(compile(f"def function({parameters}):\n    return [{', '.join(items)}]", "<lookups>", "exec"), given)
    return given["function"]


def _value(place: int, aggregate: Aggregate, statistic: int, known: int) -> str:
    found, word, real = f"found[{place}]", f"words[{place}]", f"reals[{place}]"
    if statistic in (kernels.COUNT, kernels.DISTINCT):
        return word
    kind = aggregate.kind
    if statistic not in (kernels.LATEST, kernels.FIRST_VALUE):
        whole = kind in {Kind.INT, Kind.TIME, Kind.SPAN}
        return f"None if (x := {found}) != x else {'int(x)' if whole else 'x'}"
    if kind in STRINGS:
        value, there = f"texts[{word}]", f"{word} >= 0"
    elif kind is Kind.BOOL:
        value, there = f"{word} == 1", f"{word} >= 0"
    elif kind is Kind.INT:
        value, there = word, "True" if known < 0 else f"words[{known}] == 1"
    elif kind is Kind.FLOAT:
        value, there = real, f"{real} == {real}"
    else:
        value, there = word, f"{word} != {MISSING_TIME}"
    return f"{value} if {found} == 1.0 and {there} else None"

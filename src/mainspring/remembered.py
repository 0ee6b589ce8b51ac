"""Remember what a pure function gave for the very same values, where several ask the same within one look."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, TypeVar

__all__ = ["remembered"]

_Function = TypeVar("_Function", bound=Callable[..., Any])


class _Same:
    """An argument, equal to itself alone: to compare arrays and large values by content would take longer than to compute."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)  # it is held as long as this is, so that no other takes its place

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.value is self.value


def remembered(most: int) -> Callable[[_Function], _Function]:
    """Let a function remember its newest `most` answers, each for the very same positional and named arguments.

    For functions whose arguments and answers nobody changes; sequences of arguments are the same where their parts are.
    Threads may share one.

    >>> @remembered(2)
    ... def doubled(numbers): return [2 * each for each in numbers]
    >>> one, two = "1", "2"
    >>> doubled([one, two]) is doubled([one, two])
    True
    """

    def remembering(function: _Function) -> _Function:
        @lru_cache(most)
        def known(given: tuple[Any, ...], named: tuple[tuple[str, Any], ...]) -> Any:
            return function(*map(_plain, given), **{name: _plain(value) for name, value in named})

        @wraps(function)
        def asked(*given: Any, **named: Any) -> Any:
            return known(tuple(map(_same, given)), tuple((name, _same(value)) for name, value in named.items()))

        return asked  # type: ignore[return-value]

    return remembering


def _same(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_Same, value))
    return value if isinstance(value, int | float | str | None) else _Same(value)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [each.value for each in value]
    return value.value if isinstance(value, _Same) else value

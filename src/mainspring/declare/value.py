"""Declared values: frozen, equal by content, printable, with a fingerprint that is the same in every process.

One encoding serves everything: a declared value becomes a plain JSON document, the fingerprint is a hash of that document,
and a bundle stores it. Fields at their default are left out, so that a field added later changes no old fingerprint.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from enum import Enum
from types import MappingProxyType
from typing import Any

from mainspring.declare.origin import caller_origin
from mainspring.errors import DeclarationError, Origin

__all__ = [
    "Declared",
    "StoredObject",
    "check_choice",
    "check_parts",
    "check_range",
    "encode",
    "fingerprint",
    "freeze",
    "registered",
]

_REGISTRY: dict[str, type[Declared]] = {}


@dataclass(frozen=True, eq=False, repr=False)
class Declared:
    """The root of everything a user declares. `origin` is the user's line; it takes no part in equality."""

    origin: Origin | None = field(default=None, kw_only=True, compare=False)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        _REGISTRY[cls.__name__] = cls

    def __post_init__(self) -> None:
        if self.origin is None:
            object.__setattr__(self, "origin", caller_origin())

    def _set(self, name: str, value: Any) -> None:
        """Replace a field while the value is being made; never afterwards."""
        object.__setattr__(self, name, value)

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that depend on content alone."""
        known = self.__dict__.get("_fingerprint")
        if known is None:
            known = fingerprint(self._content())
            object.__setattr__(self, "_fingerprint", known)
        return known

    def _content(self) -> Any:
        """What the fingerprint depends on; it is made once."""
        return self

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        shown = (f"{f.name}={_plain(getattr(self, f.name))!r}" for f in content_fields(self))
        return f"{type(self).__name__}({', '.join(shown)})"


@dataclass(frozen=True)
class StoredObject:
    """An object that is not Mainspring's (an estimator, a function) as a document remembers it: nothing of it can run."""

    document: Mapping[str, Any]

    @property
    def path(self) -> str:
        """The dotted path of its class or function, or how it printed."""
        return str(next(self.document[mark] for mark in ("$object", "$function", "$repr") if mark in self.document))

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of an estimator, as documents."""
        return {name: value for name, value in self.document.items() if not name.startswith("$")}

    def __repr__(self) -> str:
        shown = (f"{name}={value!r}" for name, value in self.parameters.items())
        return f"{self.path}({', '.join(shown)})"


def content_fields(value: Declared) -> list[Field[Any]]:
    """Return the fields that carry content: compared, and not at their default."""
    return [f for f in fields(value) if f.compare and not _is_default(f, getattr(value, f.name))]


def _is_default(f: Field[Any], value: Any) -> bool:
    default = f.default_factory() if f.default_factory is not MISSING else f.default
    if value is None or isinstance(value, bool | int | float | str):
        return type(value) is type(default) and value == default
    alike = isinstance(default, Mapping) if isinstance(value, Mapping) else type(value) is type(default)
    return alike and _text(value) == _text(default)


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def encode(value: Any) -> Any:
    """Turn a declared value into a JSON document.

    Objects that are not Mainspring's (a scikit-learn estimator) are encoded by class and parameters. `decode` is the inverse.
    """
    if isinstance(value, type) and hasattr(value, "__schema__"):
        return {"$table": value.__schema__.name}
    if isinstance(value, Declared):
        return {"$": type(value).__name__, **{f.name: encode(getattr(value, f.name)) for f in content_fields(value)}}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {"$map": [[encode(key), encode(item)] for key, item in value.items()]}
    if isinstance(value, list | tuple | frozenset | set):
        items = [encode(item) for item in value]
        return sorted(items, key=repr) if isinstance(value, frozenset | set) else items
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, StoredObject):
        return dict(value.document)
    if hasattr(value, "get_params") and not isinstance(value, type):
        kind = type(value)
        parameters = value.get_params(deep=False)
        return {
            "$object": f"{kind.__module__}.{kind.__qualname__}",
            **{k: encode(parameters[k]) for k in sorted(parameters)},
        }
    if hasattr(value, "__qualname__"):
        return {"$function": f"{value.__module__}.{value.__qualname__}"}
    return {"$repr": re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))}  # an address differs between processes


def fingerprint(value: Any) -> str:
    """Return sixteen hexadecimal digits of the SHA-256 of a value's document."""
    return hashlib.sha256(_text(value).encode()).hexdigest()[:16]


def _text(value: Any) -> str:
    return json.dumps(encode(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def freeze(mapping: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return a read-only copy that keeps the order."""
    return MappingProxyType(dict(mapping or {}))


def registered(name: str) -> type[Declared]:
    """Return the declared class with that name."""
    return _REGISTRY[name]


def check_range(owner: Declared, name: str, low: float | None = None, high: float | None = None) -> None:
    """Raise DeclarationError (DECLARE_OPTION) when a numeric field lies outside [low, high]."""
    value = getattr(owner, name)
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not ((low is None or value >= low) and (high is None or value <= high))
    ):
        limits = " and ".join(
            text
            for text in (
                f"at least {low:g}" if low is not None else "",
                f"at most {high:g}" if high is not None else "",
            )
            if text
        )
        raise DeclarationError(
            "DECLARE_OPTION",
            f"{type(owner).__name__}({name}={value!r}) is not possible.",
            fix=f"Give a number {limits}." if limits else "Give a number.",
            origin=owner.origin,
        )


def check_parts(owner: Declared, name: str, kind: type, example: str) -> None:
    """Raise DeclarationError (DECLARE_OPTION) when an item of a field, or the field itself, is not of the kind."""
    value = getattr(owner, name)
    for part in value if isinstance(value, tuple) else (value,):
        if not isinstance(part, kind):
            raise DeclarationError(
                "DECLARE_OPTION",
                f"{type(owner).__name__}({name}=...) was given {part!r}.",
                fix=f"Give {example}.",
                origin=owner.origin,
            )


def check_choice(owner: Declared, name: str, choices: tuple[str, ...]) -> None:
    """Raise DeclarationError (DECLARE_OPTION) when a field is not one of the choices."""
    value = getattr(owner, name)
    if value not in choices:
        raise DeclarationError(
            "DECLARE_OPTION",
            f"{type(owner).__name__}({name}={value!r}) is not possible.",
            exists=f"There is {', '.join(repr(c) for c in choices)}.",
            fix="Choose one of these.",
            origin=owner.origin,
        )

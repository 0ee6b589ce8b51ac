"""Decoding: from the JSON document of a declaration back to the declaration, without the user's file.

`encode(decode(document)) == document` for everything that can be declared. Tables are made anew; an object that is not
Mainspring's comes back as a `StoredObject`, which names it and cannot run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from mainspring.declare.column import Column
from mainspring.declare.system import System
from mainspring.declare.table import Table, class_name, make_table
from mainspring.declare.value import Declared, StoredObject, registered
from mainspring.errors import BundleError, DeclarationError, Origin

__all__ = ["decode", "decode_system"]

_STORED = Origin("stored declaration", 0)


def decode_system(document: Mapping[str, Any]) -> System:
    """Return the system whose `document` this is; its fingerprint is the same.

    Raises BundleError (BUNDLE_FORMAT) when the document names something this version of Mainspring does not know.
    """
    tables: dict[str, type[Table]] = {}
    try:
        for schema in _entry(document, "tables"):
            table = _table(schema)
            tables[table.__schema__.name] = table
        system = decode(_entry(document, "system"), tables)
    except DeclarationError as error:
        raise _unreadable(error.problem.rstrip(".")) from error
    if not isinstance(system, System):
        raise _unreadable(f"it holds {system!r} where a system should be")
    return system


def decode(document: Any, tables: Mapping[str, type[Table]]) -> Any:
    """Return the declared value of a document; `tables` holds the tables it may refer to by their snake_case names.

    Raises BundleError (BUNDLE_FORMAT) when the document names something unknown.
    """
    if isinstance(document, list):
        return tuple(decode(item, tables) for item in document)
    if not isinstance(document, Mapping):
        return document
    if "$table" in document:
        return _named(document["$table"], tables)
    if "$map" in document:
        return {decode(key, tables): decode(item, tables) for key, item in document["$map"]}
    if "$float" in document:
        return float(document["$float"])
    if "$" not in document:
        return StoredObject(document)
    kind = _declared(document["$"])
    if issubclass(kind, Column) and "table" in document:
        return _column(document, tables)
    return _made(kind, {name: decode(item, tables) for name, item in document.items() if name != "$"})


def _made(kind: type[Declared], content: Mapping[str, Any]) -> Declared:
    """Fill the fields directly, because a declared value is stored as it stands and not as it was written."""
    value = object.__new__(kind)
    known = {f.name for f in fields(kind)}
    if unknown := set(content) - known:
        raise _unreadable(f"{kind.__name__} has no {sorted(unknown)[0]!r}")
    for f in fields(kind):
        default = f.default_factory() if f.default_factory is not MISSING else f.default
        item = _STORED if f.name == "origin" else content.get(f.name, default)
        if item is MISSING:
            raise _unreadable(f"{kind.__name__} lacks {f.name!r}")
        object.__setattr__(value, f.name, item)
    value.__post_init__()
    return value


def _table(schema: Mapping[str, Any]) -> type[Table]:
    """Columns name the table they belong to, so they are made without it and bound when the class is."""
    columns = [
        _made(_declared(c["$"]), {name: decode(item, {}) for name, item in c.items() if name not in {"$", "table"}})
        for c in _entry(schema, "columns")
    ]
    named = {column.name: column for column in columns if isinstance(column, Column)}
    return make_table(
        class_name(_entry(schema, "name")),
        named,
        static=schema.get("static", False),
        description=schema.get("description", ""),
    )


def _column(document: Mapping[str, Any], tables: Mapping[str, type[Table]]) -> Column:
    table = _named(document["table"]["$table"], tables)
    column = table.__schema__.column(document["name"])
    if column is None:
        raise _unreadable(f"table {table.__name__} has no column {document['name']!r}")
    return column


def _named(name: str, tables: Mapping[str, type[Table]]) -> type[Table]:
    if name not in tables:
        raise _unreadable(f"it names the table {name!r}, which it does not describe")
    return tables[name]


def _declared(name: str) -> type[Declared]:
    try:
        return registered(name)
    except KeyError:
        raise _unreadable(f"it names {name!r}") from None


def _entry(document: Mapping[str, Any], name: str) -> Any:
    if name not in document:
        raise _unreadable(f"it has no {name!r}, only {json.dumps(sorted(document))}")
    return document[name]


def _unreadable(what: str) -> BundleError:
    return BundleError(
        "BUNDLE_FORMAT",
        f"A stored declaration cannot be read: {what}.",
        fix="Open it with the version of Mainspring that wrote it, or a newer one.",
    )

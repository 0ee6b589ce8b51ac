"""Pages for people, without script and without anything from elsewhere: what this server is, and how it is used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any

from mainspring.serving.operations import OPERATIONS

__all__ = ["docs_page", "first_page"]

_STYLE = """
:root { color-scheme: light dark; --quiet: light-dark(#57606a, #9aa4af); --rule: light-dark(#e3e6ea, #343b44);
  --raised: light-dark(#f6f7f8, #1d2126); --accent: light-dark(#0b5cad, #6cb2f5) }
body { font: 1rem/1.6 system-ui, sans-serif; max-width: 52rem; margin: 3rem auto; padding: 0 1rem;
  background: light-dark(#fff, #14171b); color: light-dark(#1b1f24, #e6e9ec) }
a { color: var(--accent) } h1 { line-height: 1.2 } h2 { margin-top: 3rem; border-top: 1px solid var(--rule); padding-top: 1rem }
h2 code { overflow-wrap: anywhere } .quiet { color: var(--quiet) }
pre { background: var(--raised); border-radius: 6px; padding: .8rem 1rem; white-space: pre-wrap; overflow-wrap: anywhere;
  font-size: .85rem }
.wide { overflow-x: auto } table { border-collapse: collapse; font-size: .9rem; width: 100% }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--rule); vertical-align: top }
ul { padding-left: 1.2rem } li code { overflow-wrap: anywhere }
"""
_EXAMPLES = {"string": "…", "number": 1.5, "integer": 1, "boolean": True}


def first_page() -> bytes:
    """Say what answers here, without anything that a key protects."""
    rows = "".join(
        f"<tr><td><code>{each.method} {escape(each.path)}</code><td>{escape(each.summary)}<td>{each.role or 'no key'}"
        for each in OPERATIONS
    )
    return _page(
        "A Mainspring server",
        "<p>It answers decisions over HTTP. A request carries a key: <code>Authorization: Bearer msk_…</code>; "
        "<code>mainspring keys add</code> makes one. <a href='docs'>The interface of this system</a> asks for a key too: "
        "give it as the password.</p><div class=wide tabindex=0 role=region aria-label=Operations><table>"
        f"<tr><th>operation<th>what it is for<th>the key may{rows}</table></div>",
    )


def docs_page(document: Mapping[str, Any]) -> bytes:
    """Explain an interface, given its OpenAPI document, with a line of curl for each operation."""
    schemas = document["components"]["schemas"]
    parts = [
        f"<p>{escape(document['info']['description'])}</p><p><a href='openapi.json'>As an OpenAPI document</a></p><ul>"
    ]
    operations = [
        (method.upper(), path, told) for path, methods in document["paths"].items() for method, told in methods.items()
    ]
    parts += [
        f"<li><a href='#{told['operationId']}'><code>{method} {escape(path)}</code></a> {escape(told['summary'])}"
        for method, path, told in operations
    ]
    parts.append("</ul>")
    for method, path, told in operations:
        parts.append(f"<h2 id='{told['operationId']}'><code>{method} {escape(path)}</code></h2>")
        parts.append(f"<p><strong>{escape(told['summary'])}.</strong> {escape(told.get('description', ''))}</p>")
        parts.append(f"<pre>{escape(_curl(method, path, told, schemas))}</pre>")
        body = _body_schema(told)
        if body is not None:
            parts.append(_columns(_resolved(body, schemas), schemas))
        answers = "".join(f"<li>{status}: {escape(each['description'])}" for status, each in told["responses"].items())
        parts.append(f"<p class=quiet>Answers:</p><ul class=quiet>{answers}</ul>")
    return _page(document["info"]["title"], "".join(parts))


def _page(title: str, body: str) -> bytes:
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{escape(title)}</title><style>{_STYLE}</style><main><h1>{escape(title)}</h1>{body}</main></html>"
    ).encode()


def _curl(method: str, path: str, told: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    line = "curl" if method == "GET" else f"curl -X {method}"
    if "security" in told:
        line += ' -H "Authorization: Bearer $KEY"'
    body = _body_schema(told)
    if body is not None:
        line += (
            f" -H 'Content-Type: application/json' \\\n  -d '{json.dumps(_example(body, schemas), ensure_ascii=False)}'"
        )
    return f"{line} \\\n  $ADDRESS{path}"


def _body_schema(told: Mapping[str, Any]) -> Mapping[str, Any] | None:
    content = told.get("requestBody", {}).get("content", {})
    return content["application/json"]["schema"] if content else None


def _resolved(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    while True:
        if "$ref" in schema:
            schema = schemas[schema["$ref"].rpartition("/")[2]]
        elif "anyOf" in schema:
            schema = schema["anyOf"][0]
        else:
            return schema


def _example(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """A small document that a schema describes: of alternatives the first, of an array one element."""
    schema = _resolved(schema, schemas)
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "string")
    if kind == "object":
        return {name: _example(schema["properties"][name], schemas) for name in schema.get("required", ())}
    if kind == "array":
        return [_example(schema["items"], schemas)] if "items" in schema else []
    if schema.get("format") == "date-time":
        return "2026-01-31T12:00:00Z"
    return schema.get("minimum", _EXAMPLES[kind[0] if isinstance(kind, list) else kind])


def _columns(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    """The properties of an object, or of the objects of an array, as a table."""
    while schema.get("type") == "array" and "items" in schema:
        schema = _resolved(schema["items"], schemas)
    if list(schema.get("properties", ())) == ["row", "explain"]:
        schema = _resolved(schema["properties"]["row"], schemas)
    rows = []
    for name, each in schema.get("properties", {}).items():
        told = _resolved(each, schemas)
        kind = told.get("type", "")
        words = [" or ".join(kind) if isinstance(kind, list) else kind, told.get("format", "")]
        limits = [f"at least {told['minimum']:g}"] if "minimum" in told else []
        limits += [f"at most {told['maximum']:g}"] if "maximum" in told else []
        needed = "" if name in schema.get("required", ()) else "may be left out"
        rows.append(
            f"<tr><td><code>{escape(name)}</code><td>{escape(' '.join(filter(None, words)))}"
            f"<td>{escape(', '.join(filter(None, [*limits, needed, told.get('description', '')])))}"
        )
    return (
        f"<div class=wide tabindex=0 role=region aria-label=Columns><table>{''.join(rows)}</table></div>"
        if rows
        else ""
    )

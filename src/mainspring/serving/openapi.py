"""The interface of a served system as an OpenAPI 3.1 document: routes from the operations, rows from the declaration."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

import mainspring
from mainspring import answers
from mainspring.declare import Column, Kind, System, Table
from mainspring.declare.kind import STRINGS
from mainspring.serving.given_rows import ARROW
from mainspring.serving.operations import OPERATIONS, Operation

__all__ = ["openapi_document"]

_REF = "#/components/schemas/{name}"
_TYPES = {Kind.FLOAT: "number", Kind.INT: "integer", Kind.BOOL: "boolean"}  # all else is text
_RECORDS = (
    answers.Arms, answers.Failure, answers.Judged, answers.Kept, answers.Outcome, answers.Pending, answers.Prediction,
)  # fmt: skip
_REFUSALS = {
    400: "The request cannot be read.",
    401: "The key is missing or not valid.",
    403: "The key may not do this.",
    404: "There is no such thing.",
    409: "The server is not set up for this.",
    422: "It was read, and cannot be done.",
    429: "Too many requests came with this key.",
    503: "It cannot be kept, or is not ready, for now.",
}


def openapi_document(system: System) -> dict[str, Any]:
    """Return the document of a system's server."""
    _, schemas = msgspec.json.schema_components(_RECORDS, ref_template=_REF)
    rows = {f"row of {table.__schema__.name}": table for table in system.tables}
    schemas |= {_component(name): _row(table) for name, table in rows.items()}
    schemas["DecisionRow"] = _row(system.decision.table, asked=True)
    schemas["Refusal"] = {
        "type": "object",
        "properties": {"error": {"$ref": _REF.format(name="Failure")}},
        "required": ["error"],
    }
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        for path, table in _places(operation, system):
            paths.setdefault(path, {})[operation.method.lower()] = _operation(operation, path, table, system)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": system.name,
            "version": mainspring.__version__,
            "description": system.decision.table.__doc__ or "",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _places(operation: Operation, system: System) -> Iterable[tuple[str, type[Table] | None]]:
    if operation.takes != "facts":
        return [(operation.path, None)]
    return [(operation.path.replace("{table}", table.__schema__.name), table) for table in system.tables]


def _operation(operation: Operation, path: str, table: type[Table] | None, system: System) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": f"{operation.method.lower()}{path}".replace("/", "_").replace("{", "").replace("}", ""),
        "summary": operation.summary + (f": {table.__schema__.name}" if table is not None else ""),
        "responses": {str(status): _response(gives) for status, gives in operation.gives},
    }
    if operation.description:
        told["description"] = operation.description
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}} for name in names
    ]
    if operation.role is not None:
        told["security"] = [{"key": []}]
        told["description"] = f"{told.get('description', '')} Needs a key that may {operation.role}.".strip()
        refused = (
            {401, 403, 429, 503} | ({404} if names else set()) | ({400, 404, 409, 422} if operation.takes else set())
        )
        if operation.name == "prediction":
            refused |= {422}
        told["responses"] |= {str(status): _refusal(status) for status in sorted(refused)}
    elif operation.name == "health":
        told["responses"]["503"] = {"description": "Not ready."}
    if operation.takes is not None:
        told["requestBody"] = {"required": True, "content": _content(operation.takes, table, system)}
        if operation.method == "POST":
            parameters.append(
                {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "pattern": "^[ -~]{1,100}$"}}
            )
    if operation.takes == "predict":
        parameters.append({"name": "Prefer", "in": "header", "schema": {"enum": ["respond-async"]}})
    return told | ({"parameters": parameters} if parameters else {})


def _response(gives: Any) -> dict[str, Any]:
    if isinstance(gives, str) and "/" in gives:
        return {"description": "The text.", "content": {gives: {"schema": {"type": "string"}}}}
    if gives == "predictions":
        one = {"$ref": _REF.format(name="Prediction")}
        each = {"anyOf": [one, {"$ref": _REF.format(name="Refusal")}]}
        many = {
            "type": "object",
            "properties": {"predictions": {"type": "array", "items": each}},
            "required": ["predictions"],
        }
        schema: dict[str, Any] = {"anyOf": [one, many]}
    elif gives is None:
        schema = {"type": "object"}
    else:
        schema = {"$ref": _REF.format(name=gives.__name__)}
    told = "Accepted." if gives in (answers.Kept, answers.Pending) else "Done."
    return {"description": told, "content": {"application/json": {"schema": schema}}}


def _refusal(status: int) -> dict[str, Any]:
    schema = {"$ref": _REF.format(name="Refusal")}
    return {"description": _REFUSALS[status], "content": {"application/json": {"schema": schema}}}


def _content(takes: str, table: type[Table] | None, system: System) -> dict[str, Any]:
    if table is not None:
        row = {"$ref": _REF.format(name=_component(f"row of {table.__schema__.name}"))}
        return {
            "application/json": {"schema": {"type": "array", "items": row}},
            "application/x-ndjson": {"schema": {"type": "string", "description": "One row a line."}},
            ARROW: {"schema": {"type": "string", "contentEncoding": "binary"}},
        }
    return {"application/json": {"schema": _BODIES[takes](system)}}


def _predict_body(system: System) -> dict[str, Any]:
    decision = system.decision.table
    row = {"$ref": _REF.format(name="DecisionRow")}
    columns = [column for column in decision.__schema__.columns if column.name in decision.__schema__.keys]
    key: dict[str, Any] = _object({_given(column): _value(column) for column in columns})
    if len(columns) == 1:
        key = {"anyOf": [key, _value(columns[0])]}
    explain = {"explain": {"type": "boolean"}}
    several = {"type": "array", "maxItems": 10_000}
    forms: list[dict[str, Any]] = [
        {"row": row}, {"rows": {**several, "items": row}}, {"key": key}, {"keys": {**several, "items": key}},
    ]  # fmt: skip
    return {"anyOf": [_object(form, **explain) for form in forms if columns or not {"key", "keys"} & form.keys()]}


def _object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **optional},
        "required": list(required),
        "additionalProperties": False,
    }


def _outcomes_body(system: System) -> dict[str, Any]:
    kind = system.label.outcome.kind
    label = {"type": "boolean"} if kind is Kind.BOOL else {"type": "string" if kind in STRINGS else "number"}
    row = _object({"prediction_id": {"type": "string", "minLength": 1, "maxLength": 200}, "label": label})
    return {"type": "array", "items": row}


def _arms_body(system: System) -> dict[str, Any]:
    text = {"type": "string", "minLength": 1}
    role = {"enum": ["champion", "challenger", "shadow"]}
    arm = _object({"name": text, "role": role, "model": text}, share={"type": "number", "minimum": 0, "maximum": 1})
    return _object({"arms": {"type": "array", "items": arm, "minItems": 1}}, reason={"type": "string"})


def _infer_body(system: System) -> dict[str, Any]:
    names = [_given(column) for column in system.decision.table.__schema__.columns]
    tensor = _object(
        {
            "name": {"enum": names},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1, "maxItems": 2},
            "datatype": {"enum": ["BOOL", "INT64", "FP64", "BYTES"]},
            "data": {"type": "array", "items": {"type": ["boolean", "number", "string", "null"]}},
        }
    )
    return _object({"inputs": {"type": "array", "items": tensor, "minItems": 1}}, id={"type": "string"})


def _rewind_body(system: System) -> dict[str, Any]:
    return _object({"to": {"type": "string", "format": "date-time"}})


_BODIES = {
    "predict": _predict_body,
    "outcomes": _outcomes_body,
    "arms": _arms_body,
    "infer": _infer_body,
    "rewind": _rewind_body,
}


def _row(table: type[Table], *, asked: bool = False) -> dict[str, Any]:
    """The rows of a table; one that is `asked` about need not say when it was known."""
    columns = table.__schema__.columns
    known_at = table.__schema__.known_at
    told: dict[str, Any] = {
        "type": "object",
        "properties": {_given(column): _value(column) for column in columns},
        "required": [
            _given(column) for column in columns if not column.optional and not (asked and column is known_at)
        ],
    }
    return told | ({"description": table.__doc__} if table.__doc__ else {})


def _value(column: Column) -> dict[str, Any]:
    kind = column.of
    told: dict[str, Any] = {"type": _TYPES.get(kind, "string")}
    if kind is Kind.TIME:
        told["format"] = "date-time"
    low, high = ("minLength", "maxLength") if kind in STRINGS else ("minimum", "maximum")
    if column.ge is not None:
        told[low] = column.ge
    if column.le is not None:
        told[high] = column.le
    if column.optional:
        told["type"] = [told["type"], "null"]
    words = [column.description, f"in {column.unit}" if column.unit else ""]
    return told | ({"description": ", ".join(filter(None, words))} if any(words) else {})


def _given(column: Column) -> str:
    return column.source or column.name


def _component(name: str) -> str:
    return "".join(part.capitalize() if part != "of" else "Of" for part in name.replace("_", " ").split())

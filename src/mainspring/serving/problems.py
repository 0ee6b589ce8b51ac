"""Errors as answers: the status of each code, and the body that tells a client what is wrong and what to do."""

from __future__ import annotations

from typing import Any

from mainspring.errors import (
    BundleError,
    ContractError,
    DataError,
    LedgerError,
    MainspringError,
    ServingError,
    WorkspaceError,
)
from mainspring.serving.service import failure_of

__all__ = ["EXPECTED", "body_of", "headers_of", "status_of"]

EXPECTED = (ServingError, ContractError, DataError, BundleError, LedgerError, WorkspaceError)
"""What a handler may raise: everything else is a fault of ours."""
_STATUS = {
    "SERVE_KEY": 401, "SERVE_ROLE": 403, "SERVE_RATE": 429, "SERVE_BODY": 400, "SERVE_TABLE": 404, "SERVE_UNKNOWN": 404,
    "SERVE_FORM": 403, "SERVE_UNAVAILABLE": 503, "SERVE_OPTION": 409,
}  # fmt: skip
_RETRY_AFTER = {429: "1", 503: "2"}


def status_of(error: MainspringError) -> int:
    """Return the status of an error: 503 for what a disk or a database keeps from being done, 422 for what is not listed."""
    return _STATUS.get(error.code, 503 if isinstance(error, WorkspaceError) else 422)


def body_of(error: MainspringError) -> dict[str, Any]:
    """Return what is told of an error."""
    return {"error": failure_of(error)}


def headers_of(status: int, *, page: bool) -> dict[str, str]:
    """Return the headers that belong to a refusal; `page` says whether a browser may ask its user for a key."""
    if status == 401:
        return {"www-authenticate": 'Basic realm="mainspring", charset="UTF-8"' if page else "Bearer"}
    return {"retry-after": _RETRY_AFTER[status]} if status in _RETRY_AFTER else {}

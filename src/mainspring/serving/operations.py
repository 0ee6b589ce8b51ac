"""Every operation of the server, said once: its route, who may use it, what it takes and answers. Routes, the OpenAPI
document and the page that explains it are all made from this list.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mainspring import answers
from mainspring.ledger.records import Role
from mainspring.serving import handlers
from mainspring.serving.front import Answer, Call

if TYPE_CHECKING:
    from mainspring.serving.handlers import Site

__all__ = ["OPERATIONS", "Operation"]


@dataclass(frozen=True)
class Operation:
    """One operation. `role` None: it needs no key. `takes` and `gives` name what openapi.py knows how to describe."""

    method: str
    path: str
    name: str  # in figures and logs
    role: Role | None
    handler: Callable[[Site, Call], Awaitable[Answer]]
    summary: str
    description: str = ""
    takes: str | None = None
    gives: tuple[tuple[int, Any], ...] = field(default=((200, None),))


OPERATIONS = (
    Operation(
        "POST", "/v1/facts/{table}", "facts", "write", handlers.push,
        "Send rows of a table",
        "A JSON array of rows, one row a line (application/x-ndjson), or an Arrow IPC stream. What is accepted is on the disk "
        "and in the state when the answer comes; each rejected row has its reason. A row that is known already changes nothing.",
        takes="facts", gives=((202, answers.Kept),),
    ),
    Operation(
        "POST", "/v1/predict", "predict", "read", handlers.predict,
        "Ask for decisions",
        "The row of a decision, or only its key when the row was sent before; one or many. The answer is in the journal when "
        "it comes. With `explain` it tells the features and what each adds. With the header `Prefer: respond-async` one "
        "decision is accepted at once, and answered at the place that is told.",
        takes="predict", gives=((200, "predictions"), (202, answers.Pending)),
    ),
    Operation(
        "GET", "/v1/predictions/{prediction_id}", "prediction", "read", handlers.prediction,
        "See a prediction and what came true of it",
        "The outcome is the newest: of the facts, as the label is declared, or what somebody said.",
        gives=((200, answers.Judged), (202, answers.Pending)),
    ),
    Operation(
        "POST", "/v1/outcomes", "outcomes", "write", handlers.tell,
        "Say what came true of predictions",
        "For what the facts do not tell by themselves. It counts from now on, instead of what the facts said.",
        takes="outcomes", gives=((202, answers.Kept),),
    ),
    Operation(
        "GET", "/v1/arms", "arms", "read", handlers.arms,
        "See which models answer",
        gives=((200, answers.Arms),),
    ),
    Operation(
        "PUT", "/v1/arms", "arms", "admin", handlers.set_arms,
        "Say which models answer",
        "One champion, challengers with their shares of the keys, and shadows, which are asked and never answer. Nothing is "
        "dropped: requests that are being answered end as they began.",
        takes="arms", gives=((200, answers.Arms),),
    ),
    Operation(
        "GET", "/v1/state", "state", "read", handlers.state,
        "See what the online state holds, and what time it is",
    ),
    Operation(
        "POST", "/v1/rewind", "rewind", "admin", handlers.rewind,
        "Go back to an instant",
        "Only where time is what the facts say: the state becomes what it was at that instant, to play what came then again.",
        takes="rewind",
    ),
    Operation(
        "GET", "/v2", "v2", "read", handlers.server_metadata, "Open Inference Protocol: the server",
    ),
    Operation(
        "GET", "/v2/models/{model}", "v2", "read", handlers.model_metadata, "Open Inference Protocol: the model",
    ),
    Operation(
        "GET", "/v2/models/{model}/ready", "v2", "read", handlers.model_ready,
        "Open Inference Protocol: is the model ready",
    ),
    Operation(
        "POST", "/v2/models/{model}/infer", "infer", "read", handlers.infer,
        "Open Inference Protocol: ask for decisions",
        "Its inputs are the columns of a decision's row, its outputs what the model answers.",
        takes="infer",
    ),
    Operation("GET", "/v2/health/live", "health", None, handlers.alive, "Open Inference Protocol: does the server live"),
    Operation("GET", "/v2/health/ready", "health", None, handlers.ready, "Open Inference Protocol: can the server answer"),
    Operation("GET", "/healthz", "health", None, handlers.alive, "Does the server live"),
    Operation("GET", "/readyz", "health", None, handlers.ready, "Can the server answer"),
    Operation(
        "GET", "/metrics", "metrics", "read", handlers.metrics, "Figures for Prometheus",
        gives=((200, "text/plain"),),
    ),
    Operation("GET", "/openapi.json", "docs", "read", handlers.openapi, "This interface, as an OpenAPI document"),
    Operation(
        "GET", "/docs", "docs", "read", handlers.docs, "This interface, as a page",
        "A browser asks for a name and a password: the password is the key, the name is anything.",
        gives=((200, "text/html"),),
    ),
    Operation("GET", "/", "first", None, handlers.first_page, "What this is", gives=((200, "text/html"),)),
)  # fmt: skip

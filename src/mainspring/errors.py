"""The error tree: every error a user can meet has a code, says what was given, what exists, and what to do next.

The codes are listed with an explanation each in docs/errors.md; a test holds the two equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

__all__ = [
    "BundleError",
    "ClientError",
    "ContractError",
    "DataError",
    "DeclarationError",
    "EvaluationError",
    "LedgerError",
    "MainspringError",
    "MissingExtraError",
    "Origin",
    "ServingError",
    "SourceError",
    "StreamError",
    "TrainingError",
    "WorkspaceError",
    "codes",
]


@dataclass(frozen=True)
class Origin:
    """The line of a user's file where something was declared."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class MainspringError(Exception):
    """The root of every error Mainspring raises on purpose.

    `code` is one of the class's `codes`, `problem` says what was given and why it cannot be used, `exists` what there is
    instead (may be empty), `fix` what to do next, `origin` the line of the user's declaration when there is one.
    """

    codes: ClassVar[dict[str, str]] = {}

    def __init__(self, code: str, problem: str, *, fix: str, exists: str = "", origin: Origin | None = None) -> None:
        if code not in self.codes:
            raise ValueError(f"{type(self).__name__} has no code {code!r}; it has {sorted(self.codes)}")
        self.code = code
        self.problem = problem
        self.exists = exists
        self.fix = fix
        self.origin = origin
        super().__init__(code, problem)

    def __str__(self) -> str:
        where = f"{self.origin}: " if self.origin else ""
        exists = f" {self.exists}" if self.exists else ""
        return f"{where}{self.problem}{exists} {self.fix} [{self.code}]"


class DeclarationError(MainspringError):
    """A declaration cannot mean anything: it is refused when it is written."""

    codes = {
        "DECLARE_SPAN": "A duration could not be read.",
        "DECLARE_COLUMN": "A column was declared with options that contradict each other.",
        "DECLARE_TABLE": "A table lacks a column it needs, or has one it may not have.",
        "DECLARE_EXPRESSION": "An operation was applied to a value that has no such operation.",
        "DECLARE_TRUTH": "An expression was used where Python needs a plain true or false.",
        "DECLARE_WINDOW": "A window or a latest value lacks a span or a key, or has one that cannot be used.",
        "DECLARE_OPTION": "An option of a declared value is outside what is allowed.",
        "DECLARE_SYSTEM": "A system's parts do not fit together.",
        "DECLARE_FILE": "A system file could not be found, read or run.",
        "DECLARE_LINT": "The lint found errors in a declaration.",
    }


class SourceError(MainspringError):
    """History could not be read from where the declaration says it is."""

    codes = {
        "SOURCE_MISSING": "A file, a glob or a history function named by the declaration does not exist.",
        "SOURCE_EMPTY": "A source has no rows, or a table has no source.",
        "SOURCE_ENCODING": "A text file is not UTF-8.",
        "SOURCE_FORMAT": "A file could not be parsed.",
        "SOURCE_COLUMN": "A column that was named is not in the file, or cannot be what it was named for.",
        "SOURCE_TIME": "A file does not say when its rows became known.",
    }


class ContractError(MainspringError):
    """A whole column breaks its contract, so that no row of it can be kept."""

    codes = {
        "CONTRACT_COLUMN_MISSING": "A declared column is not in the data.",
        "CONTRACT_TYPE": "A whole column has a type that cannot be read as the declared one.",
        "CONTRACT_NAIVE_TIME": "Times carry no zone and the declaration names none.",
        "CONTRACT_STATIC_CHANGES": "A static table holds different rows for the same key.",
        "CONTRACT_ALL_REJECTED": "Every row of a table broke its contract.",
        "CONTRACT_ROW_REJECTED": "Some rows of a table broke its contract and go to quarantine.",
    }


class DataError(MainspringError):
    """The facts are sound one by one but cannot answer the declared question."""

    codes = {
        "DATA_NO_DECISIONS": "No decision could be made from the facts.",
        "DATA_NO_LABELS": "No label is known at the end of the history.",
        "DATA_ONE_CLASS": "All known labels have the same value.",
        "DATA_TOO_FEW": "There are too few rows to split by time.",
        "DATA_UNKNOWN_TABLE": "A query names a table that the workspace does not have.",
        "DATA_FORGOTTEN": "A decision lies so far back that facts it needs have left the online state.",
        "DATA_SQL": "A SQL query could not be answered.",
    }


class TrainingError(MainspringError):
    """A model could not be fitted as declared."""

    codes = {
        "TRAIN_ESTIMATOR": "An estimator cannot do what the label needs.",
        "TRAIN_FAILED": "An estimator failed while fitting.",
        "TRAIN_SPLIT": "The declared split leaves a part empty.",
    }


class BundleError(MainspringError):
    """A bundle cannot be trusted or read."""

    codes = {
        "BUNDLE_MISSING": "There is no bundle at the path, or a file of it is gone.",
        "BUNDLE_CORRUPT": "A file of the bundle does not match its checksum.",
        "BUNDLE_FORMAT": "The bundle was written by a newer version, or its manifest cannot be read.",
        "BUNDLE_UNTRUSTED": "A stored estimator holds types outside the trusted libraries.",
        "BUNDLE_INPUT": "Rows given to a model do not match its schema.",
    }


class EvaluationError(MainspringError):
    """A model cannot be judged as declared."""

    codes = {
        "EVALUATE_METRIC": "A metric does not exist or does not fit the label.",
        "EVALUATE_CHECK": "A declared check names a feature or a value that does not exist.",
    }


class LedgerError(MainspringError):
    """The ledger has no such record, or cannot take one."""

    codes = {
        "LEDGER_UNKNOWN_RUN": "No run with that name is in the ledger.",
        "LEDGER_NO_RUNS": "The ledger is empty.",
        "LEDGER_MIRROR": "A run could not be copied to MLflow.",
        "LEDGER_UNKNOWN_KEY": "No API key with that id is in the ledger.",
        "LEDGER_ARMS": "Arms cannot be deployed together as they are given.",
        "LEDGER_UNKNOWN_ALERT": "No alert with that id is in the ledger.",
        "LEDGER_SILENCE": "A silence cannot be made as it is given, or there is none to end.",
        "LEDGER_LOOP": "Another process has gone on with the loop of the system.",
    }


class ServingError(MainspringError):
    """A server does not answer a request."""

    codes = {
        "SERVE_KEY": "A request carries no API key, or one that is not valid.",
        "SERVE_ROLE": "An API key may not do what a request asks for.",
        "SERVE_RATE": "More requests came with one API key than it may send.",
        "SERVE_BODY": "The body of a request is too large, nested too deep, or not what the route takes.",
        "SERVE_LIMITS": "A limit given to a server cannot be kept.",
        "SERVE_OPTION": "An option of a server does not exist, or its address cannot be had.",
        "SERVE_TABLE": "A request names a table that the system does not have.",
        "SERVE_ROW": "The row of a decision breaks its table's contract, or no decision is made for it.",
        "SERVE_UNKNOWN": "A request names something that the server does not have.",
        "SERVE_MODEL": "There is no model to serve, or it was built for another declaration.",
        "SERVE_FORM": "A form of a page came from elsewhere, or from another session.",
        "SERVE_UNAVAILABLE": "The server cannot keep what it was sent, or is not ready yet.",
    }


class ClientError(MainspringError):
    """A client did not get from a server what it asked for.

    `status` is the HTTP status of the last answer, None where nothing answered; `refusal` the server's own code, empty unless
    it refused; `request_id` the name under which the server knows the request, empty where it told none.
    """

    codes = {
        "CLIENT_OPTION": "A client was made with an address, a key or a limit that cannot be used.",
        "CLIENT_VALUE": "A client was given something that cannot be sent.",
        "CLIENT_UNREACHABLE": "No server answered a client within the attempts and the time it has.",
        "CLIENT_ANSWER": "What answered a client is no Mainspring server.",
        "CLIENT_REFUSED": "A server refused what a client asked for.",
        "CLIENT_PENDING": "A prediction was not made within the time that a client waited for it.",
    }

    def __init__(
        self,
        code: str,
        problem: str,
        *,
        fix: str,
        exists: str = "",
        status: int | None = None,
        refusal: str = "",
        request_id: str = "",
    ) -> None:
        super().__init__(code, problem, fix=fix, exists=exists)
        self.status = status
        self.refusal = refusal
        self.request_id = request_id


class StreamError(MainspringError):
    """A broker cannot take a message, or do what was asked of it."""

    codes = {
        "STREAM_NAME": "The name of a topic or a group is one that not every broker can have.",
        "STREAM_MESSAGE": "A message is too large, or has no usable id.",
        "STREAM_OPTION": "A broker was given an option it does not have.",
        "STREAM_OFFSET": "An offset lies outside its topic.",
        "STREAM_NOT_SEEKABLE": "The broker has no offsets, so nothing can be sought in it.",
        "STREAM_CLOSED": "A broker or a consumer was used after it was closed.",
    }


class WorkspaceError(MainspringError):
    """The workspace cannot be opened or written."""

    codes = {
        "WORKSPACE_MISSING": "There is no workspace in the folder.",
        "WORKSPACE_NEWER": "The workspace was written by a newer version of Mainspring.",
        "WORKSPACE_READ_ONLY": "The folder cannot be written.",
        "WORKSPACE_DISK_FULL": "The disk is full.",
        "WORKSPACE_BROKEN": "A file of the workspace cannot be read.",
        "WORKSPACE_BUSY": "Another process is writing to the workspace.",
    }


class MissingExtraError(MainspringError):
    """An optional dependency is not installed."""

    codes = {"EXTRA_MISSING": "An optional dependency is not installed."}

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            "EXTRA_MISSING",
            f"{purpose} needs the package {package!r}, which is not installed.",
            fix=f"Run: pip install 'mainspring[{extra}]'",
        )


def codes() -> dict[str, str]:
    """Return every error code with its one-sentence meaning, in the order of the error tree."""
    found: dict[str, str] = {}
    pending: list[type[MainspringError]] = [MainspringError]
    while pending:
        kind = pending.pop(0)
        found.update(kind.codes)
        pending.extend(kind.__subclasses__())
    return found

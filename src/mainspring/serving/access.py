"""Who may ask: the key that a request presents is checked against the ledger's, from memory."""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Iterable
from typing import NamedTuple

from msgspec import Struct

from mainspring.clock import SECOND, Clock
from mainspring.errors import MainspringError, ServingError
from mainspring.ledger.keys import HEAD_LENGTH, ROLES, Keys, digest_of, head_of
from mainspring.ledger.records import ApiKey, Role

__all__ = ["Access", "Grant", "may"]

_TRUSTED_FOR = SECOND  # how old what was read may be, in microseconds
_PATIENCE_SECONDS = 1.0  # for a read that another thread began
_LEVELS = {role: level for level, role in enumerate(ROLES)}
_SEND = "Send the header Authorization: Bearer msk_…; mainspring keys add makes a key."


class Grant(Struct, frozen=True):
    """Whose request it is."""

    key: str  # the id
    name: str
    role: Role


class _Known(NamedTuple):
    salt: bytes
    digest: bytes
    grant: Grant


# Stands in for a key that does not exist, so that looking for one takes the same steps. Nothing has this digest.
_NOBODY = _Known(secrets.token_bytes(16), secrets.token_bytes(32), Grant("", "", "read"))


class Access:
    """The valid keys of a ledger, as a server holds them.

    Guarantees:

    - A wrong, revoked or missing key gets nothing, and a role gets what it and the roles before it may.
    - How long a check takes tells nothing of a secret, nor whether an id exists: whatever is presented, one digest is
      computed and compared to its last byte.
    - A check answers from memory by keys that were read within the last second by the clock, or reads them first. So a
      key that was revoked stops working within a second. A server that must not wait for the database, or whose wall
      clock may be set back, calls `refresh` in a thread of its own twice a second; then no check ever reads.
    - While the ledger cannot be read, or does not answer for a second, the keys that were last read go on: predictions do
      not stop with the database, in which nothing can be revoked either. `problem` tells why. Nobody is let in before
      the first read.

    Making one opens nothing; threads may share it. No secret is held, only what the ledger holds of it.
    """

    def __init__(self, keys: Keys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._read_once = False
        self._due = clock.now()
        self._reading = threading.Lock()
        self._unanswered = False
        self.problem: MainspringError | None = None

    def check(self, presented: str | None, needed: Role) -> Grant | ServingError:
        """Say whose the presented key is, or why it gets nothing: SERVE_KEY, or SERVE_ROLE where its role is too low.

        `presented` is the text of a key, or any other text a stranger sent; None for a request without one. The error is
        a value, new for each check, for the caller to raise or to answer with.

        Raises WorkspaceError while the keys have never been read.
        """
        if self._clock.now() >= self._due:
            self.refresh(only_due=True)
        text = presented or ""
        salt, digest, grant = self._known.get(text[:HEAD_LENGTH], _NOBODY)
        if not hmac.compare_digest(digest_of(salt, text[HEAD_LENGTH:]), digest):
            return _refused_key(presented)
        return may(grant, needed) or grant

    def grant_of(self, key: str) -> Grant | None:
        """Return what the key with an id grants as long as it is valid, for whoever has shown it before.

        Raises WorkspaceError while the keys have never been read.
        """
        if self._clock.now() >= self._due:
            self.refresh(only_due=True)
        known = self._known.get(head_of(key))
        return None if known is None else known.grant

    def refresh(self, *, only_due: bool = False) -> None:
        """Read the keys from the ledger; with `only_due` not where another thread has just done so.

        Raises WorkspaceError while the keys have never been read; afterwards that becomes `problem`.
        """
        if not self._reading.acquire(timeout=0.0 if self._unanswered else _PATIENCE_SECONDS):
            self._unanswered = True  # the thread that reads takes it back when it is answered; till then nobody waits
            return
        try:
            begun = self._clock.now()
            if only_due and begun < self._due:
                return
            try:
                self._known = _valid(self._keys.all())
                self._read_once, self.problem = True, None
            except MainspringError as problem:
                self.problem = problem
                if not self._read_once:
                    raise
            self._due = begun + _TRUSTED_FOR  # after a failure as well: a database that is down is not asked each time
        finally:
            self._unanswered = False
            self._reading.release()


def _valid(keys: Iterable[ApiKey]) -> dict[str, _Known]:
    return {
        head_of(key.id): _Known(
            salt=bytes.fromhex(key.salt),
            digest=bytes.fromhex(key.digest),
            grant=Grant(key.id, key.name, key.role),
        )
        for key in keys
        if key.revoked_at is None
    }


def _refused_key(presented: str | None) -> ServingError:
    if presented is None:
        return ServingError("SERVE_KEY", "The request carries no API key.", fix=_SEND)
    return ServingError("SERVE_KEY", "The API key is not valid here: it is wrong or was revoked.", fix=_SEND)


def may(grant: Grant, needed: Role) -> ServingError | None:
    """Return why somebody may not do what needs a role: SERVE_ROLE; None where he may."""
    if _LEVELS[grant.role] >= _LEVELS[needed]:
        return None
    return ServingError(
        "SERVE_ROLE",
        f"This needs a key that may {needed}; the key {grant.key} may {grant.role}.",
        fix=f"Use another key; mainspring keys add --role {needed} makes one.",
    )

"""API keys: who may ask a server of this ledger, and for what.

The text of a key is `msk_<id>_<secret>`. The id, 8 characters, finds the record; the secret, 32 random bytes in 43
characters, is shown once and kept nowhere. Of it the ledger holds SHA-256(salt + secret): a slow hash such as scrypt
protects words that people choose and others can guess, and guessing 256 random bits is out of reach at any speed. A fast
one lets a server recognise a key in a microsecond.
"""

from __future__ import annotations

import difflib
import hashlib
import secrets
from typing import get_args

from msgspec.structs import asdict
from sqlalchemy import insert, select, update

from mainspring.errors import LedgerError
from mainspring.ledger.database import Database, as_record
from mainspring.ledger.records import ApiKey, Role
from mainspring.ledger.tables import api_keys

__all__ = ["HEAD_LENGTH", "ROLES", "Keys", "digest_of", "head_of"]

ROLES: tuple[Role, ...] = get_args(Role)  # each may do what those before it may
_ID_LENGTH = 8
_ID_CHARACTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that is taken for another when read aloud
_SALT_BYTES, _SECRET_BYTES = 16, 32
HEAD_LENGTH = len("msk_") + _ID_LENGTH + len("_")
_KEYS_SHOWN = 5


class Keys:
    """The API keys of a ledger.

    Guarantees: each call is one transaction; threads may share one object; a key that was revoked never becomes valid
    again. Every call may raise WorkspaceError, as those of the ledger do.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def __repr__(self) -> str:
        return f"Keys({self._database.place!r})"

    def add(self, role: Role, *, created_at: int, name: str = "") -> tuple[ApiKey, str]:
        """Make a key; return its record and its text, which nobody can get from the ledger again.

        `name` says what it is for, to those who will read the list. Raises ValueError for a role that does not exist.
        """
        if role not in ROLES:
            raise ValueError(f"{role!r} is none of the roles {', '.join(ROLES)}")
        id = "".join(secrets.choice(_ID_CHARACTERS) for _ in range(_ID_LENGTH))
        salt, secret = secrets.token_bytes(_SALT_BYTES), secrets.token_urlsafe(_SECRET_BYTES)
        digest = digest_of(salt, secret)
        key = ApiKey(id=id, name=name, role=role, salt=salt.hex(), digest=digest.hex(), created_at=created_at)
        with self._database.writing() as connection:  # the same id twice, in 31^8, would be refused as a primary key
            connection.execute(insert(api_keys).values(asdict(key)))
        return key, head_of(id) + secret

    def all(self) -> list[ApiKey]:
        """Return every key, revoked ones too, oldest first."""
        query = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)
        with self._database.reading() as connection:
            return [as_record(ApiKey, row) for row in connection.execute(query)]

    def revoke(self, id: str, *, revoked_at: int) -> ApiKey:
        """Make a key invalid for ever and return its record; one that is revoked already stays as it is.

        Raises LedgerError (LEDGER_UNKNOWN_KEY).
        """
        valid = (api_keys.c.id == id) & api_keys.c.revoked_at.is_(None)
        with self._database.writing() as connection:
            connection.execute(update(api_keys).where(valid).values(revoked_at=revoked_at))
            found = connection.execute(select(api_keys).where(api_keys.c.id == id)).one_or_none()
        if found is None:
            raise _unknown(id, self.all())
        return as_record(ApiKey, found)


def head_of(id: str) -> str:
    """Return the public beginning of a key's text, `HEAD_LENGTH` characters; the secret is the rest.

    >>> head_of("k2m9x4qz")
    'msk_k2m9x4qz_'
    """
    return f"msk_{id}_"


def digest_of(salt: bytes, secret: str) -> bytes:
    """Return what is kept of a secret: SHA-256 of the salt followed by its UTF-8."""
    return hashlib.sha256(salt + secret.encode("utf-8", "surrogatepass")).digest()  # any header is text of some kind


def _unknown(id: str, keys: list[ApiKey]) -> LedgerError:
    known = {key.id: key for key in keys}
    likely = difflib.get_close_matches(id, known, _KEYS_SHOWN) or list(known)
    shown = ", ".join(f"{each} ({known[each].name})" if known[each].name else each for each in likely[:_KEYS_SHOWN])
    return LedgerError(
        "LEDGER_UNKNOWN_KEY",
        f"No API key has the id {id!r}.",
        exists=f"There are for example: {shown}." if keys else "The ledger has no API keys yet.",
        fix="mainspring keys list tells the id of every key." if keys else "Make one: mainspring keys add",
    )

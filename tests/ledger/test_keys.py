from __future__ import annotations

import base64
import hashlib
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.errors import LedgerError
from mainspring.ledger import Keys, Ledger
from mainspring.ledger.database import Database
from mainspring.ledger.keys import HEAD_LENGTH, ROLES, digest_of, head_of
from tests.ledger.test_ledger import few_examples, words

instants = st.integers(0, 2**62)


@pytest.fixture
def keys(ledger: Ledger) -> Keys:
    return ledger.keys


def stored_bytes(folder: Path) -> bytes:
    """Everything that the ledger left on the disk, its write-ahead log too."""
    return b"".join(file.read_bytes() for file in folder.iterdir())


def spellings(text: str) -> Iterator[bytes]:
    """The ways in which a text may have found its way into a file."""
    raw = text.encode()
    yield from (raw, raw[::-1], base64.b64encode(raw), raw.hex().encode(), raw.hex().upper().encode())
    yield base64.urlsafe_b64decode(text + "=")


# Laws


def test_no_stored_byte_lets_one_compute_the_key(keys: Keys, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as reader:  # keeps the write-ahead log on the disk
        for at in range(20):
            key, text = keys.add("admin", name="n", created_at=at)
            reader.execute("SELECT 1 FROM api_keys").fetchall()
            secret = text[HEAD_LENGTH:]
            stored = stored_bytes(tmp_path)
            assert key.id.encode() in stored, "the bytes that are searched are those that were written"
            assert (
                bytes.fromhex(key.digest).hex() == hashlib.sha256(bytes.fromhex(key.salt) + secret.encode()).hexdigest()
            )
            assert not any(spelling in stored for spelling in spellings(secret))
            assert not any(
                hasher(secret.encode()).hexdigest().encode() in stored for hasher in (hashlib.sha256, hashlib.md5)
            )


def test_a_secret_has_256_bits_from_the_system_and_a_digest_tells_nothing_of_another(keys: Keys) -> None:
    made = [keys.add("read", created_at=0) for _ in range(50)]
    assert all(len(base64.urlsafe_b64decode(text[HEAD_LENGTH:] + "=")) == 32 for _, text in made)
    for part in ("id", "salt", "digest"):
        assert len({getattr(key, part) for key, _ in made}) == 50
    assert digest_of(b"a", "secret") != digest_of(b"b", "secret")


@few_examples
@given(role=st.sampled_from(ROLES), name=words | st.just(""), created_at=instants)
def test_a_text_names_its_record_and_the_record_is_read_back_equal(
    keys: Keys, role: str, name: str, created_at: int
) -> None:
    key, text = keys.add(role, name=name, created_at=created_at)  # type: ignore[arg-type]
    assert (key.role, key.name, key.created_at, key.revoked_at) == (role, name, created_at, None)
    assert re.fullmatch(r"msk_[a-z2-9]{8}_[A-Za-z0-9_-]{43}", text)
    assert text.startswith(head_of(key.id))
    assert len(head_of(key.id)) == HEAD_LENGTH
    assert key in keys.all()


def test_revoked_is_revoked_for_ever_since_the_first_time(keys: Keys, tmp_path: Path) -> None:
    key, _ = keys.add("write", created_at=1)
    other, _ = keys.add("write", created_at=2)
    revoked = keys.revoke(key.id, revoked_at=5)
    assert revoked == msgspec.structs.replace(key, revoked_at=5)
    assert keys.revoke(key.id, revoked_at=9) == revoked
    assert Keys(Database(f"sqlite:///{tmp_path / 'ledger.db'}")).all() == [revoked, other]


# Cases


def test_the_keys_are_listed_oldest_first(keys: Keys) -> None:
    assert keys.all() == []
    made = [keys.add("read", created_at=at)[0] for at in (3, 1, 2)]
    assert keys.all() == sorted(made, key=lambda key: key.created_at)


def test_a_key_that_is_not_there(keys: Keys) -> None:
    with pytest.raises(LedgerError, match=r"no API keys yet.*keys add.*LEDGER_UNKNOWN_KEY"):
        keys.revoke("nosuchid", revoked_at=0)
    one, _ = keys.add("read", name="mobile app", created_at=0)
    two, _ = keys.add("read", created_at=1)
    with pytest.raises(LedgerError) as raised:
        keys.revoke(one.id[:-1] + "0", revoked_at=0)
    assert f"{one.id} (mobile app)" in raised.value.exists
    with pytest.raises(LedgerError, match=two.id):
        keys.revoke("'; drop table api_keys; --", revoked_at=0)
    assert all(key.revoked_at is None for key in keys.all())


def test_a_role_that_does_not_exist_is_refused(keys: Keys) -> None:
    with pytest.raises(ValueError, match="read, write, admin"):
        keys.add("owner", created_at=0)  # type: ignore[arg-type]


def test_making_them_opens_nothing(keys: Keys, tmp_path: Path) -> None:
    assert "ledger.db" in repr(keys)
    assert list(tmp_path.iterdir()) == []

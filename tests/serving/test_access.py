from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.clock import SECOND
from mainspring.errors import ServingError, WorkspaceError
from mainspring.ledger import ApiKey, Keys, Ledger, Role
from mainspring.ledger.keys import HEAD_LENGTH, ROLES
from mainspring.serving import Access, Grant, access


class HandClock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.instant = 1_700_000_000 * SECOND

    def now(self) -> int:
        return self.instant


class Switchable(Keys):
    """Keys whose database can go down, or not answer, and that count how often they were read."""

    def __init__(self, keys: Keys) -> None:
        super().__init__(keys._database)
        self.reads = 0
        self.down = False
        self.asked = threading.Event()
        self.answers = threading.Event()
        self.answers.set()

    def all(self) -> list[ApiKey]:
        self.reads += 1
        self.asked.set()
        assert self.answers.wait(10)
        if self.down:
            raise WorkspaceError("WORKSPACE_BROKEN", "The database is down.", fix="Start it.")
        return super().all()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def keys(tmp_path: Path) -> Switchable:
    return Switchable(Ledger(f"sqlite:///{tmp_path / 'ledger.db'}").keys)


@pytest.fixture
def server(keys: Switchable, clock: HandClock) -> Access:
    return Access(keys, clock)


def code(answer: Grant | ServingError) -> str:
    return answer.code if isinstance(answer, ServingError) else answer.role


def changed(text: str, position: int) -> str:
    """A text with another character at a position."""
    return text[:position] + ("x" if text[position] != "x" else "y") + text[position + 1 :]


def checked_together(keys: Switchable, server: Access, text: str) -> list[str]:
    """Check a key in four threads, the database answering only when all of them asked."""
    keys.asked.clear()
    keys.answers.clear()
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(server.check, text, "read") for _ in range(4)]
        assert keys.asked.wait(10)
        wait(answers, timeout=0.1)  # three wait for the one that reads; who did not would answer by now, and wrongly
        keys.answers.set()
        return [code(answer.result()) for answer in answers]


# Laws


@pytest.mark.parametrize("held", ROLES)
@pytest.mark.parametrize("needed", ROLES)
def test_a_role_gets_what_it_and_those_before_it_may(keys: Keys, server: Access, held: Role, needed: Role) -> None:
    key, text = keys.add(held, name="n", created_at=0)
    answer = server.check(text, needed)
    if ROLES.index(held) >= ROLES.index(needed):
        assert answer == Grant(key=key.id, name="n", role=held)
    else:
        assert code(answer) == "SERVE_ROLE"


def test_every_changed_character_makes_a_key_worthless(keys: Keys, server: Access) -> None:
    _, text = keys.add("admin", created_at=0)
    assert code(server.check(text, "admin")) == "admin"
    for position in range(len(text)):
        for wrong in (changed(text, position), text[:position], text[:position] + text[position + 1 :]):
            assert code(server.check(wrong, "read")) == "SERVE_KEY"
    for wrong in (text + "x", text + "\0", text + "\n", " " + text, text.upper(), f"Bearer {text}"):
        assert code(server.check(wrong, "read")) == "SERVE_KEY"


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(presented=st.none() | st.text(st.characters(), max_size=80))
def test_whatever_a_stranger_sends_is_refused_in_words(keys: Switchable, server: Access, presented: str | None) -> None:
    if not keys.reads:
        keys.add("read", created_at=0)
    assert code(server.check(presented, "read")) == "SERVE_KEY"


def test_the_secret_of_another_key_does_not_help(keys: Keys, server: Access) -> None:
    (_, weak), (_, strong) = keys.add("read", created_at=0), keys.add("admin", created_at=0)
    assert code(server.check(strong[:HEAD_LENGTH] + weak[HEAD_LENGTH:], "read")) == "SERVE_KEY"


def test_revoked_means_refused_within_a_second_and_a_new_key_works_as_soon(
    keys: Keys, server: Access, clock: HandClock
) -> None:
    key, text = keys.add("read", created_at=0)
    assert code(server.check(text, "read")) == "read"
    keys.revoke(key.id, revoked_at=clock.now())
    _, newer = keys.add("read", created_at=0)
    clock.instant += SECOND
    assert code(server.check(text, "read")) == "SERVE_KEY"
    assert code(server.check(newer, "read")) == "read"


def test_between_two_reads_a_check_asks_no_database(keys: Switchable, server: Access, clock: HandClock) -> None:
    _, text = keys.add("read", created_at=0)
    for _ in range(10):
        for _ in range(20):
            server.check(text, "read")
            server.check(None, "read")
            clock.instant += SECOND // 20
    assert keys.reads == 10


def test_with_refresh_called_in_time_no_check_ever_reads(keys: Switchable, server: Access, clock: HandClock) -> None:
    _, text = keys.add("read", created_at=0)
    for second in range(1, 10):
        server.refresh()
        assert code(server.check(text, "read")) == "read"
        clock.instant += SECOND // 2
        assert keys.reads == second


def test_every_check_hashes_once_and_compares_once_to_the_end(
    keys: Keys, server: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, text = keys.add("read", created_at=0)
    revoked, gone = keys.add("read", created_at=0)
    keys.revoke(revoked.id, revoked_at=1)
    server.refresh()
    steps: list[tuple[str, Sequence[int]]] = []

    def watched(name: str, does: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any) -> Any:
            steps.append((name, [len(argument) for argument in arguments]))
            return does(*arguments)

        return step

    monkeypatch.setattr(access, "digest_of", watched("digest", access.digest_of))
    monkeypatch.setattr(access.hmac, "compare_digest", watched("compare", access.hmac.compare_digest))
    unknown = f"msk_{'0' * len(key.id)}_" + text[HEAD_LENGTH:]
    same_length = [text, gone, unknown, changed(text, HEAD_LENGTH), changed(text, len(text) - 1), "?" * len(text)]
    for presented in (*same_length, None, "", "msk_", text[:HEAD_LENGTH]):
        steps.clear()
        server.check(presented, "write")
        secret = max(0, len(presented or "") - HEAD_LENGTH)
        assert steps == [("digest", [16, secret]), ("compare", [32, 32])], presented


def test_while_the_ledger_cannot_be_read_the_keys_go_on_and_it_is_asked_once_a_second(
    keys: Switchable, server: Access, clock: HandClock
) -> None:
    _, text = keys.add("read", created_at=0)
    server.check(text, "read")
    keys.down = True
    for _ in range(10):
        clock.instant += SECOND // 2
        assert code(server.check(text, "read")) == "read"
        assert code(server.check(None, "read")) == "SERVE_KEY"
    assert keys.reads == 1 + 5
    assert server.problem is not None
    assert server.problem.code == "WORKSPACE_BROKEN"
    keys.down = False
    clock.instant += SECOND
    assert code(server.check(text, "read")) == "read"
    assert server.problem is None


def test_before_the_first_read_nobody_is_let_in(keys: Switchable, server: Access) -> None:
    _, text = keys.add("read", created_at=0)
    keys.down = True
    for _ in range(2):
        with pytest.raises(WorkspaceError, match="WORKSPACE_BROKEN"):
            server.check(text, "read")
    keys.down = False
    assert code(server.check(text, "read")) == "read"


def test_many_checks_at_once_after_a_rest_wait_for_one_read_and_none_uses_old_keys(
    keys: Switchable, server: Access, clock: HandClock
) -> None:
    key, text = keys.add("read", created_at=0)
    server.check(text, "read")
    keys.revoke(key.id, revoked_at=clock.now())
    clock.instant += 3600 * SECOND
    assert set(checked_together(keys, server, text)) == {"SERVE_KEY"}
    assert keys.reads == 2


def test_a_database_that_does_not_answer_holds_up_at_most_one_check(
    keys: Switchable, server: Access, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "_PATIENCE_SECONDS", 0.01)
    key, text = keys.add("read", created_at=0)
    server.check(text, "read")
    keys.asked.clear()
    keys.answers.clear()
    with ThreadPoolExecutor(1) as timer:
        reading = timer.submit(server.refresh)
        assert keys.asked.wait(10)
        clock.instant += SECOND
        assert code(server.check(text, "read")) == "read"
        monkeypatch.setattr(access, "_PATIENCE_SECONDS", 60.0)  # whoever waits now would hold up the test
        assert code(server.check(text, "read")) == "read"
        keys.answers.set()
        reading.result()
    assert code(server.check(text, "read")) == "read"
    assert keys.reads == 3, "it is asked again once it answers"
    keys.revoke(key.id, revoked_at=clock.now())
    clock.instant += 3600 * SECOND
    assert set(checked_together(keys, server, text)) == {"SERVE_KEY"}, "and waited for again"


# Cases


def test_a_refusal_tells_what_to_do_and_nothing_of_the_key(keys: Keys, server: Access) -> None:
    key, text = keys.add("read", created_at=0)
    missing, wrong, low = (
        server.check(None, "read"),
        server.check(changed(text, 20), "read"),
        server.check(text, "write"),
    )
    assert str(missing) == (
        "The request carries no API key. Send the header Authorization: Bearer msk_…; mainspring keys add makes a key. "
        "[SERVE_KEY]"
    )
    assert str(wrong).startswith("The API key is not valid here: it is wrong or was revoked. Send the header")
    assert str(low) == (
        f"This needs a key that may write; the key {key.id} may read. "
        "Use another key; mainspring keys add --role write makes one. [SERVE_ROLE]"
    )
    assert not any(text[HEAD_LENGTH:] in str(answer) for answer in (missing, wrong, low))


def test_each_refusal_is_a_new_error(server: Access) -> None:
    assert server.check(None, "read") is not server.check(None, "read"), (
        "raising one must not touch another's traceback"
    )


def test_making_one_opens_nothing(keys: Switchable, clock: HandClock, tmp_path: Path) -> None:
    Access(keys, clock)
    assert keys.reads == 0
    assert list(tmp_path.iterdir()) == []

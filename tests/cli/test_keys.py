"""keys: made and shown once, listed without what is secret, revoked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from mainspring.cli import keys as command
from mainspring.ledger import Role
from mainspring.ledger.keys import HEAD_LENGTH
from mainspring.workspace import Workspace
from tests.cli.conftest import Command


@pytest.fixture
def empty(tmp_path: Path) -> Workspace:
    """A workspace in which nothing ran."""
    return Workspace.open(tmp_path / ".mainspring")


# Laws


def test_a_key_is_shown_once_and_never_again(mainspring: Command, empty: Workspace) -> None:
    text = mainspring("keys", "add", "--name", "mobile app").out.splitlines()[0]
    (record,) = empty.ledger.keys.all()
    later = [mainspring("keys", "list"), mainspring("keys", "list", "--json")]
    later += [mainspring("keys", "revoke", record.id, *more) for more in ([], ["--json"])]
    later.append(mainspring("keys", "revoke", "nosuchid"))
    for told in later:
        assert record.id in told.out + told.err
        for secret in (text[HEAD_LENGTH:], record.salt, record.digest):
            assert secret not in told.out + told.err


def test_the_roles_offered_are_those_of_the_ledger() -> None:
    assert get_type_hints(command.add)["role"] == Role


@pytest.mark.parametrize("arguments", [["add"], ["list"], ["revoke", "k2m9x4qz"]], ids=lambda arguments: arguments[0])
def test_without_a_workspace_each_says_so_and_makes_none(
    mainspring: Command, tmp_path: Path, arguments: list[str]
) -> None:
    told = mainspring("keys", *arguments)
    assert told.code == 1
    assert told.err.endswith("[WORKSPACE_MISSING]\n")
    assert list(tmp_path.iterdir()) == []


# Cases


@pytest.mark.parametrize("role", get_args(Role))
def test_add(mainspring: Command, empty: Workspace, role: str) -> None:
    told = mainspring("keys", "add", "--role", role, "--name", "order [service]")
    text = told.out.splitlines()[0]
    (record,) = empty.ledger.keys.all()
    assert (record.role, record.name) == (role, "order [service]")
    assert re.fullmatch(rf"msk_{record.id}_\S{{43}}", text)
    assert "Keep it now: it is not stored and cannot be shown again." in told.out
    assert re.search(rf"^{record.id} +order \[service\] +{role} *$", told.out, re.MULTILINE)
    assert f"Authorization: Bearer {text}\n" in told.out
    assert f"mainspring keys revoke {record.id}\n" in told.out
    assert told.err == ""


def test_the_document_of_a_new_key(mainspring: Command, empty: Workspace) -> None:
    document = mainspring("keys", "add", "--json").document
    (record,) = empty.ledger.keys.all()
    assert document.pop("key").startswith(f"msk_{record.id}_")
    assert document == {
        "id": record.id, "name": "", "role": "read", "created_at": record.created_at, "revoked_at": None,
    }  # fmt: skip


def test_list_and_revoke(mainspring: Command, empty: Workspace) -> None:
    assert mainspring("keys", "list").out == "No API keys yet. Make one: mainspring keys add\n"
    assert mainspring("keys", "list", "--json").document == []
    ids = [mainspring("keys", "add", "--name", name, "--json").document["id"] for name in ("one", "two")]
    told = mainspring("keys", "revoke", ids[0])
    assert re.fullmatch(rf"The key {ids[0]} \(one\) is revoked since \d{{4}}-\d\d-\d\d \d\d:\d\d UTC\.\n", told.out)
    header, *rows = mainspring("keys", "list").out.splitlines()
    assert re.split(r" {2,}", header.strip()) == ["id", "name", "role", "made (UTC)", "revoked (UTC)"]
    assert [row.split()[:3] for row in rows] == [[ids[0], "one", "read"], [ids[1], "two", "read"]]
    assert [len(re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d", row)) for row in rows] == [2, 1]
    listed = mainspring("keys", "list", "--json").document
    assert [(key["id"], key["revoked_at"] is None) for key in listed] == [(ids[0], False), (ids[1], True)]
    again = mainspring("keys", "revoke", ids[0], "--json").document
    assert again == listed[0], "revoking twice changes nothing"


def test_a_key_that_is_not_there(mainspring: Command, empty: Workspace) -> None:
    key = mainspring("keys", "add", "--name", "mobile app", "--json").document
    told = mainspring("keys", "revoke", "nosuchid", "--json")
    assert told.code == 1
    assert told.document["error"]["code"] == "LEDGER_UNKNOWN_KEY"
    assert f"{key['id']} (mobile app)" in told.document["error"]["exists"]


def test_a_role_that_does_not_exist(mainspring: Command, empty: Workspace) -> None:
    told = mainspring("keys", "add", "--role", "owner")
    assert told.code == 2
    assert all(role in told.err for role in get_args(Role))

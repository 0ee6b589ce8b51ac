"""mainspring arms: what is deployed is seen and set, and what cannot be served is refused before a server sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import SHOP, Command


def test_arms_are_seen_and_set(workspace: Path, mainspring: Command) -> None:
    where = ("--workspace", workspace)
    listed = mainspring("arms", "list", SHOP, "--json", *where).document
    assert listed["deployment"] is None
    (model,) = listed["models"]
    made = mainspring(
        "arms",
        "set",
        SHOP,
        "--challenger",
        f"next:{model}=0.25",
        "--shadow",
        model,
        "--reason",
        "a try",
        "--json",
        *where,
    ).document
    assert [(arm["name"], arm["role"], arm["share"]) for arm in made["arms"]] == [
        ("champion", "champion", 0.75),
        ("next", "challenger", 0.25),
        ("shadow", "shadow", 0.0),
    ]
    assert mainspring("arms", "list", SHOP, "--json", *where).document["deployment"] == made
    mainspring("arms", "set", SHOP, *where)
    assert [each["number"] for each in mainspring("arms", "history", SHOP, "--json", *where).document] == [2, 1]
    assert "a try" in mainspring("arms", "history", SHOP, *where).out
    assert "75.0%" not in mainspring("arms", "list", SHOP, *where).out


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--champion", "nothing"], "SERVE_MODEL"),
        (["--challenger", "MODEL"], "LEDGER_ARMS"),
        (["--challenger", "MODEL=2"], "LEDGER_ARMS"),
        (["--challenger", "a:MODEL=0.1", "--shadow", "a:MODEL"], "LEDGER_ARMS"),
    ],
)
def test_what_cannot_answer_is_refused_and_nothing_changes(
    workspace: Path, mainspring: Command, options: list[str], code: str
) -> None:
    where = ("--workspace", workspace)
    (model,) = mainspring("arms", "list", SHOP, "--json", *where).document["models"]
    refused = mainspring("arms", "set", SHOP, *[option.replace("MODEL", model) for option in options], *where)
    assert refused.code != 0
    assert code in refused.err
    assert mainspring("arms", "list", SHOP, "--json", *where).document["deployment"] is None

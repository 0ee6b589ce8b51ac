"""show, runs, compare and sql: what is read back from a workspace."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.conftest import SHOP, Command

READERS = [["runs"], ["show", "latest"], ["compare", "a", "b"], ["sql", "select 1"]]


@pytest.mark.parametrize("arguments", READERS, ids=lambda arguments: arguments[0])
def test_without_a_workspace_each_says_so_and_makes_none(
    mainspring: Command, tmp_path: Path, arguments: list[str]
) -> None:
    told = mainspring(*arguments, "--json")
    assert told.code == 1
    assert told.document["error"]["code"] == "WORKSPACE_MISSING"
    assert told.err == (
        f"There is no workspace in {tmp_path / '.mainspring'}.\n"
        "  Make one with mainspring run FILE, or name another folder with --workspace or MAINSPRING_HOME.\n"
        "  [WORKSPACE_MISSING]\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_runs_lists_the_newest_first_with_the_figure_that_counts(mainspring: Command, workspace: Path) -> None:
    mainspring("run", SHOP)
    told = mainspring("runs")
    header, *rows = told.out.splitlines()
    assert header.split() == ["run", "kind", "status", "started", "(UTC)", "seconds", "quality"]
    assert [row.split()[0] for row in rows] == ["shop-2", "shop-1"]
    assert all(re.search(r"log loss 0\.\d{4}\s*$", row) for row in rows), "also of the run that reused its evaluation"
    assert len(mainspring("runs", "--limit", 1, "--json").document) == 1
    assert mainspring("runs", "--system", "other").out == "No runs yet.\n"


def test_show_a_run(mainspring: Command, workspace: Path) -> None:
    told = mainspring("show", "latest")
    for words in (
        "shop-1: finished",
        "300 decisions",
        "LightGBM(rounds=8, min_data_in_leaf=10)",
        "without return",
        str(workspace),
    ):
        assert words in told.out
    found = mainspring("show", "shop", "--json").document
    assert found["run"]["name"] == "shop-1"
    assert {artifact["kind"] for artifact in found["artifacts"]} == {"report", "json", "card", "bundle"}
    assert all((workspace / artifact["path"]).exists() for artifact in found["artifacts"])


def test_show_a_file(mainspring: Command) -> None:
    told = mainspring("show", SHOP)
    for words in (
        "shop: Will an order be sent back?",
        "Return.sent_back.share(by='customer', over='7d')",
        "binary",
        "EUR",
    ):
        assert words in told.out
    found = mainspring("show", SHOP, "--json").document
    assert found["tables"]["Return"] == {
        "order_id": "Key", "customer": "Category", "sent_back": "Bool", "known_at": "KnownAt",
    }  # fmt: skip
    assert found["features"][3] == {
        "name": "returned_7d", "expression": "Return.sent_back.share(by='customer', over='7d')", "kind": "float",
        "unit": None, "group": "return",
    }  # fmt: skip
    assert mainspring("show", "flights", "--json").document["system"] == "flight-delays", "an example by its name"


def test_a_run_that_is_not_there(mainspring: Command, workspace: Path) -> None:
    told = mainspring("show", "shopp-1")
    assert told.code == 1
    assert told.err == (
        "No run is called 'shopp-1'.\n  There are for example: shop-1.\n"
        '  Write enough of a name to mean one run, or "latest"; mainspring runs lists all.\n  [LEDGER_UNKNOWN_RUN]\n'
    )


def test_compare_tells_what_was_changed_and_what_came_of_it(
    mainspring: Command, workspace: Path, tmp_path: Path
) -> None:
    changed = tmp_path / "shop.py"
    text = (
        SHOP.read_text(encoding="utf-8")
        .replace("rounds=8", "rounds=9")
        .replace("        hour=Order.ordered_at.hour(),\n", "")
    )
    changed.write_text(text, encoding="utf-8")
    assert mainspring("run", changed).code == 0
    told = mainspring("compare", "shop-1", "latest")
    assert told.out.startswith("shop-1 against shop-2\n")
    assert "features removed: hour" in told.out
    assert re.search(r"^model.rounds\s+8\s+9", told.out, re.MULTILINE)
    found = mainspring("compare", "shop-1", "shop-2", "--json").document
    assert found["features_removed"] == ["hour"]
    assert found["parameters"]["model.rounds"] == {"first": 8, "second": 9}


def test_sql_answers_from_the_facts(mainspring: Command, workspace: Path) -> None:
    query = 'select article, count(*) as orders, avg(price) as price from "order" group by article order by article'
    told = mainspring("sql", query)
    assert [line.split() for line in told.out.splitlines()] == [
        ["article", "orders", "price"], ["shoes", "100", "50"], ["socks", "200", "50"],
    ]  # fmt: skip
    found = mainspring("sql", query, "--json").document
    assert found["columns"] == ["article", "orders", "price"]
    assert found["rows"][0] == {"article": "shoes", "orders": 100, "price": 50.0}
    assert "… 290 more rows" in mainspring("sql", 'select * from "order"', "--rows", 10).out


@pytest.mark.parametrize(
    ("query", "code"),
    [("select * from orders", "DATA_UNKNOWN_TABLE"), ('delete from "order"', "DATA_SQL"), ("selct 1", "DATA_SQL")],
)
def test_a_query_that_cannot_be_answered(mainspring: Command, workspace: Path, query: str, code: str) -> None:
    told = mainspring("sql", query)
    assert told.code == 1
    assert told.out == ""
    assert told.err.rstrip().endswith(f"[{code}]")

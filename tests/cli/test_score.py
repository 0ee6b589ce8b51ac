"""mainspring score: the predictions that a run made for the same decisions, and a reason for every row without one."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from mainspring.model import load_bundle
from tests.cli import shop
from tests.cli.conftest import SHOP, Command


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    path = tmp_path / "orders.csv"
    shop.history()[shop.Order].write_csv(path)
    return path


def test_what_was_decided_in_training_is_decided_again(mainspring: Command, workspace: Path, orders: Path) -> None:
    document = mainspring("score", SHOP, "--decisions", orders, "--json").document
    assert (document["predictions"], document["rejected"], document["left_out"]) == (300, {}, {})
    (dataset,) = (workspace / "datasets").glob("*.parquet")
    stored = pl.read_parquet(dataset)
    features = stored.select(pl.col("^feature:.*$").name.map(lambda name: name.removeprefix("feature:")))
    (bundle,) = (workspace / "bundles").iterdir()
    expected = dict(zip(stored["row:order_id"], load_bundle(bundle).model.predict(features), strict=True))
    assert {row["order_id"]: row["probability"] for row in document["rows"]} == expected
    assert all(row["decided_at"] == row["ordered_at"] for row in document["rows"])


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_predictions_go_into_a_file_and_bad_rows_are_told(
    mainspring: Command, workspace: Path, orders: Path, tmp_path: Path, suffix: str
) -> None:
    rows = pl.read_csv(orders)
    rows.with_columns(price=pl.when(pl.col("order_id") == "o3").then(-1.0).otherwise("price")).write_csv(orders)
    out = tmp_path / f"predictions.{suffix}"
    told = mainspring("score", SHOP, "--decisions", orders, "--out", out)
    assert told.code == 0
    assert "1 rows have no prediction: price is below 0." in told.err
    found = (pl.read_csv if suffix == "csv" else pl.read_parquet)(out)
    assert found.height == 299
    assert found.columns[-3:] == ["decided_at", "probability", "decision"]


def test_text_is_csv(mainspring: Command, workspace: Path, orders: Path) -> None:
    lines = mainspring("score", SHOP, "--decisions", orders).out.splitlines()
    assert len(lines) == 301
    assert lines[0] == "order_id,customer,article,price,ordered_at,decided_at,probability,decision"


def test_nothing_to_score_is_one_error(mainspring: Command, workspace: Path, orders: Path, tmp_path: Path) -> None:
    for path, text, code in (
        (tmp_path / "gone.csv", None, "SOURCE_MISSING"),
        (tmp_path / "few.csv", "order_id,price\no1,2\n", "CONTRACT_COLUMN_MISSING"),
        (
            tmp_path / "bad.csv",
            "order_id,customer,article,price,ordered_at\no1,c,a,-2,2024-01-01T00:00:00Z\n",
            "DATA_NO_DECISIONS",
        ),
    ):
        if text is not None:
            path.write_text(text)
        told = mainspring("score", SHOP, "--decisions", path)
        assert (told.code, f"[{code}]" in told.err) == (1, True)

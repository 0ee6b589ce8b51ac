"""mainspring play: what happened happens again at a server, and its predictions are made from what was known then."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from mainspring.loop import load_system
from mainspring.serving.sink import PREDICTIONS_TABLE
from mainspring.serving.skew import measure_skew
from mainspring.workspace import Workspace
from tests.cli.conftest import SHOP, Command
from tests.cli.serving import served


@pytest.mark.slow
def test_a_week_is_played_and_batch_finds_the_same_features(workspace: Path, mainspring: Command) -> None:
    where = ("--workspace", workspace)
    span = ("--from", "2024-01-10", "--days", "7", "--speed", "10000000")
    refused = mainspring("play", SHOP, *span, *where)
    assert "SERVE_OPTION" in refused.err, "no server runs yet"
    with served(workspace, "--flush", "1s") as server:
        played = mainspring("play", SHOP, *span, "--json", *where).document
        assert played["predictions"] == 78
        assert played["refused"] == 0
        again = mainspring("play", SHOP, *span, "--json", *where).document
        assert (again["facts"], again["predictions"]) == (played["facts"], 78)
        past = mainspring("play", SHOP, "--from", "2031-01-10", "--days", "7", *where)
        assert "DATA_NO_DECISIONS" in past.err
        server.process.terminate()
        server.process.wait()
    system = load_system(SHOP).system
    opened = Workspace.open(workspace)
    lake = opened.lake(system.name)
    stored = lake.read(PREDICTIONS_TABLE)
    assert stored.height == 2 * 78
    assert (stored["decided_at"] <= pl.Series(["2024-01-17"]).str.to_datetime(time_zone="UTC")[0]).all()
    assert measure_skew(system, lake).different == {}
    assert all(key.revoked_at is not None for key in opened.ledger.keys.all()), "its own keys end with it"

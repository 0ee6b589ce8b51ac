"""The alerts that a server tells of: read beside the requests, never in one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from msgspec.structs import replace

from mainspring.errors import WorkspaceError
from mainspring.ledger import Alert, Ledger
from mainspring.serving import Access
from mainspring.serving import app as app_module
from mainspring.serving.alerts import OpenAlerts
from mainspring.serving.app import make_app
from mainspring.serving.facts_clock import FactsClock

from .shop import BEGIN, Deployer, empty_lake, living, open_shop, until

DRIFT = Alert(
    id="drift@1", monitor="drift", kind="features", severity="page", owner="ann", abouts=("pace",), opened_at=1,
    told="It moved.", fate="sent", sent=("ticket", "page"),
)  # fmt: skip


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")


def test_open_alerts_and_sendings_can_be_scraped_and_follow_the_ledger(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_module, "_ALERTS_SECONDS", 0.01)
    lake = empty_lake(tmp_path)
    service, log = open_shop(tmp_path / "log", lake)
    key = ledger.keys.add("read", created_at=0)[1]
    alerts = OpenAlerts("shop", ledger.alerts)
    app = make_app(
        service, Access(ledger.keys, service.clock), lake=lake, log=log, deployed=Deployer(service),
        clock=FactsClock(BEGIN), alerts=alerts,
    )  # fmt: skip

    async def scraped() -> str:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as client:
            return (await client.get("/metrics", headers={"authorization": f"Bearer {key}"})).text

    async def told() -> tuple[str, str, str]:
        before = await scraped()
        async with living(app):
            ledger.alerts.record("shop", [DRIFT])
            await until(lambda: bool(alerts.open))
            opened = await scraped()
            ledger.alerts.record("shop", [replace(DRIFT, ended_at=9)])
            await until(lambda: not alerts.open)
            return before, opened, await scraped()

    before, opened, ended = asyncio.run(told())
    log.close()
    line = 'mainspring_alerts_open{monitor="drift",owner="ann",severity="page"} 1.0'
    assert [line in text for text in (before, opened, ended)] == [False, True, False]
    assert [f"mainspring_alerts_sent_total {n}.0" in text for n, text in ((0, before), (2, opened), (2, ended))] == [
        True
    ] * 3


def test_what_was_read_stays_while_the_ledger_is_down_and_of_two_of_a_monitor_the_newest_counts(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(system: str) -> list[Alert]:
        raise WorkspaceError("WORKSPACE_BUSY", "Another one writes.", fix="Wait.")

    alerts = OpenAlerts("shop", ledger.alerts)
    assert (alerts.open, alerts.sends) == ((), 0)
    newer = replace(DRIFT, id="drift@2", opened_at=2)
    ledger.alerts.record("shop", [DRIFT, newer])
    alerts.refresh()
    assert (alerts.open, alerts.sends) == ((newer,), 4)
    monkeypatch.setattr(ledger.alerts, "open", down)
    with pytest.raises(WorkspaceError):
        alerts.refresh()
    assert (alerts.open, alerts.sends) == ((newer,), 4)

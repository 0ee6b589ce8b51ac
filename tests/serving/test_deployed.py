"""What is deployed: the ledger says it, every server follows, and nobody who asks meanwhile is dropped or mixed up."""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

import mainspring as ms
from mainspring.answers import Arm
from mainspring.clock import DAY, format_instant
from mainspring.errors import LedgerError, ServingError
from mainspring.ledger import Ledger
from mainspring.model import compile_model
from mainspring.serving import Access, Limits
from mainspring.serving import deployed as deployed_module
from mainspring.serving.app import make_app
from mainspring.serving.deployed import Deployed, load_model, newest_model
from mainspring.serving.facts_clock import FactsClock
from mainspring.serving.opening import open_service
from mainspring.workspace import Workspace
from tests.loop.test_build import START, SYSTEM, Delivery, Order, history, run

from .shop import living, until

CLOCK = FactsClock(START + 50 * DAY)
OTHER = dataclasses.replace(SYSTEM, features={name: SYSTEM.features[name] for name in ("items", "shop")})


def part(days: int) -> dict[type[ms.Table], pl.DataFrame]:
    """The first days of the history."""
    facts = history(700)
    orders = facts[Order].filter(pl.col("placed").cast(pl.Int64) < START + days * DAY)
    return {Order: orders, Delivery: facts[Delivery].join(orders.select("order_id"), on="order_id", how="semi")}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A workspace with two models of one declaration and one of another; their names in the order in which they came."""
    folder = tmp_path_factory.mktemp("built") / "ws"
    runs = [
        run(folder, facts=lambda: part(24)),
        run(folder, facts=lambda: part(30)),
        run(folder, OTHER, lambda: part(30)),
    ]
    return folder, [found.bundle.name for found, _ in runs]


@pytest.fixture
def workspace(built: tuple[Path, list[str]]) -> Iterator[Workspace]:
    """The workspace, to be deployed to at will: the ledger is put back afterwards."""
    folder, _ = built
    files = [file for file in folder.iterdir() if file.name.startswith("ledger.db")]
    kept = {file.name: file.read_bytes() for file in files}
    yield Workspace.open(folder)
    for file in folder.glob("ledger.db*"):
        file.unlink()
    for name, content in kept.items():
        (folder / name).write_bytes(content)
    shutil.rmtree(folder / "log", ignore_errors=True)


def arm(name: str, role: Any, model: str, share: float = 0.0) -> Arm:
    return Arm(name=name, role=role, model=model, share=share)


def models(of: Deployed) -> dict[str, str]:
    return {each.name: each.model for each in of.router.arms}


def test_without_a_deployment_the_newest_model_of_the_declaration_answers(
    workspace: Workspace, built: tuple[Path, list[str]]
) -> None:
    _, (first, second, other) = built
    with pytest.raises(ServingError, match=rf"{other} was built for another declaration.*SERVE_MODEL"):
        Deployed(SYSTEM, workspace)  # the run of the other declaration came last
    assert newest_model(SYSTEM, workspace) == other
    assert models(Deployed(OTHER, workspace)) == {"champion": other}
    workspace.ledger.deployments.deploy(SYSTEM.name, [arm("champion", "champion", second)], at=1)
    found = Deployed(SYSTEM, workspace)
    assert models(found) == {"champion": second}, "what is deployed is loaded, and nothing else is looked at"
    assert not found.refresh()
    assert first not in models(found)


def test_what_another_process_deploys_is_followed(workspace: Workspace, built: tuple[Path, list[str]]) -> None:
    folder, (first, second, _) = built
    theirs = Ledger(f"sqlite:///{folder / 'ledger.db'}").deployments
    theirs.deploy(SYSTEM.name, [arm("champion", "champion", first)], at=1, by="me", reason="why not")
    here = Deployed(SYSTEM, workspace)
    told = here.told()
    assert (told.since, told.by, told.reason) == (format_instant(1), "me", "why not")
    champion = here.router.champion.model
    theirs.deploy(SYSTEM.name, [arm("champion", "champion", first), arm("canary", "challenger", second, 0.25)], at=2)
    assert here.refresh()
    assert models(here) == {"champion": first, "canary": second}
    assert here.router.champion.model is champion, "a model is loaded once"
    assert [each.share for each in here.told().arms] == [0.75, 0.25]
    theirs.deploy("another", [arm("champion", "champion", "x")], at=3)
    assert not here.refresh()


def test_what_cannot_be_loaded_leaves_everything_as_it_was(workspace: Workspace, built: tuple[Path, list[str]]) -> None:
    _, (first, second, other) = built
    ledger = workspace.ledger.deployments
    ledger.deploy(SYSTEM.name, [arm("champion", "champion", first)], at=1)
    here = Deployed(SYSTEM, workspace)
    before = here.router
    for arms, code, error in (
        ([arm("champion", "champion", "nothing")], "SERVE_MODEL", ServingError),
        ([arm("champion", "champion", other)], "SERVE_MODEL", ServingError),
        ([arm("champion", "champion", first), arm("s", "shadow", "nothing")], "SERVE_MODEL", ServingError),
        ([arm("a", "challenger", first, 0.5)], "LEDGER_ARMS", LedgerError),
        ([arm("champion", "champion", first), arm("b", "challenger", second, 1.0)], "LEDGER_ARMS", LedgerError),
        ([], "LEDGER_ARMS", LedgerError),
    ):
        with pytest.raises(error, match=code):
            here.deploy(arms, clock=CLOCK)
    assert here.router is before
    assert len(ledger.history(SYSTEM.name)) == 1
    ledger.deploy(SYSTEM.name, [arm("champion", "champion", other)], at=2)
    with pytest.raises(ServingError, match="another declaration"):
        here.refresh()
    assert here.router is before
    with pytest.raises(ServingError, match=rf"no model {second[:-1]!r}.*{second}"):
        load_model(SYSTEM, workspace, second[:-1])


def test_the_newest_deployment_counts_whoever_was_faster(
    workspace: Workspace, built: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the refresh loads what was deployed before, something newer is deployed here."""
    _, (first, second, _) = built
    ledger = workspace.ledger.deployments
    ledger.deploy(SYSTEM.name, [arm("champion", "champion", first)], at=1)
    here = Deployed(SYSTEM, workspace)
    ledger.deploy(SYSTEM.name, [arm("champion", "champion", first), arm("s", "shadow", second)], at=2)
    loading, may_load = threading.Event(), threading.Event()

    def slow(*given: Any) -> Any:
        loading.set()
        may_load.wait(5)
        return load_model(*given)

    monkeypatch.setattr(deployed_module, "load_model", slow)
    refreshing = threading.Thread(target=here.refresh)
    refreshing.start()
    assert loading.wait(5)
    deploying = threading.Thread(
        target=lambda: here.deploy([arm("champion", "champion", first)], clock=CLOCK, by="admin")
    )
    deploying.start()
    deploying.join(0.2)
    may_load.set()
    refreshing.join()
    deploying.join()
    assert models(here) == {"champion": first}
    assert here.told().by == "admin"
    assert not here.refresh()


class Served:
    """A server of the workspace, asked without a network."""

    def __init__(self, workspace: Workspace) -> None:
        self.lake = workspace.lake(SYSTEM.name)
        opened = open_service(SYSTEM, workspace, self.lake, CLOCK, follow_facts=True)
        self.service, self.log, self.deployed = opened.service, opened.log, opened.deployed
        self.service.limits = Limits(requests_per_second=1e6, burst=10**6)
        keys = workspace.ledger.keys
        self.headers = {
            role: {"authorization": f"Bearer {keys.add(role, created_at=0)[1]}"} for role in ("read", "write", "admin")
        }
        self.app = make_app(
            self.service, Access(keys, CLOCK), lake=self.lake, log=self.log, deployed=self.deployed, clock=CLOCK
        )

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://server")


def test_arms_change_under_load_and_every_answer_is_whole_and_of_one_of_them(
    workspace: Workspace, built: tuple[Path, list[str]]
) -> None:
    _, (first, second, _) = built
    workspace.ledger.deployments.deploy(SYSTEM.name, [arm("champion", "champion", first)], at=1)
    served = Served(workspace)
    compiled = {name: compile_model(load_model(SYSTEM, workspace, name).model) for name in (first, second)}
    now = format_instant(served.service.clock.now())
    settings = [
        [arm("champion", "champion", first), arm("canary", "challenger", second, 0.5)],
        [arm("champion", "champion", second)],
        [arm("champion", "champion", first), arm("watcher", "shadow", second)],
        [arm("champion", "champion", second), arm("canary", "challenger", first, 0.3)],
    ]
    answers: list[dict[str, Any]] = []

    async def live() -> None:
        async with living(served.app), served.client() as client:
            changed = asyncio.Event()

            async def ask(worker: int) -> None:
                number = 0
                while not changed.is_set() or number < 5:
                    row = {"order_id": f"{worker}-{number}", "shop": "north", "items": 1 + number % 8, "placed": now}
                    asked = {"row": row, "explain": True} if number % 3 else {"rows": [row, row], "explain": True}
                    told = await client.post("/v1/predict", json=asked, headers=served.headers["read"])
                    assert told.status_code == 200, told.text
                    found = told.json()
                    answers.extend(found.get("predictions", [found]))
                    number += 1

            async def change() -> None:
                for arms in settings * 3:
                    asked = {
                        "arms": [{"name": a.name, "role": a.role, "model": a.model, "share": a.share} for a in arms]
                    }
                    told = await client.put("/v1/arms", json=asked, headers=served.headers["admin"])
                    assert told.status_code == 200, told.text
                    assert [each["name"] for each in told.json()["arms"]] == [each.name for each in arms]
                    assert told.json()["by"].startswith("key ")
                changed.set()

            await asyncio.gather(*[ask(worker) for worker in range(6)], change())

    asyncio.run(live())
    assert {(each["arm"], each["model"]) for each in answers} == {
        ("champion", first), ("champion", second), ("canary", first), ("canary", second),
    }  # fmt: skip
    for each in answers:
        model = compiled[each["model"]]
        probability = model.predict_one(each["features"])
        assert each["probability"] == pytest.approx(probability, rel=1e-12)
        assert each["decision"] == model.decide_one(probability)
    assert len({each["prediction_id"] for each in answers}) == len(answers) == served.log.end("predictions")
    assert len(workspace.ledger.deployments.history(SYSTEM.name)) == 13
    served.log.close()


def test_a_server_answers_with_what_another_deployed_and_tells_who_may_change_it(
    workspace: Workspace, built: tuple[Path, list[str]]
) -> None:
    folder, (first, second, other) = built
    workspace.ledger.deployments.deploy(SYSTEM.name, [arm("champion", "champion", first)], at=1)
    served = Served(workspace)
    good = {"arms": [{"name": "champion", "role": "champion", "model": second}], "reason": "it is better"}

    async def live() -> None:
        async with living(served.app), served.client() as client:
            for role in ("read", "write"):
                refused = await client.put("/v1/arms", json=good, headers=served.headers[role])
                assert (refused.status_code, refused.json()["error"]["code"]) == (403, "SERVE_ROLE")
            for wrong, status in (
                ({"arms": [{"name": "a", "role": "king", "model": first}]}, 400),
                ({"arms": [{"name": "a", "role": "champion"}]}, 400),
                ({"arms": 5}, 400),
                ({"arms": [], "because": "x"}, 400),
                ({"arms": []}, 422),
                ({"arms": [{"name": "a", "role": "champion", "model": other}]}, 422),
                ({"arms": [{"name": "a\n", "role": "champion", "model": first}]}, 422),
            ):
                told = await client.put("/v1/arms", json=wrong, headers=served.headers["admin"])
                assert told.status_code == status, told.text
                assert told.json()["error"]["fix"]
            assert len(workspace.ledger.deployments.history(SYSTEM.name)) == 1
            theirs = Ledger(f"sqlite:///{folder / 'ledger.db'}").deployments
            theirs.deploy(SYSTEM.name, [arm("champion", "champion", second)], at=2, by="elsewhere")
            await until(lambda: served.service.predictor.router.champion.arm.model == second)
            arms = (await client.get("/v1/arms", headers=served.headers["read"])).json()
            assert (arms["arms"][0]["model"], arms["by"]) == (second, "elsewhere")
            told = (await client.put("/v1/arms", json=good, headers=served.headers["admin"])).json()
            assert told["reason"] == "it is better"

    asyncio.run(live())
    served.log.close()

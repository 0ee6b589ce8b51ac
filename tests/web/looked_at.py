"""What tests of pages need: a source without a server, a page that is asked for, and its HTML."""

from __future__ import annotations

import re
from pathlib import Path

import mainspring as ms
from mainspring.answers import Arm
from mainspring.ledger import Dataset, KeptLoop, LoopEvent, Metric, Model, Run
from mainspring.ledger.records import Role
from mainspring.page.components import html
from mainspring.web.asked import Asked, ServerTold
from mainspring.web.shell import Page
from mainspring.web.source import Source
from mainspring.workspace import Workspace
from tests.loop.deliveries import system

__all__ = ["NOW", "asked", "did", "empty", "made_model", "only", "seen", "written"]

NOW = 1_706_745_600_000_000
HOSTILE = "<script>alert(1)</script>"


def empty(folder: Path, of: ms.System = system) -> Source:
    """A system of which nothing is on record."""
    return Source(of, Workspace.open(folder), Path("deliveries.py"))


def asked(path: str, role: Role = "read", **query: str) -> Asked:
    return Asked(path=path, query=query, role=role, wall=NOW, server=ServerTold(now=NOW))


def written(page: Page) -> str:
    """All of a page as HTML."""
    return html([page.title, page.lead, page.parts])


def seen(page: Page) -> str:
    """The text of a page, without what stands in attributes and data."""
    without = re.sub(r"<script.*?</script>", "", written(page), flags=re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", without).replace("&#x27;", "'").replace("&quot;", '"').split())


def did(source: Source, events: list[LoopEvent], arms: list[Arm] | None = None) -> None:
    """Let the loop do these in one step."""
    name = source.system.name
    step = source.ledger.loops.newest_step(name) + 1
    wall = events[-1].written_at if events else NOW + step
    kept = KeptLoop(system=name, declaration="another", step=step, at=NOW, written_at=wall, state=b"")
    source.ledger.loops.commit(kept, done=events, arms=arms, reason="promoted: why")


def only(what: str, model: str, at: int, *, told: str = "because", **evidence: object) -> LoopEvent:
    return LoopEvent(
        system=system.name, number=0, step=0, at=at, written_at=at + 1, what=what, model=model, told=told, evidence=evidence
    )  # fmt: skip


def made_model(
    source: Source, name: str, at: int, *, kind: str = "retrain", value: float = 0.5, declaration: str = ""
) -> Run:
    """Write a run down that made a model; its bundle's folder holds a card alone."""
    ledger = source.ledger
    run = ledger.start_run(
        source.system.name,
        started_at=at,
        declaration=declaration or source.system.fingerprint,
        version="0.1.0",
        kind=kind,
        as_of=at,
    )
    ledger.record_dataset(
        Dataset(run=run.name, fingerprint="f1", snapshots={"order": 7}, decisions=10, labelled=8, features={"size": "Order.size"})
    )  # fmt: skip
    folder = source.workspace.bundles / name
    folder.mkdir(parents=True, exist_ok=True)
    bundle = source.workspace.relative(folder)
    ledger.record_model(Model(run=run.name, id=name, dataset="f1", estimator={"trees": 30}, bundle=bundle))
    ledger.record_metrics(
        [
            Metric(run=run.name, model=name, scope="test", name="log_loss", value=value, low=value - 0.01, high=value + 0.01),
            Metric(run=run.name, model=name, scope="baseline:constant", name="log_loss", value=0.69),
        ]
    )  # fmt: skip
    return ledger.finish_run(run.name, ended_at=at + 1, seconds={"train": 1.0})

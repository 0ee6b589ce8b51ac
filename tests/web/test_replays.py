"""Replays: each with what it recommends, and one shown as the offline page shows it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from mainspring.ledger import Artifact, Run
from mainspring.loop.compared import Alerting, Compared, EventTold, PolicyResult, Recommendation, Week
from mainspring.loop.replay_page import replay_sections
from mainspring.loop.stored_replays import read_replay
from mainspring.web.pages.replays import page
from mainspring.web.source import Source
from tests.web.looked_at import HOSTILE, NOW, asked, empty, seen, written


def policy(name: str, value: float, alerting: Alerting | None = None) -> PolicyResult:
    return PolicyResult(
        name=name, description=f"as {name}", figures={"log_loss": value}, labels=90, worth=100 * value, retrainings=3,
        training_minutes=1.5, training_cost=0.1, promotions=1, rollbacks=0, passed_over=0, alerting=alerting,
        weeks=[Week("2024-01-07T00:00:00Z", 90, {"log_loss": value})],
        events=[EventTold("2024-01-08T00:00:00Z", "train", f"{name}-m2", "because")],
    )  # fmt: skip


def compared(reason: str = "It costs least.") -> Compared:
    watched = Alerting(sent=0, true=0, false=0, missed=0, by_chance=0.0, incidents=[], alerts=[], monitors=[])
    return Compared(
        system="deliveries", begin="2024-01-07T00:00:00Z", end="2024-02-06T00:00:00Z", decisions=100, metric="log_loss",
        unit="EUR", policies=[policy("weekly", 0.5, watched), policy("never", 0.6, watched)],
        recommendation=Recommendation("weekly", reason),
    )  # fmt: skip


def replayed(source: Source, found: Compared | None, at: int = NOW) -> Run:
    """A replay on record, with its document."""
    ledger, workspace = source.ledger, source.workspace
    run = ledger.start_run(source.system.name, started_at=at, declaration="d", version="0.1.0", kind="replay")
    path = workspace.reports / f"{run.name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"{}" if found is None else msgspec.json.encode(found))
    ledger.record_artifact(Artifact(run=run.name, kind="json", path=workspace.relative(path), sha256="0"))
    return ledger.finish_run(run.name, ended_at=at, seconds={"replay": 12.0})


def test_without_a_replay_it_says_how_to_make_one(tmp_path: Path) -> None:
    text = seen(page(empty(tmp_path), asked("replays")))
    assert "mainspring replay deliveries.py --compare" in text
    assert str(tmp_path) not in text


def test_replays_are_listed_the_newest_first_with_what_to_take(tmp_path: Path) -> None:
    source = empty(tmp_path)
    runs = [replayed(source, compared(f"reason {each}."), NOW + each) for each in range(25)]
    shown = page(source, asked("replays"))
    assert str(shown.lead) == "25 replays on record; the newest says: take weekly."
    pages = [written(page(source, asked("replays", page=str(each)))) for each in (1, 2)]
    places = ["".join(pages).index(f'href="/ui/replays/{run.name}"') for run in reversed(runs)]
    assert places == sorted(places)
    assert all("reason 24." in pages[0] and "reason 0." in pages[1] for _ in pages)


def test_one_is_shown_as_the_offline_page_shows_it(tmp_path: Path) -> None:
    source = empty(tmp_path)
    run = replayed(source, compared())
    assert read_replay(source.workspace, run.name) == compared()
    text = written(page(source, asked(f"replays/{run.name}")))
    for each in replay_sections(compared()):
        assert each.body in text


@pytest.mark.parametrize("path", ["replays", "replays/deliveries-1"])
def test_what_cannot_be_read_is_told(tmp_path: Path, path: str) -> None:
    source = empty(tmp_path)
    run = replayed(source, None)
    for _ in range(2):
        shown = page(source, asked(path))
        assert shown.status == 200
        assert "cannot be read" in seen(shown) or "is gone" in str(shown.lead)
        (source.workspace.reports / f"{run.name}.json").unlink(missing_ok=True)


def test_one_that_failed_says_why_and_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    source = empty(tmp_path)
    run = source.ledger.start_run("deliveries", started_at=NOW, declaration="d", version="1", kind="replay")
    source.ledger.fail_run(run.name, ended_at=NOW, code="DATA_TOO_FEW", message=f"Too few {HOSTILE}")
    other = source.ledger.start_run("deliveries", started_at=NOW + 1, declaration="d", version="1")
    for path in ("replays", f"replays/{run.name}"):
        text = written(page(source, asked(path)))
        assert "Too few &lt;script&gt;" in text
        assert HOSTILE not in text
    for name in ("none", other.name, HOSTILE):
        shown = page(source, asked(f"replays/{name}"))
        assert shown.status == 404
        assert "<script>" not in written(shown)

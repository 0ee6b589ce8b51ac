"""The laws of a build: the same inputs give the same bytes, and nothing is done twice."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

import mainspring as ms
from mainspring.clock import DAY, MINUTE
from mainspring.errors import DeclarationError
from mainspring.features import INSTANT
from mainspring.loop import LoadedSystem
from mainspring.loop.build import Built, build
from mainspring.loop.lesson import Lesson
from mainspring.model.bundle import load_bundle
from mainspring.training.dataset import assemble
from mainspring.workspace import Workspace


class Order(ms.Table):
    order_id = ms.Key()
    shop = ms.Category()
    items = ms.Int(ge=1)
    placed = ms.KnownAt()


class Delivery(ms.Table):
    order_id = ms.Key()
    shop = ms.Category()
    minutes = ms.Float(unit="min", ge=0)
    arrived = ms.KnownAt()


SYSTEM = ms.System(
    name="late-deliveries",
    decision=ms.Decision(Order, at=Order.placed),
    label=ms.Label(Delivery.minutes > 40, by="order_id", within="3h", otherwise=True),
    features={
        "items": Order.items,
        "shop": Order.shop,
        "hour": Order.placed.hour(),
        "pace": Delivery.minutes.mean(by="shop", over="2h"),
    },
    model=ms.LightGBM(rounds=10, num_leaves=7, min_data_in_leaf=20),
    objective=ms.Objective(payoff=ms.Payoff(hit=3, miss=-5, false_alarm=-1, unit="EUR"), slices=(Order.shop,)),
    heuristic=Delivery.minutes.mean(by="shop", over="2h"),
)
START = 20_000 * DAY


def history(n: int = 1500) -> dict[type[ms.Table], pl.DataFrame]:
    """Orders over thirty days, of which some take long, more so in one shop."""
    rng = np.random.default_rng(0)
    placed = START + np.sort(rng.integers(0, 30 * DAY // MINUTE, n)) * MINUTE
    shop = rng.choice(["north", "south"], n)
    items = rng.integers(1, 9, n)
    minutes = 20 + 3.0 * items + 8 * (shop == "south") + rng.gamma(2, 3, n)
    known = pl.Datetime("us", "UTC")
    orders = pl.DataFrame({"order_id": [f"o{i}" for i in range(n)], "shop": shop, "items": items, "placed": placed})
    deliveries = orders.select("order_id", "shop").with_columns(
        pl.Series("minutes", minutes), pl.Series("arrived", (placed + minutes * MINUTE).astype(np.int64)).cast(known)
    )
    return {Order: orders.cast({"placed": known}), Delivery: deliveries}


class Stopped:
    """A clock that stands still."""

    def now(self) -> int:
        return START + 40 * DAY


class Quiet:
    """Remembers what was reused and what was warned about."""

    def __init__(self) -> None:
        self.reused: list[str] = []
        self.warnings: list[str] = []

    def started(self, stage: str) -> None: ...

    def ended(self, stage: str, seconds: float, note: str, *, reused: bool) -> None:
        self.reused += [stage] if reused else []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def loaded(system: ms.System = SYSTEM, facts: object = None) -> LoadedSystem:
    return LoadedSystem(system, Path("late.py"), "", facts or history, "")  # type: ignore[arg-type]


def run(workspace: Path, system: ms.System = SYSTEM, facts: object = None) -> tuple[Built, list[str]]:
    progress = Quiet()
    built = build(loaded(system, facts), Workspace.open(workspace), clock=Stopped(), progress=progress)
    return built, progress.reused


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Built]:
    folder = tmp_path_factory.mktemp("first") / "ws"
    return folder, run(folder)[0]


@pytest.fixture
def workspace(first: tuple[Path, Built], tmp_path: Path) -> Path:
    """The workspace of the first run, to be changed at will: it is found again at the same place."""
    folder, _ = first
    copy = tmp_path / "kept"
    shutil.copytree(folder, copy)
    yield folder
    shutil.rmtree(folder)
    shutil.copytree(copy, folder)


def test_a_run_leaves_a_bundle_a_report_and_a_record(first: tuple[Path, Built]) -> None:
    folder, built = first
    assert built.run.status == "finished"
    assert list(built.run.seconds) == ["facts", "features", "training", "evaluation", "bundle", "report"]
    assert load_bundle(built.bundle).manifest.features == tuple(SYSTEM.features)
    assert built.report.read_text().startswith("<!doctype html>")
    ledger = Workspace.open(folder).ledger
    assert {m.name for m in ledger.metrics(built.run.name, scope="test")} >= {"log_loss", "auc", "payoff"}
    assert {b.name for b in built.evaluation.baselines} >= {"constant", "heuristic", "linear", "without delivery"}


def test_the_model_beats_knowing_nothing(first: tuple[Path, Built]) -> None:
    _, built = first
    constant = next(b for b in built.evaluation.baselines if b.kind == "constant")
    assert constant.difference is not None
    assert constant.difference.high < 0


def test_a_second_run_does_nothing_again(workspace: Path, first: tuple[Path, Built]) -> None:
    again, reused = run(workspace)
    assert reused == ["facts", "features", "training", "evaluation", "bundle"]
    assert again.run.name == "late-deliveries-2"
    assert again.evaluation == first[1].evaluation


def test_what_changed_is_done_again_and_nothing_else(workspace: Path) -> None:
    objective = dataclasses.replace(SYSTEM.objective, guards=(ms.Guard("auc", at_least=0.5),))
    assert run(workspace, dataclasses.replace(SYSTEM, objective=objective))[1] == ["facts", "features", "training"]
    smaller = dataclasses.replace(SYSTEM, model=ms.LightGBM(rounds=5, num_leaves=7, min_data_in_leaf=20))
    assert run(workspace, smaller)[1] == ["facts", "features"]
    fewer = {name: SYSTEM.features[name] for name in ("items", "shop")}
    assert run(workspace, dataclasses.replace(SYSTEM, features=fewer))[1] == ["facts"]


def test_what_only_the_threshold_or_the_slices_need_trains_nothing_again(workspace: Path) -> None:
    payoff = ms.Payoff(hit=1, miss=-1, false_alarm=-1, unit="EUR")
    objective = dataclasses.replace(SYSTEM.objective, payoff=payoff, slices=())
    built, reused = run(workspace, dataclasses.replace(SYSTEM, objective=objective))
    assert reused == ["facts", "features", "training"]
    assert load_bundle(built.bundle).model.threshold == payoff.threshold


def test_declarations_that_take_turns_keep_a_bundle_each(workspace: Path, first: tuple[Path, Built]) -> None:
    before = (first[1].bundle / "manifest.json").read_bytes()
    other, _ = run(workspace, dataclasses.replace(SYSTEM, description="Another text."))
    back, reused = run(workspace)
    assert other.bundle != back.bundle
    assert "bundle" in reused
    assert (back.bundle / "manifest.json").read_bytes() == before


def test_a_new_fact_changes_the_snapshot_and_all_that_follows(workspace: Path) -> None:
    facts = history()
    late = facts[Delivery].tail(1).with_columns(pl.lit("unknown order").alias("order_id"))
    assert run(workspace, facts={**facts, Delivery: pl.concat([facts[Delivery], late])})[1] == []


def test_what_was_cleared_away_or_damaged_is_made_again(workspace: Path, first: tuple[Path, Built]) -> None:
    shutil.rmtree(workspace / "cache")
    (first[1].bundle / "card.md").write_text("changed")
    again, reused = run(workspace)
    assert reused == ["facts", "features"]
    assert again.evaluation == first[1].evaluation


def test_two_workspaces_make_the_same_bytes(first: tuple[Path, Built], tmp_path: Path) -> None:
    built, _ = run(tmp_path / "other")
    differing = {"manifest.json", "manifest.sha256", "card.md"}  # these name snapshots and seconds
    files = {path.name for path in built.bundle.iterdir()} - differing
    assert files == {path.name for path in first[1].bundle.iterdir()} - differing
    for name in files:
        assert (built.bundle / name).read_bytes() == (first[1].bundle / name).read_bytes(), name


def test_who_takes_part_does_not_depend_on_how_soon_a_label_came() -> None:
    facts = history()
    slow = pl.col("arrived") + pl.duration(minutes=pl.col("order_id").str.slice(1).cast(pl.Int64) % 80)
    splits = []
    for deliveries in (facts[Delivery], facts[Delivery].with_columns(slow.alias("arrived"))):
        frames = {"order": facts[Order], "delivery": deliveries}
        known = {"order": "placed", "delivery": "arrived"}
        seen = {
            name: frame.sort(known[name]).with_columns(pl.col(known[name]).alias("_visible_at")).with_row_index("_seq")
            for name, frame in frames.items()
        }
        end = pl.DataFrame({"_visible_at": [START + 31 * DAY]}).cast({"_visible_at": INSTANT})
        seen["order"] = pl.concat([seen["order"], end], how="diagonal")  # both histories end at one instant
        splits.append(Lesson(SYSTEM, assemble(SYSTEM, seen)).split)
    for part in ("train", "calibrate", "refit", "test"):
        assert np.array_equal(getattr(splits[0], part), getattr(splits[1], part)), part


def test_a_class_that_only_the_test_part_has_is_left_out_and_counted(tmp_path: Path) -> None:
    facts = history()
    last = START + 27 * DAY
    arrived = pl.col("arrived").cast(pl.Int64)
    odd = facts[Delivery].with_columns(
        pl.when(arrived > last).then(pl.lit(999.0)).otherwise("minutes").alias("minutes")
    )
    outcome = ms.where(Delivery.minutes > 900, "odd").otherwise(
        ms.where(Delivery.minutes > 40, "slow").otherwise("fast")
    )
    label = ms.Label(outcome, by="order_id", within="3h", otherwise="lost")
    for model in (SYSTEM.model, LogisticRegression()):
        system = dataclasses.replace(SYSTEM, label=label, objective=ms.Objective(), heuristic=None, model=model)
        evaluation = run(tmp_path / type(model).__name__, system, {**facts, Delivery: odd})[0].evaluation
        assert evaluation.left_out["class not seen before the test part"] > 50


def test_rows_that_break_their_contract_are_warned_about_and_kept(tmp_path: Path) -> None:
    facts = history()
    broken = facts[Order].head(1).with_columns(pl.lit("x").alias("order_id"), pl.lit(0, pl.Int64).alias("items"))
    progress = Quiet()
    given = {**facts, Order: pl.concat([facts[Order], broken])}
    built = build(loaded(facts=given), Workspace.open(tmp_path), clock=Stopped(), progress=progress)
    assert any("1 of 1,501 rows of order are in quarantine" in warning for warning in progress.warnings)
    assert built.decisions == 1500


def test_an_error_in_the_declaration_stops_before_anything_is_written(tmp_path: Path) -> None:
    wrong = dataclasses.replace(SYSTEM, features={"oops": Order.amount})  # type: ignore[attr-defined]
    with pytest.raises(DeclarationError, match=r"reads Order\.amount, which does not exist") as caught:
        run(tmp_path / "ws", wrong)
    assert caught.value.code == "DECLARE_LINT"
    assert not (tmp_path / "ws" / "ledger.db").exists()


def test_a_failed_run_is_on_record(tmp_path: Path) -> None:
    always = dataclasses.replace(
        SYSTEM, label=ms.Label(Delivery.minutes >= 0, by="order_id", within="3h", otherwise=True)
    )
    with pytest.raises(Exception, match="Every known label"):
        run(tmp_path, always)
    assert Workspace.open(tmp_path).ledger.run().error_code == "DATA_ONE_CLASS"


def test_an_interrupted_run_is_shown_and_the_next_one_goes_on(tmp_path: Path) -> None:
    def interrupt() -> object:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, facts=interrupt)
    assert Workspace.open(tmp_path).ledger.run().status == "interrupted"
    assert run(tmp_path)[0].run.status == "finished"


@pytest.mark.parametrize(
    ("label", "objective"),
    [
        (ms.Label(Delivery.minutes, by="order_id", within="3h"), ms.Objective(payoff=ms.ErrorCost(over=1, under=2))),
        (
            ms.Label(
                ms.where(Delivery.minutes > 45, "slow").otherwise("fast"), by="order_id", within="3h", otherwise="lost"
            ),
            ms.Objective(slices=(Order.shop,)),
        ),
    ],
    ids=["regression", "multiclass"],
)
def test_other_tasks_run_as_well(tmp_path: Path, label: ms.Label, objective: ms.Objective) -> None:
    system = dataclasses.replace(SYSTEM, label=label, objective=objective, heuristic=None)
    evaluation = run(tmp_path, system)[0].evaluation
    assert evaluation.metrics
    assert {baseline.kind for baseline in evaluation.baselines} >= {"constant", "linear", "without"}

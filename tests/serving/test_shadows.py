"""Shadows: their answers and what came true of them are in the lake, once each, and no shadow holds anything up."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mainspring.answers import Arm
from mainspring.clock import HOUR, MINUTE, format_instant
from mainspring.errors import BundleError, WorkspaceError
from mainspring.lake import Lake
from mainspring.model.schema import Feature, FeatureSchema
from mainspring.serving.router import LoadedArm, Router
from mainspring.serving.service import Service
from mainspring.serving.shadows import Shadows
from mainspring.serving.sink import OUTCOMES_TABLE, PREDICTIONS_TABLE, Sink
from mainspring.stream import EmbeddedLog

from .shop import BEGIN, ReadableModel, ask, deliveries, empty_lake, open_shop, system


class Slower:
    """A fake of a model that is asked in batch: its probability is the number of deliveries in fifty."""

    schema = FeatureSchema((Feature("flow", "int"), Feature("pace", "float")))
    task = "binary"
    classes = ()

    def predict(self, frame: pl.DataFrame) -> np.ndarray:
        return frame["flow"].to_numpy() / 50

    def decide(self, prediction: np.ndarray) -> np.ndarray:
        return prediction >= 0.5


class Failing(Slower):
    def predict(self, frame: pl.DataFrame) -> np.ndarray:
        raise ArithmeticError("nobody foresaw this")


def shadowing(*names: str) -> Router:
    """The readable model as champion, and shadows whose models have their names."""
    model: Any = ReadableModel()
    arms = [Arm(name="champion", role="champion", model="m1", share=1.0)]
    arms += [Arm(name=name, role="shadow", model=name, share=0.0) for name in names]
    return Router("deliveries", ["order_id"], [LoadedArm(arm, model) for arm in arms])


async def asked(service: Service, count: int = 3) -> list[str]:
    """Ask after some facts have come; the ids of the predictions."""
    await service.push("delivery", json.dumps(deliveries(6)).encode(), "application/json")
    now = format_instant(service.clock.now())
    made = [await service.predict(ask(order_id=f"n{n}", shop="ab"[n % 2], placed=now)) for n in range(count)]
    return [each.prediction_id for each in made]


def drain(service: Service, lake: Lake, log: EmbeddedLog, load: Any) -> Any:
    sink = Sink(system, lake, log, shadows=Shadows(load))
    try:
        return sink.drain(service.clock.now())
    finally:
        sink.close()


def test_what_shadows_answer_and_what_came_true_of_it_is_in_the_lake(tmp_path: Path) -> None:
    lake = empty_lake(tmp_path)
    service, log = open_shop(tmp_path / "log", lake)
    service.predictor.router = shadowing("one", "two")
    ids = asyncio.run(asked(service))
    model: Any = Slower()
    assert drain(service, lake, log, lambda name: model).predictions == 3
    stored = lake.read(PREDICTIONS_TABLE)
    assert sorted(stored["prediction_id"]) == sorted(f"{id}{arm}" for id in ids for arm in ("", ".one", ".two"))
    champion = stored.filter(pl.col("arm") == "champion").sort("prediction_id")
    for arm in ("one", "two"):
        shadow = stored.filter(pl.col("arm") == arm).sort("prediction_id")
        assert shadow["prediction"].to_list() == (champion["prediction"] * 2).to_list()
        assert shadow["model"].unique().to_list() == [arm]
        for column in ("decided_at", "answered_at", "row", "features"):
            assert shadow[column].to_list() == champion[column].to_list()

    slow = {"order_id": "n0", "shop": "a", "minutes": 55.0, "arrived": format_instant(service.clock.now() + HOUR)}
    late = deliveries(1, begin=service.clock.now() + 2 * HOUR, first=90)
    asyncio.run(service.push("delivery", json.dumps([slow, *late]).encode(), "application/json"))
    assert drain(service, lake, log, lambda name: model).outcomes == 3
    outcomes = dict(lake.read(OUTCOMES_TABLE).select("prediction_id", "label").iter_rows())
    assert outcomes == {f"{ids[0]}{arm}": 1.0 for arm in ("", ".one", ".two")}
    log.close()


@pytest.mark.parametrize("killed_at", ["_predictions", "_facts"])
def test_a_sink_that_was_killed_asks_its_shadows_again_and_nothing_is_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: str
) -> None:
    lake = empty_lake(tmp_path)
    service, log = open_shop(tmp_path / "log", lake)
    service.predictor.router = shadowing("one")
    ids = asyncio.run(asked(service))
    model: Any = Slower()
    sink = Sink(system, lake, log, shadows=Shadows(lambda name: model))

    def killed() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(getattr(sink, killed_at), "commit", killed)
    with pytest.raises(KeyboardInterrupt):
        sink.drain(service.clock.now())
    sink.close()
    asyncio.run(asked(service, 1))  # the page is another one now
    drain(service, lake, log, lambda name: model)
    stored = lake.read(PREDICTIONS_TABLE)
    assert stored.height == stored["prediction_id"].n_unique() == 2 * (len(ids) + 1)
    assert lake.quarantine(PREDICTIONS_TABLE).height == 0
    log.close()


@pytest.mark.parametrize("error", [BundleError("BUNDLE_CORRUPT", "It is broken.", fix="Build it again."), ValueError()])
def test_a_shadow_that_cannot_be_loaded_holds_up_nothing_and_is_told_once(
    tmp_path: Path, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    lake = empty_lake(tmp_path)
    service, log = open_shop(tmp_path / "log", lake)
    service.predictor.router = shadowing("gone", "fails", "well")
    models: dict[str, Any] = {"fails": Failing(), "well": Slower()}

    def load(name: str) -> Any:
        if name == "gone":
            raise error
        return models[name]

    sink = Sink(system, lake, log, shadows=Shadows(load))
    for _ in range(2):
        asyncio.run(asked(service))
        assert sink.drain(service.clock.now()).predictions == 3
    arms = lake.read(PREDICTIONS_TABLE)["arm"].value_counts().sort("arm").rows()
    assert arms == [("champion", 6), ("well", 6)]
    assert sum("gone" in record.message for record in caplog.records) == 1
    assert sum("fails" in record.message for record in caplog.records) == 1
    sink.close()
    log.close()


def test_a_workspace_that_cannot_be_read_for_a_moment_costs_a_shadow_that_moment_only(tmp_path: Path) -> None:
    lake = empty_lake(tmp_path)
    service, log = open_shop(tmp_path / "log", lake)
    service.predictor.router = shadowing("one")
    model: Any = Slower()
    answers: list[Any] = [WorkspaceError("WORKSPACE_BUSY", "Locked.", fix="Wait."), model]

    def load(name: str) -> Any:
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    sink = Sink(system, lake, log, shadows=Shadows(load))
    for expected in (1, 3):
        asyncio.run(asked(service, 1))
        sink.drain(service.clock.now())
        assert lake.read(PREDICTIONS_TABLE).height == expected
    sink.close()
    log.close()


def test_a_shadow_is_asked_from_when_it_is_named_and_not_before(tmp_path: Path) -> None:
    lake = empty_lake(tmp_path)
    service, log = open_shop(tmp_path / "log", lake)
    before = asyncio.run(asked(service, 2))
    service.predictor.router = shadowing("one")
    after = asyncio.run(asked(service, 2))
    model: Any = Slower()
    drain(service, lake, log, lambda name: model)
    assert set(lake.read(PREDICTIONS_TABLE)["prediction_id"]) == {*before, *after, *(f"{id}.one" for id in after)}
    log.close()


def test_several_classes_and_numbers_are_told_as_arms_tell_them() -> None:
    class Classes(Slower):
        task = "multiclass"
        classes = ("x", "y")  # type: ignore[assignment]

        def predict(self, frame: pl.DataFrame) -> np.ndarray:
            return np.array([[0.25, 0.75]] * frame.height)

        def decide(self, prediction: np.ndarray) -> np.ndarray:
            return np.array(self.classes)[prediction.argmax(axis=1)]

    class Number(Slower):
        task = "regression"

        def decide(self, prediction: np.ndarray) -> np.ndarray:
            return prediction

        def interval(self, prediction: np.ndarray) -> np.ndarray:
            return np.column_stack([prediction - 1, prediction + 1])

    from mainspring.answers import Prediction
    from mainspring.serving.records import PredictionMade

    answered = Prediction(prediction_id="p", decided_at=format_instant(BEGIN + MINUTE), model="m", arm="champion")
    made = PredictionMade(
        prediction=answered, answered_at=1, row={"_at": 1}, features={"flow": 100}, shadows={"a": "c", "b": "n"}
    )
    models: dict[str, Any] = {"c": Classes(), "n": Number()}
    found = {each.prediction.arm: each.prediction for each in Shadows(models.__getitem__).predictions([made])}
    assert (found["a"].classes, found["a"].decision, found["a"].value) == ({"x": 0.25, "y": 0.75}, "y", None)
    assert (found["b"].value, found["b"].decision, found["b"].classes) == (2.0, 2.0, None)
    assert (found["a"].interval, found["b"].interval) == (None, (1.0, 3.0))
    assert {each.prediction_id for each in found.values()} == {"p.a", "p.b"}

"""What a server left behind, held against what it acknowledged."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from mainspring.loop import load_system
from mainspring.serving.records import ANSWERS, Answered
from mainspring.serving.sink import OUTCOMES_TABLE, PREDICTIONS_TABLE
from mainspring.serving.skew import measure_skew
from mainspring.stream import EmbeddedLog
from mainspring.workspace import Workspace
from reliability_load import Load

__all__ = ["audit"]

_PAGE = 10_000


def audit(file: Path, folder: Path, load: Load) -> dict[str, Any]:
    """Compare what was acknowledged with the lake and the log of a workspace whose server has ended.

    `kept` says how much there was to lose, `broken` counts promises that were not kept.
    """
    system = load_system(file).system
    workspace = Workspace.open(folder, create=False)
    lake = workspace.lake(system.name)
    log = workspace.log / system.name
    returns = next(table for table in system.tables if table.__schema__.name == "return")
    made = lake.read(PREDICTIONS_TABLE)
    said = lake.read(OUTCOMES_TABLE)
    said = said.filter(said["source"] == "feedback")
    predictions = Counter(made["prediction_id"])
    outcomes = Counter(zip(said["prediction_id"], said["label"].cast(bool), strict=True))
    answered = dict(zip(made["prediction_id"], made["prediction"], strict=True))
    answers = _answers(log)
    refused = Counter(each.id for each in answers if each.error is not None)
    other = [name for name, answer in load.predictions.items() if answered.get(name) != answer.probability]
    other += [each.id for each in answers if each.prediction and answered.get(each.id) != each.prediction.probability]
    return {
        "kept": {
            "facts": len(load.facts),
            "predictions": len(load.predictions),
            "outcomes": len(load.outcomes),
            "questions": len(load.questions),
            "questions refused": len(refused),
        },
        "broken": {
            **_not_once("facts", Counter(load.facts), Counter(lake.read(returns)["order_id"])),
            **_not_once("predictions", Counter(load.predictions.keys()), predictions),
            **_not_once("outcomes", Counter(load.outcomes), outcomes),
            **_not_once("questions", Counter(load.questions), predictions + refused),
            "predictions kept otherwise than they were given": len(other) + len(load.changed),
            "features that batch does not confirm": sum(measure_skew(system, lake).different.values()),
            "facts in quarantine": sum(lake.quarantine(table).height for table in system.tables),
            "requests set aside": len(list((log / "set-aside").glob("*"))),
            "requests given up": len(load.given_up),
        },
    }


def _not_once(what: str, acknowledged: Counter[Any], kept: Counter[Any]) -> dict[str, int]:
    """Count what is lost, and what is there more often than it was acknowledged."""
    return {
        f"{what} lost": sum(kept[name] < times for name, times in acknowledged.items()),
        f"{what} twice": sum(kept[name] > times for name, times in acknowledged.items()),
    }


def _answers(log: Path) -> list[Answered]:
    with EmbeddedLog(log, _Unasked()) as opened:
        consumer = opened.consumer(ANSWERS, "audit")
        return [
            msgspec.json.decode(record.value, type=Answered)
            for records in iter(lambda: consumer.poll(_PAGE), [])
            for record in records
        ]


class _Unasked:
    """The clock of a log that is only read."""

    def now(self) -> int:
        raise RuntimeError("a log that is only read asks no clock")

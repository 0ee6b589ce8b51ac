"""Permutation importance: what the model reads matters, what it does not read matters not at all."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from mainspring.evaluation.importance import permutation_importance
from mainspring.evaluation.metric import METRICS


def part(n: int = 2000) -> tuple[pl.DataFrame, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    frame = pl.DataFrame(
        {"unread": random.normal(size=n), "weak": random.normal(size=n), "strong": random.normal(size=n)}
    )
    return frame, (random.random(n) < predict(frame)).astype(float), np.arange(n) // 50


def predict(frame: pl.DataFrame) -> np.ndarray:
    return 1 / (1 + np.exp(-(0.5 * frame["weak"] + 2 * frame["strong"]).to_numpy()))


@pytest.mark.parametrize("name", ["log_loss", "auc", "pr_auc"])
def test_features_come_in_the_order_in_which_they_matter(name: str) -> None:
    frame, y, days = part()
    found = permutation_importance(frame, y, predict, METRICS[name], days)
    assert [item.feature for item in found] == ["strong", "weak", "unread"]
    figures = [item.permutation for item in found]
    assert all(figure is not None and figure.low <= figure.value <= figure.high for figure in figures)
    assert figures[0] is not None
    assert figures[0].low > 0
    assert figures[2] is not None
    assert (figures[2].low, figures[2].value, figures[2].high) == (0, 0, 0)


def test_the_loss_is_the_metric_with_shuffled_values() -> None:
    frame, y, days = part(300)
    seen: list[pl.DataFrame] = []

    def remember(rows: pl.DataFrame) -> np.ndarray:
        seen.append(rows)
        return predict(rows)

    found = permutation_importance(frame.select("weak", "strong"), y, remember, METRICS["brier"], days, repeats=3)
    strong = next(item.permutation for item in found if item.feature == "strong")
    shuffled = predict(seen[2]).reshape(3, 300)
    losses = [METRICS["brier"](y, p) for p in shuffled]
    assert strong is not None
    assert strong.value == pytest.approx(np.mean(losses) - METRICS["brier"](y, predict(frame)))
    assert sorted(seen[2]["strong"].to_list()[:300]) == sorted(frame["strong"].to_list())
    assert seen[2]["weak"].to_list() == frame["weak"].to_list() * 3


def test_gain_and_groups_are_the_callers() -> None:
    frame, y, days = part(200)
    found = permutation_importance(
        frame, y, predict, METRICS["log_loss"], days, gain={"strong": 30.0, "weak": 10.0}, groups={"weak": "weather"}
    )
    assert {item.feature: item.gain for item in found} == {"strong": 0.75, "weak": 0.25, "unread": None}
    assert {item.feature: item.group for item in found} == {"strong": "strong", "weak": "weather", "unread": "unread"}


def test_the_sample_is_bounded_and_seeded_and_one_class_has_no_auc() -> None:
    frame, y, days = part(500)
    rows: list[int] = []

    def count(asked: pl.DataFrame) -> np.ndarray:
        rows.append(asked.height)
        return predict(asked)

    first = permutation_importance(frame, y, count, METRICS["auc"], days, at_most_rows=100, repeats=2)
    assert rows == [100, 200, 200, 200]
    assert first == permutation_importance(frame, y, predict, METRICS["auc"], days, at_most_rows=100, repeats=2)
    assert first[0].feature == "strong"
    assert first[0].permutation is not None
    assert first[0].permutation.value > 0.2  # labels stay with their rows
    none = permutation_importance(frame, np.zeros(500), predict, METRICS["auc"], days)
    assert all(item.permutation is None for item in none)
    empty = permutation_importance(frame.clear(), y[:0], predict, METRICS["auc"], days[:0])
    assert [item.permutation for item in empty] == [None] * 3

"""Slices: they partition each column, agree with the metric on their rows, and come worst first."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from mainspring.evaluation.bootstrap import intervals, resample
from mainspring.evaluation.metric import METRICS
from mainspring.evaluation.slices import slice_results

METRICS_USED = [METRICS["log_loss"], METRICS["auc"]]


def part(n: int = 4000) -> tuple[pl.DataFrame, np.ndarray, np.ndarray, np.ndarray]:
    """A part whose "bad" slice was predicted by noise, over 40 days."""
    random = np.random.default_rng(0)
    kind = random.choice(["good", "bad", "rare"], n, p=[0.6, 0.38, 0.02])
    truth = random.beta(1, 2, n)
    p = np.where(kind == "bad", random.permutation(truth), truth)
    frame = pl.DataFrame({"kind": kind, "size": random.normal(size=n)})
    return frame, (random.random(n) < truth).astype(float), p, random.integers(0, 40, n)


def test_slices_partition_every_column_and_the_worst_is_first() -> None:
    frame, y, p, days = part()
    found = slice_results(frame, y, p, resample(days), METRICS_USED, payoff=y)
    for column in frame.columns:
        assert sum(result.rows for result in found if result.column == column) == len(y)
    assert (found[0].column, found[0].value) == ("kind", "bad")
    firm = [result.metrics["log_loss"].value for result in found if not result.small]
    assert firm == sorted(firm, reverse=True)
    assert [result.small for result in found] == sorted(result.small for result in found)


def test_a_slice_is_judged_on_its_rows_with_the_resamples_of_the_part() -> None:
    frame, y, p, days = part()
    drawn = resample(days)
    found = next(r for r in slice_results(frame, y, p, drawn, METRICS_USED, payoff=y - p) if r.value == "good")
    rows = (frame["kind"] == "good").to_numpy()
    expected = intervals(METRICS_USED, y[rows], p[rows], drawn.of(rows), y[rows] - p[rows])
    assert {**found.metrics, "payoff": found.payoff} == expected
    assert (found.label_mean, found.predicted_mean) == pytest.approx((y[rows].mean(), p[rows].mean()))


def test_few_rows_few_days_and_few_positives_make_a_slice_small() -> None:
    y = np.concatenate([np.tile([0.0, 1.0], 150), np.zeros(281), np.ones(19), np.tile([0.0, 1.0], 49), [0.0]])
    value = ["firm"] * 200 + ["few days"] * 100 + ["few positives"] * 300 + ["few rows"] * 99
    days = np.concatenate([np.arange(200) % 30, np.arange(100) % 9, np.arange(300) % 30, np.arange(99) % 30])
    frame = pl.DataFrame({"c": value})
    found = slice_results(frame, y, np.full(len(y), 0.5), resample(days), METRICS_USED)
    assert {result.value for result in found if not result.small} == {"firm"}
    constant = slice_results(
        pl.DataFrame({"c": ["x"] * 50}), np.zeros(50), np.full(50, 0.1), resample(days[:50]), METRICS_USED
    )
    assert set(constant[0].metrics) == {"log_loss"}


def test_rare_values_are_pooled() -> None:
    values = [f"v{i % 7}" for i in range(700)] + ["w", "x"]
    y = np.arange(702) % 2.0
    found = slice_results(
        pl.DataFrame({"c": values}), y, np.full(702, 0.5), resample(np.arange(702)), METRICS_USED, most_values=7
    )
    assert {r.value: r.rows for r in found}["(other)"] == 2


def test_classes_and_numbers_have_slices_too() -> None:
    random = np.random.default_rng(0)
    y, p = random.integers(0, 3, 600), random.dirichlet(np.ones(3), 600)
    frame, drawn = pl.DataFrame({"c": ["a", "b"] * 300}), resample(np.arange(600) // 20)
    assert all(not r.small for r in slice_results(frame, y, p, drawn, [METRICS["log_loss"], METRICS["accuracy"]]))
    assert all(not r.small for r in slice_results(frame, p[:, 0], p[:, 1], drawn, [METRICS["rmse"]]))

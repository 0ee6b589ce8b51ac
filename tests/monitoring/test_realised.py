"""Quality by cohort is the metric over the cohort's rows, however their labels come."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mainspring as ms
from mainspring.clock import DAY
from mainspring.evaluation.metric import metric_named
from mainspring.monitoring.realised import Cohorts, figures_of, judged_by

TASKS = {"binary": ("log_loss", "brier"), "regression": ("rmse", "mae", "pinball")}
PAYOFF = ms.Payoff(hit=3, miss=-4, false_alarm=-1)


@given(st.sampled_from(sorted(TASKS)), st.lists(st.integers(1, 40), min_size=1, max_size=5), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_it_is_the_metric_over_the_rows_of_its_days(task: str, cuts: list[int], seed: int) -> None:
    rng, rows = np.random.default_rng(seed), sum(cuts)
    at = rng.integers(0, 5 * DAY, rows)
    p = rng.uniform(0.01, 0.99, rows)
    y = (rng.uniform(size=rows) < p).astype(float) if task == "binary" else rng.normal(size=rows)
    figures = figures_of(task, ms.Objective())
    cohorts, begin = Cohorts(DAY, tuple(figures)).predicted(np.concatenate([at, at[:1]])), 0
    for cut in cuts:
        part = slice(begin, begin + cut)
        cohorts, begin = (
            cohorts.matured(at[part], {n: f.row(y[part], p[part]) for n, f in figures.items()}),
            begin + cut,
        )
    for name in TASKS[task]:
        found = cohorts.quality(figures[name], 0, 5 * DAY)
        assert found is not None
        assert found.value == pytest.approx(metric_named(name, task)(y, p))
        assert found.low <= found.value <= found.high
        assert (found.known, found.predicted) == (rows, rows + 1)
        days = at < 2 * DAY
        early = cohorts.quality(figures[name], 0, 2 * DAY)
        assert (early is None) == (not days.any())
        if early is not None:
            assert early.value == pytest.approx(metric_named(name, task)(y[days], p[days]))


@pytest.mark.parametrize(
    ("task", "objective", "name"),
    [
        ("binary", ms.Objective(), "log_loss"),
        ("binary", ms.Objective(metric="auc", payoff=PAYOFF), "log_loss"),  # no mean over rows
        ("binary", ms.Objective(metric="brier"), "brier"),
        ("regression", ms.Objective(), "rmse"),
        ("regression", ms.Objective(metric="pinball", quantile=0.9), "pinball@0.9"),
        ("multiclass", ms.Objective(metric="accuracy"), "accuracy"),
    ],
)
def test_models_are_compared_by_the_objective_or_else_by_the_loss(
    task: str, objective: ms.Objective, name: str
) -> None:
    assert judged_by(figures_of(task, objective), task, objective).name == name

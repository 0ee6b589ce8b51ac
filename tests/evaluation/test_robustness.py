"""Declared checks: a model that keeps the promise passes, one that breaks it does not, impossible checks are refused."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from mainspring.declare import Check
from mainspring.errors import EvaluationError
from mainspring.evaluation.results import CheckResult
from mainspring.evaluation.robustness import run_checks

FRAME = pl.DataFrame(
    {
        "wind": [float(i % 40) for i in range(400)],
        "hour": [i % 24 - 12 for i in range(400)],
        "carrier": ["US", "VX"] * 200,
        "sparse": [None, 1.0] * 200,
        "gone": pl.Series([None] * 400, dtype=pl.Float64),
    }
)


def predict(frame: pl.DataFrame) -> np.ndarray:
    """Rises with wind, is 0.1 higher for US, ignores the hour."""
    return (frame["wind"] / 100 + (frame["carrier"] == "US") * 0.1).to_numpy()


def run(check: Check, model: object = predict) -> CheckResult:
    return run_checks([check], FRAME, model)[0]  # type: ignore[arg-type]


def test_invariance_holds_where_the_feature_is_ignored_and_fails_where_it_is_not() -> None:
    assert run(Check.invariance("hour")).passed
    assert run(Check.invariance("hour", to=(0, 23), at_most=0.0)).figure == 0.0
    found = run(Check.invariance("carrier", to=("VX", "US")))
    assert not found.passed
    assert found.figure == pytest.approx(0.05)  # half of the rows change by 0.1
    assert run(Check.invariance("carrier")).figure == pytest.approx(0.05, abs=0.01)
    assert run(Check.invariance("carrier", to=("new",), at_most=0.051)).passed


def test_direction_counts_the_rows_that_move_as_expected_or_stay() -> None:
    assert run(Check.direction("wind", by=1.0, expect="up", at_least=1.0)).passed
    assert run(Check.direction("wind", by=1.0, expect="down", at_least=0.1)).figure == 0.0
    assert run(Check.direction("wind", by=-1.0, expect="down", at_least=1.0)).passed
    assert run(Check.direction("hour", by=2, expect="down", at_least=1.0)).figure == 1.0
    assert run(Check.direction("sparse", by=1.0, expect="up")).rows == 200


def test_noise_is_in_standard_deviations_of_the_feature() -> None:
    found = run(Check.noise("wind", scale=0.5, at_most=1.0))
    expected = 0.5 * FRAME["wind"].to_numpy().std() / 100 * np.sqrt(2 / np.pi)  # the mean of |normal|
    assert found.figure == pytest.approx(expected, rel=0.15)
    assert not run(Check.noise("wind", scale=0.5, at_most=expected / 2)).passed


def test_types_and_missing_values_survive_the_change() -> None:
    seen: list[pl.DataFrame] = []

    def remember(frame: pl.DataFrame) -> np.ndarray:
        seen.append(frame)
        return predict(frame)

    checks = [
        Check.noise("hour", scale=1.0),
        Check.direction("hour", by=0.4, expect="up"),
        Check.noise("sparse"),
        Check.invariance("hour", to=(3.0,)),
    ]
    run_checks(checks, FRAME, remember)
    assert all(frame.schema == FRAME.schema for frame in seen)
    assert seen[3]["sparse"].null_count() == 200
    assert seen[2]["hour"].to_list() == FRAME["hour"].to_list()


def test_class_probabilities_change_as_two_classes_do() -> None:
    def two_classes(frame: pl.DataFrame) -> np.ndarray:
        p = predict(frame)
        return np.column_stack([1 - p, p])

    check = Check.invariance("carrier", to=("US",))
    assert run(check, two_classes).figure == pytest.approx(run(check).figure)
    with pytest.raises(EvaluationError, match="no direction"):
        run(Check.direction("wind", by=1.0, expect="up"), two_classes)


def test_a_check_without_rows_is_not_passed() -> None:
    for check in (Check.noise("gone"), Check.direction("gone", by=1.0, expect="up"), Check.invariance("gone", to=())):
        assert not run(check).passed
    assert not run_checks([Check.noise("wind")], FRAME.clear(), predict)[0].passed
    assert run_checks([], FRAME, predict) == []


def test_the_sample_is_bounded_and_seeded() -> None:
    checks = [Check.invariance("carrier"), Check.noise("wind")]
    first = run_checks(checks, FRAME, predict, seed=1, at_most_rows=50)
    assert [result.rows for result in first] == [50, 50]
    assert first == run_checks(checks, FRAME, predict, seed=1, at_most_rows=50)
    assert first != run_checks(checks, FRAME, predict, seed=2, at_most_rows=50)


@pytest.mark.parametrize(
    "check",
    [
        Check.invariance("color"),
        Check.direction("carrier", by=1.0, expect="up"),
        Check.noise("carrier"),
        Check.invariance("wind", to=("strong",)),
        Check("vibes", "wind"),
    ],
)
def test_an_impossible_check_is_refused(check: Check) -> None:
    with pytest.raises(EvaluationError) as caught:
        run(check)
    assert caught.value.code == "EVALUATE_CHECK"

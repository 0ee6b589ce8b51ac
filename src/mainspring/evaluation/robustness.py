"""Behavioural checks: change one feature, predict again, and see whether the prediction did what was declared of it.

In the manner of CheckList (Ribeiro et al., 2020): invariance, direction, and noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import numpy as np
import polars as pl

from mainspring.errors import EvaluationError
from mainspring.evaluation.results import CheckResult
from mainspring.evaluation.reweighting import Floats

__all__ = ["DeclaredCheck", "run_checks"]

Predict = Callable[[pl.DataFrame], Floats]
_STAYED = 1e-12  # a change this small is none


class DeclaredCheck(Protocol):
    """What a check says, as `mainspring.declare.Check` holds it; only the fields of its kind are read."""

    @property
    def kind(self) -> str:
        """ "invariance", "direction" or "noise"."""

    @property
    def feature(self) -> str:
        """The feature that is changed."""

    @property
    def name(self) -> str:
        """The check in words."""

    @property
    def to(self) -> Sequence[str | float | bool] | None:
        """Invariance: the values the feature is set to, one after the other; None shuffles the observed ones."""

    @property
    def at_most(self) -> float:
        """Invariance and noise: the greatest mean absolute change of the prediction."""

    @property
    def by(self) -> float:
        """Direction: what is added to the feature."""

    @property
    def expect(self) -> str:
        """Direction: "up" or "down"."""

    @property
    def at_least(self) -> float:
        """Direction: the share of rows that must move the expected way, or stay."""

    @property
    def scale(self) -> float:
        """Noise: its standard deviation, in standard deviations of the feature."""


def run_checks(
    checks: Iterable[DeclaredCheck],
    features: pl.DataFrame,
    predict: Predict,
    *,
    seed: int = 0,
    at_most_rows: int = 5_000,
) -> list[CheckResult]:
    """Return what the model did for each check, in their order, on a random sample of at most `at_most_rows` rows.

    `predict` maps a frame like `features` to predictions (n,) or (n, classes). A change is |new - old| of a probability or
    value; of class probabilities half the sum of absolute changes, which is the same thing for two classes. Missing values
    stay missing under direction and noise, and their rows are not counted; invariance sets or shuffles them like others. A
    whole-number feature stays one: the changed value is rounded. A check without a row to run on is not passed.

    Raises: EvaluationError (EVALUATE_CHECK) for a feature or value that does not exist, a direction or noise on what is not
    a number, and a direction of class probabilities.
    """
    declared = list(checks)
    for check in declared:
        _refuse_impossible(check, features)
    random = np.random.default_rng(seed)
    if features.height > at_most_rows:
        features = features[np.sort(random.choice(features.height, at_most_rows, replace=False))]
    before = predict(features) if declared and features.height else np.zeros(0)
    run = {"invariance": _invariance, "direction": _direction, "noise": _noise}
    return [run[check.kind](check, features, predict, before, random) for check in declared]


def _refuse_impossible(check: DeclaredCheck, features: pl.DataFrame) -> None:
    if check.feature not in features.columns:
        raise EvaluationError(
            "EVALUATE_CHECK",
            f"The check {check.name!r} is about the feature {check.feature!r}, which does not exist.",
            exists=f"Features are {', '.join(features.columns)}.",
            fix="Name one of these.",
        )
    if check.kind not in ("invariance", "direction", "noise"):
        raise EvaluationError(
            "EVALUATE_CHECK",
            f"The check {check.name!r} is of the kind {check.kind!r}, which does not exist.",
            exists="Kinds are invariance, direction and noise.",
            fix="Make checks with Check.invariance, Check.direction or Check.noise.",
        )
    if check.kind != "invariance" and not features[check.feature].dtype.is_numeric():
        raise EvaluationError(
            "EVALUATE_CHECK",
            f"The check {check.name!r} adds to the feature {check.feature!r}, which holds no numbers.",
            exists=f"It is of type {features[check.feature].dtype}.",
            fix="Use Check.invariance for it.",
        )


def _changed(before: Floats, after: Floats) -> Floats:
    moved = np.abs(after - before)
    return moved if moved.ndim == 1 else moved.sum(axis=1) / 2


def _result(check: DeclaredCheck, passed: bool, figure: float, limit: float, rows: int, message: str) -> CheckResult:
    if rows == 0:
        passed, message = False, f"There is no row with a value of {check.feature} to try this on."
    return CheckResult(
        name=check.name, kind=check.kind, passed=passed, figure=figure, limit=limit, rows=rows, message=message
    )


def _invariance(
    check: DeclaredCheck, features: pl.DataFrame, predict: Predict, before: Floats, random: np.random.Generator
) -> CheckResult:
    column = features[check.feature]
    if check.to is None:
        changes = {"shuffled": column.gather(random.permutation(len(column)))}
    else:
        changes = {f"set to {value!r}": _constant(check, value, column) for value in check.to}
    means = {how: _mean(_changed(before, _predicted(features, predict, new))) for how, new in changes.items()}
    how, figure = max(means.items(), key=lambda item: item[1], default=("", 0.0))
    message = f"With {check.feature} {how}, predictions change by {figure:.4g} on average; at most {check.at_most:g} is allowed."
    return _result(check, figure <= check.at_most, figure, check.at_most, features.height if means else 0, message)


def _constant(check: DeclaredCheck, value: str | float | bool, column: pl.Series) -> pl.Series:
    try:
        return pl.repeat(value, len(column), eager=True).cast(column.dtype).alias(check.feature)
    except (pl.exceptions.PolarsError, TypeError) as failure:
        raise EvaluationError(
            "EVALUATE_CHECK",
            f"The check {check.name!r} sets {check.feature!r} to {value!r}, which it cannot hold.",
            exists=f"It is of type {column.dtype}.",
            fix="Give values of that type.",
        ) from failure


def _direction(
    check: DeclaredCheck, features: pl.DataFrame, predict: Predict, before: Floats, random: np.random.Generator
) -> CheckResult:
    if before.ndim == 2:
        raise EvaluationError(
            "EVALUATE_CHECK",
            f"The check {check.name!r} expects the prediction to go {check.expect}.",
            exists="This model predicts the probabilities of several classes, which have no direction.",
            fix="Use Check.invariance or Check.noise.",
        )
    present = _present(features[check.feature])
    after = _predicted(features, predict, _shifted(features[check.feature], np.full(features.height, check.by)))
    move = (after - before)[present] * (1.0 if check.expect == "up" else -1.0)
    figure = _mean((move >= -_STAYED).astype(np.float64))
    message = (
        f"With {check.by:+g} on {check.feature}, {figure:.1%} of {len(move)} predictions go {check.expect} or stay; at least "
        f"{check.at_least:.0%} must."
    )
    return _result(check, figure >= check.at_least, figure, check.at_least, len(move), message)


def _noise(
    check: DeclaredCheck, features: pl.DataFrame, predict: Predict, before: Floats, random: np.random.Generator
) -> CheckResult:
    column = features[check.feature]
    present = _present(column)
    values = column.cast(pl.Float64).fill_nan(None).drop_nulls().to_numpy()
    deviation = check.scale * (float(values.std()) if len(values) else 0.0)
    after = _predicted(features, predict, _shifted(column, random.normal(0.0, 1.0, features.height) * deviation))
    figure = _mean(_changed(before, after)[present])
    message = (
        f"With noise of {check.scale:g} standard deviations ({deviation:.3g}) on {check.feature}, predictions change by "
        f"{figure:.4g} on average; at most {check.at_most:g} is allowed."
    )
    return _result(check, figure <= check.at_most, figure, check.at_most, int(present.sum()), message)


def _present(column: pl.Series) -> np.ndarray:
    return column.cast(pl.Float64).fill_nan(None).is_not_null().to_numpy()


def _shifted(column: pl.Series, by: Floats) -> pl.Series:
    moved = column.cast(pl.Float64) + pl.Series(by)
    if column.dtype.is_integer():
        low, high = column.dtype.min(), column.dtype.max()  # type: ignore[attr-defined]
        moved = moved.round().clip(pl.select(low).item(), pl.select(high).item())
    return moved.cast(column.dtype).alias(column.name)


def _predicted(features: pl.DataFrame, predict: Predict, column: pl.Series) -> Floats:
    return predict(features.with_columns(column)) if features.height else np.zeros(0)


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else 0.0

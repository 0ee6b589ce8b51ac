"""What a model must beat: simple competitors, learned from the same rows and judged on the same rows.

A baseline is a prediction for every test row. Whatever it needs to learn (a rate, a table of rates) it learns from the rows
that the model could be fitted on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mainspring.declare import Kind, System
from mainspring.features.alignment import align_frames
from mainspring.features.kernels import latest_position
from mainspring.training import Split, Task, Trainer, Wanted
from mainspring.training.dataset import Dataset

__all__ = ["Competitor", "competitors", "last_label"]

Floats = NDArray[np.float64]
_SHRINK = 20.0  # a rate of n rows is drawn towards the overall rate as if 20 more rows had it
_EFFORT, _ABLATION_ROWS = 0.25, 125_000  # ablations are fitted with a quarter of the trees, on about so many rows


@dataclass(frozen=True)
class Competitor:
    """A named prediction for the test rows, shaped like the model's."""

    name: str
    description: str
    kind: str
    prediction: Floats


@dataclass(frozen=True)
class _Rows:
    """What every baseline works with: all labels, and the rows to learn from and to predict."""

    y: Floats
    learn: NDArray[np.intp]
    test: NDArray[np.intp]
    task: Task

    def constant(self) -> Floats:
        """The prediction that knows the labels' distribution and nothing else, for one row."""
        known = self.y[self.learn]
        if self.task.kind == "multiclass":
            return np.bincount(known.astype(np.intp), minlength=len(self.task.classes)) / len(known)
        if self.task.kind == "regression" and self.task.loss != "squared":
            return np.atleast_1d(np.quantile(known, 0.5 if self.task.loss == "absolute" else self.task.quantile))
        return np.atleast_1d(known.mean())

    def from_groups(self, group: NDArray[np.intp], n_groups: int) -> Floats:
        """Predict each test row by the labels of its group, drawn towards the constant; `group` numbers all rows."""
        base = self.constant()
        learned, known = group[self.learn], self.y[self.learn]
        if self.task.kind == "multiclass":
            cells = learned * len(base) + known.astype(np.intp)
            total: Floats = np.bincount(cells, minlength=n_groups * len(base)).reshape(n_groups, -1).astype(np.float64)
        else:
            total = np.bincount(learned, weights=known, minlength=n_groups)[:, None].astype(np.float64)
        rows = np.bincount(learned, minlength=n_groups)[:, None]
        rates = (total + _SHRINK * base) / (rows + _SHRINK)
        return _shaped(rates[group[self.test]], self.task)


def competitors(
    system: System, dataset: Dataset, y: Floats, split: Split, trainer: Trainer, linear: Trainer
) -> Iterator[Competitor]:
    """Yield the baselines one by one: constant, last label, heuristic, linear, the model without each group of features.

    `y` (rows,) holds the labels as numbers, NaN where unknown. `trainer` is the model's own, `linear` fits a linear model
    on the same rows.
    """
    task = trainer.task
    rows = _Rows(y, split.refit, split.test, task)
    yield Competitor(
        "constant", _CONSTANT[task.kind], "constant", _shaped(np.tile(rows.constant(), (len(split.test), 1)), task)
    )
    last = _last_label(system, dataset, rows)
    if last is not None:
        yield last
    if dataset.heuristic is not None and system.heuristic is not None:
        yield _heuristic(repr(system.heuristic), dataset.heuristic, rows)
    test = dataset.features[split.test]
    yield Competitor(
        "linear",
        f"a {_LINEAR[task.kind]} model on the same features",
        "linear",
        linear.fit(Wanted(split.refit, split.test_from)).predict(test),
    )
    yield from _ablations(system, trainer, split, test)


_CONSTANT = {"binary": "the share of yes before the test part", "multiclass": "the shares of the classes before the test part",
             "regression": "the mean before the test part"}  # fmt: skip
_LINEAR = {"binary": "logistic", "multiclass": "logistic", "regression": "ridge"}


def _last_label(system: System, dataset: Dataset, rows: _Rows) -> Competitor | None:
    """Predict by the newest label of the same key that was known at the decision, for the key that tells most.

    Keys are the key and category columns of the decision's row. The choice is made on the rows learned from.
    """
    names = [c.name for c in system.decision.table.__schema__.columns if c.kind in {Kind.KEY, Kind.CATEGORY}]
    found: list[tuple[float, str, Floats]] = []
    for name in names:
        last = _last_known(dataset, name, rows.y)
        known = ~np.isnan(last[rows.learn])
        if known.mean() < 0.05:
            continue
        gap = rows.y[rows.learn][known] - last[rows.learn][known]
        missed = float((gap != 0).mean() if rows.task.kind != "regression" else np.abs(gap).mean())
        found.append((missed / float(known.mean()), name, last))
    if not found:
        return None
    _, name, last = min(found, key=lambda item: item[:2])
    description = f"the last label known for the same {name}"
    if rows.task.kind == "regression":
        chosen = last[rows.test]
        return Competitor(
            "last label", description, "last_label", np.where(np.isnan(chosen), rows.constant()[0], chosen)
        )
    groups = np.where(np.isnan(last), 0, last + 1).astype(np.intp)
    n_groups = 1 + max(2, len(rows.task.classes))
    return Competitor("last label", description, "last_label", rows.from_groups(groups, n_groups))


def last_label(
    system: System, dataset: Dataset, y: Floats, learn: NDArray[np.intp], test: NDArray[np.intp], task: Task
) -> Competitor | None:
    """Return the baseline that repeats the newest label of the same key; None where no key has one.

    Which key, and what its last label means for the next one, is learned from the rows of `learn`.
    """
    return _last_label(system, dataset, _Rows(y, learn, test, task))


def _last_known(dataset: Dataset, key: str, y: Floats) -> Floats:
    """The newest label of the same key that was known when each decision was made; NaN for none."""
    known = ~np.isnan(y)
    facts = (
        dataset.decisions.select(key)
        .with_columns(dataset.labels["label_known_at"].alias("_visible_at"), pl.Series("y", y))
        .filter(pl.Series(known))
        .sort("_visible_at", maintain_order=True)
    )
    alignment = align_frames(((key, key),), facts, dataset.decisions, dataset.decided_at)
    position = latest_position(alignment.floor, alignment.upper)
    values = np.append(alignment.of_facts(facts["y"].to_numpy()), np.nan)
    return alignment.in_given_order(values[position])  # position -1 reads the last entry


def _heuristic(description: str, values: pl.Series, rows: _Rows) -> Competitor:
    """A condition or category becomes its rate, a number a rate that rises with it; for a numeric label it is the answer."""
    if rows.task.kind == "regression" and values.dtype.is_numeric():
        answer = values.cast(pl.Float64).fill_null(float(rows.constant()[0])).to_numpy()[rows.test]
        return Competitor("heuristic", description, "heuristic", answer)
    if rows.task.kind == "binary" and values.dtype.is_numeric():
        return Competitor("heuristic", description, "heuristic", _rising_rate(values.cast(pl.Float64).to_numpy(), rows))
    groups = values.cast(pl.String).fill_null("").rank("dense").to_numpy().astype(np.intp)
    return Competitor("heuristic", description, "heuristic", rows.from_groups(groups, int(groups.max(initial=0)) + 1))


def _rising_rate(values: Floats, rows: _Rows) -> Floats:
    from sklearn.isotonic import IsotonicRegression

    learned, asked = values[rows.learn], values[rows.test]
    known = np.isfinite(learned)
    missing_rate = float(rows.y[rows.learn][~known].mean()) if (~known).any() else float(rows.constant()[0])
    if not known.any():
        return np.full(len(asked), missing_rate)
    edge = 1.0 / (known.sum() + 2)
    rising = IsotonicRegression(y_min=edge, y_max=1 - edge, out_of_bounds="clip").fit(
        learned[known], rows.y[rows.learn][known]
    )
    return np.where(np.isfinite(asked), rising.predict(np.where(np.isfinite(asked), asked, 0.0)), missing_rate)


def _ablations(system: System, trainer: Trainer, split: Split, test: pl.DataFrame) -> Iterator[Competitor]:
    """The model's own algorithm at a fraction of its cost, with all features and without each group."""
    groups: dict[str, list[str]] = {}
    for feature in system.features:
        groups.setdefault(system.group_of(feature), []).append(feature)
    if len(groups) < 2:
        return

    rows = split.refit[:: max(1, len(split.refit) // _ABLATION_ROWS)]

    def predict(without: Collection[str]) -> Floats:
        return trainer.fit(Wanted(rows, split.test_from, without=without, effort=_EFFORT)).predict(test)

    description = (
        f"the model with a quarter of its trees, fitted on {len(rows):,} decisions: compare the next rows with it"
    )
    yield Competitor("smaller model", description, "reduced", predict(()))
    for name, features in groups.items():
        description = f"the same without the {len(features)} features of {name}"
        yield Competitor(f"without {name}", description, "without", predict(features))


def _shaped(prediction: Floats, task: Task) -> Floats:
    """(rows, 1) becomes (rows,), the shape of a model's prediction."""
    return prediction if task.kind == "multiclass" else prediction[:, 0]

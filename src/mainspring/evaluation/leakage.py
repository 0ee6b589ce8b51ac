"""An audit for leakage: signs that a feature knows the label, or that test rows were already seen in training.

Nothing here is a proof; each function says what it measures and from where it finds it worth a person's look. Severity:
"error" is almost certainly a leak, "warning" deserves a look, "note" is a figure to know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mainspring.clock import MINUTE, format_span
from mainspring.evaluation.bootstrap import Resamples, interval_of, intervals
from mainspring.evaluation.grouping import group
from mainspring.evaluation.metric import METRICS, Metric
from mainspring.evaluation.results import LeakageFinding
from mainspring.evaluation.reweighting import Floats, totals

__all__ = [
    "NO_FACT",
    "known_close_to_label",
    "shared_groups",
    "shared_rows",
    "single_feature_figures",
    "too_good_alone",
]

NO_FACT = int(
    np.iinfo(np.int64).min // 2
)  # an instant at or below this: no fact was used, or one that was always known

# per task: figure from which a feature alone is an error, figure from which it is a warning if near the model's own
_LIMITS = {"binary": (0.95, 0.85), "multiclass": (0.95, 0.85), "regression": (0.99, 0.90)}
_NEAR_MODEL = 0.01
_PRIOR_ROWS = 10.0  # a category's mean is shrunk towards the overall mean as if by this many rows


def too_good_alone(
    features: pl.DataFrame, y: NDArray, task: str, model_figure: float | None = None, *, at_most_rows: int = 20_000
) -> list[LeakageFinding]:
    """Return the features that predict the label suspiciously well all alone, the best first.

    The figure is that of `single_feature_figures`. Error: an AUC of 0.95 (rank correlation 0.99 for a number) or more; the
    future is rarely that plain. Warning: an AUC of 0.85 (0.90) or more that also comes within 0.01 of `model_figure`, the
    same figure of the whole model: then the other features add nothing, as when one of them restates the label. Without
    `model_figure` the first half of that suffices. A strong honest predictor (yesterday's value of a slow series) can be
    warned about too; a person decides.
    """
    certain, suspicious = _LIMITS[task]
    name = "rank correlation with the label" if task == "regression" else "AUC"
    found: list[LeakageFinding] = []
    for feature, figure in single_feature_figures(features, y, task, at_most_rows=at_most_rows).items():
        as_good = model_figure is None or figure >= model_figure - _NEAR_MODEL
        if figure >= certain or (figure >= suspicious and as_good):
            beside = "" if model_figure is None else f", the whole model {model_figure:.3f}"
            found.append(
                LeakageFinding(
                    kind="too_good_alone",
                    severity="error" if figure >= certain else "warning",
                    subject=feature,
                    figure=figure,
                    message=f"{feature} alone reaches {name} {figure:.3f}{beside}. Check when its facts become known.",
                )
            )
    return sorted(found, key=lambda finding: -finding.figure)


def single_feature_figures(
    features: pl.DataFrame, y: NDArray, task: str, *, at_most_rows: int = 20_000
) -> dict[str, float]:
    """Return how well each feature alone ranks the label: AUC (multiclass: the best class against the rest) or |Spearman|.

    Rows are in order of time; of more than `at_most_rows` an even sample is taken. Numbers are ranked as they are, in
    either direction, with missing values tried below and above all others, because a value may leak by being absent. A
    category is coded by the label's mean in the *other* half of time, shrunk towards the overall mean, and judged within
    each half, so that many rare values do not look good by memory. Rows too few or of one class: 0.5 (0 for a number).
    """
    rows = np.unique(np.linspace(0, max(len(y) - 1, 0), min(len(y), at_most_rows)).astype(np.intp))
    targets = _targets(y[rows] if len(y) else y, task)
    figures: dict[str, float] = {}
    for name in features.columns:
        column = features[name].gather(rows) if len(y) else features[name]
        figures[name] = max((_figure(column, target, task) for target in targets), default=_chance(task))
    return figures


def _targets(y: NDArray, task: str) -> list[Floats]:
    if task != "multiclass":
        return [np.asarray(y, np.float64)]
    return [(y == code).astype(np.float64) for code in np.unique(y)]


def _chance(task: str) -> float:
    return 0.0 if task == "regression" else 0.5


def _figure(column: pl.Series, target: Floats, task: str) -> float:
    if column.dtype.is_numeric() or column.dtype.is_temporal() or column.dtype == pl.Boolean:
        values = column.to_physical().cast(pl.Float64).fill_null(np.nan).to_numpy()
        missing = np.isnan(values)
        if not missing.any():
            return _two_sided(_association(values, target, task), task)
        return max(
            _two_sided(_association(np.where(missing, end, values), target, task), task) for end in (-np.inf, np.inf)
        )
    code = group(column, most=len(column)).code
    middle = len(target) // 2
    halves = [(slice(0, middle), slice(middle, None)), (slice(middle, None), slice(0, middle))]
    return float(
        np.mean([_association(_coded(code, target, fit)[judge], target[judge], task) for fit, judge in halves])
    )


def _coded(code: NDArray[np.intp], target: Floats, fit: slice) -> Floats:
    size = int(code.max(initial=0)) + 1
    seen, total = np.bincount(code[fit], minlength=size), np.bincount(code[fit], weights=target[fit], minlength=size)
    overall = float(target[fit].mean()) if len(target[fit]) else 0.0
    return ((total + _PRIOR_ROWS * overall) / (seen + _PRIOR_ROWS))[code]


def _association(values: Floats, target: Floats, task: str) -> float:
    if task != "regression":
        area = METRICS["auc"].value_or_nan(target, values)
        return area if np.isfinite(area) else 0.5
    if len(values) < 3:
        return 0.0
    a, b = (pl.Series(x).rank("average").to_numpy() for x in (values, target))
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else 0.0


def _two_sided(figure: float, task: str) -> float:
    return abs(figure) if task == "regression" else max(figure, 1.0 - figure)


def known_close_to_label(
    decided_at: NDArray[np.int64],
    label_known_at: NDArray[np.int64],
    newest_fact: Mapping[str, NDArray[np.int64]] | None = None,
    *,
    within: int = 10 * MINUTE,
) -> list[LeakageFinding]:
    """Return the features whose newest fact became known suspiciously close to the label, and the label itself if it does.

    All instants are microseconds since the epoch, one per decision. `newest_fact` holds, per feature, the known_at of the
    newest fact that entered it; NO_FACT or less means none did. A fact known after its decision is an error: the time rules
    forbid it. A warning: in at least 1% of the decisions that have one, the newest fact became known at most `within`
    before the label, or after it. The label is the subject when it is known at most `within` after the decision in at least
    1% of decisions (a warning from 5%, a note below): then little is left to predict.
    """
    found: list[LeakageFinding] = []
    if len(decided_at) == 0:
        return found
    lead = label_known_at - decided_at
    soon = float((lead <= within).mean())
    if soon >= 0.01:
        found.append(
            LeakageFinding(
                kind="known_close_to_label",
                severity="warning" if soon >= 0.05 else "note",
                subject="label",
                figure=soon,
                message=f"In {soon:.1%} of decisions the label is known at most {format_span(within)} after the decision. "
                "Check that the decision is not made too late to be of use.",
            )
        )
    for feature, newest in (newest_fact or {}).items():
        has_fact = newest > NO_FACT
        if not has_fact.any():
            continue
        late = float((newest[has_fact] > decided_at[has_fact]).mean())
        close = float((label_known_at[has_fact] - newest[has_fact] <= within).mean())
        if late > 0:
            severity, figure = "error", late
            message = f"{feature} used a fact known after the decision in {late:.2%} of the decisions that have one."
        elif close >= 0.01:
            severity, figure = "warning", close
            message = (
                f"{feature} used a fact known at most {format_span(within)} before the label in {close:.1%} of the "
                "decisions that have one. Check that it does not follow from what decides the label."
            )
        else:
            continue
        found.append(
            LeakageFinding(
                kind="known_close_to_label", severity=severity, subject=feature, figure=figure, message=message
            )
        )
    return found


def shared_rows(train: pl.DataFrame, test: pl.DataFrame) -> LeakageFinding | None:
    """Return how many test rows have a training row with equal values in every common column; None when no row has.

    Few or coarse columns repeat by themselves, so the share is held against the expected one: the share of rows in the
    later half of `train` (rows in order of time) that repeat a row of its earlier half. Warning: beyond twice that plus
    0.1%; error: beyond twice that plus 10%; note: anything less. Rows are compared by a 64-bit hash; missing equals missing.
    """
    columns = [name for name in test.columns if name in train.columns]
    if not columns or train.height == 0 or test.height == 0:
        return None
    seen, asked = train.select(columns).hash_rows(seed=0), test.select(columns).hash_rows(seed=0)
    share = float(asked.is_in(seen.unique().implode()).mean() or 0.0)  # type: ignore[arg-type]
    if share == 0.0:
        return None
    middle = train.height // 2
    earlier = seen.head(middle).unique()
    expected = float(seen.tail(train.height - middle).is_in(earlier.implode()).mean() or 0.0)  # type: ignore[arg-type]
    excess = share - 2 * expected
    return LeakageFinding(
        kind="shared_rows",
        severity="error" if excess > 0.1 else "warning" if excess > 0.001 else "note",
        subject=f"{len(columns)} columns",
        figure=share,
        message=f"{share:.2%} of test rows equal a training row in all of {len(columns)} columns; "
        f"{expected:.2%} would be expected from how rows repeat within training.",
    )


def shared_groups(
    train: pl.DataFrame,
    test: pl.DataFrame,
    keys: Sequence[str],
    y: NDArray,
    p: Floats,
    metric: Metric,
    resamples: Resamples,
) -> list[LeakageFinding]:
    """Return, per key column, the share of the test part's groups seen in training, and the quality on seen and unseen ones.

    `test`, `y`, `p` and `resamples` are of the same rows. A warning when the metric is better on rows of seen groups and the
    interval of the difference, on the same resamples, excludes zero: the model may know groups by heart, and new ones will
    fare as the unseen. Otherwise a note. Rows whose key is missing belong to neither.
    """
    found: list[LeakageFinding] = []
    for key in keys:
        asked = test[key]
        groups, known = asked.drop_nulls().unique(), train[key].drop_nulls().unique()
        if len(groups) == 0:
            continue
        share = float(groups.is_in(known.implode()).mean() or 0.0)  # type: ignore[arg-type]
        seen = asked.is_in(known.implode()).fill_null(False).to_numpy()
        unseen = ~seen & asked.is_not_null().to_numpy()
        better, quality = _seen_better(y, p, metric, resamples, seen, unseen)
        found.append(
            LeakageFinding(
                kind="shared_groups",
                severity="warning" if better else "note",
                subject=key,
                figure=share,
                message=f"{share:.1%} of the {len(groups)} values of {key} in the test part were seen in training.{quality}",
            )
        )
    return found


def _seen_better(
    y: NDArray, p: Floats, metric: Metric, resamples: Resamples, seen: NDArray[np.bool_], unseen: NDArray[np.bool_]
) -> tuple[bool, str]:
    parts = [intervals([metric], y[rows], p[rows], resamples.of(rows)).get(metric.name) for rows in (seen, unseen)]
    if parts[0] is None or parts[1] is None:
        return False, ""
    replicated = []
    for rows in (seen, unseen):
        drawn = resamples.of(rows)
        enough = totals(np.ones(int(rows.sum())), drawn.block, drawn.counts)[0] > 0
        replicated.append(
            np.where(enough, metric.reweighted(y[rows], p[rows], None, drawn.block, drawn.counts), np.nan)
        )
    excess = interval_of(metric.loss(parts[1].value) - metric.loss(parts[0].value), _losses(metric, replicated))
    named = [f"{part.value:.4f} ({part.low:.4f} to {part.high:.4f})" for part in parts if part is not None]
    quality = f" {metric.name} on seen ones {named[0]}, on the {int(unseen.sum())} rows of unseen ones {named[1]}."
    return excess is not None and excess.low > 0, quality


def _losses(metric: Metric, replicated: Sequence[Floats]) -> Floats:
    sign = -1.0 if metric.greater_is_better else 1.0
    return sign * (replicated[1] - replicated[0])

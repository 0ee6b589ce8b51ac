"""Split decisions by time, so that every part is fitted and judged with labels that were known by then.

    ──────── train ────────┊┄ embargo ┄┃── calibrate ──┊┄ embargo ┄┃──────── test ────────▶
                                 calibrate_from                test_from               as_of

A part may use a label only when it was known at the boundary that ends the part: a model fitted for `calibrate_from` has
seen nothing that became known later. Decisions made earlier whose label came later stand under the embargo.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from mainspring.clock import format_instant, parse_instant, parse_span
from mainspring.errors import DataError, TrainingError

__all__ = ["NEVER", "Fold", "Split", "rolling_origin", "split_by_time"]

NEVER = np.iinfo(np.int64).max  # label_known_at of a label that is not known
_FEWEST = 20


@dataclass(frozen=True, eq=False, kw_only=True)
class Split:
    """The parts of a split: ascending row numbers, and the instants (microseconds) at which parts begin.

    `refit` holds everything a model for `test_from` may be fitted on: train, calibrate, and the rows between them whose
    labels came before the test part, of which there are `embargoed`. `left_out` counts the decisions that take no part
    at all, by reason.
    """

    train: np.ndarray
    calibrate: np.ndarray
    refit: np.ndarray
    test: np.ndarray
    calibrate_from: int
    test_from: int
    as_of: int
    embargoed: int
    left_out: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, kw_only=True)
class Fold:
    """One step of a rolling origin: train on what was known at `start`, judge decisions from `start` up to `end`."""

    train: np.ndarray
    judge: np.ndarray
    start: int
    end: int


def split_by_time(
    decided_at: np.ndarray,
    label_known_at: np.ndarray,
    *,
    test: str | int | float,
    calibrate: float,
    as_of: int,
    labelled: np.ndarray | None = None,
    window: str | None = None,
) -> Split:
    """Split decisions into train, calibrate and test.

    `decided_at` and `label_known_at` are int64 microseconds (rows,); a label that is not known has `NEVER`, or False in
    `labelled`. `test` is the instant from which decisions are for judging (text, or an int of microseconds), or the
    newest share (float) of the decisions whose label is known at `as_of`. `calibrate` is the newest share of the
    decisions before the test part whose label is known when it begins. With `window` only decisions less than that span
    older than a boundary train a model for it. Decisions made at the same instant are never divided: the part that
    begins with them has them all.

    Raises DataError (DATA_NO_LABELS, DATA_TOO_FEW) and TrainingError (TRAIN_SPLIT) when a part would be empty.
    """
    made = decided_at <= as_of
    known = made & (label_known_at <= as_of) & (True if labelled is None else labelled)
    _check_enough(int(known.sum()), len(decided_at), as_of)
    test_from = test if isinstance(test, int) else _boundary(test, decided_at[known])
    span = parse_span(window) if window is not None else None

    refit = _trainable(decided_at, label_known_at, known, test_from, span)
    tested = known & (decided_at >= test_from)
    if not refit.any() or not tested.any():
        _refuse_split(test_from, decided_at[known], refit=int(refit.sum()), tested=int(tested.sum()))
    calibrate_from = _newest(calibrate, decided_at[refit])
    calibrated = refit & (decided_at >= calibrate_from)
    train = _trainable(decided_at, label_known_at, known, calibrate_from, span)
    if not train.any():
        raise TrainingError(
            "TRAIN_SPLIT",
            f"No decision has a label that was known at {format_instant(calibrate_from)}, where the calibrate part begins.",
            exists=f"{refit.sum():,} decisions have a label that was known at {format_instant(test_from)}.",
            fix="Give a longer history, a later test part, a smaller calibrate share or a longer window.",
        )
    before = known & (decided_at < test_from)
    old = before & (decided_at <= test_from - span) & ~train if span is not None else np.zeros_like(before)
    reasons = {
        "made after the end of the history": ~made,
        "label not known": made & ~known,
        "older than the window": old,
        "label came after the test part began": before & ~old & ~refit & ~train,
    }
    return Split(
        train=np.flatnonzero(train),
        calibrate=np.flatnonzero(calibrated),
        refit=np.flatnonzero(refit),
        test=np.flatnonzero(tested),
        calibrate_from=calibrate_from,
        test_from=test_from,
        as_of=as_of,
        embargoed=int((refit & ~train & ~calibrated).sum()),
        left_out={reason: int(rows.sum()) for reason, rows in reasons.items() if rows.any()},
    )


def rolling_origin(
    decided_at: np.ndarray,
    label_known_at: np.ndarray,
    *,
    before: int,
    folds: int = 3,
    judged: float = 0.5,
    labelled: np.ndarray | None = None,
) -> list[Fold]:
    """Return `folds` steps that choose settings on history before an instant and never look past it.

    The newest `judged` share of the decisions whose label is known at `before` is cut into folds of about equal size;
    each is judged by a model trained on the labels that were known at its start (Tashman 2000, Out-of-sample tests of
    forecasting accuracy). Ends and starts meet, and decisions at one instant stay together.

    Raises DataError (DATA_NO_LABELS, DATA_TOO_FEW) and TrainingError (TRAIN_SPLIT) when a fold would be empty.
    """
    known = (decided_at < before) & (label_known_at <= before) & (True if labelled is None else labelled)
    _check_enough(int(known.sum()), len(decided_at), before)
    shares = [judged * (folds - k) / folds for k in range(folds)]
    starts = [_newest(share, decided_at[known]) for share in shares]
    found = []
    for start, end in zip(starts, [*starts[1:], before], strict=True):
        train = _trainable(decided_at, label_known_at, known, start, None)
        judge = known & (decided_at >= start) & (decided_at < end)
        if not train.any() or not judge.any():
            _refuse_split(start, decided_at[known], refit=int(train.sum()), tested=int(judge.sum()))
        found.append(Fold(train=np.flatnonzero(train), judge=np.flatnonzero(judge), start=start, end=end))
    return found


def _trainable(
    decided_at: np.ndarray, label_known_at: np.ndarray, known: np.ndarray, boundary: int, span: int | None
) -> np.ndarray:
    """Mark the rows a model for `boundary` may be fitted on."""
    rows = known & (decided_at < boundary) & (label_known_at <= boundary)
    return rows if span is None else rows & (decided_at > boundary - span)


def _boundary(test: str | float, decided_at: np.ndarray) -> int:
    return parse_instant(test) if isinstance(test, str) else _newest(test, decided_at)


def _newest(share: float, decided_at: np.ndarray) -> int:
    """Return the instant from which decisions make up at least the newest share."""
    count = min(len(decided_at), max(1, math.ceil(share * len(decided_at))))
    return int(np.partition(decided_at, len(decided_at) - count)[len(decided_at) - count])


def _check_enough(known: int, rows: int, as_of: int) -> None:
    if known == 0:
        raise DataError(
            "DATA_NO_LABELS",
            f"None of {rows:,} decisions has a label that is known at {format_instant(as_of)}.",
            fix="Give a longer history, or check the keys by which the label finds its rows.",
        )
    if known < _FEWEST:
        raise DataError(
            "DATA_TOO_FEW",
            f"{known} of {rows:,} decisions have a label that is known at {format_instant(as_of)}.",
            fix=f"At least {_FEWEST} are needed to train, calibrate and test; give a longer history.",
        )


def _refuse_split(boundary: int, decided_at: np.ndarray, *, refit: int, tested: int) -> None:
    raise TrainingError(
        "TRAIN_SPLIT",
        f"A split at {format_instant(boundary)} leaves {refit:,} decisions to train on and {tested:,} to judge.",
        exists=f"Decisions with a known label lie between {format_instant(int(decided_at.min()))} "
        f"and {format_instant(int(decided_at.max()))}.",
        fix="Choose another boundary, with labels that were known before it and decisions after it.",
    )

"""The proof: stream a history through the online state and compare every feature of every decision with batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from mainspring.features.online.state import OnlineState, StateSize
from mainspring.features.plan import Plan
from mainspring.features.rows import INSTANT

__all__ = ["TOLERANCE", "Verification", "plain_rows", "relative_errors", "verify_online"]

TOLERANCE = 1e-9
"""What sums, means, deviations, and whatever is computed from numbers may differ by, relative to batch."""
_PIECE = 20_000


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What a comparison found: how many values differ by more than the tolerance, and the largest relative error of all.

    `inexact` names the features of which not every value had the same bits, with how many had not; `wrong` those that
    differ by more than the tolerance, with the first decision (its row number) that shows it. `size` is what the state held
    after the last decision, once it had forgotten what it could.
    """

    decisions: int
    features: int
    different: int
    max_relative_error: float
    inexact: Mapping[str, int]
    wrong: Mapping[str, int]
    size: StateSize


def verify_online(
    work: Plan,
    decisions: pl.DataFrame,
    expected: pl.DataFrame,
    facts: Mapping[str, pl.DataFrame],
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Verification:
    """Compare the online state's answers with `expected`, those of `features.compute` for the same decisions and facts.

    Facts and decisions go through the state in order of time, one decision at a time, as they would have live; what is too
    old is let go on the way. `progress` is told how many decisions are done, of how many.
    """
    order = np.argsort(decisions["_at"].to_physical().to_numpy(), kind="stable")
    decisions, expected = decisions[order], expected[order]
    different, largest = 0, 0.0
    inexact: dict[str, int] = {}
    wrong: dict[str, int] = {}
    state = OnlineState(work)
    answers = _stream(state, decisions, facts)
    for begin in range(0, decisions.height, _PIECE):
        rows = [next(answers) for _ in range(min(_PIECE, decisions.height - begin))]
        for name, column in expected[begin : begin + len(rows)].to_dict().items():
            error = relative_errors(pl.Series([row[name] for row in rows], dtype=column.dtype, strict=False), column)
            if error.any():
                inexact[name] = inexact.get(name, 0) + int((error > 0).sum())
                finite = error[np.isfinite(error)]
                largest = max(largest, float(finite.max(initial=0.0)))
                beyond = np.flatnonzero(error > TOLERANCE)
                different += len(beyond)
                if len(beyond):
                    wrong.setdefault(name, int(order[begin + beyond[0]]))
        progress(begin + len(rows), decisions.height)
    state.forget()
    return Verification(
        decisions=decisions.height,
        features=expected.width,
        different=different,
        max_relative_error=largest,
        inexact=inexact,
        wrong=wrong,
        size=state.size(),
    )


def plain_rows(decisions: pl.DataFrame) -> Iterator[dict[str, object]]:
    """Yield decisions as the state takes them: instants in microseconds."""
    for piece in decisions.with_columns(pl.col(INSTANT).to_physical()).iter_slices(_PIECE):
        yield from piece.iter_rows(named=True)


def _stream(
    state: OnlineState, decisions: pl.DataFrame, facts: Mapping[str, pl.DataFrame]
) -> Iterator[dict[str, object]]:
    """Feed the state and ask it, in order of time."""
    at = decisions["_at"].to_physical().to_numpy()
    prepared = {name: state.prepare(name, facts[name]) for name in sorted(state.tables)}
    due = {name: np.searchsorted(part.times, at, side="right").tolist() for name, part in prepared.items()}
    done = dict.fromkeys(prepared, 0)
    for number, decision in enumerate(plain_rows(decisions)):
        for name, part in prepared.items():
            end = due[name][number]
            if end > done[name]:
                state.apply(part, done[name], end)
                done[name] = end
        state.advance(decision["_at"])  # type: ignore[arg-type]
        yield state.answer(decision)


def relative_errors(found: pl.Series, expected: pl.Series) -> np.ndarray:
    """The relative error of each value (0: the same); infinite where one is missing, or names and truths differ."""
    same = found.eq_missing(expected).to_numpy()
    error = np.where(same, 0.0, np.inf)
    if expected.dtype.is_numeric() and not same.all():
        a, b = (series.cast(pl.Float64).to_numpy() for series in (found, expected))
        gap = np.abs(a - b) / np.maximum(np.maximum(np.abs(a), np.abs(b)), np.finfo(float).tiny)
        error = np.where(same, 0.0, np.where(np.isnan(gap), np.inf, gap))
    return error

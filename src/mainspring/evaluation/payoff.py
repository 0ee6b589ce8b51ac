"""What the decisions were worth: per decision realised and expected, and the threshold at which acting pays best."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mainspring.declare import ErrorCost, Payoff
from mainspring.evaluation.reweighting import Floats

__all__ = ["best_threshold", "error_payoff", "expected_payoff", "payoff"]


def payoff(y: Floats, acted: NDArray[np.bool_], values: Payoff) -> Floats:
    """Return what each decision turned out to be worth (n,), from labels 0/1 and whether the system acted.

    Its mean with an interval is `intervals(..., payoff=...)`. The threshold at which acting starts to pay is
    `values.threshold`; see `best_threshold` for the one the rows themselves favour.
    """
    happened = np.asarray(y) > 0.5
    return np.where(
        acted,
        np.where(happened, float(values.hit), float(values.false_alarm)),
        np.where(happened, float(values.miss), float(values.correct_rejection)),
    )


def expected_payoff(p: Floats, acted: NDArray[np.bool_], values: Payoff) -> Floats:
    """Return what each decision is expected to be worth (n,) if the probabilities `p` (n,) are right.

    A mean far from the realised one says that they are not.
    """
    return np.where(
        acted,
        p * values.hit + (1.0 - p) * values.false_alarm,
        p * values.miss + (1.0 - p) * values.correct_rejection,
    )


def best_threshold(y: Floats, p: Floats, values: Payoff) -> tuple[float, float]:
    """Return the threshold t whose rule "act when p >= t" earned most on these rows, and its mean payoff per decision.

    Candidates are the predictions themselves and one above them all (never act); of equal ones the highest is taken. It is
    fitted to these rows, so its payoff flatters: compare it with `values.threshold`, which needs no data but relies on
    calibrated probabilities. Without rows: (values.threshold, 0).
    """
    if len(p) == 0:
        return float(values.threshold), 0.0
    order = np.argsort(-p, kind="stable")
    happened, ranked = np.asarray(y)[order] > 0.5, p[order]
    gained = np.where(happened, float(values.hit - values.miss), float(values.false_alarm - values.correct_rejection))
    idle = float(np.where(happened, float(values.miss), float(values.correct_rejection)).sum())
    last_of_ties = np.append(ranked[1:] != ranked[:-1], True)
    candidates = np.append(np.nextafter(ranked[0], np.inf), ranked[last_of_ties])
    worth = np.append(0.0, np.cumsum(gained)[last_of_ties])
    best = int(worth.argmax())
    return float(candidates[best]), (idle + float(worth[best])) / len(p)


def error_payoff(y: Floats, p: Floats, cost: ErrorCost) -> Floats:
    """Return what each prediction of a number was worth (n,): minus `over` per unit too high, minus `under` per unit too low."""
    error = p - y
    return -np.where(error > 0, float(cost.over) * error, -float(cost.under) * error)

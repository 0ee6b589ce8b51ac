"""The probability from which a yes/no decision is to act."""

from __future__ import annotations

from mainspring.declare.objective import Payoff

__all__ = ["decision_threshold"]


def decision_threshold(payoff: object) -> float:
    """Return where acting and not acting are worth the same (Elkan 2001); 0.5 without a Payoff.

    It follows from the payoff alone and is right for calibrated probabilities: nothing is tuned on data, so nothing can
    be overfitted and a new payoff needs no new model.
    """
    return payoff.threshold if isinstance(payoff, Payoff) else 0.5

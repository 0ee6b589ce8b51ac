"""Friction: how often users ask again, undo or abandon after an answer, held against its own history."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray
from scipy.special import expit, stdtrit

from mainspring.clock import parse_span
from mainspring.declare import Friction
from mainspring.evaluation.bootstrap import FEWEST_DAYS
from mainspring.monitoring.readings import Reading

__all__ = ["FrictionCohorts", "friction_readings"]

_HISTORY = 28  # cohorts that the newest is held against
_FEWEST = 5.0  # of the variance of a cohort's count, under which it is not near normal


class FrictionCohorts(Struct, frozen=True):
    """How many decisions met with one kind of friction, per cohort of `width` microseconds of decision time: (all, met).

    A value: `settled` returns a new one. Guarantee: the same for the same rows in any order and any cut into calls, as long
    as no row is older than the newest `kept` cohorts when it comes; such are forgotten.
    """

    width: int
    kept: int = _HISTORY + 2  # the newest, and one that has begun
    held: dict[int, tuple[int, int]] = {}

    def settled(self, decided_at: NDArray[np.int64], met: NDArray[np.float64]) -> FrictionCohorts:
        """Count decisions whose friction is settled: 1 or 0 (n,). Rows with NaN are left out."""
        there = ~np.isnan(met)
        number, yes = decided_at[there] // self.width, met[there] > 0.0
        held = dict(self.held)
        for each in np.unique(number).tolist():
            mine, before = number == each, held.get(each, (0, 0))
            held[each] = (before[0] + int(mine.sum()), before[1] + int(yes[mine].sum()))
        oldest = max(held, default=0) - self.kept
        return replace(self, held={each: held[each] for each in sorted(held) if each > oldest})


def friction_readings(
    counted: Mapping[str, FrictionCohorts], frictions: Mapping[str, Friction], *, now: int, alpha: float = 0.01
) -> list[Reading]:
    """Say for each kind of friction, by name, whether it rose in the newest cohort that is wholly settled at `now`.

    Its log odds are held against those of the 28 cohorts before it, of which ten are needed; cohorts differ from each other by
    more than chance, and that is counted (a random effect; Student's t, one-sided). Guarantee: of the cohorts in which
    nothing rose, a share alpha raise any of the alarms given here (Bonferroni), up to the normal approximation, however
    often each is looked at: between two cohorts the answer stays. That is per cohort: over a year there will be false ones.
    """
    level = alpha / max(len(frictions), 1)
    return [_reading(name, counted[name], friction, now, level) for name, friction in frictions.items()]


def _reading(name: str, cohorts: FrictionCohorts, friction: Friction, now: int, level: float) -> Reading:
    monitor = f"friction {name}"
    newest = (now - parse_span(friction.within)) // cohorts.width - 1
    rows, met = cohorts.held.get(newest, (0, 0))
    past = [each for number, each in cohorts.held.items() if newest - _HISTORY <= number < newest]
    before = np.array(past, np.float64).reshape(-1, 2)
    share = float((before[:, 1].sum() + 0.5) / (before[:, 0].sum() + 1.0))
    variance = share * (1.0 - share)
    unknown = ""
    if len(before) < FEWEST_DAYS:
        unknown = f"There are {len(before)} cohort(s) to hold the newest against; {FEWEST_DAYS} are needed."
    elif rows * variance < _FEWEST:
        unknown = f"{rows:,} decisions of the newest cohort are too few to tell whether {share:.2%} of them rose."
    if unknown:
        return Reading(monitor=monitor, kind="outcomes", state="unknown", severity="note", told=unknown)
    odds, noise = _log_odds(before[:, 1], before[:, 0])
    of_days = max(
        0.0, float(odds.var(ddof=1) - noise.mean())
    )  # how far days differ beyond what chance makes of a share
    chance = 1.0 / (rows * variance)
    spread = math.sqrt(of_days + chance + (of_days + float(noise.mean())) / len(before))
    limit = float(expit(odds.mean() + stdtrit(len(before) - 1, 1.0 - level) * spread))
    found = met / rows
    return Reading(
        monitor=monitor,
        kind="outcomes",
        value=found,
        limit=limit,
        state="firing" if found > limit else "ok",
        severity="ticket" if found > limit else "note",
        told=f"{found:.2%} of {rows:,} decisions met with it, and {share:.2%} in the {len(before)} cohorts before.",
    )


def _log_odds(met: NDArray, rows: NDArray) -> tuple[NDArray, NDArray]:
    """Return empirical log odds and their variances (Haldane 1956; Gart and Zweifel 1967)."""
    yes, no = met + 0.5, rows - met + 0.5
    return np.log(yes / no), 1.0 / yes + 1.0 / no

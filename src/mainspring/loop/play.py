"""Play: what happened in a span of history happens again, at a running server, over HTTP."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import polars as pl

from mainspring.answers import Prediction
from mainspring.client import Client
from mainspring.clock import MINUTE, SECOND
from mainspring.declare import System, Table
from mainspring.errors import DataError
from mainspring.features import find_decisions
from mainspring.lake import Lake

__all__ = ["Played", "Score", "play", "read_score"]

_SLOT_SECONDS = 0.1  # of real time: how often facts are sent
_ROWS_AT_ONCE = 1000
# Of history: a server answers decisions for which it is asked late up to its grace, an hour unless it was told another.
_LONGEST_WAIT, _LONGEST_RUN = 30 * MINUTE, 10 * MINUTE


@dataclass(frozen=True)
class Played:
    """What has been played when history was at `now` (microseconds)."""

    now: int
    facts: int
    predictions: int
    refused: int


@dataclass(frozen=True, eq=False)
class Score:
    """What is played between `begin` and `end`: facts by table and decisions, each in order of time."""

    begin: int
    end: int
    facts: tuple[tuple[int, str, dict[str, Any]], ...]  # from when it is visible, its table, the row
    decisions: tuple[tuple[int, dict[str, Any]], ...]


def read_score(system: System, lake: Lake, begin: int, end: int) -> Score:
    """Read what became visible, and what was to be decided, after `begin` and not after `end` (microseconds).

    Raises DataError (DATA_NO_DECISIONS) when there is nothing, WorkspaceError.
    """
    facts: list[tuple[int, str, dict[str, Any]]] = []
    decisions: list[tuple[int, dict[str, Any]]] = []
    for table in system.tables:
        known = lake.read(table, known_before=end + 1)
        visible = pl.col("_visible_at").to_physical()
        for at, row in zip(*_timed(table, known.filter(visible > begin), "_visible_at"), strict=True):
            facts.append((at, table.__schema__.name, row))
        if table is system.decision.table:
            found = find_decisions(system.decision, known, start=begin, until=end).frame
            due = found.filter(pl.col("_at").to_physical() > begin)
            decisions = list(zip(*_timed(table, due, "_at"), strict=True))
    if not facts:
        raise DataError(
            "DATA_NO_DECISIONS",
            "There are no facts in this span to be played.",
            fix="Choose another span with --from and --days.",
        )
    facts.sort(key=lambda fact: fact[0])  # stable: ties stay in the order of the lake
    return Score(begin, end, tuple(facts), tuple(decisions))


def play(
    score: Score,
    client: Client,
    *,
    speed: float,
    wait_until: Callable[[float], None],
    tell: Callable[[Played], None] = lambda moment: None,
) -> Played:
    """Rewind the server to where the score begins and send it what comes, `speed` seconds of history in a second.

    Facts go in the order in which they became visible, and a decision is asked for when history has passed its time, or is
    about to pass it by more than half an hour, for a server answers late questions only up to its grace: so features are
    what they were. `wait_until` waits until so many seconds after the beginning; `tell` is told each slot.

    Raises ClientError.
    """
    client.rewind(_instant(score.begin))
    step = max(1, round(speed * _SLOT_SECONDS * SECOND))
    due = deque(score.decisions)
    fact, predictions, refused = 0, 0, 0
    slot, now = 0, score.begin

    def ask(before: int) -> None:
        nonlocal predictions, refused
        asked = []
        while due and due[0][0] < before:
            asked.append(due.popleft()[1])
        for begin in range(0, len(asked), _ROWS_AT_ONCE):
            answers = client.predict_many(asked[begin : begin + _ROWS_AT_ONCE])
            answered = sum(isinstance(answer, Prediction) for answer in answers)
            predictions, refused = predictions + answered, refused + len(answers) - answered

    while now < score.end:
        slot += 1
        now = min(score.end, score.begin + slot * step)
        first = fact
        while fact < len(score.facts) and score.facts[fact][0] <= now:
            fact += 1
        for table, begin, rows in _runs(score.facts[first:fact]):
            ask(begin - _LONGEST_WAIT)
            client.push(table, rows)
            ask(begin)  # not for decisions at that very instant: other tables may have facts of it yet to come
        tell(Played(now, fact, predictions, refused))
        wait_until(slot * _SLOT_SECONDS)
    ask(score.end + 1)
    return Played(now, fact, predictions, refused)


def _runs(facts: Sequence[tuple[int, str, dict[str, Any]]]) -> Iterator[tuple[str, int, list[Mapping[str, Any]]]]:
    """Facts of one table that come one after the other, with the time of the first: no table runs ahead of another.

    None is longer than decisions can wait.
    """
    for (table, _), run in groupby(facts, key=lambda fact: (fact[1], fact[0] // _LONGEST_RUN)):
        rows = list(run)
        yield table, rows[0][0], [row for _, _, row in rows]


def _timed(table: type[Table], frame: pl.DataFrame, time: str) -> tuple[list[int], list[dict[str, Any]]]:
    """Rows as a client sends them, with the names that the data has, and the time of each."""
    columns = [pl.col(column.name).alias(column.source or column.name) for column in table.__schema__.columns]
    return frame[time].to_physical().to_list(), frame.select(columns).to_dicts()


def _instant(at: int) -> Any:
    return pl.Series([at]).cast(pl.Datetime("us", "UTC"))[0]

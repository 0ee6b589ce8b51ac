"""The online state: facts come in one at a time or many, and every feature of a decision is answered from memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import compress
from typing import Any

import numpy as np
import polars as pl

from mainspring.clock import format_instant
from mainspring.declare import Aggregate, Kind
from mainspring.declare.kind import STRINGS
from mainspring.errors import DataError
from mainspring.features.online import kernels
from mainspring.features.online.intake import (
    MISSING_TIME,
    Prepared,
    PreparedLane,
    Texts,
    prepare_lane,
    row_values,
    slots_of,
    times_of,
)
from mainspring.features.online.layout import Group, lay_out
from mainspring.features.online.one_row import feature_function
from mainspring.features.plan import Plan

__all__ = ["OnlineState", "StateSize"]

_FIRST_WORDS, _FIRST_SLOTS = 1 << 16, 64
_BEGINNING = np.iinfo(np.int64).min // 4  # before every visible time but ALWAYS


@dataclass(frozen=True)
class StateSize:
    """How much a state holds: `facts` counts each fact once for each lane that counts it."""

    keys: Mapping[str, int]  # by group: "arrival by tailnum"
    facts: Mapping[str, int]
    bytes: int

    @property
    def n_facts(self) -> int:
        """The facts of all groups together."""
        return sum(self.facts.values())


@dataclass(frozen=True, eq=False)
class Contents:
    """The parts of a state: keys by group in the order of their slots, texts by code, slots, and the arena."""

    keys: list[list[Any]]
    texts: list[str]
    slots: np.ndarray
    words: np.ndarray


class OnlineState:
    """All that the features of a plan need to know, for decisions from the watermark on.

    Facts may come in any order of their visible time; of facts with the same time the one that came last is the latest. A
    fact must be given once: whoever feeds the state knows which are new. Decisions may be asked as of any instant from
    `grace` before the watermark on: facts that came later than it are not seen. Facts that no window can hold any more are
    let go, so that memory is bounded by the longest window and the number of keys.

    Every answer has the same bits as in batch, except sums, means and deviations: those agree to within 1e-9 (see
    `features.kernels`; most have the same bits too). Not for several threads at once.
    """

    def __init__(self, work: Plan, *, grace: int = 0) -> None:
        """`grace` (microseconds) is how far before the watermark a decision may still be asked for."""
        self.plan = work
        self.grace = grace
        self.watermark = _BEGINNING
        self.generation = 0
        self._layout = lay_out(work)
        self._keys: list[dict[Any, int]] = [{} for _ in self._layout.groups]
        self._texts = Texts()
        self._words = np.empty(_FIRST_WORDS, np.int64)
        self._used = 0
        self._slots = np.zeros((_FIRST_SLOTS, 4), np.int64)
        self._lane_of = np.zeros(_FIRST_SLOTS, np.int64)
        self._n_slots = 0
        self._prepare_answers()

    # -- facts ---------------------------------------------------------------------------------------------------------

    @property
    def tables(self) -> frozenset[str]:
        """The names of the tables that the features read."""
        return frozenset(group.scan.table.__schema__.name for group in self._layout.groups)

    def add(self, table: str, facts: pl.DataFrame) -> None:
        """Take in facts, in the order in which they arrived; `facts` has the table's columns and `_visible_at`."""
        self.apply(self.prepare(table, facts))

    def prepare(self, table: str, facts: pl.DataFrame) -> Prepared:
        """Work out what the lanes take from a frame, without taking it in: `apply` does that, whole or in pieces."""
        groups = [group for group in self._layout.groups if group.scan.table.__schema__.name == table]
        wanted = {
            row.fingerprint: row
            for group in groups
            for lane in group.lanes
            for row in (*lane.numbers, *(row for row, _ in lane.payloads), lane.where, lane.present)
            if row is not None
        }
        values = row_values(facts, wanted.values()) if facts.height else {}
        lanes: list[PreparedLane] = []
        for group in groups if facts.height else ():
            first_slots = slots_of(group, facts, partial(self._slot, group))
            lanes += [
                prepare_lane(lane, group.first_lane + offset, first_slots, offset, values, self._texts)
                for offset, lane in enumerate(group.lanes)
            ]
        return Prepared(table, times_of(facts), tuple(lanes), self.generation)

    def apply(self, prepared: Prepared, begin: int = 0, end: int | None = None) -> None:
        """Take in the prepared facts [begin, end)."""
        if prepared.generation != self.generation:
            raise ValueError("these facts were prepared before `forget`; prepare them again")
        stop = len(prepared) if end is None else end
        for lane in prepared.lanes:
            position = begin
            while position < stop:
                position, used = kernels.insert(
                    self._words, self._reals, self._used, self._slots, lane.lane, self._layout.lanes,
                    lane.rows, prepared.times, lane.values, lane.payloads, position, stop, self.watermark,
                )  # fmt: skip
                if used == kernels.FULL:
                    self._make_room()
                else:
                    self._used = used

    def advance(self, now: int) -> None:
        """Promise that no decision before `now` less the grace will be asked for; the watermark never goes back."""
        self.watermark = max(self.watermark, now - self.grace)

    def forget(self) -> None:
        """Let go of every fact and every key that no decision can need any more. What was prepared is void."""
        self._compact(0)
        counts = self._slots[: self._n_slots, kernels.COUNT_OF]
        kept: list[np.ndarray] = []
        for group, keys in zip(self._layout.groups, self._keys, strict=True):
            width = len(group.lanes)
            slots = np.fromiter(keys.values(), np.int64, len(keys))[:, None] + np.arange(width)
            alive = counts[slots].any(axis=1)
            first, names = sum(map(len, kept)), list(compress(keys, alive))
            keys.clear()
            keys.update(zip(names, range(first, first + len(names) * width, width), strict=True))
            kept.append(slots[alive].ravel())
        order = np.concatenate([np.empty(0, np.int64), *kept])
        self._slots[: len(order)], self._lane_of[: len(order)] = self._slots[order], self._lane_of[order]
        self._n_slots = len(order)
        self.generation += 1

    # -- decisions -----------------------------------------------------------------------------------------------------

    def answer(self, decision: Mapping[str, Any]) -> dict[str, Any]:
        """Answer every feature of one decision.

        `decision` has `_at` and the columns of the decision's table as plain values: instants in microseconds, None for
        missing. Values come back as `features.reference` gives them.

        Raises DataError (DATA_FORGOTTEN) for a decision before the watermark: facts that it needs may be gone.
        """
        aggregates = self.aggregates(decision)
        return {name: function(decision, aggregates) for name, function in self._functions}

    def aggregates(self, decision: Mapping[str, Any]) -> list[Any]:
        """Answer every aggregate of the plan, in the order of its scans."""
        at = decision["_at"]
        if at < self.watermark:
            raise DataError(
                "DATA_FORGOTTEN",
                f"A decision at {format_instant(at)} is too old to be answered from memory.",
                exists=f"Facts are kept for decisions from {format_instant(self.watermark)} on.",
                fix="Compute it in batch (mainspring score), or serve with a longer --grace.",
            )
        slots = [keys.get(key(decision), kernels.NO_SLOT) for keys, key in zip(self._keys, self._key_of, strict=True)]
        firsts = np.array(slots, np.int64)[self._layout.groups_of] if slots else self._layout.groups_of
        kernels.answer(
            self._words, self._reals, self._slots, self._layout.lanes, self._layout.asked, firsts, at,
            self._found, self._picked,
        )  # fmt: skip
        found, words, reals = self._found.tolist(), self._picked.tolist(), self._picked.view(np.float64).tolist()
        values: list[Any] = [None if value != value else value for value in found]
        for place, decode in self._decoded:
            values[place] = decode(found[place], words, reals)
        return values

    def size(self) -> StateSize:
        """Count keys and facts by group, and the bytes they take."""
        counts = self._slots[: self._n_slots, kernels.COUNT_OF]
        lanes = self._lane_of[: self._n_slots]
        facts = {
            group.scan.name: int(
                counts[(lanes >= group.first_lane) & (lanes < group.first_lane + len(group.lanes))].sum()
            )
            for group in self._layout.groups
        }
        keys = {group.scan.name: len(held) for group, held in zip(self._layout.groups, self._keys, strict=True)}
        return StateSize(keys, facts, self._words.nbytes + self._slots.nbytes)

    # -- as bytes: see snapshot.py ---------------------------------------------------------------------------------------

    def contents(self) -> Contents:
        """Return all that the state holds; the arrays are its own: not to be written to."""
        keys = [list(held) for held in self._keys]
        return Contents(keys, self._texts.texts, self._slots[: self._n_slots], self._words[: self._used])

    def restore(self, keys: list[list[Any]], texts: list[str], slots: np.ndarray, words: np.ndarray, now: int) -> None:
        """Take over the contents of another state of the same plan, of which everything was forgotten that could be."""
        self.watermark = now
        self._texts.texts[:] = texts
        self._texts.codes.update((text, code) for code, text in enumerate(texts))
        self._used = len(words)
        self._words = np.empty(max(_FIRST_WORDS, self._used + self._used // 4), np.int64)
        self._words[: self._used] = words
        lanes: list[int] = []
        for group, held, names in zip(self._layout.groups, self._keys, keys, strict=True):
            width = len(group.lanes)
            held.update((key, len(lanes) + i * width) for i, key in enumerate(names))
            lanes += list(range(group.first_lane, group.first_lane + width)) * len(names)
        self._n_slots = len(lanes)
        self._slots = np.concatenate([slots, np.zeros((_FIRST_SLOTS, 4), np.int64)])
        self._lane_of = np.concatenate([np.array(lanes, np.int64), np.zeros(_FIRST_SLOTS, np.int64)])

    # -- inside --------------------------------------------------------------------------------------------------------

    @property
    def _reals(self) -> np.ndarray:
        return self._words.view(np.float64)

    def _slot(self, group: Group, key: Any) -> int:
        """Find the first slot of a key, or make one for each lane of its group."""
        keys = self._keys[self._layout.groups.index(group)]
        slot = keys.get(key)
        if slot is None:
            width = len(group.lanes)
            while self._n_slots + width > len(self._slots):
                self._slots = np.concatenate([self._slots, np.zeros_like(self._slots)])
                self._lane_of = np.concatenate([self._lane_of, np.zeros_like(self._lane_of)])
            slot = keys[key] = self._n_slots
            self._slots[slot : slot + width] = 0
            self._lane_of[slot : slot + width] = range(group.first_lane, group.first_lane + width)
            self._n_slots += width
        return slot

    def _make_room(self) -> None:
        """Let old facts go; take twice the memory where that does not free half of it."""
        self._compact(len(self._words) // 2)

    def _compact(self, spare: int) -> None:
        slots, lanes = self._slots[: self._n_slots], self._lane_of[: self._n_slots]
        needed = kernels.sweep(self._words, slots, lanes, self._layout.lanes, self.watermark, self._words[:0])
        words = np.empty(max(_FIRST_WORDS, needed + max(spare, needed // 4)), np.int64)
        self._used = kernels.sweep(self._words, slots, lanes, self._layout.lanes, self.watermark, words)
        self._words = words

    def _prepare_answers(self) -> None:
        layout = self._layout
        places = {aggregate.fingerprint: place for place, aggregate in enumerate(layout.aggregates.values())}
        self._functions = [
            (name, feature_function(expression, places)) for name, expression in self.plan.expressions.items()
        ]
        self._key_of = [_key_function(group) for group in layout.groups]
        self._found = np.empty(len(layout.asked))
        self._picked = np.empty(len(layout.asked), np.int64)
        self._decoded = [
            (place, decode)
            for place, (aggregate, known) in enumerate(zip(layout.aggregates.values(), layout.known, strict=True))
            if (decode := _decoder(place, aggregate, int(layout.asked[place, kernels.STATISTIC]), known, self._texts))
        ]


def _key_function(group: Group) -> Callable[[Mapping[str, Any]], Any]:
    """How a decision's row names its key; a missing part is a key that no fact has."""
    columns = [ours for _, ours in group.scan.by]
    if not columns:
        return lambda row: ()
    if len(columns) == 1:
        name = columns[0]
        return lambda row: row[name]
    return lambda row: tuple([row[name] for name in columns])


Decoder = Callable[[float, list[int], list[float]], Any]


def _decoder(place: int, aggregate: Aggregate, statistic: int, known: int, texts: Texts) -> Decoder | None:
    """How the kernel's answer becomes a value: the number found, the words picked, the same words as floats.

    None where the number found is the value.
    """
    if statistic in (kernels.COUNT, kernels.DISTINCT):
        return lambda found, words, reals: words[place]
    if statistic not in (kernels.LATEST, kernels.FIRST_VALUE):
        whole = aggregate.kind in {Kind.INT, Kind.TIME, Kind.SPAN}
        return (lambda found, words, reals: None if found != found else int(found)) if whole else None
    return _picker(place, aggregate.kind, known, texts.texts)


def _picker(place: int, kind: Kind | None, known: int, names: list[str]) -> Decoder:
    if kind in STRINGS:
        return lambda found, words, reals: names[words[place]] if found == 1.0 and words[place] >= 0 else None
    if kind is Kind.BOOL:
        return lambda found, words, reals: words[place] == 1 if found == 1.0 and words[place] >= 0 else None
    if kind is Kind.INT:
        return lambda found, words, reals: words[place] if found == 1.0 and (known < 0 or words[known] == 1) else None
    if kind is Kind.FLOAT:
        return lambda found, words, reals: reals[place] if found == 1.0 and reals[place] == reals[place] else None
    return lambda found, words, reals: words[place] if found == 1.0 and words[place] != MISSING_TIME else None

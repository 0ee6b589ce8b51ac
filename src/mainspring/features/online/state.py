"""The online state: facts come in one at a time or many, and every feature of a decision is answered from memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from mainspring.clock import format_instant
from mainspring.errors import DataError
from mainspring.features.online import kernels, regions
from mainspring.features.online.intake import (
    Prepared,
    PreparedLane,
    prepare_lane,
    row_values,
    slots_of,
    times_of,
)
from mainspring.features.online.keys import Keys
from mainspring.features.online.layout import lay_out
from mainspring.features.online.lookups import slots_function, values_function
from mainspring.features.online.one_row import features_function
from mainspring.features.online.texts import Texts
from mainspring.features.plan import Plan

__all__ = ["OnlineState", "StateSize"]

_FIRST_WORDS = 1 << 16
_EVERYTHING = np.iinfo(np.int64).max
_BEGINNING = np.iinfo(np.int64).min // 4  # before every visible time but ALWAYS


@dataclass(frozen=True)
class StateSize:
    """How much a state holds: `facts` counts each fact once for each lane that counts it.

    Bytes are those of the arena, which is as large as it ever had to be since everything was last forgotten at once, and about
    those of keys and texts, as Python counts its objects.
    """

    keys: Mapping[str, int]  # by group: "arrival by tailnum"
    facts: Mapping[str, int]
    arena_bytes: int
    key_bytes: int
    text_bytes: int

    @property
    def bytes(self) -> int:
        """The bytes of everything together."""
        return self.arena_bytes + self.key_bytes + self.text_bytes

    @property
    def n_facts(self) -> int:
        """The facts of all groups together."""
        return sum(self.facts.values())


@dataclass(frozen=True, eq=False)
class Contents:
    """The parts of a state: keys by group in the order of their slots, texts by number, slots, and the arena."""

    keys: list[list[Any]]
    texts: list[str | None]
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
        self._keys = Keys(self._layout.groups)
        self._texts = Texts()
        self._words = np.empty(_FIRST_WORDS, np.int64)
        self._used = np.zeros(2, np.int64)
        self._free = np.full((len(self._layout.lanes), regions.LEVELS), regions.NOWHERE)
        self._looked = 0  # the slot that forgetting goes on from
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
        groups = {n: group for n, group in enumerate(self._layout.groups) if group.scan.table.__schema__.name == table}
        wanted = {
            row.fingerprint: row
            for group in groups.values()
            for lane in group.lanes
            for row in (*lane.numbers, *(row for row, _ in lane.payloads), lane.where, lane.present)
            if row is not None
        }
        values = row_values(facts, wanted.values()) if facts.height else {}
        lanes: list[PreparedLane] = []
        for number, group in groups.items() if facts.height else ():
            first_slots = slots_of(group, facts, partial(self._keys.slot, number))
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
                position = kernels.insert(
                    self._words, self._reals, self._used, self._free, self._keys.slots, lane.lane, self._layout.lanes,
                    lane.rows, prepared.times, lane.values, lane.payloads, position, stop, self.watermark,
                )  # fmt: skip
                if position < stop:
                    self._compact(max(len(self._words) // 2, int(self._used[1])))

    def advance(self, now: int) -> None:
        """Promise that no decision before `now` less the grace will be asked for; the watermark never goes back."""
        self.watermark = max(self.watermark, now - self.grace)

    def forget(self, came: int | None = None) -> None:
        """Let go of every fact, key and text that no decision can need any more. What was prepared is void.

        With `came`, how many facts came since this was last called, the state goes on from where it then stopped and looks at
        twice the room that so many facts can take: a server that calls it after each request never stands still for long, and
        holds at most about twice what it needs. What is let go serves what comes next. Without `came` it looks at everything,
        the arena is made as small as it can be, and the slots of the keys follow one another.
        """
        if came is None:
            self._looked = 0
            self._texts.begin_round()
            self._look_through(_EVERYTHING)
            self._keys.close_up()
            self._compact(0)
        else:
            self._look_through(2 * came * (self._layout.texts.shape[0] + int(self._layout.texts.sum())))
        self.generation += 1

    # -- decisions -----------------------------------------------------------------------------------------------------

    def answer(self, decision: Mapping[str, Any]) -> dict[str, Any]:
        """Answer every feature of one decision.

        `decision` has `_at` and the columns of the decision's table as plain values: instants in microseconds, None for
        missing. Values come back as `features.reference` gives them.

        Raises DataError (DATA_FORGOTTEN) for a decision before the watermark: facts that it needs may be gone.
        """
        features: dict[str, Any] = self._features(decision, self.aggregates(decision))
        return features

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
        slots = self._slots_of(self._keys.of, decision)
        firsts = np.array(slots, np.int64)[self._layout.groups_of] if slots else self._layout.groups_of
        kernels.answer(
            self._words, self._reals, self._keys.slots, self._layout.lanes, self._layout.asked, firsts, at,
            self._found, self._picked,
        )  # fmt: skip
        picked = self._picked
        return self._values(self._found.tolist(), picked.tolist(), picked.view(np.float64).tolist(), self._texts.texts)

    def size(self) -> StateSize:
        """Count keys and facts by group, and the bytes they take; quick enough to be asked every few seconds."""
        used, groups = self._keys.used, self._layout.groups
        counts = self._keys.slots[:used, regions.COUNT_OF]
        by_lane = np.bincount(self._keys.lane_of[:used], counts, len(self._layout.lanes)).astype(np.int64)
        facts = {
            group.scan.name: int(by_lane[group.first_lane : group.first_lane + len(group.lanes)].sum())
            for group in groups
        }
        keys = {group.scan.name: len(held) for group, held in zip(groups, self._keys.of, strict=True)}
        return StateSize(keys, facts, self._words.nbytes, self._keys.bytes, self._texts.bytes)

    # -- as bytes: see snapshot.py ---------------------------------------------------------------------------------------

    def contents(self) -> Contents:
        """Return all that the state holds, after `forget`; the arrays are its own: not to be written to."""
        keys = [list(held) for held in self._keys.of]
        slots, words = self._keys.slots[: self._keys.used], self._words[: self._used[0]]
        return Contents(keys, self._texts.texts, slots, words)

    def restore(
        self, keys: list[list[Any]], texts: list[str | None], slots: np.ndarray, words: np.ndarray, now: int
    ) -> None:
        """Take over the contents of another state of the same plan, of which everything was forgotten that could be."""
        self.watermark = now
        self._keys.take_over(keys, slots)
        self._texts = Texts(texts)
        self._used[0] = len(words)
        self._words = np.empty(max(_FIRST_WORDS, len(words) + len(words) // 4), np.int64)
        self._words[: len(words)] = words
        self._prepare_answers()

    # -- inside --------------------------------------------------------------------------------------------------------

    @property
    def _reals(self) -> np.ndarray:
        return self._words.view(np.float64)

    def _look_through(self, budget: int) -> None:
        """Forget from where it last stopped on: key by key, then the texts that no key's facts were seen to have."""
        gone = np.empty(min(budget, self._keys.used), np.int64)
        self._looked, n_gone = regions.look_through(
            self._words, self._used, self._free, self._keys.slots, self._keys.lane_of[: self._keys.used],
            self._layout.lanes, self._layout.texts, self._texts.kept, self._looked, budget, self.watermark, gone,
        )  # fmt: skip
        self._keys.remove(gone[:n_gone].tolist())
        if self._looked == self._keys.used and self._texts.let_go(budget):
            self._looked = 0

    def _compact(self, spare: int) -> None:
        """Move what is not too old to a new arena that has `spare` words more, and at least a quarter."""
        lane_of = self._keys.lane_of[: self._keys.used]
        arena = self._words, self._used, self._free, self._keys.slots, lane_of, self._layout.lanes, self.watermark
        needed = regions.compact(*arena, self._words[:0])
        words = np.empty(max(_FIRST_WORDS, needed + max(spare, needed // 4)), np.int64)
        regions.compact(*arena, words)
        self._words = words

    def _prepare_answers(self) -> None:
        layout = self._layout
        places = {aggregate.fingerprint: place for place, aggregate in enumerate(layout.aggregates.values())}
        self._features = features_function(self.plan.expressions, places)
        self._slots_of, self._values = slots_function(layout.groups), values_function(layout)
        self._found = np.empty(len(layout.asked))
        self._picked = np.empty(len(layout.asked), np.int64)

"""The router: which arm answers a decision. The same key gets the same arm, as long as the shares stay."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

from mainspring.answers import Arm
from mainspring.ledger import check_arms
from mainspring.model.fast import CompiledModel
from mainspring.serving.batching import MicroBatcher

__all__ = ["LoadedArm", "Router", "Shares", "key_text", "only"]

_BITS = 64


@dataclass(frozen=True, eq=False)
class LoadedArm:
    """An arm and the model that answers for it."""

    arm: Arm
    model: CompiledModel
    batcher: MicroBatcher | None = None  # where it pays to ask the model for many at once


class Shares:
    """Which arm a key goes to, by the shares of arms that answer.

    Guarantees: over many keys each arm gets its share of them; a key keeps its arm across restarts and servers; when shares
    change, a key moves only to an arm whose share grew or from one whose share shrank. Every arm has its own stream of
    numbers, hashed from system, arm and key, and the one with the least -log(u) / share answers (weighted rendezvous
    hashing: Schindelhauer and Schomaker 2005, "Weighted Distributed Hash Tables").
    """

    def __init__(self, system: str, arms: Sequence[Arm]) -> None:
        self._answering = [
            (arm.share, blake2b(f"{system}\0{arm.name}\0".encode(), digest_size=_BITS // 8), place)
            for place, arm in enumerate(arms)
            if arm.role != "shadow"
        ]

    def pick(self, key: Sequence[Any]) -> int:
        """Return the place of the arm that answers for a key: the values of its columns."""
        if len(self._answering) == 1:
            return self._answering[0][2]
        text = key_text(key).encode()
        best, least = self._answering[0][2], math.inf
        for share, begun, place in self._answering:
            digest = begun.copy()
            digest.update(text)
            uniform = (int.from_bytes(digest.digest(), "big") + 1) / (2.0**_BITS + 1)
            waited = -math.log(uniform) / share
            if waited < least:
                best, least = place, waited
        return best


def key_text(key: Sequence[Any]) -> str:
    """Return the values of a key as one text, by which it is told from others."""
    return "\0".join(map(str, key))


class Router:
    """Picks an arm for each decision, by the key of its row (`Shares`). Never changed: other shares are another router."""

    def __init__(self, system: str, keys: Sequence[str], arms: Sequence[LoadedArm]) -> None:
        """`keys` are the columns that name a decision's row. Raises LedgerError (LEDGER_ARMS)."""
        by_name = {loaded.arm.name: loaded for loaded in arms}
        checked = check_arms([loaded.arm for loaded in arms])
        loaded = [replace(by_name[arm.name], arm=arm) for arm in checked]
        self.loaded = tuple(loaded)
        self.arms = tuple(each.arm for each in loaded)
        self.champion = loaded[0]
        self.shadows = {arm.name: arm.model for arm in self.arms if arm.role == "shadow"}
        self._keys = tuple(keys)
        self._alone = sum(arm.role != "shadow" for arm in self.arms) == 1
        self._shares = Shares(system, self.arms)

    def pick(self, row: Mapping[str, Any]) -> LoadedArm:
        """Return the arm that answers for a decision's row."""
        if self._alone:
            return self.champion
        return self.loaded[self._shares.pick([row[name] for name in self._keys])]


def only(system: str, keys: Sequence[str], model: CompiledModel, version: str) -> Router:
    """Return the router of a system with one model: it answers everything."""
    return Router(system, keys, [LoadedArm(Arm(name="champion", role="champion", model=version, share=1.0), model)])

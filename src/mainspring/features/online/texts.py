"""Texts by number, so that a fact in the arena holds a word for each: numbered when first seen, let go when no fact has them."""

from __future__ import annotations

from collections.abc import Sequence
from sys import getsizeof

import numpy as np
import polars as pl

from mainspring.features.text_codes import number_text

__all__ = ["Texts"]

_CODE_BYTES = getsizeof(1 << 16)


class Texts:
    """Numbers texts: the same number for the same text as long as a fact holds it.

    Texts are let go in rounds. In a round whoever holds facts makes `kept` true at the number of every text that they have,
    and what is numbered meanwhile is kept as well; then `let_go` lets the others go, and their numbers are given anew.
    """

    def __init__(self, texts: Sequence[str | None] = ()) -> None:
        """`texts` by number; None where a number is free."""
        self.texts: list[str | None] = list(texts)
        self.kept = np.zeros(max(64, len(self.texts)), np.bool_)
        self._codes = {text: code for code, text in enumerate(self.texts) if text is not None}
        self._free = [code for code, text in enumerate(self.texts) if text is None]
        self._looked = 0  # the number that letting go goes on from
        self._text_bytes = sum(_bytes_of(text) for text in self._codes)

    def __len__(self) -> int:
        return len(self._codes)

    @property
    def bytes(self) -> int:
        """About how many bytes they take."""
        return self._text_bytes + sum(map(getsizeof, (self.texts, self._codes, self._free))) + self.kept.nbytes

    def number(self, values: pl.Series) -> np.ndarray:
        """Return the number of each text (int64); -1 where it is missing."""
        codes, _ = number_text(values.cast(pl.String))
        known = [self._code(text) for text in values.cast(pl.String).drop_nulls().unique(maintain_order=True)]
        self.kept[known] = True
        return np.array([*known, -1], np.int64)[codes]

    def begin_round(self) -> None:
        """Begin a round anew: nothing is kept yet."""
        self.kept[:] = False
        self._looked = 0

    def let_go(self, budget: int) -> bool:
        """Look at the next `budget` texts and let go of those not kept; after the last one return True and begin a round."""
        begin, self._looked = self._looked, min(self._looked + budget, len(self.texts))
        for code in (begin + np.flatnonzero(~self.kept[begin : self._looked])).tolist():
            text = self.texts[code]
            if text is not None:
                del self._codes[text]
                self.texts[code] = None
                self._free.append(code)
                self._text_bytes -= _bytes_of(text)
        over = self._looked == len(self.texts)
        if over:
            self.begin_round()
        return over

    def _code(self, text: str) -> int:
        code = self._codes.get(text)
        if code is not None:
            return code
        if self._free:
            code = self._free.pop()
            self.texts[code] = text
        else:
            code = len(self.texts)
            self.texts.append(text)
            if code == len(self.kept):
                self.kept = np.concatenate([self.kept, np.zeros_like(self.kept)])
        self._codes[text] = code
        self._text_bytes += _bytes_of(text)
        return code


def _bytes_of(text: str) -> int:
    return getsizeof(text) + _CODE_BYTES

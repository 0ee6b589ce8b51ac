"""The trees of a LightGBM model laid out as arrays, for being walked without LightGBM.

All trees stand one after the other in one array of nodes of 16 bytes, brothers side by side. A step goes from a node to its
first child or the one after it, and finds out which without a branch that a processor could guess wrongly:

    second = value > threshold, or the value is missing and the node's set does not say "first"

Everything a model can ask is put in this form beforehand, by what a row writes into the cells from which nodes read values:

- Missing values. For a feature that had none in training a missing value is 0; where 0 stood for missing both are NaN;
  otherwise missing is NaN. LightGBM notes which with every split, so a cell belongs to a feature and a way to read it.
- Categories. The value is always NaN, and the set says whether the category goes first. The answers of all sets of a
  feature for one category lie side by side, so that a row reads few cache lines however many splits there are.
- Leaves. A leaf is a node that leads to itself: it reads a cell that is always missing, goes first, and its threshold is
  the leaf's value. Trees of different depths can then be walked together until none of them moves.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mainspring.errors import BundleError

__all__ = ["CELL", "LANES", "NODE", "Forest", "read_forest"]

LANES = 8  # trees walked side by side: a processor waits for the memory of all of them at once
NODE = np.dtype([("threshold", "f8"), ("first", "i4"), ("cell", "u2"), ("set", "u2")])
CELL = np.dtype([("feature", "i8"), ("reading", "i8"), ("offset", "i8"), ("stride", "i8"), ("codes", "i8")])

# A cell's reading; the first three as LightGBM counts them.
ZERO_FOR_MISSING, MISSING_FOR_ZERO, AS_IT_IS, CATEGORY = 0, 1, 2, 3
IDENTITY, SIGMOID, SOFTMAX = 0, 1, 2  # from a sum of leaves to what the objective means by it

_LINKS = {
    "regression": IDENTITY, "regression_l1": IDENTITY, "quantile": IDENTITY, "huber": IDENTITY, "fair": IDENTITY,
    "mape": IDENTITY, "binary": SIGMOID, "multiclass": SOFTMAX,
}  # fmt: skip
_NO_CELL, _SECOND, _FIRST = 0, 0, 1  # the cell that is always missing; the two sets of nodes that compare numbers


@dataclass(frozen=True, eq=False)
class Forest:
    """Trees as arrays. Guarantee: walking from a root never leaves them, whatever text they were read from.

    `words` (uint64) holds the answers of all sets: first the word of nodes that compare numbers, then for each feature with
    categories a row of words for each code and a last one of zeros for every other value. `roots` (outputs, trees) is
    filled up to a multiple of `LANES` with a leaf of value 0.
    """

    nodes: np.ndarray
    words: np.ndarray
    roots: np.ndarray
    cells: np.ndarray
    link: int
    scale: float


def read_forest(text: str, positions: Sequence[int]) -> Forest | None:
    """Read a model in LightGBM's text format; `positions` says where in a row each of its features stands.

    Returns None for what is left to LightGBM itself: random forests, linear leaves, rare objectives, and models of more
    than 65,535 cells or sets of a feature.

    Raises BundleError (BUNDLE_FORMAT) when a tree leads in circles.
    """
    head, *blocks = text.partition("\nend of trees")[0].split("\nTree=")
    header = _fields(head)
    objective, *options = header.get("objective", "none").split()
    if objective not in _LINKS or "sqrt" in options or "average_output" in head.splitlines():
        return None
    trees = [_fields(block) for block in blocks]
    if any(tree.get("is_linear", "0") != "0" for tree in trees):
        return None
    outputs = int(header["num_tree_per_iteration"])
    layout = _Layout(positions)
    roots = [layout.add_tree(tree) for tree in trees]
    nothing = layout.add_leaf(0.0)
    by_output = [roots[output::outputs] for output in range(outputs)]
    filled = [each + [nothing] * (-len(each) % LANES) for each in by_output]
    if max(len(layout.cells), *(len(sets) for sets in layout.sets.values()), 0) > np.iinfo(np.uint16).max:
        return None
    words, cells = layout.answers()
    return Forest(
        nodes=np.array([tuple(node) for node in layout.nodes], NODE),
        words=words,
        roots=np.array(filled, np.int64),
        cells=cells,
        link=_LINKS[objective],
        scale=float(dict(option.partition(":")[::2] for option in options).get("sigmoid", 1.0)),
    )


class _Layout:
    """Collects nodes, the cells they read, and the sets of categories they ask for."""

    def __init__(self, positions: Sequence[int]) -> None:
        self.nodes: list[list[float | int]] = []  # threshold, first, cell, set
        self.cells: dict[tuple[int, int], int] = {}  # (feature, reading): number, from 1
        self.sets: dict[int, dict[tuple[int, ...], int]] = {}  # feature: its bit sets, numbered
        self._positions = positions

    def add_leaf(self, value: float) -> int:
        self.nodes.append([value, len(self.nodes), _NO_CELL, _FIRST])
        return len(self.nodes) - 1

    def add_tree(self, tree: dict[str, str]) -> int:
        """Lay a tree out breadth first and return its root."""
        leaf_values = [float(value) for value in tree["leaf_value"].split()]
        root = self.add_leaf(leaf_values[0])
        if len(leaf_values) == 1:
            return root
        left, right, feature, decision = (
            [int(value) for value in tree[name].split()]
            for name in ("left_child", "right_child", "split_feature", "decision_type")
        )
        threshold = [float(value) for value in tree["threshold"].split()]
        sets = _bit_sets(tree)
        waiting = deque([(0, root)])
        while waiting:
            node, place = waiting.popleft()
            if node < 0:
                self.nodes[place][0] = leaf_values[~node]
                continue
            if len(self.nodes) - root >= 2 * len(leaf_values) - 1:
                raise BundleError(
                    "BUNDLE_FORMAT", "A tree of the model leads in circles.", fix="Train the model again."
                )
            first, second = self.add_leaf(0.0), self.add_leaf(0.0)
            waiting += [(left[node], first), (right[node], second)]
            if decision[node] & 1:
                wanted = sets[int(threshold[node])]
                known = self.sets.setdefault(feature[node], {})
                number = known.setdefault(wanted, len(known))
                self.nodes[place] = [0.0, first, self._cell(feature[node], CATEGORY), number]
            else:
                cell = self._cell(feature[node], decision[node] >> 2 & 3)
                self.nodes[place] = [threshold[node], first, cell, _FIRST if decision[node] & 2 else _SECOND]
        return root

    def _cell(self, feature: int, reading: int) -> int:
        return self.cells.setdefault((feature, reading), len(self.cells) + 1)

    def answers(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the words of all sets, and the cells with the place of their feature's words."""
        words = [np.array([1 << _FIRST], np.uint64)]
        cells = np.zeros(len(self.cells) + 1, CELL)
        cells["reading"][_NO_CELL] = CATEGORY  # of no codes: whatever it reads is missing
        offset = 1
        for (feature, reading), number in self.cells.items():
            cells[number] = (self._positions[feature], reading, 0, 0, 0)
            if reading == CATEGORY:
                table = _answers_by_code(list(self.sets[feature]))
                cells[number] = (self._positions[feature], reading, offset, table.shape[1], len(table) - 1)
                words.append(table.ravel())
                offset += table.size
        return np.concatenate(words), cells


def _fields(block: str) -> dict[str, str]:
    return dict(line.partition("=")[::2] for line in block.splitlines() if "=" in line)


def _bit_sets(tree: dict[str, str]) -> list[tuple[int, ...]]:
    """Return the sets of a tree, each the words of 32 bits in which the bits of its codes are set."""
    if tree["num_cat"] == "0":
        return []
    words = [int(word) for word in tree["cat_threshold"].split()]
    ends = [int(end) for end in tree["cat_boundaries"].split()]
    return [tuple(words[begin:end]) for begin, end in pairwise(ends)]


def _answers_by_code(sets: list[tuple[int, ...]]) -> np.ndarray:
    """Return for each code the bits of all sets that hold it (codes + 1, words); the last row is zeros: no set holds it."""
    width = max(map(len, sets))
    held = np.array([each + (0,) * (width - len(each)) for each in sets], "<u4").view(np.uint8)
    bits = np.unpackbits(held, axis=1, bitorder="little").T
    padded = np.pad(bits, ((0, 1), (0, -bits.shape[1] % 64)))
    return np.ascontiguousarray(np.packbits(padded, axis=1, bitorder="little")).view("<u8").astype(np.uint64)

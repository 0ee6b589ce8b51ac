"""What is seen of tables at each look: at all looks of a history at once, from frames, or at one look live, from the lake.

Both count the same facts alike, as long as a fact is in the lake when it becomes visible. A static table is not watched. The rejected
rows of a history have no instant, so that a replay sees none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import polars as pl
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from mainspring.clock import DAY, HOUR, parse_span
from mainspring.declare import Table, TableSchema
from mainspring.lake import Lake, RecentRows
from mainspring.monitoring.inputs import TableSeen

__all__ = ["LookedAt", "seen_in_lake", "tables_seen"]

_LATE = HOUR  # beyond known_at + lag
_STRAGGLERS = DAY  # what comes into the lake later than this after it became visible is counted nowhere
_VISIBLE, _SEQ = "_visible_at", "_seq"

Instants = NDArray[np.int64]


class LookedAt(Struct, frozen=True):
    """How far the lake has been looked at: the instant (microseconds), and the newest `_seq` of each table and its quarantine."""

    now: int
    rows: dict[str, int] = {}
    rejected: dict[str, int] = {}
    newest: dict[str, int] = {}  # when the newest row counted became visible


def tables_seen(
    tables: Iterable[type[Table]], frames: Mapping[str, pl.DataFrame], looks: Sequence[int] | Instants
) -> list[dict[str, TableSeen]]:
    """Return what is seen of each table, by name, at each of ascending instants (microseconds).

    `frames` are those of a lake, with `_visible_at`. The first look sees all that was visible by then, each other one what became
    visible since the one before.
    """
    at = np.asarray(looks, dtype=np.int64)
    found: list[dict[str, TableSeen]] = [{} for _ in range(len(at))]
    for schema in _watched(tables):
        frame = frames[schema.name].sort(_VISIBLE, maintain_order=True)
        visible = frame[_VISIBLE].to_physical().to_numpy()
        late = np.concatenate([[0], np.cumsum(_late(schema, frame))])
        ends = np.searchsorted(visible, at, "right")
        begins = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
        gaps = _longest(np.diff(visible, prepend=visible[:1]), begins, ends)
        for k, (begin, end) in enumerate(zip(begins.tolist(), ends.tolist(), strict=True)):
            newest = int(visible[end - 1]) if end else None
            found[k][schema.name] = TableSeen(end - begin, 0, int(late[end] - late[begin]), newest, int(gaps[k]))
    return found


def seen_in_lake(
    lake: Lake | RecentRows, tables: Iterable[type[Table]], now: int, before: LookedAt | None
) -> tuple[dict[str, TableSeen], LookedAt]:
    """Return what is seen of each table at a look, and how far the lake is looked at then; `before` is that of the last look.

    A row that came into the lake after it had become visible is counted at the next look, if within a day.

    Raises WorkspaceError.
    """
    last = before or LookedAt(-1)
    found: dict[str, TableSeen] = {}
    rows, rejected = dict(last.rows), dict(last.rejected)
    for table in tables:
        if table.__schema__.static:
            continue
        name = table.__schema__.name
        after = None if before is None else before.now - _STRAGGLERS
        frame = lake.read(table, columns=_known_at(table.__schema__), known_after=after, known_before=now + 1)
        seq, set_aside = frame[_SEQ].to_numpy(), lake.quarantine(table)[_SEQ].to_numpy()
        new = (frame[_VISIBLE].to_physical().to_numpy() > last.now) | (seq > last.rows.get(name, -1))
        found[name] = _seen(table.__schema__, frame, new, last.newest.get(name))
        found[name] = replace(found[name], rejected=int((set_aside > last.rejected.get(name, -1)).sum()))
        rows[name] = max(rows.get(name, -1), int(seq.max(initial=-1)))
        rejected[name] = max(rejected.get(name, -1), int(set_aside.max(initial=-1)))
    newest = {name: each.newest for name, each in found.items() if each.newest is not None}
    return found, LookedAt(now, rows, rejected, {**last.newest, **newest})


def _seen(schema: TableSchema, frame: pl.DataFrame, new: NDArray[np.bool_], before: int | None) -> TableSeen:
    """What is seen of sorted rows of which some are new; `before` is when the newest row that was counted became visible."""
    visible = frame[_VISIBLE].to_physical().to_numpy()
    gaps = np.diff(visible, prepend=visible[:1] if before is None else [before]).clip(min=0)
    newest = [*([] if before is None else [before]), *visible[-1:].tolist()]
    return TableSeen(
        rows=int(new.sum()),
        late=int(_late(schema, frame)[new].sum()),
        newest=max(newest, default=None),
        gap=int(gaps[new].max(initial=0)),
    )


def _watched(tables: Iterable[type[Table]]) -> list[TableSchema]:
    return [table.__schema__ for table in tables if not table.__schema__.static]


def _known_at(schema: TableSchema) -> list[str]:
    return [] if schema.known_at is None else [schema.known_at.name]


def _late(schema: TableSchema, frame: pl.DataFrame) -> NDArray[np.bool_]:
    """Which rows arrived late: those that are visible only long after they could have been."""
    if schema.known_at is None:
        return np.zeros(frame.height, bool)
    by_right = frame[schema.known_at.name].to_physical() + parse_span(schema.known_at.lag)
    return (frame[_VISIBLE].to_physical() - by_right > _LATE).to_numpy()


def _longest(gaps: Instants, begins: Instants, ends: Instants) -> Instants:
    """The longest gap of each part of the rows, 0 of an empty one; parts follow one another."""
    found = np.zeros(len(begins), np.int64)
    some = ends > begins
    if some.any():
        found[some] = np.maximum.reduceat(gaps[: ends[-1]], begins[some])
    return found

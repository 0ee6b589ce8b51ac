"""The dataset: decisions, features and labels side by side, as known at the end of a pinned history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from mainspring.clock import parse_span
from mainspring.declare import Kind, Label, System
from mainspring.errors import DataError
from mainspring.features import compute_with_newest, find_decisions, plan
from mainspring.labels import mature
from mainspring.storage import storage_errors
from mainspring.training.split import NEVER

__all__ = ["Dataset", "assemble", "feature_kinds", "history_bounds", "read_dataset", "write_dataset"]


_HEURISTIC = "_heuristic"


@dataclass(frozen=True)
class Dataset:
    """Every decision of a history in order of time, row by row in all parts.

    `decisions` has `_at` and the columns of the decision's table, `features` one column for each feature, `labels` the
    columns `label` and `label_known_at` of `labels.mature`, `heuristic` the values of the team's own rule, `newest` the
    visible time of the newest fact of each scan of the plan. `left_out` counts decisions that take no part, by reason.
    """

    decisions: pl.DataFrame
    features: pl.DataFrame
    labels: pl.DataFrame
    newest: pl.DataFrame
    heuristic: pl.Series | None
    left_out: Mapping[str, int]
    as_of: int

    @property
    def decided_at(self) -> np.ndarray:
        """The decision times, int64 microseconds, never decreasing."""
        return self.decisions["_at"].to_physical().to_numpy()

    @property
    def label_known_at(self) -> np.ndarray:
        """When each label became known, int64 microseconds; NEVER where it is not."""
        return self.labels["label_known_at"].to_physical().fill_null(NEVER).to_numpy()

    def settled_at(self, label: Label) -> np.ndarray:
        """When each label may teach and judge, int64 microseconds: at the end of its horizon, even where it came sooner.

        NEVER where it is not known.
        """
        settled = np.maximum(self.label_known_at, self.decided_at + parse_span(label.within))
        return np.where(self.labels["label"].is_null().to_numpy(), NEVER, settled)

    @property
    def labelled(self) -> int:
        """How many labels are known."""
        return self.labels.height - self.labels["label"].null_count()


def assemble(system: System, facts: Mapping[str, pl.DataFrame], *, as_of: int | None = None) -> Dataset:
    """Make the dataset of a system from the rows of its tables, as known at the end of their history.

    `facts` maps table names to frames with `_visible_at` and `_seq`, ordered by both. The history begins with the first
    row of a table that is not static and ends with the last, or at `as_of` (microseconds), where all rows known by then
    are given: that nothing came since is known too.

    Raises DataError (DATA_NO_DECISIONS, DATA_NO_LABELS, DATA_ONE_CLASS).
    """
    start, last = history_bounds(facts)
    as_of = last if as_of is None else as_of
    found = find_decisions(system.decision, facts[system.decision.table.__schema__.name], start=start, until=as_of)
    if found.frame.height == 0:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in found.left_out.items())
        raise DataError(
            "DATA_NO_DECISIONS",
            f"No decision of {system.name} could be made from the facts.",
            exists=f"Left out: {reasons}." if reasons else f"Table {system.decision.table.__name__} has no rows.",
            fix="See that the decision's time lies after its row is known and inside the history.",
            origin=system.decision.origin,
        )
    labels = mature(system.label, system.decision, found.frame, facts, as_of=as_of)
    kept = ~labels.frame["already_known"]
    decisions, truth = found.frame.filter(kept), labels.frame.filter(kept).drop("already_known")
    _check_labels(system, truth["label"], labels.left_out)
    asked = dict(system.features) | ({_HEURISTIC: system.heuristic} if system.heuristic is not None else {})
    work = plan(asked)
    values, newest = compute_with_newest(work, decisions, facts)
    heuristic = values[_HEURISTIC] if system.heuristic is not None else None
    return Dataset(
        decisions=decisions,
        features=values.select(system.features.keys()),
        labels=truth,
        newest=newest,
        heuristic=heuristic,
        left_out={**found.left_out, **labels.left_out},
        as_of=as_of,
    )


def write_dataset(dataset: Dataset, path: Path) -> None:
    """Store a dataset as one Parquet file, whole or not at all.

    Raises WorkspaceError (WORKSPACE_DISK_FULL, WORKSPACE_READ_ONLY).
    """
    parts = {"row": dataset.decisions, "feature": dataset.features, "label": dataset.labels, "newest": dataset.newest}
    columns = [part[name].alias(f"{prefix}:{name}") for prefix, part in parts.items() for name in part.columns]
    if dataset.heuristic is not None:
        columns.append(dataset.heuristic.alias("heuristic:"))
    draft = path.with_suffix(".tmp")
    with storage_errors(path):
        pl.DataFrame(columns).write_parquet(draft, compression="lz4", statistics=False)
        draft.replace(path)


def read_dataset(path: Path, *, left_out: Mapping[str, int], as_of: int) -> Dataset:
    """Read what `write_dataset` stored."""
    frame = pl.read_parquet(path)

    def part(prefix: str) -> pl.DataFrame:
        return frame.select(pl.col(c).alias(c.removeprefix(prefix)) for c in frame.columns if c.startswith(prefix))

    heuristic = frame["heuristic:"] if "heuristic:" in frame.columns else None
    return Dataset(part("row:"), part("feature:"), part("label:"), part("newest:"), heuristic, left_out, as_of)


def feature_kinds(system: System) -> dict[str, str]:
    """Return the kind of each feature's values as a model knows it: keys are categories, spans and instants are numbers."""
    known = {"key": "category", "span": "float", "time": "float"}
    return {name: known.get(str(each.kind), str(each.kind)) for name, each in system.features.items()}


def history_bounds(facts: Mapping[str, pl.DataFrame]) -> tuple[int, int]:
    """The first and the last instant at which a row became known."""
    times = [frame["_visible_at"].drop_nulls().to_physical() for frame in facts.values()]
    known = [column for column in times if len(column)]
    if not known:
        raise DataError(
            "DATA_NO_DECISIONS",
            "No table has a row with a time, so there is no history.",
            fix="Give the history of at least one table that is not static.",
        )
    return min(int(c.min()) for c in known), max(int(c.max()) for c in known)  # type: ignore[arg-type]


def _check_labels(system: System, label: pl.Series, left_out: Mapping[str, int]) -> None:
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in left_out.items())
    if label.null_count() == len(label):
        raise DataError(
            "DATA_NO_LABELS",
            f"No label of {system.name} is known at the end of the history, for {len(label):,} decisions.",
            exists=f"Left out: {reasons}." if reasons else "",
            fix="See that the label's `by` names the decision's key, and that the history is longer than `within`.",
            origin=system.label.origin,
        )
    if system.label.outcome.kind is not None and label.drop_nulls().n_unique() == 1:
        only = label.drop_nulls()[0]
        shown = bool(only) if system.label.outcome.kind is Kind.BOOL else only
        raise DataError(
            "DATA_ONE_CLASS",
            f"Every known label of {system.name} is {shown}: {len(label) - label.null_count():,} of them.",
            fix="There is nothing to learn. See that the label's condition and `otherwise` say what you mean.",
            origin=system.label.origin,
        )

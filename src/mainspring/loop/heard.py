"""What a served system has answered, and what came true of it, tick by tick: read from the lake, where its journal goes.

A prediction was made when it was answered, a label is known as the lake says, and a decision is settled at the end of its
label's horizon: each is heard in the tick in whose time it lies, or in the next one, where it came into the lake too late
for that. Once, whatever is killed between: how far the lake was heard is kept beside the loop's state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from mainspring.clock import DAY, parse_span
from mainspring.declare import System
from mainspring.labels.proxies import mature_frictions, mature_proxies
from mainspring.lake import Lake, RecentRows
from mainspring.loop.decision_columns import asks_for_rows, keys_of, selected_of, slices_of
from mainspring.loop.live_state import Heard
from mainspring.loop.state import MOST_ROWS, ROWS_OVER, Answered, Matured, Rows
from mainspring.model.plain_values import frame_of
from mainspring.model.schema import Feature, FeatureSchema
from mainspring.monitoring.layout import Layout
from mainspring.monitoring.sketch import Sketch
from mainspring.monitoring.spread import Spread
from mainspring.serving.sink import OUTCOMES_TABLE, PREDICTIONS_TABLE, predicted_decisions
from mainspring.training import Task, encode_labels
from mainspring.training.dataset import feature_kinds

__all__ = ["Hearing", "newest_prediction"]

_LATE = DAY  # what comes into the lake later than this after its time is not heard any more
_AT, _SEQ, _VISIBLE = "_heard_at", "_seq", "_visible_at"


def newest_prediction(lake: Lake) -> int:
    """Return the place of the newest prediction in the lake's order of ingestion; -1 where there is none."""
    newest = lake.read(PREDICTIONS_TABLE, columns=["prediction_id"])[_SEQ].max()
    return newest if isinstance(newest, int) else -1


class Hearing:
    """What is new for ticks in (begin, until]: read once, and told tick by tick."""

    def __init__(self, system: System, task: Task, recent: RecentRows, heard: Heard, begin: int, until: int) -> None:
        self._system, self._task, self._recent, self._until = system, task, recent, until
        self._within = parse_span(system.label.within)
        self._first = begin - self._within - _LATE
        rows = ["row"] if asks_for_rows(system) else []
        made = _predictions(
            recent,
            ["prediction_id", "decided_at", "answered_at", "model", "arm", "prediction", "classes", *rows],
            after=self._first,
            until=until,
            newer_than=heard.after,
        )
        self._made = made
        self._asked = made.filter("asked")
        self._outcomes = self._labelled(made)
        self._newest = _newest(made, heard.predictions), _newest(self._outcomes, heard.outcomes)

    def answered(self, heard: Heard, begin: int, until: int) -> Answered:
        """Return the decisions that were answered in (begin, until], or before and not heard of."""
        new = _new(self._asked, _AT, heard.predictions, begin, until).sort("decided_at", _SEQ)
        return Answered(_instants(new["decided_at"]), self._said(new))

    def matured(self, heard: Heard, begin: int, until: int) -> Matured:
        """Return the decisions whose label became known in (begin, until], in the order in which they did."""
        return self._with_labels("known_at", heard, begin, until)[0]

    def settled(self, heard: Heard, begin: int, until: int) -> Matured:
        """Return the decisions whose label was settled in (begin, until], in that order."""
        found, new = self._with_labels("settled_at", heard, begin, until)
        if not asks_for_rows(self._system):
            return found
        decisions = self._decisions(new)
        return replace(
            found,
            keys=keys_of(self._system, decisions),
            selected=selected_of(self._system, decisions),
            slices=slices_of(self._system, decisions),
            proxies={name: _values(new, told) for name, told in self._proxies.items()},
        )

    def proxies(self, begin: int, until: int) -> dict[str, Matured]:
        """Return by proxy the decisions of which it is settled in (begin, until] what it tells."""
        found = {}
        for name, told in self._proxies.items():
            new = _settled_in(told, begin, until)
            found[name] = Matured(_instants(new["decided_at"]), new["value"].to_numpy(), self._said(new))
        return found

    def frictions(self, begin: int, until: int) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """Return by friction signal the decisions of which it is settled in (begin, until] whether they met with it."""
        found = {}
        for name, told in self._frictions.items():
            new = _settled_in(told, begin, until)
            found[name] = (_instants(new["decided_at"]), new["value"].to_numpy())
        return found

    def rows(self, heard: Heard, until: int) -> Rows:
        """Return the settled decisions of some weeks with their features, every so many of them."""
        hearing = Hearing(self._system, self._task, RecentRows(self._lake), heard, until - ROWS_OVER, until)
        settled = hearing._outcomes.filter(
            (pl.col("settled_at") <= until) & (pl.col("decided_at").to_physical() > until - ROWS_OVER)
        ).sort("decided_at", "made_seq")
        settled = settled.gather_every(max(1, -(-settled.height // MOST_ROWS)))
        stored = self._lake.read(
            PREDICTIONS_TABLE, columns=["prediction_id", "features"], known_after=hearing._first, known_before=until + 1
        )
        chosen = settled.join(stored, on="prediction_id", how="left", maintain_order="left")
        labels = encode_labels(settled["settled_label"].to_numpy(), self._task)
        return Rows(_instants(settled["decided_at"]), labels, hearing._said(settled), _features(self._system, chosen))

    def spread(self, layout: Layout, heard: Heard, until: int) -> Spread | None:
        """Return how the features of decisions are spread that were answered by an instant and not told before."""
        made = _predictions(
            self._recent,
            ["prediction_id", "decided_at", "answered_at", "arm"],
            after=heard.features_until - _LATE,
            until=until,
            newer_than=heard.after,
        )
        new = _new(made.filter("asked"), _AT, heard.features, heard.features_until, until)
        if not new.height:
            return None
        # Features are the most of what is stored of a prediction: read for these alone.
        visible = _instants(new[_VISIBLE])
        stored = self._lake.read(
            PREDICTIONS_TABLE,
            columns=["features"],
            known_after=int(visible.min()) - 1,
            known_before=int(visible.max()) + 1,
        )
        new = new.join(stored.select(_SEQ, "features"), on=_SEQ, how="left", maintain_order="left")
        return Spread.of(Sketch.empty(layout).add(_features(self._system, new)))

    def after(self, heard: Heard, *, features_until: int | None) -> Heard:
        """Return how far the lake was heard after a tick; `features_until` is its time where it told of features."""
        predictions, outcomes = self._newest
        told = (heard.features, heard.features_until) if features_until is None else (predictions, features_until)
        return Heard(heard.after, predictions, outcomes, *told)

    # -- how -------------------------------------------------------------------------------------------------------------

    @property
    def _lake(self) -> Lake:
        return self._recent.lake

    def _labelled(self, made: pl.DataFrame) -> pl.DataFrame:
        """The decisions that have a label: the first one, when it was known, and when and with which it is settled.

        Somebody may correct a label: the newest one that is known at the end of the horizon counts then.
        """
        outcomes = (
            self._recent.read(OUTCOMES_TABLE, known_after=self._first, known_before=self._until + 1)
            .with_columns(pl.col("known_at").to_physical())
            .sort("known_at", _SEQ)
        )
        horizon = pl.col("decided_at").to_physical() + self._within
        asked = made.filter("asked").select("prediction_id", "decided_at", horizon.alias("_horizon"), made_seq=_SEQ)
        found = outcomes.join(asked, on="prediction_id", how="inner", maintain_order="left")
        label = "label_class" if self._task.kind == "multiclass" else "label"
        first = found.group_by("prediction_id", maintain_order=True).agg(
            pl.col("decided_at", "made_seq", "_horizon", "known_at", _SEQ).first(), pl.col(label).first().alias("label")
        )
        first = first.with_columns(settled_at=pl.max_horizontal("known_at", "_horizon"))
        by_then = found.join(first.select("prediction_id", "settled_at"), on="prediction_id", how="left").filter(
            pl.col("known_at") <= pl.col("settled_at")
        )
        last = by_then.sort("known_at", _SEQ).group_by("prediction_id").agg(pl.col(label).last().alias("settled_label"))
        return first.join(last, on="prediction_id", how="left", maintain_order="left")

    def _with_labels(self, time: str, heard: Heard, begin: int, until: int) -> tuple[Matured, pl.DataFrame]:
        new = _new(self._outcomes, time, heard.outcomes, begin, until).sort(time, "decided_at", "made_seq")
        label = new["label" if time == "known_at" else "settled_label"]
        y = encode_labels(label.to_numpy(), self._task)
        return Matured(_instants(new["decided_at"]), y, self._said(new)), new

    @cached_property
    def _proxies(self) -> dict[str, pl.DataFrame]:
        return self._told(mature_proxies, self._system.proxies)

    @cached_property
    def _frictions(self) -> dict[str, pl.DataFrame]:
        return self._told(mature_frictions, self._system.friction)

    def _told(
        self, mature: Callable[..., dict[str, pl.DataFrame]], declared: Mapping[str, Any]
    ) -> dict[str, pl.DataFrame]:
        """What facts tell of the decisions so far, in the order in which that is settled."""
        if not declared or not self._asked.height:
            return {}
        decisions = self._decisions(self._asked.sort("decided_at", _SEQ))
        facts = {
            table.__schema__.name: self._recent.read(table, known_after=self._first, known_before=self._until + 1)
            for table in self._system.tables
        }
        told = mature(declared, self._system.decision, decisions, facts, as_of=self._until)
        return {
            name: pl.concat([decisions.select("prediction_id", decided_at="_at"), frame], how="horizontal")
            .filter(pl.col("value").is_not_null())
            .sort("settled_at", maintain_order=True)
            for name, frame in told.items()
        }

    def _decisions(self, of: pl.DataFrame) -> pl.DataFrame:
        """The rows of the decisions that some predictions are of, in their order."""
        made = self._asked.select("prediction_id", "decided_at", "row")
        named = of.select("prediction_id").join(made, on="prediction_id", how="left", maintain_order="left")
        return predicted_decisions(self._system, named)

    def _said(self, decisions: pl.DataFrame) -> dict[str, NDArray[np.float64]]:
        """What each model said of some decisions, named by their predictions, NaN where it did not."""
        wanted = decisions.select("prediction_id").with_row_index("_row")
        about = wanted.join(self._made, left_on="prediction_id", right_on="of", how="inner")
        classes = self._task.classes if self._task.kind == "multiclass" else ()
        found = {}
        for name in about["model"].unique().sort().to_list():
            mine = about.filter(pl.col("model") == name)
            said = np.full((wanted.height, len(classes)) if classes else wanted.height, np.nan)
            said[mine["_row"].to_numpy()] = (
                [[told.get(each, 0.0) for each in classes] for told in map(msgspec.json.decode, mine["classes"])]
                if classes
                else mine["prediction"].to_numpy()
            )
            found[name] = said
        return found


def _features(system: System, stored: pl.DataFrame) -> pl.DataFrame:
    """The features of stored predictions, as the model saw them."""
    schema = FeatureSchema(tuple(Feature(name, kind) for name, kind in feature_kinds(system).items()))
    return frame_of([msgspec.json.decode(features) for features in stored["features"]], schema)


def _settled_in(told: pl.DataFrame, begin: int, until: int) -> pl.DataFrame:
    at = pl.col("settled_at").to_physical()
    return told.filter((at > begin) & (at <= until))


def _values(decisions: pl.DataFrame, told: pl.DataFrame) -> NDArray[np.float64]:
    """What was told of each of some decisions, NaN where nothing was."""
    found = decisions.select("prediction_id").join(told, on="prediction_id", how="left", maintain_order="left")
    return found["value"].fill_null(np.nan).to_numpy()


def _predictions(recent: RecentRows, columns: list[str], *, after: int, until: int, newer_than: int) -> pl.DataFrame:
    """Predictions as the lake has them, with the time of each, whether it was asked for, and of which it is (a shadow's)."""
    arm = pl.concat_str(pl.lit("."), "arm")
    shadow = pl.col("prediction_id").str.ends_with(arm)
    return (
        recent.read(PREDICTIONS_TABLE, columns=columns, known_after=after, known_before=until + 1)
        .filter(pl.col(_SEQ) > newer_than)
        .with_columns(
            pl.max_horizontal(pl.col("answered_at", "decided_at").to_physical()).alias(_AT),
            (~shadow).alias("asked"),
            pl.when(shadow)
            .then(pl.col("prediction_id").str.head(pl.col("prediction_id").str.len_chars() - arm.str.len_chars()))
            .otherwise("prediction_id")
            .alias("of"),
        )
    )


def _new(frame: pl.DataFrame, time: str, place: int, begin: int, until: int) -> pl.DataFrame:
    """The rows of a tick: those of its time, and those of before that came into the lake after what was heard."""
    return frame.filter((pl.col(time) <= until) & ~((pl.col(time) <= begin) & (pl.col(_SEQ) <= place)))


def _newest(frame: pl.DataFrame, before: int) -> int:
    newest = frame[_SEQ].max()
    return max(before, newest) if isinstance(newest, int) else before


def _instants(column: pl.Series) -> NDArray[np.int64]:
    return column.to_physical().to_numpy()

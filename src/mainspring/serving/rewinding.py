"""Going back in time: where time is what the facts say, the state can become what it was, to play what came then again."""

from __future__ import annotations

import asyncio

import polars as pl

from mainspring.clock import format_instant, parse_span
from mainspring.declare import Table
from mainspring.errors import ServingError
from mainspring.lake import Lake
from mainspring.serving.intake import Intake
from mainspring.serving.opening import newest_visible, predictor_of
from mainspring.serving.predictor import Predictor
from mainspring.serving.records import FACTS
from mainspring.serving.service import Service
from mainspring.serving.sink import LAKE_GROUP
from mainspring.stream import EmbeddedLog

__all__ = ["rewind_service"]

_PATIENCE_SECONDS, _PAUSE_SECONDS = 30.0, 0.1


async def rewind_service(service: Service, lake: Lake, log: EmbeddedLog, to: int) -> None:
    """Make the state of a service what it was at an instant (microseconds), by the facts of the lake known by then.

    Nothing is lost: the lake keeps all facts, also those that came after `to`; played again they are known there already.
    The service answers as before until it is done; it waits until the lake has all that came. What is pushed while it
    reads is in the lake and will not be in the state.

    Raises ServingError: SERVE_OPTION when time does not follow facts or `to` is later than now, SERVE_UNAVAILABLE when the
    lake does not catch up.
    """
    if not service.follows_facts or to > service.clock.now():
        raise ServingError(
            "SERVE_OPTION",
            f"The server cannot go back to {format_instant(to)}.",
            exists="Its time is real time."
            if not service.follows_facts
            else f"It is {format_instant(service.clock.now())}.",
            fix="Serve with --clock facts, and name an instant of its past.",
        )
    waited = 0.0
    while log.end(FACTS) > log.groups(FACTS).get(LAKE_GROUP, 0):
        if waited >= _PATIENCE_SECONDS:
            raise ServingError(
                "SERVE_UNAVAILABLE", "The lake has not got all facts yet.", fix="Send it again in a few seconds."
            )
        await asyncio.sleep(_PAUSE_SECONDS)
        waited += _PAUSE_SECONDS
    system = service.predictor.system
    router, grace = service.predictor.router, service.predictor.state.grace

    def past() -> tuple[Predictor, Intake, dict[str, int]]:
        history = {table.__schema__.name: _known_by(lake, table, to) for table in system.tables}
        fresh = {name: newest_visible(frame) for name, frame in history.items()}
        return predictor_of(system, router, history, to, grace), Intake(system, history), fresh

    predictor, intake, fresh = await asyncio.to_thread(past)
    await service.begin_again(predictor, intake, to, fresh)


def _known_by(lake: Lake, table: type[Table], to: int) -> pl.DataFrame:
    """The facts that a server had at an instant: those visible by then, and those known by then whose lag was not over."""
    known_at = table.__schema__.known_at
    if known_at is None:
        return lake.read(table)
    lag = parse_span(known_at.lag)
    facts = lake.read(table, known_before=to + lag + 1)
    known, visible = pl.col(known_at.name).to_physical(), pl.col("_visible_at").to_physical()
    return facts.filter((visible <= to) | ((known <= to) & (visible == known + lag)))

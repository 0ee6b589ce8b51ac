"""mainspring play: a span of history happens again at a running server."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from mainspring.cli.options import Debug, Json, SystemFile, WorkspaceFolder
from mainspring.cli.output import Output, reporting

if TYPE_CHECKING:
    from mainspring.ledger.keys import Keys
    from mainspring.loop.play import Played

__all__ = ["play"]

_TOLD_EVERY_SECONDS = 1.0


def play(
    file: SystemFile,
    begin: Annotated[str, typer.Option("--from", metavar="INSTANT", help="Where to begin: 2013-12-01.")],
    days: Annotated[float, typer.Option(min=0.001, help="How many days of history.")] = 7.0,
    speed: Annotated[float, typer.Option(min=0.001, help="Seconds of history in a second.")] = 3600.0,
    address: Annotated[
        str | None, typer.Option(metavar="URL", help="The server; left out: the one of this workspace.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(envvar="MAINSPRING_KEY", help="A key that may admin; left out: one is made and revoked."),
    ] = None,
    workspace: WorkspaceFolder = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Play a span of history into a running server.

    The server goes back to where the span begins; then its facts are sent in the order in which they became known, and
    each decision is asked for when its time has come. The server's time must be what the facts say.

    Example: mainspring play flights --from 2013-12-01 --days 7 --speed 3600
    """
    with reporting(as_json=json, debug=debug) as output:
        from mainspring.client import Client
        from mainspring.clock import DAY, format_instant, parse_instant
        from mainspring.loop import load_system
        from mainspring.loop.example import find_system_file
        from mainspring.loop.play import play as play_score
        from mainspring.loop.play import read_score
        from mainspring.serving.address import read_address
        from mainspring.workspace import DEFAULT_FOLDER, Workspace

        system = load_system(find_system_file(file)).system
        opened = Workspace.open(workspace or DEFAULT_FOLDER, create=False)
        place = address or read_address(opened.log / system.name)
        first = parse_instant(begin)
        lake = opened.lake(system.name)
        score = read_score(system, lake, first, first + round(days * DAY))
        output.stderr.print(
            f"{len(score.facts):,} facts and {len(score.decisions):,} decisions from {format_instant(first)} on, to {place}",
            soft_wrap=True,
        )
        lines = _Lines(output)
        with _key(opened.ledger.keys, key) as text, Client(place, text, timeout_seconds=120) as client:
            begun = time.monotonic()
            played = play_score(
                score,
                client,
                speed=speed,
                wait_until=lambda seconds: time.sleep(max(0.0, begun + seconds - time.monotonic())),
                tell=lines.tell,
            )
            seconds = time.monotonic() - begun
        output.text(
            f"{played.facts:,} facts, {played.predictions:,} predictions, {played.refused:,} refused; "
            f"{(score.end - score.begin) / 1e6 / seconds:,.0f} seconds of history in a second"
        )
        output.document(
            {
                "system": system.name,
                "from": format_instant(score.begin),
                "until": format_instant(score.end),
                "facts": played.facts,
                "predictions": played.predictions,
                "refused": played.refused,
                "seconds": round(seconds, 3),
            }
        )


class _Lines:
    """Says once a second how far it is."""

    def __init__(self, output: Output) -> None:
        self._output, self._next = output, 0.0

    def tell(self, played: Played) -> None:
        from mainspring.clock import format_instant

        now = time.monotonic()
        if now >= self._next:
            self._next = now + _TOLD_EVERY_SECONDS
            self._output.stderr.print(
                f"  {format_instant(played.now)[:16]}  {played.facts:>9,} facts  {played.predictions:>8,} predictions",
                soft_wrap=True,
            )


@contextlib.contextmanager
def _key(keys: Keys, given: str | None) -> Iterator[str]:
    """The key that was given, or one that may admin as long as this goes on."""
    from mainspring.cli.clock import WallClock

    if given is not None:
        yield given
        return
    wall = WallClock()
    made, text = keys.add("admin", created_at=wall.now(), name="mainspring play")
    try:
        time.sleep(1.2)  # a server reads new keys twice a second
        yield text
    finally:
        keys.revoke(made.id, revoked_at=wall.now())

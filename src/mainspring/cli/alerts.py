"""mainspring alerts: what is amiss with a system, who looks after it, and what is silenced for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mainspring.cli.opened import open_system, user
from mainspring.cli.options import Debug, Json, SystemFile, WorkspaceFolder
from mainspring.cli.output import reporting
from mainspring.cli.tables import grid
from mainspring.page.wording import moment

if TYPE_CHECKING:
    from mainspring.ledger import KeptAlert, Silence

__all__ = ["alerts"]

alerts = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_SEVERAL = 50
Monitor = Annotated[str, typer.Argument(metavar="MONITOR", help="The name of a monitor, or '*' for all.")]


@alerts.callback()
def about() -> None:
    """See what is amiss, look after it, and silence what is known.

    Example: mainspring alerts silence flights drift --for 2d --reason "a new airport opened"
    """


@alerts.command("list")
def list_alerts(
    file: SystemFile,
    everything: Annotated[bool, typer.Option("--all", help=f"Those that ended too, the newest {_SEVERAL}.")] = False,
    workspace: WorkspaceFolder = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Show the alerts that are open, newest first.

    Example: mainspring alerts list flights
    """
    with reporting(as_json=json, debug=debug) as output:
        system, opened = open_system(file, workspace)
        log = opened.ledger.alerts
        found = log.history(system.name, limit=_SEVERAL) if everything else log.open(system.name)
        columns = ["id", "severity", "owner", "fate", "ended (UTC)", "acknowledged by", "what"]
        nothing = "There were no alerts yet." if everything else "Nothing is amiss that anybody watches."
        output.text(grid(columns, [_row(each) for each in found]) if found else nothing)
        output.document(found)


@alerts.command()
def ack(
    file: SystemFile,
    id: Annotated[str, typer.Argument(metavar="ID", help="The id of an alert, or enough of its beginning.")],
    workspace: WorkspaceFolder = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Say that you look after an alert; who said so first stays.

    Example: mainspring alerts ack flights drift@2013-05-07
    """
    with reporting(as_json=json, debug=debug) as output:
        from mainspring.cli.clock import WallClock

        system, opened = open_system(file, workspace)
        kept = opened.ledger.alerts.acknowledge(system.name, id, by=user(), at=WallClock().now())
        output.text(
            f"{kept.alert.id}: acknowledged by {kept.acknowledged_by or 'somebody'} at {moment(kept.acknowledged_at)}."
        )
        output.document(kept)


@alerts.command()
def silence(
    file: SystemFile,
    monitor: Monitor,
    span: Annotated[str, typer.Option("--for", metavar="SPAN", help="How long from now: 90m, 2h, 7d.")] = "1d",
    reason: Annotated[str, typer.Option(help="Why; it is kept.")] = "",
    workspace: WorkspaceFolder = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Tell nobody of a monitor's alerts for a while; they are kept all the same.

    What is open still when the silence ends is sent then.

    Example: mainspring alerts silence flights drift --for 2d --reason "a new airport opened"
    """
    with reporting(as_json=json, debug=debug) as output:
        from mainspring.cli.clock import WallClock
        from mainspring.clock import parse_span

        system, opened = open_system(file, workspace)
        now = WallClock().now()
        made = opened.ledger.alerts.silence(
            system.name, monitor, at=now, until=now + parse_span(span), by=user(), reason=reason
        )
        output.text(f"{made.monitor} is silenced until {moment(made.until)} UTC.")
        output.document(made)


@alerts.command()
def unsilence(
    file: SystemFile, monitor: Monitor, workspace: WorkspaceFolder = None, json: Json = False, debug: Debug = False
) -> None:
    """End the silences of a monitor; `*` ends those of all monitors together, not those of each.

    Example: mainspring alerts unsilence flights drift
    """
    with reporting(as_json=json, debug=debug) as output:
        from mainspring.cli.clock import WallClock

        system, opened = open_system(file, workspace)
        ended = opened.ledger.alerts.unsilence(system.name, monitor, at=WallClock().now())
        output.text(f"{monitor} is heard again.")
        output.document(ended)


@alerts.command()
def silences(file: SystemFile, workspace: WorkspaceFolder = None, json: Json = False, debug: Debug = False) -> None:
    """Show what is silenced now.

    Example: mainspring alerts silences flights
    """
    with reporting(as_json=json, debug=debug) as output:
        from mainspring.cli.clock import WallClock

        system, opened = open_system(file, workspace)
        found = opened.ledger.alerts.silences(system.name, WallClock().now())
        columns = ["monitor", "until (UTC)", "by", "reason"]
        output.text(grid(columns, [_silenced(each) for each in found]) if found else "Nothing is silenced.")
        output.document(found)


def _row(kept: KeptAlert) -> list[str]:
    alert = kept.alert
    about = f" ({', '.join(alert.abouts)})" if alert.abouts else ""
    ended, by = moment(alert.ended_at), kept.acknowledged_by or ""
    return [alert.id, alert.severity, alert.owner, alert.fate, ended, by, alert.told + about]


def _silenced(silence: Silence) -> list[str]:
    return [silence.monitor, moment(silence.until), silence.by, silence.reason]

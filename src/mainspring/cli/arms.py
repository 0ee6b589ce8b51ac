"""mainspring arms: which models of a system answer, and which have answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from mainspring.cli.opened import open_system, user
from mainspring.cli.options import Debug, Json, SystemFile, WorkspaceFolder
from mainspring.cli.output import reporting
from mainspring.cli.tables import grid

if TYPE_CHECKING:
    from rich.table import Table

    from mainspring.answers import Arm
    from mainspring.ledger import Deployment

__all__ = ["arms"]

arms = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@arms.callback()
def about() -> None:
    """See and set which models of a system answer.

    A server changes within a second, and drops no request. Without arms the newest model answers.

    Example: mainspring arms set flights --challenger flight-delays-1a2b3c4d5e=0.1 --reason "trained on November too"
    """


@arms.command("list")
def list_arms(file: SystemFile, workspace: WorkspaceFolder = None, json: Json = False, debug: Debug = False) -> None:
    """Show the arms, and the models that could be one.

    Example: mainspring arms list flights
    """
    with reporting(as_json=json, debug=debug) as output:
        from mainspring.serving.deployed import model_names

        system, opened = open_system(file, workspace)
        current = opened.ledger.deployments.current(system.name)
        names = list(model_names(system, opened))
        if current is None:
            output.text(
                f"Nothing is deployed: the newest model answers, {names[0]}." if names else "There is no model yet."
            )
        else:
            output.text(
                _table(current), f"since {_instant(current.at)} by {current.by}: {current.reason or 'no reason given'}"
            )
        output.text("\nmodels, newest first: " + ", ".join(names))
        output.document({"deployment": current, "models": names})


@arms.command("history")
def history(file: SystemFile, workspace: WorkspaceFolder = None, json: Json = False, debug: Debug = False) -> None:
    """Show every deployment, newest first.

    Example: mainspring arms history flights
    """
    with reporting(as_json=json, debug=debug) as output:
        system, opened = open_system(file, workspace)
        found = opened.ledger.deployments.history(system.name)
        rows = [[str(each.number), _instant(each.at), each.by, _said(each), each.reason] for each in found]
        columns = ["number", "since (UTC)", "by", "arms", "reason"]
        output.text(grid(columns, rows, numeric=[True]) if rows else "Nothing was deployed yet.")
        output.document(found)


@arms.command("set")
def set_arms(
    file: SystemFile,
    champion: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Answers what no challenger does; left out: the one that does now."),
    ] = None,
    challenger: Annotated[
        list[str] | None,
        typer.Option(metavar="[NAME:]MODEL=SHARE", help="Answers a share of the keys. May be repeated."),
    ] = None,
    shadow: Annotated[
        list[str] | None, typer.Option(metavar="[NAME:]MODEL", help="Is asked and never answers. May be repeated.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why; it is kept.")] = "",
    workspace: WorkspaceFolder = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Say which models answer from now on; what is not named no longer does.

    Example: mainspring arms set flights --challenger flight-delays-1a2b3c4d5e=0.1 --shadow flight-delays-5e4d3c2b1a
    """
    with reporting(as_json=json, debug=debug) as output:
        from mainspring.answers import Arm
        from mainspring.cli.clock import WallClock
        from mainspring.serving.deployed import load_model, newest_model

        system, opened = open_system(file, workspace)
        deployments = opened.ledger.deployments
        wanted = [Arm(name="champion", role="champion", model=champion or "", share=1.0)]
        for role, named in (("challenger", challenger or []), ("shadow", shadow or [])):
            read = [_read(text, role) for text in named]
            for place, each in enumerate(read):
                name = each.name or (role if len(read) == 1 else f"{role}-{place + 1}")
                wanted.append(Arm(name=name, role=role, model=each.model, share=each.share))  # type: ignore[arg-type]
        if champion is None:
            current = deployments.current(system.name)
            model = current.arms[0].model if current is not None else newest_model(system, opened)
            wanted[0] = Arm(name="champion", role="champion", model=model, share=1.0)
        for model in {arm.model for arm in wanted}:
            load_model(system, opened, model)  # one that cannot be served is refused here, and not by the server
        made = deployments.deploy(system.name, wanted, at=WallClock().now(), by=user(), reason=reason)
        output.text(_table(made))
        output.document(made)


class _Named(NamedTuple):
    name: str
    model: str
    share: float


def _read(text: str, role: str) -> _Named:
    from mainspring.errors import LedgerError

    head, _, share = text.partition("=") if role == "challenger" else (text, "", "0")
    name, _, model = head.rpartition(":")
    try:
        return _Named(name, model, float(share))
    except ValueError:
        raise LedgerError(
            "LEDGER_ARMS",
            f"{text!r} tells no share.",
            fix=f"Write for example --challenger {model}=0.1.",
        ) from None


def _table(deployment: Deployment) -> Table:
    rows = [[arm.name, arm.role, arm.model, _share(arm)] for arm in deployment.arms]
    return grid(["arm", "role", "model", "share"], rows, numeric=[False, False, False, True])


def _said(deployment: Deployment) -> str:
    return ", ".join(f"{arm.name} {arm.model} {_share(arm)}".strip() for arm in deployment.arms)


def _share(arm: Arm) -> str:
    return "" if arm.role == "shadow" else f"{arm.share:.1%}"


def _instant(at: int) -> str:
    from mainspring.clock import format_instant

    return format_instant(at)[:19].replace("T", " ")

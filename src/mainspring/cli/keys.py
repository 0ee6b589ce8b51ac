"""mainspring keys: who may ask a server of this workspace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mainspring.cli.options import Debug, Json, WorkspaceFolder
from mainspring.cli.output import reporting
from mainspring.cli.tables import grid

if TYPE_CHECKING:
    from mainspring.ledger import ApiKey, Keys

__all__ = ["keys"]

keys = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
_SECRETS = ("salt", "digest")  # nobody needs to see them


@keys.callback()
def about() -> None:
    """Make, list and revoke the API keys that a server accepts.

    Example: mainspring keys add --role read --name "mobile app"
    """


@keys.command()
def add(
    # The roles of mainspring.ledger.keys, which --help must not load a database driver to know; a test holds them equal.
    role: Annotated[
        Literal["read", "write", "admin"], typer.Option(help="What it may do; each role includes those before it.")
    ] = "read",
    name: Annotated[str, typer.Option(metavar="NAME", help="What it is for.")] = "",
    workspace: WorkspaceFolder = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a key and show it, once.

    Only a digest is kept. read may ask for predictions, write may also send facts and outcomes, admin may do everything.

    Example: mainspring keys add --role write --name "order service"
    """
    with reporting(as_json=json, debug=debug) as output:
        from mainspring.cli.clock import WallClock

        key, text = _keys(workspace).add(role, name=name, created_at=WallClock().now())
        output.text(
            text,
            "\nThis is the key. Keep it now: it is not stored and cannot be shown again.\n",
            grid(["id", "name", "role"], [[key.id, key.name, key.role]]),
            f"\nSend it with each request:  Authorization: Bearer {text}",
            f"Make it invalid:            mainspring keys revoke {key.id}",
        )
        output.document({"key": text, **_public(key)})


@keys.command("list")
def list_keys(workspace: WorkspaceFolder = None, json: Json = False, debug: Debug = False) -> None:
    """List the keys, oldest first, revoked ones too.

    Example: mainspring keys list
    """
    with reporting(as_json=json, debug=debug) as output:
        found = _keys(workspace).all()
        columns = ["id", "name", "role", "made (UTC)", "revoked (UTC)"]
        rows = [[key.id, key.name, key.role, _instant(key.created_at), _instant(key.revoked_at)] for key in found]
        output.text(grid(columns, rows) if rows else "No API keys yet. Make one: mainspring keys add")
        output.document([_public(key) for key in found])


@keys.command()
def revoke(
    id: Annotated[str, typer.Argument(metavar="ID", help="The id of a key: the 8 characters after msk_.")],
    workspace: WorkspaceFolder = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a key invalid for ever.

    Servers that run stop accepting it within about a second.

    Example: mainspring keys revoke k2m9x4qz
    """
    with reporting(as_json=json, debug=debug) as output:
        from mainspring.cli.clock import WallClock

        key = _keys(workspace).revoke(id, revoked_at=WallClock().now())
        named = f" ({key.name})" if key.name else ""
        output.text(f"The key {key.id}{named} is revoked since {_instant(key.revoked_at)} UTC.")
        output.document(_public(key))


def _keys(folder: Path | None) -> Keys:
    from mainspring.workspace import DEFAULT_FOLDER, Workspace

    return Workspace.open(folder or DEFAULT_FOLDER, create=False).ledger.keys


def _public(key: ApiKey) -> dict[str, Any]:
    return {name: getattr(key, name) for name in key.__struct_fields__ if name not in _SECRETS}


def _instant(instant: int | None) -> str:
    """Write an instant to the minute."""
    from mainspring.clock import format_instant

    return "" if instant is None else format_instant(instant)[:16].replace("T", " ")

"""mainspring serve: a system's newest model behind HTTP."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Annotated

import typer

from mainspring.cli.options import Debug, Json, SystemFile, WorkspaceFolder
from mainspring.cli.output import Output, reporting

if TYPE_CHECKING:
    from mainspring.ledger.keys import Keys
    from mainspring.serving.opening import Opened

__all__ = ["serve"]

_CLOCKS = {"auto": None, "wall": False, "facts": True}


def serve(
    file: SystemFile,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0 takes a free one.")] = 8000,
    clock: Annotated[
        str, typer.Option(help="wall: real time; facts: time is what the facts say; auto: facts where they are old.")
    ] = "auto",
    journal: Annotated[
        str, typer.Option(help="full: on disk before the answer; relaxed: a power cut may take the last second.")
    ] = "full",
    grace: Annotated[str, typer.Option(help="How late a decision may be asked for.")] = "1h",
    flush: Annotated[str, typer.Option(help="How often facts, predictions and outcomes go into the lake.")] = "5s",
    rate: Annotated[float, typer.Option(help="Requests a second that one key may send.")] = 1000.0,
    workspace: WorkspaceFolder = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Serve a system's newest model over HTTP.

    Facts come in, predictions go out; what is acknowledged is in the journal. Prints the address, and a key of
    this server's own that ends with it. Ctrl-C finishes what was accepted.

    Example: mainspring serve flights
    """
    with reporting(as_json=json, debug=debug) as output:
        from mainspring.cli.clock import WallClock
        from mainspring.clock import SECOND, parse_span
        from mainspring.errors import ServingError
        from mainspring.lake import Lake
        from mainspring.loop import load_system
        from mainspring.loop.build import namespace
        from mainspring.loop.example import find_system_file
        from mainspring.loop.flow import flowing
        from mainspring.serving.limits import Limits
        from mainspring.serving.opening import open_service
        from mainspring.workspace import DEFAULT_FOLDER, Workspace

        for name, value, known in (("clock", clock, _CLOCKS), ("journal", journal, ("full", "relaxed"))):
            if value not in known:
                raise ServingError(
                    "SERVE_OPTION", f"There is no {name} {value!r}.", fix=f"Say {', '.join(known)} after --{name}."
                )
        loaded = load_system(find_system_file(file))
        system = loaded.system
        opened_workspace = Workspace.open(workspace or DEFAULT_FOLDER, create=False)
        opened = open_service(
            system,
            opened_workspace,
            Lake(opened_workspace.catalog_properties(), namespace(system)),
            WallClock(),
            follow_facts=_CLOCKS[clock],
            grace=parse_span(grace),
            durability=journal,
            limits=Limits(requests_per_second=rate, burst=max(1, int(2 * rate))),
            progress=lambda told: output.stderr.print(f"  {told}", soft_wrap=True),
        )
        gc.freeze()  # what the service begins with lives as long as it does: never look through it for garbage
        try:
            with flowing(loaded, opened_workspace, opened.service.settled, parse_span(flush) / SECOND):
                _run(opened, opened_workspace.ledger.keys, host, port, output)
        finally:
            opened.log.close()


def _run(opened: Opened, keys: Keys, host: str, port: int, output: Output) -> None:
    from mainspring.cli.clock import WallClock
    from mainspring.clock import format_instant
    from mainspring.serving.access import Access
    from mainspring.serving.app import make_app
    from mainspring.serving.http import listen, run_server

    wall = WallClock()
    listening = listen(host, port)
    port = listening.getsockname()[1]
    name = f"mainspring serve {opened.service.predictor.system.name}"
    for left in keys.all():  # of a server that was killed: no other can run now, for this one holds the log
        if left.name == name and left.revoked_at is None:
            keys.revoke(left.id, revoked_at=wall.now())
    key, text = keys.add("write", created_at=wall.now(), name=name)
    address = f"http://{host}:{port}"
    told = {"address": address, "key": text, "model": opened.bundle.name, "follows_facts": opened.follows_facts}
    output.document(told)
    output.text(f"{address}  model {opened.bundle.name}", f"key {text}")
    if opened.follows_facts:
        output.text(
            f"Time is what the facts say: {format_instant(opened.service.clock.now())} (--clock wall for real time)"
        )
    app = make_app(opened.service, Access(keys, wall))
    try:
        run_server(app, listening)
    finally:
        keys.revoke(key.id, revoked_at=wall.now())

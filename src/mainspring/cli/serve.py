"""mainspring serve: a system's newest model behind HTTP."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from mainspring.cli.options import Debug, Json, SystemFile, WorkspaceFolder
from mainspring.cli.output import Output, reporting

if TYPE_CHECKING:
    from mainspring.serving.opening import Opened
    from mainspring.workspace import Workspace

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
    ahead: Annotated[
        bool, typer.Option(help="Predict ahead: at each tick of a scheduled decision for every key, to be looked up.")
    ] = False,
    decisions_from: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Answer what another program asks on the topic decisions of a log in FOLDER."
        ),
    ] = None,
    log_requests: Annotated[bool, typer.Option(help="Log every request, not only what goes wrong.")] = False,
    flush: Annotated[str, typer.Option(help="How often facts, predictions and outcomes go into the lake.")] = "5s",
    loop: Annotated[bool, typer.Option(help="Watch, retrain and roll out by the declared policies.")] = True,
    step: Annotated[str, typer.Option(help="The time between two steps of the loop, of the system's own time.")] = "1h",
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
    with reporting(as_json=json, debug=debug) as output, _terminated_as_interrupted():
        from mainspring.cli.clock import WallClock
        from mainspring.clock import SECOND, parse_span
        from mainspring.errors import ServingError
        from mainspring.loop import load_system
        from mainspring.loop.example import find_system_file
        from mainspring.loop.flow import flowing
        from mainspring.serving.access import Access
        from mainspring.serving.ahead import Ahead
        from mainspring.serving.alerts import OpenAlerts
        from mainspring.serving.app import make_app
        from mainspring.serving.limits import Limits
        from mainspring.serving.logs import log_to
        from mainspring.serving.opening import open_service
        from mainspring.serving.records import DECISIONS
        from mainspring.serving.streaming import ANSWERING_GROUP
        from mainspring.stream import EmbeddedLog
        from mainspring.web.gate import dashboard
        from mainspring.workspace import DEFAULT_FOLDER, Workspace

        for name, value, known in (("clock", clock, _CLOCKS), ("journal", journal, ("full", "relaxed"))):
            if value not in known:
                raise ServingError(
                    "SERVE_OPTION", f"There is no {name} {value!r}.", fix=f"Say {', '.join(known)} after --{name}."
                )
        loaded = load_system(find_system_file(file))
        system = loaded.system
        opened_workspace = Workspace.open(workspace or DEFAULT_FOLDER, create=False)
        lake = opened_workspace.lake(system.name)
        opened = open_service(
            system,
            opened_workspace,
            lake,
            WallClock(),
            follow_facts=_CLOCKS[clock],
            grace=parse_span(grace),
            durability=journal,
            limits=Limits(requests_per_second=rate, burst=max(1, int(2 * rate))),
            progress=lambda told: output.stderr.print(f"  {told}", soft_wrap=True),
        )
        log_to()
        gc.freeze()  # what the service begins with lives as long as it does: never look through it for garbage
        asked = EmbeddedLog(decisions_from, WallClock()) if decisions_from is not None else None
        try:
            with flowing(
                loaded,
                opened_workspace,
                opened.service.settled,
                parse_span(flush) / SECOND,
                clock=WallClock(),
                step=parse_span(step) if loop else None,
            ) as flow:
                app = make_app(
                    opened.service,
                    Access(opened_workspace.ledger.keys, WallClock()),
                    lake=lake,
                    log=opened.log,
                    deployed=opened.deployed,
                    clock=WallClock(),
                    ahead=Ahead(opened.service) if ahead else None,
                    decisions=asked.consumer(DECISIONS, ANSWERING_GROUP) if asked is not None else None,
                    log_requests=log_requests,
                    problems=[flow.problem],
                    skew=flow.skew,
                    checkpoint=opened.checkpoint,
                    alerts=OpenAlerts(system.name, opened_workspace.ledger.alerts),
                    pages=lambda site: dashboard(
                        site,
                        opened_workspace.ledger.alerts,
                        (str(loaded.path), str(opened_workspace.root), system.fingerprint),
                    ),
                )
                flow.count(app.measured.told)
                _run(app, opened, opened_workspace, host, port, output)
                opened.checkpoint.keep(opened.service)
        finally:
            if asked is not None:
                asked.close()
            opened.log.close()


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Take SIGTERM for Ctrl-C where the server does not handle it: while it is opened, and while it is closed."""

    def interrupt(number: int, frame: object) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(app: Any, opened: Opened, workspace: Workspace, host: str, port: int, output: Output) -> None:
    from mainspring.cli.clock import WallClock
    from mainspring.clock import format_instant
    from mainspring.serving.address import told_address
    from mainspring.serving.http import listen, run_server

    wall, keys, service = WallClock(), workspace.ledger.keys, opened.service
    listening = listen(host, port)
    port = listening.getsockname()[1]
    system = service.predictor.system.name
    name = f"mainspring serve {system}"
    for left in keys.all():  # of a server that was killed: no other can run now, for this one holds the log
        if left.name == name and left.revoked_at is None:
            keys.revoke(left.id, revoked_at=wall.now())
    key, text = keys.add("write", created_at=wall.now(), name=name)
    try:
        address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        model = service.predictor.router.champion.arm.model
        output.document({"address": address, "key": text, "model": model, "follows_facts": service.follows_facts})
        output.text(f"{address}  model {model}", f"key {text}", f"pages {address}/ui/  (sign in with a key)")
        if service.follows_facts:
            output.text(
                f"Time is what the facts say: {format_instant(service.clock.now())} (--clock wall for real time)"
            )
        with told_address(workspace.log / system, address):
            run_server(app, listening)
    finally:
        keys.revoke(key.id, revoked_at=wall.now())

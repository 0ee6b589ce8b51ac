"""A replay as a run: facts and decisions are gathered, policies are compared, the page is written, the ledger is told."""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mainspring.adaptation.retraining import Past
from mainspring.clock import DAY, HOUR, SECOND, Clock, format_instant
from mainspring.errors import DataError
from mainspring.ledger import RETRAIN, Artifact, Run
from mainspring.loop.compared import Compared
from mainspring.loop.comparing import compare_policies
from mainspring.loop.gather import gather
from mainspring.loop.policies import retrain_named
from mainspring.loop.recorded import recorded
from mainspring.loop.replay_page import write_replay_page
from mainspring.loop.stages import Made, Progress
from mainspring.loop.stored_replays import REPLAY
from mainspring.loop.system_file import LoadedSystem
from mainspring.page.components import plain_number
from mainspring.storage import storage_errors, write_atomically
from mainspring.workspace import Workspace

__all__ = ["Replayed", "replay_policies"]

_FIRST_SHARE = 1 / 6  # of a history: so long it is only learned from, where nothing else is said; two months of a year


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What a replay found and wrote; paths are absolute."""

    run: Run
    compared: Compared
    page: Path
    document: Path


def replay_policies(
    loaded: LoadedSystem,
    workspace: Workspace,
    names: Sequence[str],
    *,
    clock: Clock,
    progress: Progress,
    start: int | None = None,
    every: int = DAY,
    cost_of_an_hour: float = 1.0,
) -> Replayed:
    """Compare policies over the history of a system. `start` (microseconds) None: when a sixth of it is over.

    Raises MainspringError of any kind; the run is then on record as failed.
    """
    system = loaded.system
    for name in names:
        retrain_named(name, system)  # a wrong name is told before anything takes time
    with recorded(system, workspace, clock=clock, progress=progress, kind=REPLAY) as (run, stages, _):
        gathered = gather(loaded, workspace, stages, progress.warn)
        data = gathered.data
        first, last = int(data.decided_at[0]), int(data.decided_at[-1])
        begin = first + int((last - first) * _FIRST_SHARE) // DAY * DAY if start is None else start
        if not first < begin < last:
            raise DataError(
                "DATA_TOO_FEW",
                f"A replay cannot begin at {format_instant(begin)}.",
                exists=f"Decisions were made from {format_instant(first)} to {format_instant(last)}.",
                fix="Name an instant between them with --start.",
            )
        compared = stages.run(
            "replay",
            lambda: _made(
                compare_policies(
                    Past(system, data, begin),
                    names,
                    start=begin,
                    every=every,
                    cost_of_an_hour=cost_of_an_hour,
                    facts=gathered.facts.frames,
                    measured_delay=_measured_delay(workspace, system.name),
                )
            ),
        )
        page = workspace.reports / f"{run.name}.html"
        document = page.with_suffix(".json")
        with storage_errors(page):
            write_atomically(document, msgspec.json.encode(compared, enc_hook=plain_number))
            write_replay_page(compared, run.name, format_instant(clock.now()), page)
        for kind, path in (("report", page), ("json", document)):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            workspace.ledger.record_artifact(
                Artifact(run=run.name, kind=kind, path=workspace.relative(path), sha256=digest)
            )
        ended = workspace.ledger.finish_run(
            run.name, ended_at=clock.now(), seconds=stages.seconds, reused=stages.reused
        )
    return Replayed(run=ended, compared=compared, page=page, document=document)


def _made(compared: Compared) -> Made[Compared]:
    return Made(compared, f"{len(compared.policies)} policies over {compared.decisions:,} decisions")


def _measured_delay(workspace: Workspace, system: str) -> int:
    """How long retrainings of a system have taken (the median, microseconds); an hour where there was none."""
    ledger = workspace.ledger
    runs = [run for run in ledger.runs(system=system) if run.kind == RETRAIN and run.status == "finished"]
    return round(statistics.median(sum(run.seconds.values()) for run in runs) * SECOND) if runs else HOUR

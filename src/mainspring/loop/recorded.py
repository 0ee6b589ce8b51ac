"""A run on record: from its beginning to its end, however that comes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import mainspring
from mainspring.clock import Clock
from mainspring.declare import System
from mainspring.declare.lint import lint
from mainspring.errors import MainspringError
from mainspring.ledger import Run
from mainspring.loop.gather import check_findings
from mainspring.loop.stages import Progress, Stages
from mainspring.workspace import Workspace

__all__ = ["recorded"]


@contextmanager
def recorded(
    system: System, workspace: Workspace, *, clock: Clock, progress: Progress, kind: str
) -> Iterator[tuple[Run, Stages, list[str]]]:
    """Hold the workspace's writer lock for a run that the ledger knows of: yields it, its stages, and the lint's warnings.

    Whoever is inside ends the run (`Ledger.finish_run`); one that fails or is interrupted is on record as that.

    Raises DeclarationError (DECLARE_LINT), WorkspaceError (WORKSPACE_BUSY).
    """
    notes = [str(finding) for finding in check_findings(lint(system))]
    with workspace.writing():
        run = workspace.ledger.start_run(
            system.name,
            started_at=clock.now(),
            declaration=system.fingerprint,
            version=mainspring.__version__,
            kind=kind,
        )
        stages = Stages(workspace.ledger, system.name, clock, progress)
        try:
            yield run, stages, notes
        except MainspringError as error:
            workspace.ledger.fail_run(
                run.name,
                ended_at=clock.now(),
                code=error.code,
                message=error.problem,
                seconds=stages.seconds,
                reused=stages.reused,
            )
            raise
        except Exception as error:  # a fault of ours, or of a library: it is on record as what it is
            workspace.ledger.fail_run(
                run.name, ended_at=clock.now(), code=type(error).__name__, message=str(error), seconds=stages.seconds
            )
            raise
        except BaseException:  # Ctrl-C
            workspace.ledger.interrupt_run(run.name, ended_at=clock.now(), seconds=stages.seconds)
            raise

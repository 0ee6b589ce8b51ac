"""A retraining done for real: from the facts of the lake known at an instant to a bundle that can answer, on record."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from msgspec import Struct

import mainspring
from mainspring.adaptation.retraining import Candidate, Gate, Past, continued, judge_candidate, trained
from mainspring.adaptation.triggers import Why
from mainspring.clock import Clock, format_instant
from mainspring.declare import System, encode
from mainspring.errors import MainspringError, WorkspaceError
from mainspring.ledger import RETRAIN, Artifact, Dataset, Metric
from mainspring.ledger import Model as ModelRecord
from mainspring.loop.decision_columns import slice_values_of
from mainspring.loop.gather import stage_key
from mainspring.loop.live_state import Asked
from mainspring.loop.state import Train, Trained
from mainspring.model.bundle import Bundle, write_bundle
from mainspring.model.sketch import Reference, sketch_features, sketch_prediction
from mainspring.monitoring.realised import figures_of
from mainspring.monitoring.sketch import Sketch
from mainspring.serving.deployed import load_model
from mainspring.training.dataset import assemble
from mainspring.workspace import Workspace

__all__ = ["Taught", "as_of_of", "teach"]

_LOCK_SECONDS, _LOCK_PAUSE_SECONDS = 600.0, 0.2


class Taught(Struct, frozen=True):
    """What became of a training: what the loop is told, and what the first model of a loop begins it with."""

    trained: Trained
    classes: tuple[str, ...] = ()
    reference: Sketch | None = None
    slice_values: dict[str, tuple[str, ...]] = {}


def teach(system: System, workspace: Workspace, asked: Asked, clock: Clock) -> Taught:
    """Train, judge, write the bundle, and put it all on record; `clock` is real time.

    Features and labels are those of the facts that were known at the instant of the training, whatever the lake has now.
    A training that fails is told as one that did not pass its gate.
    """
    begin = time.perf_counter()
    train = asked.train
    try:
        parent = None if asked.first else load_model(system, workspace, train.parent)
        snapshots = workspace.lake(system.name).snapshots(system.tables)
        past = _past(system, workspace, snapshots, asked)
        found = _fitted(past, train, parent)
        champion = found.model if parent is None else parent.model
        figures = figures_of(past.task.kind, system.objective)
        gate = judge_candidate(past, found.model, champion, found.judged_on, figures)
        if asked.first:
            gate = replace(gate, passed=True, why=_judged_alone(gate))
        told = Trained.of(train, found, gate)
        _put_on_record(workspace, past, asked, found, gate, told, snapshots, clock, time.perf_counter() - begin)
    except MainspringError as error:
        if isinstance(error, WorkspaceError):
            raise
        why = Why(f"it could not be trained: {error.problem}", {"code": error.code})
        return Taught(Trained(train.model, False, why, {}, {}))
    if not asked.first:
        return Taught(told)
    made = past.made_by(train.as_of)
    reference = Sketch.over(past.data.features[:made], past.kinds)
    return Taught(told, past.task.classes, reference, slice_values_of(system, past.data.decisions[:made]))


def as_of_of(bundle: Bundle) -> int | None:
    """Return the instant whose knowledge a model was made with, microseconds; None where its bundle does not say."""
    found = bundle.manifest.metadata.get("as_of")
    return found if isinstance(found, int) else None


def _past(system: System, workspace: Workspace, snapshots: dict[str, int], asked: Asked) -> Past:
    lake, as_of = workspace.lake(system.name), asked.train.as_of
    facts = {
        table.__schema__.name: lake.read(table, snapshots[table.__schema__.name], known_before=as_of + 1)
        for table in system.tables
    }
    return Past(system, assemble(system, facts, as_of=as_of), asked.began_at)


def _fitted(past: Past, train: Train, parent: Bundle | None) -> Candidate:
    if train.how == "continue" and parent is not None:
        since = as_of_of(parent)
        return continued(past, parent.model, train.as_of if since is None else since, train.as_of)
    return trained(past, train.as_of, train.window)


def _put_on_record(
    workspace: Workspace,
    past: Past,
    asked: Asked,
    found: Candidate,
    gate: Gate,
    told: Trained,
    snapshots: dict[str, int],
    clock: Clock,
    seconds: float,
) -> None:
    """Write the bundle of a candidate, and its run into the ledger; done again it is done once more, under the same name."""
    system, train, data, ledger = past.system, asked.train, past.data, workspace.ledger
    folder = workspace.bundles / train.model
    learned = data.features[: int(found.judged_on[0])]
    data_key = stage_key(system.features_fingerprint, snapshots, train.as_of)
    with _writing(workspace):
        run = ledger.start_run(
            system.name,
            started_at=clock.now(),
            declaration=system.fingerprint,
            version=mainspring.__version__,
            kind=RETRAIN,
            as_of=train.as_of,
        )
        reference = Reference(
            sketch_features(learned, past.kinds),
            sketch_prediction(found.model.predict(data.features[found.judged_on]), found.model.classes),
        )
        write_bundle(
            folder,
            found.model,
            system=system.name,
            system_document=system.document,
            fingerprint=system.fingerprint,
            reference=reference,
            card=_card(past, asked, gate, told.window),
            created=clock.now(),
            snapshots=snapshots,
            metadata={
                "run": run.name,
                "metrics": gate.candidate,
                "as_of": train.as_of,
                "parent": train.parent,
                "how": train.how,
                "window": told.window,
                "why": train.why.told,
            },
        )
        ledger.record_dataset(
            Dataset(
                run=run.name,
                fingerprint=data_key,
                snapshots=snapshots,
                decisions=data.decisions.height,
                labelled=data.labelled,
                features={name: repr(each) for name, each in system.features.items()},
            )
        )
        ledger.record_model(
            ModelRecord(
                run=run.name,
                id=train.model,
                dataset=data_key,
                estimator={"model": encode(system.model), "how": train.how, "window": told.window},
                calibration=found.model.calibration.method,
                threshold=found.model.threshold if found.model.task == "binary" else None,
                bundle=workspace.relative(folder),
            )
        )
        ledger.record_metrics(
            Metric(run=run.name, model=train.model, scope=scope, name=name, value=value)
            for scope, figures in (("test", gate.candidate), ("baseline:champion", gate.champion))
            for name, value in figures.items()
            if scope == "test" or not asked.first
        )
        for kind, file in (("bundle", "manifest.json"), ("card", "card.md")):
            digest = hashlib.sha256((folder / file).read_bytes()).hexdigest()
            path = folder if kind == "bundle" else folder / file
            ledger.record_artifact(Artifact(run=run.name, kind=kind, path=workspace.relative(path), sha256=digest))
        ledger.finish_run(run.name, ended_at=clock.now(), seconds={"training": seconds})


def _judged_alone(gate: Gate) -> Why:
    """What is told of the first model of a loop, which has no champion to beat."""
    name, rows = gate.why.evidence["metric"], gate.why.evidence["rows"]
    told = f"{name} {gate.candidate[name]:.4f} on the newest {rows:,} labels, which it had not seen"
    return Why(told, {"rows": rows, "metric": name, "candidate": gate.candidate[name]})


def _card(past: Past, asked: Asked, gate: Gate, window: str | None) -> str:
    """What a retrained model is, in few words: all else about the system is in the card of the run that began it."""
    train = asked.train
    figures = "\n".join(
        f"| {name} | {value:.4f} | {gate.champion.get(name, float('nan')):.4f} |"
        for name, value in gate.candidate.items()
    )
    return (
        f"# {train.model}\n\n"
        f"Trained by the loop of {past.system.name} on what was known at {format_instant(train.as_of)}, "
        f"{'fresh' if train.how == 'fresh' else f'going on from {train.parent}'}, on "
        f"{'all history' if window is None else f'the last {window}'}.\n\n"
        f"Why: {train.why.told}\n\nJudged on the newest labels, which it had not seen: {gate.why.told}\n\n"
        f"| metric | this model | champion |\n| --- | --- | --- |\n{figures}\n"
    )


@contextmanager
def _writing(workspace: Workspace) -> Iterator[None]:
    """Be the one that writes to the workspace, once the flow beside a server lets go of it between two turns."""
    with ExitStack() as held:
        for left in range(int(_LOCK_SECONDS / _LOCK_PAUSE_SECONDS), -1, -1):
            try:
                held.enter_context(workspace.writing())
                break
            except WorkspaceError as error:
                if error.code != "WORKSPACE_BUSY" or not left:
                    raise
            time.sleep(_LOCK_PAUSE_SECONDS)
        yield

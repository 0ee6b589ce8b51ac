"""Build a system from its declaration: facts, features, a model, its judgement, a bundle and a report.

One row's way: a line of the user's data passes its table's contract into the lake (facts), is read at a pinned snapshot and
becomes part of every later decision that may know it (features), teaches a model once its label is known (training), tests
it (evaluation), and is counted in the sketches and the card of the bundle that will answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.clock import DAY, Clock, format_instant
from mainspring.declare import System, encode
from mainspring.errors import BundleError
from mainspring.evaluation.baselines import competitors
from mainspring.evaluation.card import model_card
from mainspring.evaluation.judge import judge
from mainspring.evaluation.report import RunContext, evaluation_json, write_report
from mainspring.evaluation.results import Evaluation
from mainspring.ledger import Ledger, Run, Stage
from mainspring.loop.context import run_context
from mainspring.loop.facts import Facts
from mainspring.loop.gather import gather, stage_key
from mainspring.loop.lesson import Lesson
from mainspring.loop.record import record_run
from mainspring.loop.recorded import recorded
from mainspring.loop.stages import Made, Progress, Stages
from mainspring.loop.system_file import LoadedSystem
from mainspring.model import Model
from mainspring.model.bundle import load_bundle, verify_bundle, write_bundle
from mainspring.model.sketch import Reference, sketch_features, sketch_prediction
from mainspring.page.components import plain_number
from mainspring.storage import storage_errors, write_atomically
from mainspring.training import dataset as datasets
from mainspring.training import decision_threshold, train
from mainspring.workspace import Workspace

if TYPE_CHECKING:
    from mainspring.loop.compared import Compared

__all__ = ["Built", "Lives", "build"]


@dataclass(frozen=True, kw_only=True)
class Lives:
    """A replay that a build is to end with: the policies beside those that are always compared, and from when on (microseconds)."""

    policies: Sequence[str]
    start: int
    every: int = DAY


@dataclass(frozen=True, kw_only=True)
class Built:
    """What a run made. `notes` are the lint's warnings, paths are absolute; `compared` is a replay, where one was asked for."""

    run: Run
    system: System
    evaluation: Evaluation
    decisions: int
    labelled: int
    bundle: Path
    report: Path
    report_json: Path
    notes: tuple[str, ...] = ()
    compared: Compared | None = None


def build(
    loaded: LoadedSystem,
    workspace: Workspace,
    *,
    clock: Clock,
    progress: Progress,
    kind: str = "run",
    replay: Lives | None = None,
) -> Built:
    """Run every stage, or take it from an earlier run where nothing that it depends on has changed.

    With `replay` the report ends its judgement of the model with what the whole system would have done.

    Killed or interrupted at any time, the workspace stays whole: what was finished is used again, the run is shown as
    interrupted. Raises MainspringError of any kind.
    """
    with recorded(loaded.system, workspace, clock=clock, progress=progress, kind=kind) as (run, stages, notes):
        return _Build(loaded, workspace, clock, progress, run, stages, notes, replay).all()


class _Build:
    """One run while it is going on."""

    def __init__(
        self,
        loaded: LoadedSystem,
        workspace: Workspace,
        clock: Clock,
        progress: Progress,
        run: Run,
        stages: Stages,
        notes: list[str],
        replay: Lives | None,
    ) -> None:
        self.loaded, self.system, self.workspace = loaded, loaded.system, workspace
        self.clock, self.progress, self.run, self.stages, self.notes = clock, progress, run, stages, notes
        self.replay = replay

    @property
    def ledger(self) -> Ledger:
        return self.workspace.ledger

    def warn(self, message: str) -> None:
        self.notes.append(message)
        self.progress.warn(message)

    def all(self) -> Built:
        known = gather(self.loaded, self.workspace, self.stages, self.warn)
        facts, data, data_key = known.facts, known.data, known.key
        lesson = Lesson(self.system, data)
        model_key = stage_key(data_key, self.recipe())
        fitted = self.stages.reuse(
            "training", model_key, load=self.load_model, make=lambda: self.make_model(lesson, model_key)
        )
        model = replace(fitted, threshold=decision_threshold(self.system.objective.payoff))
        verdict_key = stage_key(
            model_key, *(encode(p) for p in (self.system.objective, self.system.checks, self.system.groups))
        )
        evaluation = self.stages.reuse(
            "evaluation",
            verdict_key,
            load=self.load_evaluation,
            make=lambda: self.make_evaluation(lesson, model, verdict_key),
        )
        bundle_key = stage_key(verdict_key, self.system.fingerprint, facts.quarantined)
        bundle = self.stages.reuse(
            "bundle",
            bundle_key,
            load=self.load_bundle,
            make=lambda: self.make_bundle(facts, lesson, model, evaluation, bundle_key),
        )
        keys = {"declaration": self.system.fingerprint, "dataset": data_key, "model": model_key}
        compared = None if self.replay is None else self.replayed(facts, data, data_key, self.replay)
        report, document = self.stages.run("report", lambda: self.make_report(facts, data, evaluation, keys, compared))
        files = {"dataset": known.path, "bundle": bundle, "report": report, "json": document}
        record_run(self.workspace, self.run.name, self.system, facts, data, model, evaluation, keys, files)
        run = self.ledger.finish_run(
            self.run.name, ended_at=self.clock.now(), seconds=self.stages.seconds, reused=self.stages.reused
        )
        return Built(
            run=run,
            system=self.system,
            evaluation=evaluation,
            decisions=data.decisions.height,
            labelled=data.labelled,
            bundle=bundle,
            report=report,
            report_json=document,
            notes=tuple(self.notes),
            compared=compared,
        )

    # -- training ----------------------------------------------------------------------------------------------------

    def recipe(self) -> Any:
        """Everything a fit depends on besides its dataset; what a decision is worth only moves the threshold."""
        objective = self.system.objective
        return [encode(self.system.model), encode(self.system.training), objective.metric, objective.quantile]

    def make_model(self, lesson: Lesson, key: str) -> Made[Model]:
        trained = train(
            self.system.model,
            lesson.rows,
            lesson.task,
            self.system.training,
            as_of=lesson.data.as_of,
            split=lesson.split,
        )
        lesson.trainer = trained.trainer
        folder = self.workspace.cache / "models" / key
        write_bundle(
            folder,
            trained.model,
            system=self.system.name,
            system_document={},
            fingerprint=key,
            reference=Reference((), ()),
            card="",
            created=self.clock.now(),
        )
        rows = len(lesson.split.refit if self.system.training.refit else lesson.split.train)
        note = f"{rows:,} decisions, calibration {trained.model.calibration.method}"
        return Made(trained.model, note, {"note": note}, self.workspace.relative(folder))

    def load_model(self, stage: Stage) -> Made[Model] | None:
        try:
            return Made(load_bundle(self.workspace.locate(stage.path or "")).model, stage.output["note"])
        except BundleError:  # a cache may be cleared away; what is gone is made again
            return None

    # -- evaluation --------------------------------------------------------------------------------------------------

    def make_evaluation(self, lesson: Lesson, model: Model, key: str) -> Made[Evaluation]:
        baselines = competitors(self.system, lesson.data, lesson.y, lesson.split, lesson.prepared(), lesson.linear())
        gains = getattr(model.predictor, "gain", None)
        gain = dict(zip(model.schema.names, map(float, gains()), strict=True)) if gains is not None else None
        evaluation = judge(
            self.system,
            lesson.data,
            lesson.y,
            lesson.split,
            model,
            baselines,
            gain=gain,
            seed=self.system.training.seed,
        )
        path = self.workspace.cache / f"evaluation-{key}.json"
        write_atomically(path, msgspec.json.encode(evaluation, enc_hook=plain_number))  # figures keep their order
        return Made(evaluation, _verdict(evaluation), path=self.workspace.relative(path))

    def load_evaluation(self, stage: Stage) -> Made[Evaluation] | None:
        try:
            stored = self.workspace.locate(stage.path or "").read_bytes()
            evaluation = msgspec.json.decode(stored, type=Evaluation)
        except (OSError, msgspec.DecodeError):
            return None
        return Made(evaluation, _verdict(evaluation))

    # -- bundle and report -------------------------------------------------------------------------------------------

    def make_bundle(self, facts: Facts, lesson: Lesson, model: Model, evaluation: Evaluation, key: str) -> Made[Path]:
        folder = self.workspace.bundles / f"{self.system.name}-{key[:10]}"
        reference = Reference(
            sketch_features(lesson.data.features[lesson.before_test], lesson.kinds),
            sketch_prediction(model.predict(lesson.data.features[lesson.split.test]), model.classes),
        )
        context = self.context(facts, lesson.data, {"declaration": self.system.fingerprint})
        write_bundle(
            folder,
            model,
            system=self.system.name,
            system_document=self.system.document,
            fingerprint=self.system.fingerprint,
            reference=reference,
            card=model_card(evaluation, context),
            created=self.clock.now(),
            snapshots=facts.snapshots,
            metadata={
                "run": self.run.name,
                "as_of": lesson.data.as_of,
                "metrics": {name: found.value for name, found in evaluation.metrics.items()},
            },
        )
        return Made(folder, folder.name, path=self.workspace.relative(folder))

    def load_bundle(self, stage: Stage) -> Made[Path] | None:
        folder = self.workspace.locate(stage.path or "")
        try:
            verify_bundle(folder)
        except BundleError:
            return None
        return Made(folder, folder.name)

    def replayed(self, facts: Facts, data: datasets.Dataset, data_key: str, lives: Lives) -> Compared:
        # A run without a replay need not wait for all that comes with one.
        from mainspring.adaptation.retraining import Past
        from mainspring.loop.compared import Compared
        from mainspring.loop.comparing import compare_policies

        key = stage_key(data_key, self.system.fingerprint, list(lives.policies), lives.start, lives.every)
        path = self.workspace.cache / f"replay-{key}.json"

        def make() -> Made[Compared]:
            past = Past(self.system, data, lives.start)
            found = compare_policies(past, lives.policies, start=lives.start, every=lives.every, facts=facts.frames)
            write_atomically(path, msgspec.json.encode(found, enc_hook=plain_number))
            return Made(found, _lived(found), path=self.workspace.relative(path))

        def load(stage: Stage) -> Made[Compared] | None:
            try:
                stored = self.workspace.locate(stage.path or "").read_bytes()
                found = msgspec.json.decode(stored, type=Compared)
            except (OSError, msgspec.DecodeError):
                return None
            return Made(found, _lived(found))

        return self.stages.reuse("replay", key, load=load, make=make)

    def make_report(
        self,
        facts: Facts,
        data: datasets.Dataset,
        evaluation: Evaluation,
        fingerprints: Mapping[str, str],
        compared: Compared | None,
    ) -> Made[tuple[Path, Path]]:
        page = self.workspace.reports / f"{self.run.name}.html"
        document = page.with_suffix(".json")
        with storage_errors(page):
            more = []
            if compared is not None:
                from mainspring.loop.replay_page import policy_section

                more.append(policy_section(compared))
            write_report(evaluation, self.context(facts, data, fingerprints), page, more)
        write_atomically(document, evaluation_json(evaluation))
        return Made((page, document), page.name)

    def context(self, facts: Facts, data: datasets.Dataset, fingerprints: Mapping[str, str]) -> RunContext:
        return run_context(
            self.system,
            facts,
            data,
            run=self.run.name,
            generated=format_instant(self.clock.now()),
            seconds=self.stages.seconds,
            fingerprints=fingerprints,
        )


def _verdict(evaluation: Evaluation) -> str:
    figure = evaluation.metrics.get(evaluation.metric)
    return f"{evaluation.metric} {figure.value:.4f}" if figure is not None else f"{evaluation.metric} unknown"


def _lived(found: Compared) -> str:
    return f"{len(found.policies)} policies over {found.decisions:,} decisions"

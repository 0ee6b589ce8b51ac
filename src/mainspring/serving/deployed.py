"""What is deployed: the arms that the ledger names, each with its bundle loaded; without any, the newest model answers all."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import msgspec

from mainspring.answers import Arm, Arms
from mainspring.clock import Clock, format_instant
from mainspring.declare import System
from mainspring.errors import ServingError
from mainspring.ledger import RETRAIN, Deployment, Run, check_arms
from mainspring.model import compile_model
from mainspring.model.bundle import Bundle, load_bundle
from mainspring.serving.batching import MicroBatcher
from mainspring.serving.router import LoadedArm, Router
from mainspring.workspace import Workspace

__all__ = ["Deployed", "load_model", "model_names", "newest_model"]

_SHOWN = 5


class Deployed:
    """The arms of a system as the ledger has them, ready to answer.

    `refresh` reads the ledger, and loads what is new; it may be called in a thread of its own while `router` answers, and
    while another deploys: the newest deployment is what counts, whoever was faster. A model is loaded once; one that no arm
    names any more is let go.

    Raises ServingError (SERVE_MODEL), BundleError, WorkspaceError.
    """

    def __init__(self, system: System, workspace: Workspace) -> None:
        self._system, self._workspace = system, workspace
        self._models: dict[str, LoadedArm] = {}
        self._changing = threading.Lock()
        found = workspace.ledger.deployments.current(system.name)
        newest = [Arm(name="champion", role="champion", model="", share=1.0)]
        self._adopt(found, self._load(newest if found is None else found.arms))

    def refresh(self) -> bool:
        """Load what the ledger says is deployed; say whether that has changed.

        Raises ServingError (SERVE_MODEL), BundleError, WorkspaceError; then what was deployed before stays.
        """
        with self._changing:
            found = self._workspace.ledger.deployments.current(self._system.name)
            if found is None or (self._deployment is not None and found.number <= self._deployment.number):
                return False
            self._adopt(found, self._load(found.arms))
            return True

    def deploy(self, arms: Sequence[Arm], *, clock: Clock, by: str = "", reason: str = "") -> Arms:
        """Load arms, write down that they are deployed, and answer with them from now on.

        Raises ServingError (SERVE_MODEL), LedgerError (LEDGER_ARMS), BundleError, WorkspaceError; then nothing changed.
        """
        check_arms(arms)
        with self._changing:
            router = self._load(arms)
            deployments = self._workspace.ledger.deployments
            self._adopt(
                deployments.deploy(self._system.name, router.arms, at=clock.now(), by=by, reason=reason), router
            )
            return self.told()

    def told(self) -> Arms:
        """Return the arms that answer now."""
        deployment = self._deployment
        if deployment is None:
            return Arms(arms=self.router.arms)
        return Arms(
            arms=self.router.arms, since=format_instant(deployment.at), by=deployment.by, reason=deployment.reason
        )

    def _adopt(self, deployment: Deployment | None, router: Router) -> None:
        self.router, self._deployment = router, deployment
        self._models = {loaded.arm.model: loaded for loaded in router.loaded}

    def _load(self, arms: Sequence[Arm]) -> Router:
        models = dict(self._models)
        loaded = []
        for arm in arms:
            name = arm.model or newest_model(self._system, self._workspace)
            if name not in models:
                model = compile_model(load_model(self._system, self._workspace, name).model)
                models[name] = LoadedArm(arm, model, MicroBatcher(model) if model.batches else None)
            loaded.append(replace(models[name], arm=msgspec.structs.replace(arm, model=name)))
        return Router(self._system.name, self._system.decision.table.__schema__.keys, loaded)


def newest_model(system: System, workspace: Workspace) -> str:
    """Return the name of the newest model of a system that somebody made: that of its bundle's folder.

    One that a loop trained is not it: such a model answers when the loop says so.

    Raises ServingError (SERVE_MODEL) when there is none.
    """
    for bundle in _bundles(system, workspace, lambda run: run.kind != RETRAIN):
        return workspace.locate(bundle).name
    raise ServingError(
        "SERVE_MODEL",
        f"The workspace {workspace.root} has no model of {system.name}.",
        fix="Make one: mainspring run FILE",
    )


def load_model(system: System, workspace: Workspace, name: str) -> Bundle:
    """Load the bundle of a model.

    Raises ServingError (SERVE_MODEL) when there is none of that name, or it was built for another declaration;
    BundleError.
    """
    names = model_names(system, workspace)
    if name not in names:
        likely = difflib.get_close_matches(name, names, _SHOWN, 0.3) or list(names)[:_SHOWN]
        raise ServingError(
            "SERVE_MODEL",
            f"{system.name} has no model {name!r}.",
            exists=f"There are for example: {', '.join(likely)}." if names else "It has none yet.",
            fix="Name one of them, or make one: mainspring run FILE",
        )
    bundle = load_bundle(workspace.locate(names[name]), threads=1)
    if bundle.manifest.fingerprint != system.fingerprint:
        raise ServingError(
            "SERVE_MODEL",
            f"The model {name} was built for another declaration than the file holds now.",
            fix="Run the file again: mainspring run FILE",
        )
    return bundle


def model_names(system: System, workspace: Workspace) -> dict[str, str]:
    """Return where the bundles of finished runs lie, by the names of their models, newest first."""
    return {workspace.locate(bundle).name: bundle for bundle in _bundles(system, workspace, lambda run: True)}


def _bundles(system: System, workspace: Workspace, of: Callable[[Run], bool]) -> Iterator[str]:
    """The bundles of those finished runs, newest first; the ledger is asked about the models of no other."""
    ledger = workspace.ledger
    for run in ledger.runs(system=system.name):
        if run.status == "finished" and of(run):
            for model in ledger.models(run.name):
                if model.bundle is not None:
                    yield model.bundle

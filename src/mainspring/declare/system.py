"""The system: one declaration of everything."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mainspring.declare.brief import Brief
from mainspring.declare.check import Check
from mainspring.declare.column import Column, UnknownColumn
from mainspring.declare.decision import Decision
from mainspring.declare.estimator import LightGBM, Sklearn, Training
from mainspring.declare.expression import Aggregate, Expression, as_expression, walk
from mainspring.declare.label import Label
from mainspring.declare.objective import Objective
from mainspring.declare.policy import Alerts, Retrain, Rollout
from mainspring.declare.proxy import Friction, Proxy
from mainspring.declare.slo import SLO
from mainspring.declare.table import Table
from mainspring.declare.value import Declared, check_parts, encode, fingerprint, freeze
from mainspring.errors import DeclarationError

__all__ = ["System"]

_PARTS: dict[str, type[Declared]] = {
    "objective": Objective, "training": Training, "retrain": Retrain, "rollout": Rollout, "alerts": Alerts, "brief": Brief,
}  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class System(Declared):
    """A machine-learning system, declared.

    `features` maps names to expressions, read as of each decision. `heuristic` is the team's own rule as an expression: a
    baseline the model must beat (for a yes/no label a condition, or a number that is larger the likelier yes is). `groups`
    names groups of features for the ablation; a feature in no group belongs to the group of the table it reads.
    `proxies` and `friction` name facts that hint at the label, and what users do after an answer: both are known sooner.
    `slos` are promised of it while it runs, each under a name of its own.

    Raises DeclarationError (DECLARE_SYSTEM) for parts that cannot be a system at all; everything finer is the lint's.
    """

    name: str
    decision: Decision
    label: Label
    features: Mapping[str, Expression]
    model: Any = field(default_factory=LightGBM)
    objective: Objective = field(default_factory=Objective)
    training: Training = field(default_factory=Training)
    heuristic: Expression | None = None
    checks: Sequence[Check] = ()
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    proxies: Mapping[str, Proxy] = field(default_factory=dict)
    friction: Mapping[str, Friction] = field(default_factory=dict)
    retrain: Retrain | None = None
    rollout: Rollout | None = None
    alerts: Alerts | None = None
    slos: Sequence[SLO] = ()
    brief: Brief | None = None
    description: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", self.name):
            raise self._refuse(
                f"System(name={self.name!r}) cannot name files.", 'Write lower case with dashes, "flight-delays".'
            )
        if not isinstance(self.decision, Decision) or not isinstance(self.label, Label):
            raise self._refuse("A system needs decision=ms.Decision(...) and label=ms.Label(...).", "Give both.")
        if not self.features:
            raise self._refuse(f"System {self.name!r} has no features.", "Give at least one.")
        if bad := [n for n in self.features if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", str(n))]:
            raise self._refuse(
                f"{bad[0]!r} cannot name a feature.", "Use letters, digits and underscores, a letter first."
            )
        self._set("features", freeze({name: as_expression(value) for name, value in self.features.items()}))
        if self.heuristic is not None:
            self._set("heuristic", as_expression(self.heuristic))
        if not isinstance(self.model, LightGBM | Sklearn):
            self._set("model", Sklearn(self.model, origin=self.origin))
        self._set("checks", tuple(self.checks))
        check_parts(
            self, "checks", Check, 'ms.Check.noise("wind"), ms.Check.direction(...) or ms.Check.invariance(...)'
        )
        for part, kind in _PARTS.items():
            if getattr(self, part) is not None or part in {"objective", "training"}:
                check_parts(self, part, kind, f"ms.{kind.__name__}(...)")
        self._set("groups", freeze({group: tuple(names) for group, names in self.groups.items()}))
        self._set("slos", tuple(self.slos))
        check_parts(self, "slos", SLO, 'ms.SLO("availability", target=0.999)')
        names = [slo.name for slo in self.slos]
        if twice := [name for name in names if names.count(name) > 1]:
            raise self._refuse(f"Two SLOs promise {twice[0]!r}.", "Leave one of them out.")
        for part, kind in (("proxies", Proxy), ("friction", Friction)):
            self._set(part, freeze(getattr(self, part)))
            for each in getattr(self, part).values():
                if not isinstance(each, kind):
                    raise self._refuse(
                        f"System({part}=...) was given {each!r}.", f'Write {part}={{"name": ms.{kind.__name__}(...)}}.'
                    )

    def _refuse(self, problem: str, fix: str) -> DeclarationError:
        return DeclarationError("DECLARE_SYSTEM", problem, fix=fix, origin=self.origin)

    @property
    def outcomes(self) -> dict[str, Label]:
        """All that matures after a decision, under the name a reader knows it by: the label, proxies, and friction in facts."""
        proxies = {f"the proxy {name!r}": proxy for name, proxy in self.proxies.items()}
        frictions = {f"the friction {name!r}": friction.told_by for name, friction in self.friction.items()}
        return {
            "the label": self.label,
            **proxies,
            **{who: told for who, told in frictions.items() if told is not None},
        }

    @property
    def expressions(self) -> dict[str, Expression]:
        """Every expression of the system under the name a reader knows it by."""
        found = {f"feature {name!r}": expression for name, expression in self.features.items()}
        found["the decision time"] = self.decision.time
        found.update({who: label.outcome for who, label in self.outcomes.items()})
        if self.heuristic is not None:
            found["the heuristic"] = self.heuristic
        if self.decision.where is not None:
            found["the decision's condition"] = self.decision.where
        if self.training.where is not None:
            found["the training condition"] = self.training.where
        found.update({f"slice {i + 1}": column for i, column in enumerate(self.objective.slices)})
        guards = [guard.where for guard in self.objective.guards if guard.where is not None]
        found.update({f"guard {i + 1}": condition for i, condition in enumerate(guards)})
        return found

    @property
    def tables(self) -> tuple[type[Table], ...]:
        """Every table the system reads: the decision's first, then in order of appearance."""
        found: dict[type[Table], None] = {self.decision.table: None}
        for expression in self.expressions.values():
            for node in walk(expression):
                if isinstance(node, Column | UnknownColumn) and node.table is not None:
                    found[node.table] = None
        return tuple(found)

    def table(self, name: str) -> type[Table]:
        """Return the table with that snake_case name."""
        return next(table for table in self.tables if table.__schema__.name == name)

    def group_of(self, feature: str) -> str:
        """The group a feature belongs to: declared, or the table its first aggregate reads, or the decision's table."""
        for group, names in self.groups.items():
            if feature in names:
                return group
        for node in walk(self.features[feature]):
            if isinstance(node, Aggregate) and node.table is not None:
                return node.table.__schema__.name
        return self.decision.table.__schema__.name

    @property
    def document(self) -> dict[str, Any]:
        """The whole declaration as a JSON document, tables included."""
        return {"system": encode(self), "tables": [encode(table.__schema__) for table in self.tables]}

    def _content(self) -> Any:
        return self.document

    @property
    def features_fingerprint(self) -> str:
        """Depends on what decisions, features, heuristic and label are made of: unchanged, their dataset can be used again."""
        parts = (self.decision, self.label, self.features, self.heuristic)
        return fingerprint({"parts": [encode(p) for p in parts], "tables": [encode(t.__schema__) for t in self.tables]})

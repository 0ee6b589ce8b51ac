"""One feature: what it is and what it matters, how it is spread before and lately, and its signals over time."""

from __future__ import annotations

import json
from collections.abc import Mapping

import msgspec

from mainspring.clock import DAY
from mainspring.evaluation.results import Importance
from mainspring.ledger import RETRAIN
from mainspring.loop.kept_signals import FeaturesDay
from mainspring.loop.state import LoopState
from mainspring.page.components import Child, Html, absent, definitions, element, table
from mainspring.page.wording import interval, moment, number, percent
from mainspring.training.dataset import feature_kinds
from mainspring.web.pages.features_charts import history_chart, spread_chart, value_told
from mainspring.web.pages.features_days import SIGNALS, FeatureDays
from mainspring.web.pages.features_spread import TwoSpreads, spreads_of
from mainspring.web.source import Source

__all__ = ["one_feature"]

_DAYS_SHOWN = 60


def one_feature(source: Source, days: FeatureDays, loop: LoopState | None, feature: str) -> list[Child]:
    """Return what is known of a feature that `days` has. Raises WorkspaceError."""
    parts: list[Child] = [_declared(source, feature)]
    spreads: TwoSpreads | str = "The loop keeps nothing of it now." if loop is None else spreads_of(loop, feature)
    if isinstance(spreads, str):
        parts.append(absent(spreads))
    elif spreads.bins or spreads.bars:
        parts.append(spread_chart(feature, spreads).placed(_spread_table(feature, spreads)))
    else:
        parts.append(absent(f"{feature} has no known value, before or lately."))
    for name, signals in (("drift-history", ("drift", "psi")), ("share-history", ("missing", "new", "outside"))):
        chart = history_chart(feature, days, signals, name)
        if chart is not None:
            parts.append(chart.placed(_history_table(feature, days, signals)))
    return parts


def _declared(source: Source, feature: str) -> Html:
    """What a feature is, and what it matters."""
    system = source.system
    groups = [group for group, features in system.groups.items() if feature in features]
    pairs: list[tuple[Child, Child]] = []
    if feature in system.features:
        kind = source.once("kinds of features", None, lambda: feature_kinds(system)).get(feature, "")
        pairs += [("declared as", element("code", repr(system.features[feature]))), ("kind", kind)]
    else:
        pairs.append(("declared as", "no longer declared"))
    if groups:
        pairs.append(("group", ", ".join(groups)))
    found = _importance(source).get(feature)
    if found is not None:
        of_gain = "" if found.gain is None else f"{percent(found.gain)} of what its trees gained by splits"
        lost = (
            ""
            if found.permutation is None
            else f"shuffled, the metric loses {number(found.permutation.value)} ({interval(found.permutation)})"
        )
        pairs.append(("importance", "; ".join(filter(None, (lost, of_gain))) or "not measured"))
    return definitions(pairs)


def _importance(source: Source) -> Mapping[str, Importance]:
    """What features matter, as the evaluation of the newest run found; nothing where its report is not there any more."""

    def read() -> dict[str, Importance]:
        ledger = source.ledger
        for run in ledger.runs(system=source.system.name):
            if run.kind == RETRAIN or run.status != "finished":
                continue
            for artifact in ledger.artifacts(run.name):
                if artifact.kind != "json":
                    continue
                try:
                    report = json.loads(source.workspace.locate(artifact.path).read_bytes())
                    told = msgspec.convert(report.get("importance", []), list[Importance])
                except (OSError, ValueError, AttributeError):  # a report is the user's to move or delete
                    continue
                if told:
                    return {each.feature: each for each in told}
        return {}

    return source.once("importance", source.ledger.mark(source.system.name), read)


def _spread_table(feature: str, found: TwoSpreads) -> Html:
    rows: list[list[Child]] = [
        [f"{number(each.low)} to {number(each.high)}", percent(each.before), percent(each.lately)]
        for each in found.bins
    ]
    rows += [[each.value, percent(each.before), percent(each.lately)] for each in found.bars]
    if found.bins:
        rows.append(["(missing, of all)", percent(found.missing_before), percent(found.missing_lately)])
    return table(f"How {feature} is spread", [feature, "learned from", "last 7 days"], rows, numeric=(1, 2))


def _history_table(feature: str, days: FeatureDays, signals: tuple[str, ...]) -> Html:
    place = days.names.index(feature)
    columns = [days.values[FeaturesDay.SIGNALS.index(signal), :, place].tolist() for signal in signals]
    shown = range(len(days.days) - 1, max(-1, len(days.days) - 1 - _DAYS_SHOWN), -1)
    rows: list[list[Child]] = [
        [
            moment(days.days[k] * DAY)[:10],
            days.models[k],
            f"{days.rows[k]:,}",
            *(
                "unknown" if column[k] != column[k] else value_told(signal, column[k])
                for signal, column in zip(signals, columns, strict=True)
            ),
        ]
        for k in shown
    ]
    caption = f"{feature} by day, the newest first"
    if len(days.days) > len(rows):
        caption += f": {len(rows)} of {len(days.days)}"
    head = ["day", "champion", "decisions", *(SIGNALS[signal] for signal in signals)]
    return table(caption, head, rows, numeric=range(2, 3 + len(signals)))

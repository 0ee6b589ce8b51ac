"""Features: what has moved from what the champion learned from, what is missing or new, and whether all is what batch computes."""

from __future__ import annotations

from typing import NamedTuple

from mainspring.clock import DAY
from mainspring.loop.state import LoopState
from mainspring.monitoring.input_monitors import input_readings
from mainspring.monitoring.readings import Reading
from mainspring.page.components import (
    Child,
    Html,
    absent,
    callout,
    choices,
    disclosure,
    element,
    figure,
    figures,
    paragraph,
    section,
    table,
)
from mainspring.page.wording import capital, moment, percent, plural
from mainspring.web.asked import Asked, ServerTold
from mainspring.web.badges import state_badge
from mainspring.web.links import link_to, table_link
from mainspring.web.pages.features_charts import (
    heat_chart,
    limit_told,
    moved_told,
    value_told,
)
from mainspring.web.pages.features_days import SIGNALS, FeatureDays, Looked, feature_days
from mainspring.web.pages.features_one import one_feature
from mainspring.web.shell import Page, hidden, live
from mainspring.web.source import Source

__all__ = ["page"]

_BY_DAY = 120  # days: of more than these the heat map has weeks
_SHOWN, _MOST_SHOWN = 40, 400


class _Chosen(NamedTuple):
    """What is looked at, as far as it exists; `feature` "" where none is chosen."""

    feature: str
    signal: str
    all: bool

    def path(self, **other: str) -> str:
        """The path of this page with other choices."""
        now = {"feature": self.feature, "signal": self.signal, "all": "yes" if self.all else ""}
        return link_to("/ui/features", now | other)


def page(source: Source, asked: Asked) -> Page:
    """Return the page. Raises WorkspaceError."""
    days, live_state = feature_days(source), source.state()
    loop = None if live_state is None else live_state.loop
    inputs = live("inputs", section("inputs", "Tables that feed them", _inputs(loop)))
    skew = live("skew", section("skew", "Served against batch", _skew(asked.server), lead=_SKEW_LEAD))
    if days is None:
        why = (
            "No day has ended since the loop began, or its champion brought no sketch of the rows that it learned from. When "
            "one has, the loop writes down how far each feature lies from those."
        )
        return Page("Features", "Of no day is it known how features lie.", [live("heat", absent(why)), inputs, skew])
    chosen = _chosen(days, asked)
    looked = days.looked(chosen.signal, weeks=len(days.days) > _BY_DAY)
    order = looked.order
    feature = chosen.feature or looked.names[order[0]]
    parts = [
        live("figures", section("figures", "On the newest day", _figures(days))),
        live("moved", section("moved", "What moved", *_moved(looked, order, chosen))),
        _choose(days, chosen, feature),
        live("feature", section("feature", f"Feature {feature}", *one_feature(source, days, loop, feature))),
        inputs,
        skew,
    ]
    return Page("Features", _lead(days, asked.server), parts)


def _chosen(days: FeatureDays, asked: Asked) -> _Chosen:
    query = asked.query
    feature, signal = query.get("feature", ""), query.get("signal", "")
    return _Chosen(
        feature=feature if feature in days.names else "",
        signal=signal if signal in SIGNALS else "drift",
        all=query.get("all") == "yes",
    )


# -- the top -------------------------------------------------------------------------------------------------------------


def _lead(days: FeatureDays, server: ServerTold) -> str:
    drift = days.looked("drift", weeks=False)
    beyond = [drift.names[k] for k in drift.order if drift.newest[k] >= drift.limits[k]]
    if server.skew_different:
        return (
            f"{plural(len(server.skew_different), 'feature')} served otherwise than batch computes: look there first."
        )
    if not beyond:
        return f"None of {plural(len(days.names), 'feature')} has moved far from what the champion learned from."
    names = ", ".join(beyond[:3]) + (" and others" if len(beyond) > 3 else "")
    return f"{len(beyond)} of {plural(len(days.names), 'feature')} have moved from what the champion learned from: {names}."


def _figures(days: FeatureDays) -> Child:
    shown = []
    for signal in ("drift", "missing", "new", "outside"):
        looked = days.looked(signal, weeks=False)
        beyond = sum((looked.newest >= looked.limits).tolist())
        top = looked.order[0]
        newest = float(looked.newest[top])
        detail = "not known yet" if newest != newest else f"{looked.names[top]}: {value_told(signal, newest)}"
        title = {"drift": "Moved", "missing": "Missing more", "new": "New categories", "outside": "Out of range"}[
            signal
        ]
        shown.append(figure(title, str(beyond), detail, "warning" if beyond else "plain"))
    day = moment(days.days[-1] * DAY)[:10]
    return [
        figures(shown),
        paragraph(
            f"Features beyond a limit, of {len(days.names)}; {day}, {days.rows[-1]:,} decisions.", class_="aside"
        ),
    ]


# -- the heat map --------------------------------------------------------------------------------------------------------


def _moved(looked: Looked, order: list[int], chosen: _Chosen) -> list[Child]:
    known = [k for k in order if (looked.values[:, k] == looked.values[:, k]).any()]
    shown = known[: _MOST_SHOWN if chosen.all else _SHOWN]
    links = choices(
        "Signal", [(text, chosen.path(signal=name), name == chosen.signal) for name, text in SIGNALS.items()]
    )
    if not known:
        return [links, absent(f"Of no feature is the {SIGNALS[looked.signal]} known: {_NOT_KNOWN[looked.signal]}")]
    more = None
    if len(shown) < len(known):
        told = (
            f"All {len(known):,} features" if len(known) <= _MOST_SHOWN else f"{_MOST_SHOWN} of {len(known):,} features"
        )
        more = None if chosen.all else paragraph(element("a", told, href=chosen.path(all="yes")))
    chart = heat_chart(looked, shown)
    return [links, chart.placed(_heat_table(looked, order[:_MOST_SHOWN], chosen)), more]


_NOT_KNOWN = {
    "drift": "seven days are needed.",
    "psi": "a day needs 50 decisions.",
    "missing": "a day needs 50 decisions.",
    "new": "there is no category among them, or no day of 50 decisions.",
    "outside": "there is no number among them, or no day of 50 decisions.",
}


def _heat_table(looked: Looked, order: list[int], chosen: _Chosen) -> Html:
    newest, most, above = looked.newest.tolist(), looked.most.tolist(), looked.above.tolist()

    def told(value: float) -> str:
        return "unknown" if value != value else value_told(looked.signal, value)

    span = "days" if looked.length == 1 else "weeks"
    rows: list[list[Child]] = [
        [
            element("a", looked.names[k], href=chosen.path(feature=looked.names[k]) + "#feature"),
            told(newest[k]),
            told(most[k]),
            limit_told(looked, k),
            str(above[k]),
        ]
        for k in order
    ]
    columns = ["feature", "newest", "most", "limit", f"{span} beyond it"]
    return table(f"{capital(SIGNALS[looked.signal])}: {moved_told(looked)}", columns, rows, numeric=(1, 2, 3, 4))


def _choose(days: FeatureDays, chosen: _Chosen, feature: str) -> Html:
    """A form to look at another feature."""
    names = sorted(days.names)
    options = (element("option", name, value=name, selected=name == feature) for name in names)
    return element(
        "form",
        hidden("signal", chosen.signal),
        element(
            "div",
            element("label", "Look at a feature", for_="which"),
            element("select", options, id="which", name="feature"),
        ),
        element("button", "Show", type="submit", class_="plain"),
        method="get",
        action="/ui/features#feature",
        class_="fields",
    )


# -- inputs, and served against batch ------------------------------------------------------------------------------------


def _inputs(loop: LoopState | None) -> Child:
    """What is amiss with tables and how stale each is; all else that is looked at is folded."""
    if loop is None or not loop.inputs.tables:
        return absent("No table has been watched yet: the loop looks at all of them with each step.")
    readings = input_readings(loop.inputs, loop.inputs.now)
    firing = sum(each.state == "firing" for each in readings)
    told = (
        f"{plural(firing, 'monitor')} of tables {'fires' if firing == 1 else 'fire'}" if firing else "No table is amiss"
    )
    first = [each for each in readings if each.state == "firing"]
    first += [each for each in readings if each.state != "firing" and each.monitor == "staleness"]
    others = [each for each in readings if each not in first]
    return [
        _readings(f"{told}, at {moment(loop.inputs.now)} UTC", first),
        disclosure("What else is looked at", _readings("Volume, late and rejected facts", others)) if others else None,
    ]


def _readings(caption: str, readings: list[Reading]) -> Html:
    rows: list[list[Child]] = [
        [
            table_link(each.about),
            each.monitor,
            state_badge(each.state),
            each.told,
        ]
        for each in readings
    ]
    return table(caption, ["table", "monitor", "state", "what it says"], rows)


_SKEW_LEAD = "A part of all decisions is computed again from the lake, as training computes features. What was served must be the same."


def _skew(server: ServerTold) -> Child:
    if not server.skew_predictions:
        return absent("No decision has been computed again in batch yet, since the server began.")
    told = f"{server.skew_predictions:,} decisions were computed again in batch"
    if not server.skew_different:
        return callout(f"{told}: every feature of every one is what was served.", tone="good")
    rows: list[list[Child]] = [
        [
            element("a", name, href=link_to("/ui/features", {"feature": name}, "feature")),
            f"{count:,}",
            percent(count / server.skew_predictions),
        ]
        for name, count in sorted(server.skew_different.items(), key=lambda pair: (-pair[1], pair[0]))
    ]
    return [
        callout(f"{told}: {plural(len(rows), 'feature')} differed from what was served.", tone="bad"),
        table(
            "Features that differ, the most often first",
            ["feature", "decisions", "share"],
            rows[:_MOST_SHOWN],
            numeric=(1, 2),
        ),
    ]

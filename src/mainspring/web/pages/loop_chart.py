"""The life of a system's models in one chart: who was champion when, what was tried beside it, and what became of each."""

from __future__ import annotations

from typing import NamedTuple

from mainspring.clock import format_instant
from mainspring.ledger import LoopEvent
from mainspring.loop.deployed_when import Period
from mainspring.page.charts import ACCENT, SECOND, Chart, sized_spec
from mainspring.page.components import Html, table
from mainspring.page.wording import moment, plural

__all__ = ["Spell", "model_chart", "spells_of"]

_MOST_MODELS = 24
_ROLES = {"champion": "champion", "challenger": "answers a share", "shadow": "listens"}
_MARKS = {
    "train": ("asked for", "circle"),
    "passed over": ("passed over", "cross"),
    "rolled back": ("rolled back", "triangle-down"),
    "promoted": ("promoted", "triangle-up"),
}


class Spell(NamedTuple):
    """How long a model had a role without a break. Instants are the system's own time, microseconds; `end` None: it has it still."""

    model: str
    role: str
    begin: int
    end: int | None

    @property
    def until(self) -> str:
        """When it ended, in words."""
        return "now" if self.end is None else moment(self.end)


def spells_of(periods: list[Period]) -> list[Spell]:
    """Return when each model had each role, the oldest first. Deployments that follow each other make one spell."""
    found: list[Spell] = []
    held: dict[tuple[str, str], int] = {}  # where the spells of the period before stand
    before: int | None = None
    for place, period in enumerate(periods):
        last = place + 1 == len(periods)
        end = period.end if period.end is not None or last else period.begin  # time was turned back: it held no longer
        goes_on = before == period.begin
        now_held: dict[tuple[str, str], int] = {}
        for arm in period.arms:
            key = arm.model, arm.role
            if goes_on and key in held:
                now_held[key] = held[key]
                found[held[key]] = found[held[key]]._replace(end=end)
            else:
                now_held[key] = len(found)
                found.append(Spell(arm.model, arm.role, period.begin, end))
        held, before = now_held, period.end
    return found


def model_chart(events: list[LoopEvent], periods: list[Period], now: int) -> Html | None:
    """Return the chart of the newest models with the table behind it; None where there is nothing to draw.

    `events` are those since time was last turned back, the newest first; so are `periods`, the oldest first.
    """
    import altair as alt

    marks = [each for each in events if each.what in _MARKS]
    spells = spells_of(periods)
    last = {spell.model: spell.begin for spell in spells} | {each.model: each.at for each in reversed(marks)}
    order = sorted(last, key=lambda model: last[model], reverse=True)
    if not order:
        return None
    shown = order[:_MOST_MODELS]
    bars = [
        {
            "model": each.model,
            "role": _ROLES[each.role],
            "from": format_instant(each.begin),
            "until": format_instant(now if each.end is None else max(each.end, each.begin)),
        }
        for each in spells
        if each.model in shown
    ]
    points = [
        {"model": each.model, "what": _MARKS[each.what][0], "at": format_instant(each.at), "why": each.told[:300]}
        for each in marks
        if each.model in shown
    ]
    y = alt.Y("model:N", sort=None, scale=alt.Scale(domain=shown), title=None)
    day = alt.Axis(format="%d %b", grid=True)
    roles = alt.Scale(domain=[*_ROLES.values()], range=[ACCENT, SECOND, "var(--quiet)"])
    whats, shapes = zip(*_MARKS.values(), strict=True)
    layers = [
        alt.Chart(alt.Data(values=bars))
        .mark_rule(strokeWidth=9, strokeCap="butt")
        .encode(
            x=alt.X("from:T", title=None, axis=day, scale=alt.Scale(type="utc")),
            x2="until:T",
            y=y,
            color=alt.Color("role:N", scale=roles, legend=alt.Legend(title=None, orient="top")),
            tooltip=[
                alt.Tooltip("model:N"),
                alt.Tooltip("role:N"),
                alt.Tooltip("from:T", format="%d %b %Y %H:%M"),
                alt.Tooltip("until:T", format="%d %b %Y %H:%M"),
            ],
        ),
        alt.Chart(alt.Data(values=points))
        .mark_point(size=60, filled=True, opacity=1, color="var(--ink)", stroke="var(--paper)", strokeWidth=1)
        .encode(
            x=alt.X("at:T", title=None, axis=day, scale=alt.Scale(type="utc")),
            y=y,
            shape=alt.Shape(
                "what:N",
                scale=alt.Scale(domain=[*whats], range=[*shapes]),
                legend=alt.Legend(title=None, orient="top", symbolFillColor="var(--ink)"),
            ),
            tooltip=[
                alt.Tooltip("model:N"),
                alt.Tooltip("what:N"),
                alt.Tooltip("at:T", title="when", format="%d %b %Y %H:%M"),
                alt.Tooltip("why:N"),
            ],
        ),
    ]
    spec = sized_spec(alt.layer(*layers).resolve_scale(color="independent", shape="independent"), 96 + 26 * len(shown))
    told = _told(marks, spells)
    if len(order) > len(shown):
        told += f" Shown are the newest {len(shown)} of {plural(len(order), 'model')}."
    return Chart("models", "The models and what became of them", told, spec).placed(_behind(shown, marks, spells))


def _told(marks: list[LoopEvent], spells: list[Spell]) -> str:
    many = {what: sum(each.what == what for each in marks) for what in _MARKS}
    text = (
        f"{plural(many['train'], 'training')} asked for, {many['promoted']} promoted, {many['rolled back']} rolled back, "
        f"{many['passed over']} passed over."
    )
    champion = next((each for each in reversed(spells) if each.role == "champion" and each.end is None), None)
    if champion is None:
        return text
    return f"{champion.model} is champion since {moment(champion.begin)}. {text}"


def _behind(shown: list[str], marks: list[LoopEvent], spells: list[Spell]) -> Html:
    def when(model: str, *roles: str) -> str:
        mine = [each for each in spells if each.model == model and each.role in roles]
        return "; ".join(f"{moment(a.begin)} to {a.until}" for a in mine)

    def of(model: str, what: str) -> str:
        return ", ".join(moment(each.at) for each in reversed(marks) if each.model == model and each.what == what)

    rows = [
        [
            model,
            of(model, "train"),
            when(model, "shadow", "challenger"),
            when(model, "champion"),
            "; ".join(filter(None, (_ended(what, of(model, what)) for what in ("rolled back", "passed over")))),
        ]
        for model in shown
    ]
    return table("The newest models", ["model", "asked for (UTC)", "tried", "champion", "ended"], rows)


def _ended(what: str, at: str) -> str:
    return f"{what} {at}" if at else ""

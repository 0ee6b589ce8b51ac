"""Who answers: what was deployed when, by whom and why; and the forms by which an admin lets another model answer."""

from __future__ import annotations

from collections.abc import Mapping

from mainspring.answers import Arm
from mainspring.loop.deployed_when import Period
from mainspring.loop.doing import Doing
from mainspring.page.components import Child, Html, absent, element, paragraph, section, table
from mainspring.page.wording import count, moment, percent
from mainspring.web.asked import Asked
from mainspring.web.links import model_link, model_path
from mainspring.web.pages.models_known import Known, may_answer
from mainspring.web.paging import Rows, pager
from mainspring.web.shell import form, hidden
from mainspring.web.source import Source

__all__ = ["deployments_section", "letting_section", "previous_champion"]

_SHORTEST, _LONGEST = 3, 500  # characters of a reason


def deployments_section(periods: list[Period], rows: Rows, query: Mapping[str, str]) -> Html:
    """Return some rows of what was deployed, the newest first; `periods` come the oldest first. `query` is what links keep."""
    if not periods:
        return section(
            "deployments",
            "Who answered when",
            absent("Nothing was deployed yet: the newest model that somebody made answers. What is set later is kept here."),
        )  # fmt: skip
    shown = [*reversed(periods)][rows.begin : rows.end]
    body: list[list[Child]] = [
        [
            moment(each.begin),
            [[model_link(arm.model), f" {_role(arm)}", element("br")] for arm in each.arms],
            each.by or "nobody named",
            each.reason or "no reason given",
            moment(each.set_at),
        ]
        for each in shown
    ]
    columns = ["from (UTC)", "models", "set by", "why", "set (UTC, real time)"]
    return section(
        "deployments",
        "Who answered when",
        table("Deployments, the newest first", columns, body),
        pager("/ui/models", query, rows, name="set"),
        lead=f"{count(len(periods))} changes of what answers are on record; none is ever changed or deleted.",
    )


def previous_champion(periods: list[Period], champion: str) -> str | None:
    """Return the model that was champion before the one that is now; None where there was none."""
    for period in reversed(periods):
        if period.arms[0].model != champion:
            return period.arms[0].model
    return None


def letting_section(
    source: Source,
    asked: Asked,
    known: Known,
    models: dict[str, Known],
    arms: tuple[Arm, ...],
    periods: list[Period],
    doing: Doing | None,
) -> Html:
    """Return how this model comes to answer everybody, or, where it does, how one goes back to the champion before it."""
    if [arm.model for arm in arms] == [known.name]:
        before = previous_champion(periods, known.name)
        return section("let", "Go back", _going_back(source, asked, known.name, before, models, arms, doing))
    return section("let", "Let it answer", _asked_for(source, asked, known, known, arms, doing))


def _going_back(
    source: Source,
    asked: Asked,
    name: str,
    before: str | None,
    models: dict[str, Known],
    arms: tuple[Arm, ...],
    doing: Doing | None,
) -> Child:
    if before is None:
        return absent("It answers everybody, and no other model was champion before it.")
    told = paragraph("It answers everybody. Before it ", model_link(before), " was champion.")
    if before not in models:
        return [told, absent("That one is not on record any more, so one cannot go back to it.")]
    return [told, _asked_for(source, asked, models[name], models[before], arms, doing)]


def _asked_for(
    source: Source, asked: Asked, shown: Known, known: Known, arms: tuple[Arm, ...], doing: Doing | None
) -> Html:
    """The form that lets a model answer, on the page of one that is shown, or why there is none."""
    if not may_answer(source, known):
        return absent(f"{known.name} was made for another declaration than is served, so it cannot answer.")
    if asked.role != "admin":
        return absent(f"A key that may admin lets {known.name} answer everybody; yours may not.")
    button = "Let this model answer" if shown is known else f"Go back to {known.name}"
    return _form(shown.name, known.name, button, _what_happens(known.name, arms, doing))


def _what_happens(name: str, arms: tuple[Arm, ...], doing: Doing | None) -> str:
    others = ", ".join(arm.model for arm in arms if arm.model != name)
    told = f"{name} will answer everybody within seconds" + (f", in place of {others}. " if others else ". ")
    told += "The loop begins again with it; "
    on_its_way = doing.model if doing is not None and doing.model != name else ""
    told += (
        f"{on_its_way}, which is on its way, is dropped." if on_its_way else "a model that is on its way is dropped."
    )
    return f"{told} Your reason is kept for good, with the name of your key."


def _form(page: str, model: str, button: str, told: str) -> Html:
    return form(
        "promote",
        model_path(page),
        hidden("model", model),
        paragraph(told, class_="aside"),
        element(
            "div",
            element(
                "div",
                element("label", "Reason, 3 to 500 characters", for_="reason"),
                element("input", id="reason", name="reason", required=True, minlength=_SHORTEST, maxlength=_LONGEST),
                class_="wide",
            ),
            element("button", button, type="submit"),
            class_="fields",
        ),
        label=button,
    )  # fmt: skip


def _role(arm: Arm) -> str:
    if arm.role == "shadow":
        return "listens"
    return percent(arm.share) if arm.share < 1 else "answers everybody"

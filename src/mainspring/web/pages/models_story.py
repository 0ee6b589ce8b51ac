"""One model: its story, its figures beside others', when it answered, what it was made of, and its card."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mainspring.ledger import Artifact, Metric
from mainspring.ledger.comparison import parameters_of
from mainspring.loop.doing import doing_of
from mainspring.loop.story import Story, told_story
from mainspring.loop.story_words import deed_told, sentences
from mainspring.page.components import (
    Child,
    absent,
    badge,
    bullets,
    callout,
    definitions,
    disclosure,
    element,
    paragraph,
    section,
    table,
)
from mainspring.page.wording import capital, count, metric_title, moment, number, plural
from mainspring.web.asked import Asked
from mainspring.web.links import link_to, model_link
from mainspring.web.pages.loop_chart import Spell, spells_of
from mainspring.web.pages.loop_events import events_of, periods_now
from mainspring.web.pages.loop_evidence import evidence_table
from mainspring.web.pages.models_arms import letting_section
from mainspring.web.pages.models_compare import figure_cell
from mainspring.web.pages.models_known import (
    Known,
    answer_counts,
    arms_now,
    judged_metric,
    known_models,
    may_answer,
    metrics_of,
    role_badge,
)
from mainspring.web.shell import Page, live
from mainspring.web.source import Source

__all__ = ["story_page"]

_LONGEST_CARD = 100_000  # bytes
_MOST_SPELLS = 50
_ROLES = {"champion": "champion", "challenger": "a share", "shadow": "listened"}


def story_page(source: Source, asked: Asked, name: str) -> Page:
    """Return the page of a model. Raises WorkspaceError, ContractError."""
    models, events = known_models(source), events_of(source)
    known = models.get(name)
    if known is None and all(each.model != name for each in events):
        there = element("p", element("a", "All models", href="/ui/models"))
        return Page(
            "There is no such model", f"No model of {source.system.name} is called {name[:100]!r}.", [there], 404
        )
    periods, answers = periods_now(source), answer_counts(source).of(name)
    run = None if known is None else (known.run, known.record)
    story = source.once(
        "story",
        (name, run, answers, len(events), len(periods)),
        lambda: told_story(source.workspace, source.system.name, name, run, answers),
    )
    arms, state = arms_now(source, models), source.state()
    doing = None if state is None else doing_of(source.policy, state, events)
    spells = [each for each in spells_of(periods) if each.model == name]
    parts = [live("story", section("story", "Its story", *_story(story)))]
    if known is not None:
        metrics = metrics_of(source, known)
        parts.append(
            live("figures", section("figures", "Its figures", *_figures(story, metrics, judged_metric(source))))
        )
    parts.append(live("answered", section("answered", "When it answered", *_answered(story, spells, bool(periods)))))
    if known is not None:
        parts.append(live("lineage", section("lineage", "What it was made of", *_lineage(source, known, story))))
        artifacts = source.ledger.artifacts(known.run.name)
        parts.append(live("card", section("card", "Its card and report", *_card(source, artifacts))))
        parts.append(live("let", letting_section(source, asked, known, models, arms, periods, doing)))
    lead = [role_badge(name, arms) or badge("answers nobody"), " ", capital(_lead(story, spells))]
    return Page(name, lead, parts)


def _lead(story: Story, spells: list[Spell]) -> str:
    answered = [each for each in spells if each.role == "champion"]
    told = ""
    if story.judged:
        first = story.judged[0]
        told = f"{metric_title(first.name)} {number(first.value)} when it was judged; "
    if not answered:
        return f"{told}it was never champion."
    last = answered[-1]
    return f"{told}champion from {moment(last.begin)} {'on' if last.end is None else f'to {last.until}'}."


def _story(story: Story) -> list[Child]:
    parts: list[Child] = []
    if story.made is not None and story.made.bundle_problem:
        parts.append(callout("Its bundle cannot be read", paragraph(story.made.bundle_problem), tone="bad"))
    parts.append(bullets(sentences(story)))
    rests = [(f"{moment(deed.at)} ", deed) for deed in story.done]
    if rests:
        entries = (
            element("li", disclosure(f"{at}{deed_told(deed)}", evidence_table(deed.evidence)))
            if deed.evidence
            else element("li", f"{at}{deed_told(deed)}")
            for at, deed in rests
        )
        parts += [element("h3", "What was done with it"), element("ol", entries, class_="deeds")]
        parts.append(
            element(
                "p", element("a", "All that the loop did about it", href=link_to("/ui/loop", {"model": story.model}))
            )
        )
    return parts


# -- figures -------------------------------------------------------------------------------------------------------------


def _figures(story: Story, metrics: list[Metric], judged: str) -> list[Child]:
    if not metrics:
        return [absent("It was not judged: no figure of it is on record.")]
    names = [*dict.fromkeys(each.name for each in metrics if each.scope == "test")]
    names.sort(key=lambda each: each != judged)
    scopes = dict.fromkeys(each.scope for each in metrics)
    found = {(each.scope, each.name): each for each in metrics}
    baselines = [each for each in scopes if each.startswith("baseline:")]
    slices = [each for each in scopes if each.startswith("slice:")]
    champion = next((each.champion is not None for each in story.judged), False)
    rows = [[element("strong", story.model), *(figure_cell(found.get(("test", name))) for name in names)]]
    for scope in baselines:
        title = scope.partition(":")[2]
        if title == "champion" and champion and story.made is not None and story.made.parent:
            shown: Child = ["the champion then, ", model_link(story.made.parent)]
        else:
            shown = title
        rows.append([shown, *(figure_cell(found.get((scope, name))) for name in names)])
    columns = ["on the same rows", *map(metric_title, names)]
    parts: list[Child] = [
        table("Figures on rows that it had not seen, with 95% intervals where they are known", columns, rows, range(1, 1 + len(names)))
    ]  # fmt: skip
    if not baselines:
        parts.append(absent("No baseline stands beside it: those are judged by mainspring run."))
    if slices:
        shown_rows = [
            [scope.partition(":")[2], *(figure_cell(found.get((scope, name))) for name in names)] for scope in slices
        ]
        inside = table("By slice", ["slice", *columns[1:]], shown_rows, range(1, 1 + len(names)))
        parts.append(disclosure(f"By slice: {plural(len(slices), 'slice')}", inside))
    return parts


# -- when it answered ----------------------------------------------------------------------------------------------------


def _answered(story: Story, spells: list[Spell], deployed: bool) -> list[Child]:
    parts: list[Child] = []
    if spells:
        shown = [*reversed(spells)][:_MOST_SPELLS]
        rows = [[moment(a.begin), a.until, _ROLES[a.role]] for a in shown]
        parts.append(table("Its times as an arm, the newest first", ["from (UTC)", "until", "as"], rows))
        if len(spells) > len(shown):
            parts.append(paragraph(f"{count(len(spells) - len(shown))} earlier ones are among all deployments."))
    elif not deployed:
        parts.append(absent("Nothing was ever deployed: without that, the newest model that somebody made answers."))
    else:
        parts.append(absent("It was never deployed, not even as a shadow."))
    if story.answers:
        rows = [
            [
                f"{each.arm}, as a shadow" if each.shadow else each.arm,
                count(each.decisions),
                count(len(each.days)),
                moment(each.first),
                moment(each.last),
            ]
            for each in story.answers
        ]
        columns = ["answered as", "decisions", "days", "first (UTC)", "last (UTC)"]
        parts.append(table("Decisions that it answered, counted in the lake", columns, rows, (1, 2)))
    return parts


# -- what it was made of -------------------------------------------------------------------------------------------------


def _lineage(source: Source, known: Known, story: Story) -> list[Child]:
    made, dataset = story.made, next(iter(source.ledger.datasets(known.run.name)), None)
    served = badge("as served", "good") if may_answer(source, known) else badge("another one than is served", "warning")
    pairs: list[tuple[Child, Child]] = [
        ("run", [known.run.name, ", ", known.run.kind]),
        ("parent", model_link(made.parent) if made is not None and made.parent else "none: it began from nothing"),
        ("declaration", [known.run.declaration, " ", served]),
        ("code", f"Mainspring {known.run.version}"),
        ("calibration", known.record.calibration or "none"),
    ]
    if known.record.threshold is not None:
        pairs.append(("threshold", number(known.record.threshold)))
    if dataset is None:
        return [definitions(pairs), absent("Its dataset is not on record.")]
    pairs[3:3] = [
        ("dataset", f"{dataset.fingerprint}: {count(dataset.decisions)} decisions, {count(dataset.labelled)} labelled")
    ]
    pinned = [[name, str(snapshot)] for name, snapshot in dataset.snapshots.items()]
    snapshots = table("Snapshots of the tables that it learned from", ["table", "snapshot"], pinned)
    features = table("Features as they were defined", ["feature", "definition"], dataset.features.items())
    parameters = table(
        "What the estimator was made with", ["parameter", "value"], _parameters(parameters_of(known.record))
    )
    return [
        definitions(pairs),
        snapshots,
        disclosure(f"Its {plural(len(dataset.features), 'feature')}", features),
        disclosure("Its parameters", parameters),
    ]


def _parameters(pairs: Iterable[tuple[str, object]]) -> list[list[Child]]:
    return [[name, "none" if value is None else str(value)[:500]] for name, value in pairs]


def _card(source: Source, artifacts: list[Artifact]) -> list[Child]:
    """The card as it was written, as text: whatever stands in it is shown and not read as markup."""
    by_kind = {each.kind: each for each in artifacts}
    parts: list[Child] = []
    card = by_kind.get("card")
    text = None if card is None else _read(source.workspace.locate(card.path))
    if text is None:
        parts.append(absent("Its card is not there." if card is not None else "It has no card on record."))
    else:
        parts.append(disclosure("The card", element("pre", text, class_="card", tabindex=0)))
    paths: list[tuple[Child, Child]] = [
        (title, element("code", by_kind[kind].path))
        for kind, title in (("report", "report"), ("json", "report as JSON"), ("card", "card"), ("bundle", "bundle"))
        if kind in by_kind
    ]
    if paths:
        parts += [definitions(paths), paragraph("Paths are those in the workspace of the server.", class_="aside")]
    return parts


def _read(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST_CARD).decode("utf-8", "replace")
    except OSError:
        return None

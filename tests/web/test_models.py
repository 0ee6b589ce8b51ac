"""Models: each version once, one that answers, its story as it is told elsewhere, and forms for those who may use them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mainspring.answers import Arm
from mainspring.clock import DAY
from mainspring.ledger import Artifact
from mainspring.loop.story import story_of
from mainspring.page.wording import number
from mainspring.web.pages.models import page
from mainspring.web.source import Source
from tests.loop.lived import TRYING, lived
from tests.web.looked_at import HOSTILE, NOW, asked, did, empty, made_model, only, seen, written

CHAMPION = [Arm(name="champion", role="champion", model="new", share=1.0)]


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return Source(TRYING, lived(tmp_path_factory.getbasetemp())[0], Path("deliveries.py"))


@pytest.fixture
def two(tmp_path: Path) -> Source:
    """A model that was champion, and the one that is."""
    source = empty(tmp_path)
    made_model(source, "old", NOW - 2 * DAY, value=0.6)
    made_model(source, "new", NOW - DAY, value=0.5)
    source.ledger.deployments.deploy(
        source.system.name, [Arm(name="champion", role="champion", model="old", share=1.0)], at=NOW - 2 * DAY, by="Ada"
    )
    source.ledger.deployments.deploy(source.system.name, CHAMPION, at=NOW - DAY, by="Ada", reason="a try")
    return source


def names_listed(text: str) -> list[str]:
    return re.findall(r'<th scope="row"><a href="/ui/models/([^"]+)">', text)


# -- every version -------------------------------------------------------------------------------------------------------


def test_each_model_is_listed_once_the_newest_first_also_one_that_is_not_made(life: Source) -> None:
    listed = names_listed(written(page(life, asked("models"))))
    assert listed[:4] == ["deliveries-m4", "deliveries-m3", "deliveries-m2", "deliveries-m1"]
    assert len(listed) == len(set(listed)) == 5


def test_one_answers_and_the_list_says_how_good_why_and_since_when(life: Source) -> None:
    shown = page(life, asked("models"))
    assert str(shown.lead).startswith("deliveries-m3 answers (log loss ")
    rows = re.findall(r"<tr>.*?</tr>", written(shown))
    (answers,) = [each for each in rows if "answers</span>" in each]
    assert "/ui/models/deliveries-m3" in answers
    assert "2.0 days since the last training" in answers
    assert "2024-02-04 12:00 to now" in answers
    (before,) = [each for each in rows if '<th scope="row"><a href="/ui/models/deliveries-m1"' in each]
    assert "2024-01-29 00:00 to 2024-02-04 12:00" in before


def test_without_any_model_it_says_what_makes_one(tmp_path: Path) -> None:
    assert "mainspring run makes the first model" in seen(page(empty(tmp_path), asked("models")))


def test_where_nothing_is_deployed_the_newest_model_that_somebody_made_answers(tmp_path: Path) -> None:
    source = empty(tmp_path)
    made_model(source, "by-hand", NOW, kind="run")
    made_model(source, "by-loop", NOW + 1)
    assert str(page(source, asked("models")).lead).startswith("by-hand answers")


def test_pages_of_models_and_of_deployments_hold_each_once(two: Source) -> None:
    for number_ in range(120):
        made_model(two, f"m{number_}", NOW + number_)
        two.ledger.deployments.deploy(
            two.system.name, CHAMPION, at=NOW + number_, by="Ada", reason=f"reason {number_}."
        )
    pages = [written(page(two, asked("models", page=str(each), set=str(each)))) for each in (1, 2, 3)]
    listed = [name for text in pages for name in names_listed(text)]
    assert listed == [*(f"m{number_}" for number_ in reversed(range(120))), "new", "old"]
    reasons = [found for text in pages for found in re.findall(r"reason (\d+)\.", text)]
    assert reasons == [str(number_) for number_ in reversed(range(120))]
    assert written(page(two, asked("models", page="nonsense", set="-1"))) == pages[0]
    assert names_listed(written(page(two, asked("models", page="99")))) == names_listed(pages[2])


# -- one -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["deliveries-m1", "deliveries-m2", "deliveries-m3", "deliveries-m4"])
def test_a_model_tells_the_story_that_is_told_elsewhere(life: Source, model: str) -> None:
    story, text = story_of(life.workspace, model), seen(page(life, asked(f"models/{model}")))
    for deed in story.done:
        assert deed.told in text
    for each in story.judged:
        assert number(each.value) in text
    for each in story.answers:
        assert f"{each.decisions:,}" in text
    if story.made is not None:
        assert story.made.declaration in text
        assert all(str(snapshot) in text for snapshot in story.made.snapshots.values())
        assert "Its card" in text


def test_a_story_is_told_anew_when_something_was_done(two: Source) -> None:
    assert "began to matter" not in seen(page(two, asked("models/new")))
    did(two, [only("train", "new", NOW, told="it began to matter")])
    assert "began to matter" in seen(page(two, asked("models/new")))


def test_a_bundle_that_cannot_be_read_is_told_and_the_rest_is_shown(two: Source) -> None:
    text = seen(page(two, asked("models/new")))
    assert "Its bundle cannot be read" in text
    assert "0.5000 0.4900 to 0.5100" in text
    assert "constant" in text


def test_a_card_is_text_whatever_stands_in_it(two: Source) -> None:
    card = two.workspace.bundles / "new" / "card.md"
    card.write_text(f"# {HOSTILE}")
    run = next(each for each in two.ledger.runs() if each.started_at == NOW - DAY)
    two.ledger.record_artifact(Artifact(run=run.name, kind="card", path=two.workspace.relative(card), sha256="0"))
    text = written(page(two, asked("models/new")))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert HOSTILE not in text
    card.unlink()
    assert "Its card is not there" in seen(page(two, asked("models/new")))


def test_names_and_reasons_are_text(two: Source) -> None:
    made_model(two, f"m{HOSTILE.replace('/', '')}", NOW)
    two.ledger.deployments.deploy(two.system.name, CHAMPION, at=NOW, by=HOSTILE, reason=HOSTILE)
    did(two, [only("train", HOSTILE, NOW, told=HOSTILE, **{HOSTILE: HOSTILE})])
    for path in ("models", "models/new", f"models/{HOSTILE}", f"models/{HOSTILE}no"):
        assert "<script>" not in written(page(two, asked(path, a="")))
    assert "<script>" not in written(page(two, asked("models", a=HOSTILE, b="new")))


@pytest.mark.parametrize(("path", "query"), [("models/none", {}), ("models", {"a": "none", "b": "new"})])
def test_what_is_not_there_is_not_found(two: Source, path: str, query: dict[str, str]) -> None:
    shown = page(two, asked(path, **query))
    assert shown.status == 404
    assert "none" in str(shown.lead)


def test_a_model_of_another_system_is_not_shown(two: Source) -> None:
    run = two.ledger.start_run("others", started_at=NOW, declaration="d", version="1")
    two.ledger.finish_run(run.name, ended_at=NOW, seconds={})
    assert page(two, asked("models/others-m1")).status == 404


# -- what an admin may do ------------------------------------------------------------------------------------------------


def forms(text: str) -> list[str]:
    return re.findall(r'<form method="post".*?</form>', text)


@pytest.mark.parametrize("path", ["models", "models/old", "models/new"])
@pytest.mark.parametrize("role", ["read", "write"])
def test_only_an_admin_is_offered_a_form(two: Source, path: str, role: str) -> None:
    shown = page(two, asked(path, role))  # type: ignore[arg-type]
    assert forms(written(shown)) == []
    assert path == "models" or "A key that may admin" in seen(shown)


@pytest.mark.parametrize(
    ("shown", "button"), [("old", "Let this model answer"), ("new", "Go back to old")], ids=["another", "the champion"]
)
def test_an_admin_lets_a_model_answer_and_from_the_champion_goes_back(two: Source, shown: str, button: str) -> None:
    (found,) = forms(written(page(two, asked(f"models/{shown}", "admin"))))
    assert 'action="/ui/change/promote"' in found
    assert '<input type="hidden" name="model" value="old">' in found
    assert f'name="back" value="/ui/models/{shown}"' in found
    (reason,) = re.findall(r'<input id="reason"[^>]*>', found)
    assert 'required minlength="3" maxlength="500"' in reason
    assert '<label for="reason">' in found
    assert "old will answer everybody within seconds, in place of new" in found
    assert "The loop begins again with it" in found
    assert f">{button}</button>" in found


def test_a_model_of_another_declaration_cannot_answer(two: Source) -> None:
    made_model(two, "foreign", NOW, declaration="another")
    shown = page(two, asked("models/foreign", "admin"))
    assert forms(written(shown)) == []
    assert "another declaration than is served" in seen(shown)


def test_what_is_on_its_way_is_named_as_dropped(life: Source) -> None:
    (found,) = forms(written(page(life, asked("models/deliveries-m3", "admin"))))
    assert "Go back to deliveries-m1" in found
    assert "deliveries-m4, which is on its way, is dropped" in found


# -- two -----------------------------------------------------------------------------------------------------------------


def test_two_models_are_compared_as_the_ledger_does(two: Source) -> None:
    shown = page(two, asked("models", a="old", b="new"))
    text = seen(shown)
    assert "Log loss was 0.6000 of old and 0.5000 of new, a difference of −0.1000" in str(shown.lead)
    assert "beyond chance" in text
    assert "as of" in text, "settings that differ are told"
    back = page(two, asked("models", a="new", b="old"))
    assert "+0.1000" in str(back.lead)


def test_a_model_is_not_compared_with_itself(two: Source) -> None:
    assert "compared with another one" in str(page(two, asked("models", a="new", b="new")).lead)


def test_a_page_that_nothing_has_changed_is_the_same_again(life: Source) -> None:
    for path in ("models", "models/deliveries-m3"):
        assert written(page(life, asked(path, "admin"))) == written(page(life, asked(path, "admin")))

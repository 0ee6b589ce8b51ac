"""The model card says what the report says, and no text of a user becomes markup."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.evaluation.card import model_card
from mainspring.evaluation.report.verdict import verdict
from tests.evaluation import sample

HEADINGS = [
    "Model details",
    "Intended use",
    "Factors",
    "Metrics",
    "Training and evaluation data",
    "Quantitative analyses",
    "Ethical considerations",
    "Caveats and recommendations",
]


@pytest.mark.parametrize("evaluation", [sample.full(), sample.minimal(), sample.regression(), sample.multiclass()])
def test_every_card_has_every_heading_and_no_empty_section(evaluation):
    card = model_card(evaluation, sample.bare_context())
    assert re.findall(r"^## (.+)$", card, flags=re.MULTILINE) == HEADINGS
    for text in re.split(r"^## .+$", card, flags=re.MULTILINE)[1:]:
        assert text.strip()


def test_the_card_has_figures_with_intervals_slices_and_the_brief():
    evaluation, context = sample.full(), sample.context()
    card = model_card(evaluation, context)
    assert "| Log loss (objective) | 0.4598 | 0.4509 to 0.4687 |" in card
    assert "| Payoff per decision, EUR | 0.6213 | 0.5972 to 0.6454 |" in card
    assert verdict(evaluation).sentence in card
    assert context.purpose.split(",")[0] in card
    assert "**Who could be harmed?**" in card
    assert "(few rows)" in model_card(sample.minimal(slices=[s for s in evaluation.slices if s.small]), context)
    assert "Failed check" in card


@settings(deadline=None)
@given(st.text(min_size=1))
def test_text_of_users_never_becomes_markup(text):
    plain = model_card(sample.minimal(system="x", label="x", notes=["x"]), sample.bare_context())
    card = model_card(sample.minimal(system=text, label=text, notes=[text]), sample.bare_context())
    assert len(card.splitlines()) == len(plain.splitlines())
    assert not re.search(r"(?<!\\)[<`]", card)


def test_a_pipe_in_a_name_does_not_make_a_column():
    evaluation = sample.minimal(parts=[sample.full().parts[0]], left_out={"a | b": 1})
    assert r"a \| b" in model_card(evaluation, sample.bare_context())

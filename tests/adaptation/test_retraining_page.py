"""The page on retraining is a program."""

from tests.test_guide import executed


def test_the_examples_of_the_page_hold() -> None:
    assert executed("docs/retraining.md")["retrain"].delay == "measured"

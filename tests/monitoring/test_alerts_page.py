"""The page on alerts is a program."""

from mainspring.monitoring.alerts import AlertBook
from tests.test_guide import executed


def test_the_examples_of_the_page_hold() -> None:
    assert isinstance(executed("docs/alerts.md")["book"], AlertBook)

"""The page about proxies is a program, and what it declares is sound."""

from tests.test_guide import errors, executed


def test_what_the_page_says_is_so() -> None:
    page = executed("docs/proxies.md")
    assert errors(page["system"]) == []
    assert page["reading"].state == "firing"

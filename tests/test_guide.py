"""The documents' Python is a program: it runs in the order it is read, and what it declares passes the lint."""

import re
from pathlib import Path
from typing import Any

import pytest

import mainspring as ms
from mainspring.declare.lint import Finding, lint

ROOT = Path(__file__).parents[1]
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(document: str) -> list[tuple[int, str]]:
    """The Python blocks of a document, each with the number of lines before it."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return [(text.count("\n", 0, found.start(1)), found[1]) for found in _BLOCK.finditer(text)]


def executed(document: str, how_many: int | None = None) -> dict[str, Any]:
    """Run a document's blocks in one namespace; an error names the document's own line."""
    namespace: dict[str, Any] = {"__name__": "guide"}
    for line, block in blocks(document)[:how_many]:
        exec(compile("\n" * line + block, ROOT / document, "exec"), namespace)
    return namespace


def errors(system: ms.System) -> list[Finding]:
    return [finding for finding in lint(system) if finding.severity == "error"]


@pytest.fixture(scope="module")
def guide() -> dict[str, Any]:
    return executed("docs/guide.md")


def test_the_systems_of_the_guide_are_sound(guide: dict[str, Any]) -> None:
    systems = [value for value in guide.values() if isinstance(value, ms.System)]
    assert [system.name for system in systems] == ["late-deliveries", "branch-demand"]
    assert [errors(system) for system in systems] == [[], []]


@pytest.mark.parametrize(
    ("label", "objective", "model"),
    [
        ("late", "objective", "line"),
        ("duration", "stock", "own"),
        ("ending", None, "trees"),
    ],
)
def test_every_part_of_the_guide_fits_a_system(
    guide: dict[str, Any], label: str, objective: str | None, model: str
) -> None:
    system = ms.System(
        name="parts",
        decision=guide["before_promise"],
        label=guide[label],
        features=guide["row"] | guide["past"],
        objective=guide[objective] if objective else ms.Objective(),
        model=guide[model],
    )
    assert errors(system) == []


def test_the_history_of_the_guide_covers_its_system(guide: dict[str, Any]) -> None:
    assert set(guide["system"].tables) == set(guide["history"])


def test_the_guide_names_every_method_of_an_expression() -> None:
    text = (ROOT / "docs/guide.md").read_text(encoding="utf-8")
    methods = [name for name, value in vars(ms.Expression).items() if callable(value) and not name.startswith("_")]
    assert [name for name in methods if not re.search(rf"\b{name}\b", text)] == []


def test_the_readme_declares_a_sound_system() -> None:
    assert errors(executed("README.md", 1)["system"]) == []

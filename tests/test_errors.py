"""The error tree and docs/errors.md say the same, and no error can be raised without a code and advice."""

import re
from pathlib import Path

import pytest

from mainspring import errors
from mainspring.declare.lint import finding_codes
from mainspring.declare.lint.rule import HISTORY_RULES, SYSTEM_RULES
from mainspring.errors import DeclarationError, MainspringError, MissingExtraError, Origin

ROOT = Path(__file__).parent.parent
DOCUMENT = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### ([A-Z_]+)\n\n(.*?)(?=^##|\Z)", DOCUMENT, flags=re.MULTILINE | re.DOTALL))
KINDS = MainspringError.__subclasses__()


def test_the_document_lists_exactly_the_codes() -> None:
    assert list(SECTIONS) == list(errors.codes())


@pytest.mark.parametrize("code", errors.codes())
def test_each_code_has_its_meaning_an_example_and_advice(code: str) -> None:
    meaning, example, advice = [line for line in SECTIONS[code].splitlines() if line]
    assert meaning == errors.codes()[code]
    assert example.startswith("- Example: ")
    assert advice.startswith("- What to do: ")


def test_the_document_lists_exactly_the_findings_of_the_lint() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| (\w+) \| (.*) \|$", DOCUMENT, flags=re.MULTILINE)
    assert sorted(rows) == sorted((rule.code, rule.severity, rule.meaning) for rule in (*SYSTEM_RULES, *HISTORY_RULES))
    assert {code for code, _, _ in rows} == set(finding_codes())


def test_codes_are_unique_and_every_kind_of_error_has_some() -> None:
    every = [code for kind in KINDS for code in kind.codes]
    assert len(every) == len(set(every)) == len(errors.codes())
    assert all(kind.codes and all(meaning.endswith(".") for meaning in kind.codes.values()) for kind in KINDS)
    assert set(errors.__all__) >= {kind.__name__ for kind in KINDS}


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind is not MissingExtraError], ids=lambda kind: kind.__name__
)
def test_an_error_needs_a_code_of_its_own_kind(kind: type[MainspringError]) -> None:
    with pytest.raises(ValueError, match="has no code"):
        kind("NO_SUCH_CODE", "A problem.", fix="Do this.")
    with pytest.raises(TypeError):
        kind(next(iter(kind.codes)), "A problem.")  # type: ignore[call-arg]


def test_every_code_that_is_raised_exists() -> None:
    raised = re.compile(rf'"((?:{"|".join(sorted({code.partition("_")[0] for code in errors.codes()}))})_[A-Z_]+)"')
    for file in (ROOT / "src").rglob("*.py"):
        for code in raised.findall(file.read_text(encoding="utf-8")):
            assert code in errors.codes(), f"{file} names {code}"


def test_an_error_reads_as_one_line_for_a_tired_reader() -> None:
    error = DeclarationError(
        "DECLARE_SPAN", "'x' is no span.", exists="Units are s, m.", fix="Write '2h'.", origin=Origin("a.py", 3)
    )
    assert str(error) == "a.py:3: 'x' is no span. Units are s, m. Write '2h'. [DECLARE_SPAN]"
    assert str(DeclarationError("DECLARE_SPAN", "A.", fix="B.")) == "A. B. [DECLARE_SPAN]"
    assert str(MissingExtraError("mlflow", "mlflow", "Mirroring")) == (
        "Mirroring needs the package 'mlflow', which is not installed. Run: pip install 'mainspring[mlflow]' [EXTRA_MISSING]"
    )

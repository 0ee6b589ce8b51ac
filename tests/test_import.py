"""Importing Mainspring is light: it loads nothing heavy, does no work, and brings every public name."""

import subprocess
import sys

import mainspring

HEAVY = {
    "altair", "duckdb", "httpx", "joblib", "lightgbm", "mlflow", "msgspec", "numba", "numpy", "optuna", "pandas", "polars", "pyarrow",
    "pyiceberg", "rich", "scipy", "skops", "sklearn", "sqlalchemy", "sqlite3", "starlette", "typer", "vl_convert", "zoneinfo",
    "asyncio", "email", "http", "importlib.metadata", "logging", "multiprocessing", "pathlib", "socket", "ssl", "unittest",
}  # fmt: skip


def modules_after(statement: str) -> set[str]:
    """The modules a fresh process has loaded because of a statement (site's own, such as an editable install's, aside)."""
    code = f"import sys; before = set(sys.modules); {statement}; print(*sorted(set(sys.modules) - before))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stderr == ""
    return set(run.stdout.split())


def test_import_loads_nothing_heavy() -> None:
    loaded = modules_after("import mainspring")
    assert HEAVY & loaded == set()
    ours = {name for name in loaded if name.startswith("mainspring.")}
    assert {name.split(".")[1] for name in ours} == {"clock", "declare", "errors"}
    assert "mainspring.declare.lint" not in ours, "the lint is loaded by those who run it"


def test_the_lint_is_light_too() -> None:
    assert (HEAVY - {"zoneinfo"}) & modules_after("import mainspring.declare.lint") == set()


def test_every_public_name_is_there() -> None:
    assert all(hasattr(mainspring, name) for name in mainspring.__all__)
    assert len(set(mainspring.__all__)) == len(mainspring.__all__)
    assert len(set(mainspring.declare.__all__)) == len(mainspring.declare.__all__)
    assert all(hasattr(mainspring.declare, name) for name in mainspring.declare.__all__)

"""The examples that come with Mainspring, each called by the name of its file."""

from __future__ import annotations

from pathlib import Path

__all__ = ["example_names", "find_system_file"]

_FOLDER = Path(__file__).parent.parent / "examples"


def example_names() -> list[str]:
    """Return the names of the examples."""
    return sorted(path.stem for path in _FOLDER.glob("*.py") if not path.stem.startswith("_"))


def find_system_file(name: str) -> Path:
    """Return the path of a system file, given as a path or, where there is no such file, as the name of an example."""
    path = Path(name)
    return _FOLDER / f"{name}.py" if not path.exists() and name in example_names() else path

"""Loading a system file: from a path to the one system it declares, and to its history."""

from __future__ import annotations

import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any

from mainspring.declare import System
from mainspring.errors import DeclarationError, MainspringError, Origin

__all__ = ["LoadedSystem", "load_system"]


@dataclass(frozen=True)
class LoadedSystem:
    """A system with the file it was declared in.

    `history` is the file's function or mapping of that name, or None when it has none; a function runs with the file's folder
    importable, as the file did. `docstring` describes the system where it does not describe itself.
    """

    system: System
    path: Path
    source_text: str
    history: Callable[[], Any] | Mapping[Any, Any] | None
    docstring: str


def load_system(path: str | Path) -> LoadedSystem:
    """Run a user's Python file and return the system it declares.

    The file runs anew each time, under a module name of its own; while it runs its folder can be imported from, and neither
    it nor its neighbours stay loaded or leave bytecode behind. With several systems in the file the one called `system` counts.

    Raises DeclarationError (DECLARE_FILE) when there is no such file, it is not UTF-8 or not Python, it fails, or it holds no
    system or several. Errors that the declaration itself raises pass unchanged.
    """
    path = Path(path)
    source_text = _read(path)
    module = _run(path, source_text)
    system = _the_system(path, module)
    docstring = inspect.cleandoc(module.__doc__ or "")
    if docstring and not system.description:
        system = replace(system, description=docstring)
    return LoadedSystem(system, path, source_text, _history(path, source_text, module), docstring)


def _read(path: Path) -> str:
    if path.is_dir():
        files = sorted(file.name for file in path.glob("*.py"))
        raise _refuse(
            f"{path} is a folder.",
            "Give the path of one Python file.",
            f"It holds {', '.join(files)}." if files else "It holds no Python file.",
        )
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        near = sorted(file.name for file in path.parent.glob("*.py")) if path.parent.is_dir() else []
        raise _refuse(
            f"There is no file {path}.",
            "Check the path, or write a first system with: mainspring new FILE",
            f"The folder holds {', '.join(near)}." if near else "",
        ) from None
    except UnicodeDecodeError as error:
        raise _refuse(
            f"{path} is not UTF-8: byte {error.start} is {error.object[error.start]:#04x}.", "Save it as UTF-8."
        ) from None
    except OSError as error:
        raise _refuse(f"{path} cannot be read: {error.strerror}.", "Check the path and its permissions.") from None


def _run(path: Path, source_text: str) -> ModuleType:
    try:
        code = compile(source_text, str(path), "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        raise _refuse(
            f"{path.name} is not valid Python: {getattr(error, 'msg', error)}.",
            "Correct that line.",
            f"The line reads: {_line(source_text, line)}" if line else "",
            Origin(str(path), line) if line else None,
        ) from None
    module = ModuleType(f"mainspring_system_{re.sub(r'[^0-9a-zA-Z_]', '_', path.stem)}")
    module.__file__ = str(path)
    with _neighbours(path):
        sys.modules[module.__name__] = module
        try:
            with _told_by_their_line(path, source_text):
                exec(code, module.__dict__)
        finally:
            sys.modules.pop(module.__name__, None)
    return module


@contextmanager
def _told_by_their_line(path: Path, source_text: str) -> Iterator[None]:
    """Turn whatever a user's file does into an error that names its line."""
    try:
        yield
    except MainspringError as error:
        error.origin = error.origin or _user_line(path, error)
        raise
    except ImportError as error:
        raise _not_imported(path, error) from error
    except (Exception, SystemExit) as error:
        raise _failed(path, source_text, error) from error


@contextmanager
def _neighbours(path: Path) -> Iterator[None]:
    """Make a file's folder importable; forget what was imported from it, so that it is read anew the next time."""
    folder = path.resolve().parent
    before, bytecode = set(sys.modules), sys.dont_write_bytecode
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = bytecode
        if str(folder) in sys.path:
            sys.path.remove(str(folder))
        loaded = set(sys.modules) - before
        for name in [name for name in loaded if _lies_in(folder, name.partition(".")[0])]:
            del sys.modules[name]


def _lies_in(folder: Path, package: str) -> bool:
    """Whether a module or package is found directly in a folder; Mainspring itself never counts."""
    module = sys.modules.get(package)
    places = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
    return package != "mainspring" and any(Path(place).parent == folder for place in places if place)


def _the_system(path: Path, module: ModuleType) -> System:
    names = {name: value for name, value in vars(module).items() if isinstance(value, System)}
    if "system" in names:
        return names["system"]
    if len({id(system) for system in names.values()}) > 1:
        raise _refuse(
            f"{path} declares several systems.",
            "Call the one that is meant `system`, or keep each in a file of its own.",
            f"There is {', '.join(names)}.",
        )
    if not names:
        defined = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        raise _refuse(
            f"{path} declares no system.",
            "Write system = ms.System(name=..., decision=..., label=..., features=...).",
            f"It defines {', '.join(defined)}." if defined else "It defines nothing.",
        )
    return next(iter(names.values()))


def _history(path: Path, source_text: str, module: ModuleType) -> Callable[[], Any] | Mapping[Any, Any] | None:
    history = getattr(module, "history", None)
    if history is None or isinstance(history, Mapping):
        return history
    if not callable(history):
        raise _refuse(
            f"`history` in {path} is {type(history).__name__}.",
            "Make it a function that returns {Table: frame}, or a mapping {Table: ms.csv(...)}.",
        )

    @wraps(history)
    def read() -> Any:
        with _neighbours(path), _told_by_their_line(path, source_text):
            return history()

    return read


def _not_imported(path: Path, error: ImportError) -> DeclarationError:
    package = (error.name or "").partition(".")[0]
    missing = isinstance(error, ModuleNotFoundError) and package
    return _refuse(
        f"{path.name} imports {error.name!r}, which is not installed."
        if missing
        else f"{path.name} cannot import: {error}.",
        f"Run: pip install {package}" if missing else "Correct the import, or install another version of that package.",
        f"Or put {package}.py next to {path.name}." if missing else "",
        _user_line(path, error),
    )


def _failed(path: Path, source_text: str, error: BaseException) -> DeclarationError:
    origin = _user_line(path, error)
    reads = _line(source_text, origin.line) if origin is not None and origin.file == str(path) else ""
    return _refuse(
        f"{path.name} failed: {type(error).__name__}: {error}.",
        "Correct that line.",
        f"The line reads: {reads}" if reads else "",
        origin,
    )


def _user_line(path: Path, error: BaseException) -> Origin | None:
    """The last line on the way to the error that is the file's own, or its neighbours'."""
    frames = traceback.extract_tb(error.__traceback__)
    folder = path.resolve().parent
    own = [f for f in frames if f.filename == str(path) or Path(f.filename).parent == folder]
    return Origin(own[-1].filename, own[-1].lineno or 0) if own else None


def _line(source_text: str, number: int) -> str:
    lines = source_text.splitlines()
    return lines[number - 1].strip() if 0 < number <= len(lines) else ""


def _refuse(problem: str, fix: str, exists: str = "", origin: Origin | None = None) -> DeclarationError:
    return DeclarationError("DECLARE_FILE", problem, fix=fix, exists=exists, origin=origin)

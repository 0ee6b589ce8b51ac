"""The workspace: where everything lies. It hands out the parts and knows nothing of what they do.

    .mainspring/
        workspace.json    format, the version that made it, its id
        workspace.toml    optional, yours: addresses of a catalog and a ledger elsewhere
        writer.lock       held by the one process that writes
        lake/ catalog.db  facts at rest and their catalog
        ledger.db         the record of runs
        log/              facts and predictions in motion, by system
        training/         what loops asked to be trained, by system
        datasets/ bundles/ reports/ cache/

workspace.toml, all of it optional:

    [catalog]                    # any property of a PyIceberg catalog
    uri = "https://catalog.example/"
    warehouse = "s3://bucket/lake"
    [ledger]
    url = "postgresql+psycopg://mainspring@db.example/ledger"
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import time
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

import msgspec

from mainspring.errors import WorkspaceError
from mainspring.storage import storage_errors, write_atomically

if TYPE_CHECKING:
    from mainspring.lake import Lake
    from mainspring.ledger import Ledger

__all__ = ["DEFAULT_FOLDER", "Workspace"]

DEFAULT_FOLDER = ".mainspring"
_FORMAT = 1
_SETTINGS = {"catalog", "ledger"}
_LOCK_ATTEMPTS, _LOCK_PAUSE_SECONDS = 10, 0.05


class _Format(msgspec.Struct, frozen=True):
    format: int


class _Manifest(msgspec.Struct, frozen=True):
    format: int
    version: str  # of Mainspring, when the workspace was made
    id: str  # tells workspaces apart that share a ledger


@dataclass(frozen=True)
class Workspace:
    """An open workspace: paths, addresses, and the writer's lock. Make one with `Workspace.open`.

    Guarantees: opening again gives an equal workspace; any number of processes may read while one writes; what a
    killed process held is free again.
    """

    root: Path  # absolute
    id: str
    ledger_url: str = field(repr=False)  # may hold a password, as the catalog's properties may
    _catalog: Mapping[str, str] = field(repr=False, hash=False)

    @classmethod
    def open(
        cls,
        path: str | Path = DEFAULT_FOLDER,
        *,
        create: bool = True,
        catalog_uri: str | None = None,
        ledger_url: str | None = None,
    ) -> Self:
        """Open the workspace in a folder, to write and read with `create` (made where it is missing), else to read.

        `catalog_uri` and `ledger_url` come before workspace.toml, and that before the files in the folder itself.

        Raises WorkspaceError (WORKSPACE_MISSING, WORKSPACE_NEWER, WORKSPACE_BROKEN, WORKSPACE_READ_ONLY,
        WORKSPACE_DISK_FULL).
        """
        root = Path(path).expanduser().absolute()
        if root.exists() and not root.is_dir():
            raise WorkspaceError(
                "WORKSPACE_READ_ONLY",
                f"{root} is a file, so no workspace can be in it.",
                fix="Choose a folder with --workspace or MAINSPRING_HOME.",
            )
        if create:
            _make(root)
        elif not (root / "workspace.json").exists():
            raise WorkspaceError(
                "WORKSPACE_MISSING",
                f"There is no workspace in {root}.",
                fix="Make one with mainspring run FILE, or name another folder with --workspace or MAINSPRING_HOME.",
            )
        manifest = _read_manifest(root)
        settings = _read_settings(root)
        catalog = dict(settings.get("catalog", {}))
        catalog["uri"] = catalog_uri or catalog.get("uri") or f"sqlite:///{root / 'catalog.db'}"
        if not catalog["uri"].startswith("http"):  # a REST catalog knows its own warehouse
            catalog.setdefault("warehouse", str(root / "lake"))  # as file://… a folder called "a#1" would be lost
        url = ledger_url or settings.get("ledger", {}).get("url") or f"sqlite:///{root / 'ledger.db'}"
        return cls(root=root, id=manifest.id, ledger_url=url, _catalog=catalog)

    @property
    def datasets(self) -> Path:
        """The folder of datasets."""
        return self.root / "datasets"

    @property
    def bundles(self) -> Path:
        """The folder of bundles."""
        return self.root / "bundles"

    @property
    def reports(self) -> Path:
        """The folder of reports."""
        return self.root / "reports"

    @property
    def log(self) -> Path:
        """The folder of the logs of facts and predictions in motion, one for each system that was served."""
        return self.root / "log"

    def kept_state(self, system: str) -> Path:
        """The file in which a server of a system keeps its state: deleting it costs time only."""
        return self.log / system / "state"

    def training(self, system: str) -> Path:
        """The folder of what the loop of a system asked to be trained, and what became of it."""
        return self.root / "training" / system

    @property
    def cache(self) -> Path:
        """The folder of results that can be made again: deleting it costs time only."""
        return self.root / "cache"

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger; nothing is opened until it is used."""
        from mainspring.ledger import Ledger

        return Ledger(self.ledger_url, owner=self.id, writer_alive=self.is_written)

    def lake(self, system: str = "") -> Lake:
        """Return the lake of the facts of a system, by its name; without one, all that can be asked by SQL.

        Nothing is opened until it is used.
        """
        from mainspring.lake import Lake

        return Lake(self.catalog_properties(), system.replace("-", "_"))

    def catalog_properties(self) -> dict[str, str]:
        """Return the properties with which PyIceberg opens the catalog of the lake: uri, warehouse and any others."""
        return dict(self._catalog)

    def relative(self, path: Path) -> str:
        """Return a path as the ledger keeps it: from the root of the workspace, absolute when it lies outside."""
        path = path.absolute()
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)

    def locate(self, path: str) -> Path:
        """Return where a path kept in the ledger lies, the inverse of `relative`."""
        return self.root / path

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Be the one process, and the one thread, that writes here; the kernel frees the lock when the process dies.

        Raises WorkspaceError (WORKSPACE_BUSY, WORKSPACE_READ_ONLY, WORKSPACE_DISK_FULL).
        """
        with storage_errors(self.root):
            lock = (self.root / "writer.lock").open("a+")
        with lock:
            self._acquire(lock)
            try:
                yield
            finally:
                fcntl.flock(lock, fcntl.LOCK_UN)  # closing would not do while a forked worker still holds the file

    def is_written(self) -> bool:
        """Say whether a live process is writing here."""
        try:
            with (self.root / "writer.lock").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def _acquire(self, lock: IO[str]) -> None:
        for _ in range(_LOCK_ATTEMPTS):
            with contextlib.suppress(BlockingIOError):  # also `is_written` holds the lock, for an instant
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(_LOCK_PAUSE_SECONDS)
        else:
            lock.seek(0)
            raise WorkspaceError(
                "WORKSPACE_BUSY",
                f"Another process ({lock.read().strip() or 'unknown'}) is writing to {self.root}.",
                fix="Wait for it to end, or choose another folder with --workspace.",
            )
        with storage_errors(self.root):
            lock.truncate(0)
            os.write(lock.fileno(), f"pid {os.getpid()}".encode())  # what stays in a buffer would fail again on closing


def _make(root: Path) -> None:
    """Make what is missing of a workspace, and see that the folder can be written."""
    with storage_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        folder = os.open(root, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)  # two processes may make it at once: the first one names it
            if not (root / "workspace.json").exists():
                manifest = _Manifest(format=_FORMAT, version=version("mainspring"), id=secrets.token_hex(8))
                write_atomically(root / "workspace.json", msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
        finally:
            os.close(folder)
        for name in ("lake", "datasets", "bundles", "reports", "cache"):
            (root / name).mkdir(exist_ok=True)
        probe = root / f".probe.{secrets.token_hex(4)}.tmp"
        probe.touch()  # permissions do not tell: the superuser has them all, a read-only file system grants none
        probe.unlink()


def _read_manifest(root: Path) -> _Manifest:
    path = root / "workspace.json"
    try:
        text = path.read_bytes()
        found = msgspec.json.decode(text, type=_Format).format
        if found > _FORMAT:
            raise WorkspaceError(
                "WORKSPACE_NEWER",
                f"The workspace {root} has format {found}.",
                exists=f"This version of Mainspring reads up to {_FORMAT}.",
                fix="Upgrade: pip install --upgrade mainspring",
            )
        return msgspec.json.decode(text, type=_Manifest)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WorkspaceError(
            "WORKSPACE_BROKEN",
            f"{path} cannot be read: {error}.",
            fix="Restore it from a copy, or choose another folder with --workspace.",
        ) from error


def _read_settings(root: Path) -> dict[str, dict[str, str]]:
    """Read workspace.toml: sections of texts, those of `_SETTINGS` only; empty when there is no such file."""
    path = root / "workspace.toml"
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
        if unknown := settings.keys() - _SETTINGS:
            raise msgspec.ValidationError(f"unknown section {', '.join(sorted(unknown))}")
        return msgspec.convert(settings, dict[str, dict[str, str]])
    except FileNotFoundError:
        return {}
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise WorkspaceError(
            "WORKSPACE_BROKEN",
            f"{path} cannot be read: {error}.",
            exists="It may have the sections [catalog], with properties of a PyIceberg catalog, and [ledger], with url.",
            fix="Correct it or remove it.",
        ) from error

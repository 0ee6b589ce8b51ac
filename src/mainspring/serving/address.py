"""Where the server of a system listens, told to commands that run beside it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from mainspring.errors import ServingError
from mainspring.storage import write_atomically

__all__ = ["read_address", "told_address"]

_FILE = "address"


@contextlib.contextmanager
def told_address(folder: Path, address: str) -> Iterator[None]:
    """Write the address of a server into the folder of its log for as long as it runs."""
    write_atomically(folder / _FILE, address.encode())
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            (folder / _FILE).unlink()


def read_address(folder: Path) -> str:
    """Return where the server whose log is in a folder listens; one that was killed may have left its last address.

    Raises ServingError (SERVE_OPTION) when none runs.
    """
    try:
        return (folder / _FILE).read_text(encoding="utf-8")
    except OSError:
        raise ServingError(
            "SERVE_OPTION",
            f"No server of {folder.name} runs in this workspace.",
            fix="Start one in another terminal (mainspring serve FILE), or give --address and --key.",
        ) from None

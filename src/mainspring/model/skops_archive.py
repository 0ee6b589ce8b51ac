"""skops archives made repeatable: the same estimator gives the same bytes in every process."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

__all__ = ["canonical"]

_NO_DATE = (1980, 1, 1, 0, 0, 0)  # the first date that a zip archive can hold


def canonical(archive: bytes) -> bytes:
    """Return an equal archive whose bytes depend on the estimator alone.

    skops names objects and files by their address in memory and stamps files with the time; here they are numbered in the
    order in which the document mentions them, and carry no time.
    """
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        document = json.loads(source.read("schema.json"))
        numbers: dict[str, int] = {}
        files: dict[str, str] = {}
        _renumber(document, numbers, files)
        contents = {files[name]: source.read(name) for name in source.namelist() if name in files}
    contents["schema.json"] = json.dumps(document, indent=2).encode()
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as written:
        for name in sorted(contents):
            written.writestr(zipfile.ZipInfo(name, _NO_DATE), contents[name])
    return target.getvalue()


def _renumber(node: Any, numbers: dict[str, int], files: dict[str, str]) -> None:
    if isinstance(node, list):
        for item in node:
            _renumber(item, numbers, files)
    elif isinstance(node, dict):
        if "__id__" in node:
            node["__id__"] = numbers.setdefault(str(node["__id__"]), len(numbers))
        if "__loader__" in node and isinstance(node.get("file"), str):
            stem, _, ending = node["file"].partition(".")
            node["file"] = files.setdefault(node["file"], f"{numbers.setdefault(stem, len(numbers))}.{ending}")
        for item in node.values():
            _renumber(item, numbers, files)

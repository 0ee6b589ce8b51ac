"""What pages load besides themselves: two style sheets and three scripts, named by their digests, all of this package."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

from mainspring.page.vega import vega_script

__all__ = ["asset", "asset_path"]

_KINDS = {"css": "text/css", "js": "text/javascript"}
_OF_PAGE = ("style.css", "charts.js")
_OWN = ("dashboard.css", "dashboard.js")
_VEGA = "vega.js"
_NAMES = (*_OF_PAGE, *_OWN, _VEGA)


@cache
def _body(name: str) -> bytes:
    if name == _VEGA:
        return vega_script().encode()
    room = "mainspring.page" if name in _OF_PAGE else __package__
    return files(room).joinpath(name).read_bytes()


@cache
def asset_path(name: str) -> str:
    """Return where a page finds a file; a browser may keep it for ever, for the path holds its digest."""
    stem, _, kind = name.partition(".")
    return f"/ui/static/{stem}-{hashlib.sha256(_body(name)).hexdigest()[:16]}.{kind}"


def asset(file: str) -> tuple[bytes, str] | None:
    """Return the file at the end of such a path and its media type; None where there is none."""
    for name in _NAMES:
        if asset_path(name).rpartition("/")[2] == file:
            return _body(name), _KINDS[name.partition(".")[2]]
    return None

"""Vega, Vega-Lite and Vega-Embed as one script, taken from vl-convert so that a page needs no network."""

from __future__ import annotations

import contextlib
import os
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from mainspring.errors import WorkspaceError
from mainspring.storage import write_atomically

__all__ = ["vega_script"]

_END = "\n/* end of vega */"  # a file that lacks it was not written to its end


def _cache_folder() -> Path | None:
    """Return the user's cache folder, or None where there is no home."""
    named = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(named) if named else Path.home() / ".cache") / "mainspring"
    except RuntimeError:
        return None


@lru_cache(maxsize=1)
def vega_script() -> str:
    """Return the script that defines `vegaEmbed`, about 0.9 MB.

    vl-convert needs two to three seconds to bundle it, so it is kept in the user's cache folder, a file per version; a
    folder that cannot be read or written costs the time again and nothing else.
    """
    folder = _cache_folder()
    stored = folder / f"vega-{version('vl-convert-python')}.js" if folder else None
    if stored is not None:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            text = stored.read_text(encoding="utf-8")
            if text.endswith(_END):
                return text
    import vl_convert

    # The stub does not know that the snippet may be left out.
    script: str = vl_convert.javascript_bundle()  # type: ignore[call-arg]
    # Nothing in a script element may look like its end.
    script = script.replace("</script", "<\\/script").replace("<!--", "<\\!--") + _END
    if stored is not None:
        with contextlib.suppress(OSError, WorkspaceError):
            stored.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(stored, script.encode("utf-8"))
    return script

"""Where a client's server is and by which key it lets the client in; the key is never shown."""

from __future__ import annotations

import os

import httpx

from mainspring.errors import ClientError

__all__ = ["address_of", "headers_of"]

_ADDRESS, _KEY = "MAINSPRING_ADDRESS", "MAINSPRING_KEY"


def address_of(given: str | None) -> httpx.URL:
    """Return the address given, or the one in MAINSPRING_ADDRESS.

    Raises ClientError (CLIENT_OPTION) where there is none, or one that is not http(s)://host, a port and a path.
    """
    text = os.environ.get(_ADDRESS, "") if given is None else given
    try:
        address = httpx.URL(text)
    except httpx.InvalidURL:
        address = httpx.URL()
    # A user's name in an address would take the place of the key, and what follows a ? would be lost.
    if (
        address.scheme not in ("http", "https")
        or not address.host
        or address.userinfo
        or address.query
        or address.fragment
    ):
        raise ClientError(
            "CLIENT_OPTION",
            "The address of the server is no address such as http://127.0.0.1:8000."
            if text
            else "There is no address.",
            fix=f"Give the one that mainspring serve prints: Client(address, key), or in {_ADDRESS}.",
        )
    return address


def headers_of(key: str | None) -> dict[str, str]:
    """Return the headers of every request, with the key given, or the one in MAINSPRING_KEY.

    Raises ClientError (CLIENT_OPTION) where there is none, or one that no header can carry; its text does not show it.
    """
    text = (os.environ.get(_KEY, "") if key is None else key).strip()
    if not text or not text.isascii() or not text.isprintable():
        raise ClientError(
            "CLIENT_OPTION",
            "The key has characters that no key has." if text else "There is no key.",
            fix=f"Make one with mainspring keys add, and give it: Client(address, key), or in {_KEY}.",
        )
    return {"authorization": f"Bearer {text}", "accept": "application/json"}

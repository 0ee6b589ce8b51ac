"""What a message may be: tiny rules, one function each, that every broker asks before it keeps anything."""

from __future__ import annotations

from collections.abc import Sequence

from mainspring.errors import StreamError
from mainspring.stream.broker import Message

__all__ = ["check_messages", "check_name"]

_LONGEST_NAME = 80
_LONGEST_ID = 200


def check_name(kind: str, name: object) -> str:
    """Return the name of a topic or a group.

    Raises StreamError (STREAM_NAME) unless it is text of 1 to 80 bytes of UTF-8 without a NUL: so much fits into the
    names of every broker, escaped where it must be.
    """
    if isinstance(name, str) and 0 < _bytes_of(name) <= _LONGEST_NAME and "\0" not in name:
        return name
    raise StreamError(
        "STREAM_NAME",
        f"{name!r:.100} cannot be the name of a {kind}.",
        fix=f"Use text of 1 to {_LONGEST_NAME} bytes.",
    )


def check_messages(messages: Sequence[Message], *, largest: int) -> int:
    """Return how many bytes the messages have, names and a little for each included.

    Raises StreamError (STREAM_NAME for a topic; STREAM_MESSAGE for an id, a key or a value that no broker keeps).
    """
    total, topic = 0, None
    for message in messages:
        key, value = message.key, message.value
        if message.topic != topic:
            topic = check_name("topic", message.topic)
        if type(value) is not bytes or type(key) is not bytes:
            raise _refused(message, "has a key or a value that is not bytes", "Encode it first.")
        size = len(key) + len(value)
        if size > largest:
            raise _refused(
                message, f"has {size:,} bytes", f"Keep key and value within {largest:,} bytes, or store a reference."
            )
        if type(message.id) is not str or not 0 < _bytes_of(message.id) <= _LONGEST_ID:
            raise _refused(message, "has no usable id", f"Give it text of 1 to {_LONGEST_ID} bytes.")
        total += size + len(message.id) + 32
    return total


def _bytes_of(text: str) -> int:
    """How many bytes of UTF-8 the text has; 0 where it has none because it holds half a surrogate pair."""
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        return 0


def _refused(message: Message, what: str, fix: str) -> StreamError:
    return StreamError("STREAM_MESSAGE", f"The message {message.id!r:.60} for {message.topic!r:.60} {what}.", fix=fix)

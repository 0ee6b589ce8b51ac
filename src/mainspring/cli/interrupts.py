"""Ctrl-C: asked once, heeded for certain."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["insistent_interrupts"]

_AGAIN_AFTER_SECONDS = 2.0


@contextmanager
def insistent_interrupts() -> Iterator[None]:
    """Raise KeyboardInterrupt at Ctrl-C, and again every two seconds until the block has ended.

    Python raises it once, wherever it happens to be; in a callback from native code or from the garbage collector the
    exception is printed or dropped, and the run would go on. Where somebody else handles SIGINT, or it is ignored as in a
    background job, it is left alone.
    """
    here = threading.current_thread() is threading.main_thread()
    if not here or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_AFTER_SECONDS)
        raise KeyboardInterrupt

    alarm = signal.signal(signal.SIGALRM, interrupt)
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGALRM, alarm)

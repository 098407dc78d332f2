"""Ctrl-C where no command is at work: before it begins, and when all is done.

Python would show where it was, or lose it where it imports. This is imported first, and
imports next to nothing.
"""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Iterator

INTERRUPTED = 130
"""How shells report it."""


def end_plainly() -> None:
    """From now on Ctrl-C ends the process, and says nothing."""
    # What a caller has set, to ignore it for one, stays.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def raise_again() -> None:
    """From now on Ctrl-C is a `KeyboardInterrupt`."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def importing() -> Iterator[None]:
    """Import what a command needs."""
    before = signal.getsignal(signal.SIGINT)
    end_plainly()
    try:
        yield
    finally:
        if before is signal.default_int_handler:
            raise_again()


def _end(*_: object) -> None:
    os._exit(INTERRUPTED)

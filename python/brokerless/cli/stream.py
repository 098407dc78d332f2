"""The standard output as every command has it: all is written, or it is an error."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["ClosedStream", "check_open", "has_reader", "hold_descriptors", "mend_stdout"]


def hold_descriptors() -> None:
    """Let no file of the directory get the number of a standard stream that is closed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # noqa: PERF203 - three times
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free


def mend_stdout() -> None:
    """Make `sys.stdout` one that says what it could not write."""
    if sys.stdout is None:
        sys.stdout = ClosedStream()
        return
    # With PYTHONUNBUFFERED there is no buffer below, and the rest of a short write is lost.
    given = sys.stdout
    with contextlib.suppress(AttributeError, OSError):
        whole = io.BufferedWriter(_Descriptor(given.fileno(), "wb", closefd=False))
        given.flush()
        sys.stdout = io.TextIOWrapper(
            whole, given.encoding, given.errors, line_buffering=given.isatty()
        )


def check_open() -> None:
    """Raise if there is no standard output."""
    if sys.stdout is None or isinstance(sys.stdout, ClosedStream):
        _say_closed()


def has_reader(descriptor: int) -> bool:
    """Whether the other end of a pipe is open; of what is no pipe that is always so."""
    looking = select.poll()
    looking.register(descriptor, 0)
    # A pipe without readers is an error on Linux, and hung up elsewhere.
    return not any(event & (select.POLLERR | select.POLLHUP) for _, event in looking.poll(0))


def _say_closed() -> NoReturn:
    raise OSError(errno.EBADF, "the standard output is closed")


class ClosedStream(io.TextIOBase):
    """A standard output that is closed: an error for who writes, and for nobody else."""

    def write(self, text: str) -> int:
        """Say that it is closed."""
        del text
        _say_closed()


class _Descriptor(io.FileIO):
    """A descriptor that waits for its reader, also if it is one that does not block."""

    def write(self, data: Buffer) -> int:
        while (written := super().write(data)) is None:
            select.select([], [self], [])
        return written

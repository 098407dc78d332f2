"""What is read: a file or the standard input, in large pieces, as soon as they are there."""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from brokerless.cli.ending import FailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["Source", "each_place", "lines_of"]

PIECE = 1 << 20

# No record is longer. An input without ends of lines would take all memory.
LONGEST = (1 << 31) - 1


class Source:
    """One file, or `-` for the standard input."""

    def __init__(self, path: str, progress: Callable[[int], None] | None = None) -> None:
        self.name = "standard input" if path == "-" else path
        self._progress = progress
        self._own = path != "-"
        if path == "-" and sys.stdin is None:
            raise OSError(errno.EBADF, "the standard input is closed")
        self._file: BinaryIO = open_bytes(path) if self._own else sys.stdin.buffer

    def __iter__(self) -> Iterator[bytes]:
        # Of a pipe what is there; read() would wait for more.
        while piece := self._file.read1(PIECE):  # type: ignore[attr-defined]
            yield piece
            if self._progress is not None:
                self._progress(len(piece))

    def all(self) -> bytes:
        """The whole of it."""
        return b"".join(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._own:
            self._file.close()


def open_bytes(path: str) -> BinaryIO:
    """Open a file to read it."""
    return Path(path).open("rb")


def lines_of(source: Source, delimiter: bytes) -> Iterator[list[bytes]]:
    """The lines of each piece, without their ends; the last one needs none."""
    parts: list[bytes] = []
    length = number = 0
    for piece in source:
        length += len(piece)
        if len(delimiter) == 1 and delimiter not in piece:
            if length > LONGEST:
                raise FailedError(f"{source.name}, line {number + 1}: it is longer than a record")
            parts.append(piece)
            continue
        lines = b"".join([*parts, piece]).split(delimiter)
        parts = [lines.pop()]
        length = len(parts[0])
        number += len(lines)
        if lines:
            yield lines
    last = b"".join(parts)
    if last:
        yield [last]


def _numbered(source: Source) -> Iterator[tuple[int, bytes]]:
    """Each line that is not empty, and which one it is."""
    number = 0
    for found in lines_of(source, b"\n"):
        for line in found:
            number += 1
            if line.strip():
                yield number, line


def each_place(source: Source, take: Callable[[bytes, tuple[str, int]], None]) -> None:
    """Hand over each line that is not empty, with the file and the number of the line.

    Of a `ValueError` it is said which line it is about.
    """
    number = 0
    try:
        for number, line in _numbered(source):
            take(line, (source.name, number))
    except ValueError as error:
        said = str(error.args[0] if error.args else error)
        raise FailedError(f"{source.name}, line {number}: {said}") from None

"""What is printed: bytes as they are into a pipe, nothing dangerous on a terminal."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brokerless.cli.stream import check_open, has_reader

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from typing_extensions import Self

__all__ = [
    "Output",
    "Progress",
    "counted",
    "print_json",
    "print_table",
    "safe",
    "size_text",
    "total_size",
]

# Control characters but tab and newline, and what turns the direction of text around.
_DANGEROUS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def safe(text: str, *, as_json: bool = False) -> str:
    """The text with every dangerous character as an escape, as JSON has them if need be."""
    return _DANGEROUS.sub(_escape_json if as_json else _escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}"


def _escape_json(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


class Output:
    """The standard output, for bytes."""

    def __init__(self, *, as_json: bool = False) -> None:
        self._as_json = as_json
        check_open()
        self._file = sys.stdout.buffer
        self.is_terminal = sys.stdout.isatty()

    def write(self, data: bytes) -> None:
        """Write it all, and give it out at once."""
        if self.is_terminal:
            data = safe(data.decode(errors="backslashreplace"), as_json=self._as_json).encode()
        self._file.write(data)
        self._file.flush()

    def check_reader(self) -> None:
        """Raise `BrokenPipeError` if nobody will read what is written next."""
        if not self.is_terminal and not has_reader(self._file.fileno()):
            raise BrokenPipeError


def print_json(value: object) -> None:
    """Print it so that it is read easily."""
    print(json.dumps(value, indent=2))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows below the names of their columns; numbers stand to the right."""
    texts = [["-" if cell is None else safe(str(cell)) for cell in row] for row in rows]
    right = [_are_numbers(row[at] for row in rows) for at in range(len(columns))]
    widths = [max(len(line[at]) for line in [list(columns), *texts]) for at in range(len(columns))]
    for line in [list(columns), *texts]:
        cells = (
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(line, widths, right, strict=True)
        )
        print("  ".join(cells).rstrip())


def _are_numbers(cells: Any) -> bool:
    cells = [cell for cell in cells if cell is not None]
    return bool(cells) and all(isinstance(cell, int) for cell in cells)


def counted(count: int, what: str) -> str:
    """So many of what is named in the singular."""
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def size_text(size: float) -> str:
    """The size in bytes for people."""
    units = ["TiB", "GiB", "MiB", "KiB"]
    if size < 1024:
        return f"{size} bytes"
    while size >= 1024 and units:
        unit = units.pop()
        size /= 1024
    return f"{size:,.1f} {unit}"


class Progress:
    """A bar on the terminal for what takes long; nothing where there is none."""

    # Seconds until there is one.
    PATIENCE = 0.5

    def __init__(self, total: int | None) -> None:
        shown = total is not None and sys.stderr is not None and sys.stderr.isatty()
        self._total = total if shown else None
        self._begun = time.monotonic()
        self._done = 0
        self._bar: Any = None

    def advance(self, size: int) -> None:
        """So much more is done."""
        if self._total is None:
            return
        self._done += size
        if self._bar is not None:
            self._bar.update(size)
        elif time.monotonic() - self._begun > self.PATIENCE:
            import click

            self._bar = click.progressbar(length=self._total, file=sys.stderr)
            self._bar.__enter__()
            self._bar.update(self._done)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.__exit__(exc_type, exc, traceback)


def total_size(paths: Sequence[str]) -> int | None:
    """Bytes of all the files; `None` if one is no file."""
    total = 0
    for path in paths:
        file = Path(path)
        if path == "-" or not file.is_file():
            return None
        total += file.stat().st_size
    return total or None

"""`brokerless dump` beside Kafka's `DumpLogSegments`, on the same files.

What Kafka's tool prints, ours prints: every line about a file, in the same order. Only what
it complains about at the end, and files it does not read, are left aside.
"""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import dump

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WAYS = {
    "with data": ([], ["--print-data-log"]),
    "without data": (["--no-data"], []),
    "keys and values alone": (
        ["--skip-record-metadata"],
        ["--print-data-log", "--skip-record-metadata"],
    ),
    "a part": (["--max-bytes", "3000"], ["--print-data-log", "--max-bytes", "3000"]),
}
"""Arguments of ours, and of theirs beside `--deep-iteration`."""

DECODED = (["--offsets-decoder"], ["--offsets-decoder"])

# What theirs adds to records of magic 0 and 1, and we do not know of those in a compressed set.
LEGACY = re.compile(r" isValid: (true|false) crc: \d+\}?")


def differences(directory: Path) -> list[str]:
    """Where the two differ, over all files of a directory."""
    paths = [path for path in dump.files(directory) if not _has_no_log(path)]
    found = []
    for name, (ours, theirs) in WAYS.items():
        found += _compared(name, paths, ours, theirs)
    offsets = [path for path in paths if "__consumer_offsets" in str(path)]
    logs = [path for path in offsets if path.suffix == ".log"]
    return found + (_compared("decoded", logs, *DECODED) if logs else [])


def _has_no_log(path: Path) -> bool:
    """Whether theirs ends with an exception: an index that a broker has allocated for nothing."""
    return path.suffix.endswith("index") and path.with_suffix(".log").stat().st_size == 0


def _compared(name: str, paths: list[Path], ours: list[str], theirs: list[str]) -> list[str]:
    own = _sections(_ours(paths, ours))
    other = _sections(dump.dump(paths, *theirs))
    found = []
    for path in map(str, paths):
        lines = itertools.zip_longest(own.get(path, []), other.get(path, []), fillvalue="nothing")
        found += [f"{name}: {path}\n  ours   {a}\n  theirs {b}" for a, b in lines if a != b][:3]
    return found


def _ours(paths: list[Path], arguments: list[str]) -> str:
    command = [sys.executable, "-m", "brokerless", "dump", *arguments, *map(str, paths)]
    done = subprocess.run(
        command, capture_output=True, check=False, timeout=120, text=True, errors="replace"
    )
    return done.stdout


def _sections(printed: str) -> dict[str, list[str]]:
    """The lines about each file; values may have line ends in them."""
    sections: dict[str, list[str]] = {}
    for line in _lines(printed):
        if line.startswith("Dumping "):
            current = sections.setdefault(line.removeprefix("Dumping "), [])
        elif line.startswith(("Mismatches in ", "Found timestamp", "Non-consecutive", "The foll")):
            break
        else:
            current.append(line)
    for lines in sections.values():
        while lines[-1:] == [""]:  # before what is complained about
            lines.pop()
    return sections


def _lines(printed: str) -> Iterator[str]:
    for line in printed.split("\n"):
        # Java has fewer or more of them for the same bytes.
        yield re.sub("\ufffd+", "?", LEGACY.sub("", line))

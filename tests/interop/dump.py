"""`DumpLogSegments` on every file of a directory, and what it complains about.

Each line it prints is either known to be in order or a complaint: a mismatch between an
index and its log, a wrong checksum, offsets out of order, an exception.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from broker import java

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUFFIXES = {".log", ".index", ".timeindex", ".txnindex", ".snapshot"}

IN_ORDER = re.compile(
    r"Dumping .*"
    r"|Log starting offset: \d+"
    r"|baseOffset: .* isvalid: true"
    r"|offset: \d+ position: \d+ .* isvalid: true"
    r"|\| offset: (?!.*[iI]s[vV]alid: false).*"
    r"|offset: \d+ position: \d+"
    r"|timestamp: -?\d+ offset: \d+"
    r"|producerId: .*"
    r"|version: \d+ producerId: .*"
    r"|.* is empty\."
    r"|Snapshot end offset: .*"
    r"|"
)

FIRST_OFFSET = re.compile(
    r"Non-consecutive offsets in (?P<path>.*)\n  -1 is followed by (?P<offset>\d+)\n"
)
"""The tool takes -1 for the offset before a file's first one, whatever the file's name."""


class Committed(NamedTuple):
    """A committed offset, as Kafka's own decoder reads it."""

    offset: int
    metadata: str


def files(directory: Path) -> list[Path]:
    """Every file of every partition that the tool can read."""
    found = (path for path in sorted(directory.glob("*-*/*")) if path.suffix in SUFFIXES)
    return [path for path in found if not path.parent.name.startswith("__cluster_metadata")]


def dump(paths: list[Path], *flags: str) -> str:
    """What the tool prints."""
    named = ",".join(str(path) for path in paths)
    main = "org.apache.kafka.tools.DumpLogSegments"
    return java(main, "--deep-iteration", *flags, "--files", named)


def complaints(printed: str) -> list[str]:
    """The lines that are not in order."""
    rest = FIRST_OFFSET.sub(_without_first_offset, printed)
    return [line for line in rest.splitlines() if not IN_ORDER.fullmatch(line)]


def _without_first_offset(match: re.Match[str]) -> str:
    base_offset = int(match["path"].rsplit("/", 1)[1].removesuffix(".log"))
    return "" if base_offset == int(match["offset"]) else match[0]


def batches(printed: str) -> int:
    """How many batches were dumped."""
    return sum(line.startswith("baseOffset: ") for line in printed.splitlines())


def records(printed: str) -> int:
    """How many records were dumped, those in compressed batches too."""
    return sum(line.startswith("| offset: ") for line in printed.splitlines())


def codecs(printed: str) -> set[str]:
    """The codecs that were met."""
    return set(re.findall(r"compresscodec: (\w+)", printed))


def committed(printed: str) -> dict[tuple[str, str, int], Committed]:
    """The last offset of each group, topic and partition in a dump with the decoder."""
    last: dict[tuple[str, str, int], Committed] = {}
    for key, value in _decoded(printed):
        if key["type"] in ("0", "1"):
            data = key["data"]
            place = (data["group"], data["topic"], data["partition"])
            if value is None:
                last.pop(place, None)
            else:
                last[place] = Committed(value["data"]["offset"], value["data"]["metadata"])
    return last


def _decoded(printed: str) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    for match in re.finditer(r" key: (\{.*\}) payload: (\{.*\}|<DELETE>)", printed):
        value = None if match[2] == "<DELETE>" else json.loads(match[2])
        yield json.loads(match[1]), value

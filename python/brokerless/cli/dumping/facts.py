"""The facts that a file of a log directory holds. One that has a `problem` says what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from brokerless.cli.ending import sentence
from brokerless.errors.base import KafkaError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Fact = dict[str, Any]

__all__ = ["How", "facts_of", "kind_of", "unreadable"]

# Put behind the name of a file that is about to go, or to be taken in.
_ENDINGS = (".deleted", ".cleaned", ".swap", ".quarantined")


class How(NamedTuple):
    """What is wanted."""

    records: bool = True
    data: bool = True
    metadata: bool = True
    decode: bool = False
    max_bytes: int | None = None
    verify_only: bool = False


def kind_of(name: str) -> str | None:
    """What a file of that name is; `None` if it is nothing that can be shown."""
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    if name in _READERS:
        return name
    return Path(name).suffix if Path(name).suffix in _READERS else None


def facts_of(file: str, how: How) -> Iterator[Fact]:
    """All that the file holds, in its order."""
    kind = kind_of(Path(file).name)
    if kind is None:
        yield {"kind": "unknown", "problem": "this is no file of a log directory"}
        return
    try:
        yield from _READERS[kind](file, how)
    except (KafkaError, OSError) as error:
        yield unreadable(error, file)


def unreadable(error: Exception, file: str) -> Fact:
    """What there is to say of a file or folder that cannot be read, or not to its end."""
    return {"kind": "unreadable", "problem": sentence(error).removeprefix(f"{file}: ")}


def _log(file: str, how: How) -> Iterator[Fact]:
    from brokerless._brokerless import LogDump

    digits = Path(file).name.split(".")[0]
    if digits.isdigit():
        yield {"kind": "log", "log_starting_offset": int(digits)}
    last = None
    for piece in LogDump(file, max_bytes=how.max_bytes, records=how.records):
        if "is_valid" not in piece:
            yield _damage(piece)
            continue
        yield _batch(piece, how)
        for record in piece.get("records", ()):
            if last is not None and record["offset"] != last + 1:
                yield _gap(last, record["offset"])
            last = record["offset"]


def _batch(piece: Fact, how: How) -> Fact:
    where = f"position {piece['position']}, offset {piece['base_offset']}"
    error = piece.pop("error", None)
    if not piece["is_valid"]:
        piece["problem"] = f"{where}: the checksum of the batch is wrong"
    elif error is not None:
        piece["problem"] = f"{where}: its records cannot be read: {error}"
    for record in piece.get("records", ()):
        _shape(record, piece["is_control"], how)
    return {"kind": "batch", **piece}


def _damage(piece: Fact) -> Fact:
    problem = f"position {piece['position']}: {piece['bytes']} bytes are no batch: {piece['error']}"
    return {"kind": "damage", **piece, "problem": problem}


def _gap(last: int, following: int) -> Fact:
    """Compaction leaves offsets out; nothing lets them go back."""
    gap = {"kind": "gap", "offset": last, "next_offset": following}
    if following <= last:
        gap["problem"] = f"offset {last} is followed by {following}"
    return gap


def _shape(record: Fact, is_control: bool, how: How) -> None:
    """Give the record its sizes, and take from it what is not wanted."""
    key, value = record["key"], record["value"]
    record["key_size"] = -1 if key is None else len(key)
    record["value_size"] = -1 if value is None else len(value)
    if "headers" in record:
        record["header_keys"] = [name for name, _ in record["headers"]]
    if how.decode and not is_control:
        from brokerless.cli.dumping.offsets import decode_record

        record["key"], record["value"] = decode_record(record["offset"], key, value)
    elif not how.data or is_control:
        del record["key"], record["value"]
        record.pop("headers", None)


def _index(file: str, how: How) -> Iterator[Fact]:
    from brokerless._brokerless import dump_index

    entries = dump_index(file)
    if not entries:
        yield {"kind": "empty"}
    for offset, position, found in entries:
        fact: Fact = {"kind": "index_entry", "offset": offset, "position": position}
        # No entry leads to the beginning: this is room that a broker has allocated.
        if found != offset and position > 0:
            fact["found_offset"] = found
            there = "there is no batch" if found is None else f"a batch ends with offset {found}"
            fact["problem"] = f"offset {offset}: at position {position} {there}"
        if not how.verify_only or "problem" in fact:
            yield fact


def _time_index(file: str, how: How) -> Iterator[Fact]:
    from brokerless._brokerless import dump_time_index

    before = -1
    for number, (timestamp, offset, found) in enumerate(dump_time_index(file)):
        fact: Fact = {"kind": "time_index_entry", "timestamp": timestamp, "offset": offset}
        is_room = number == timestamp == 0
        if not is_room:
            fact.update(_time_problem(timestamp, offset, found, before))
        if not how.verify_only or "problem" in fact:
            yield fact
        before = timestamp


def _time_problem(timestamp: int, offset: int, found: tuple[int, int] | None, before: int) -> Fact:
    if found is None or found[0] != offset:
        there = -1 if found is None else found[0]
        what = f"offset {offset}: no batch ends there"
        return {"found_offset": there, "problem": what}
    if found[1] != timestamp:
        what = f"offset {offset}: the timestamp is {timestamp}, in the log it is {found[1]}"
        return {"found_timestamp": found[1], "problem": what}
    if before >= timestamp:
        what = f"offset {offset}: the timestamp {timestamp} follows {before}"
        return {"timestamp_before": before, "problem": what}
    return {}


def _transactions(file: str, _: How) -> Iterator[Fact]:
    from brokerless._brokerless import dump_transactions

    entries, left = dump_transactions(file)
    for producer, first, last, stable in entries:
        yield {
            "kind": "aborted_transaction",
            "version": 0,
            "producer_id": producer,
            "first_offset": first,
            "last_offset": last,
            "last_stable_offset": stable,
        }
    if left:
        yield {"kind": "problem", "problem": f"its last {left} bytes are no entry"}


def _snapshot(file: str, _: How) -> Iterator[Fact]:
    from brokerless._brokerless import dump_snapshot

    producers = dump_snapshot(file)
    if producers is None:
        yield {"kind": "problem", "problem": "the snapshot is damaged: its checksum is wrong"}
        return
    for producer in producers:
        if producer["last_offset"] >= 0:
            first = (producer["last_sequence"] - producer["offset_delta"]) & 0x7FFFFFFF
            producer["first_sequence"] = first
        yield {"kind": "producer", **producer}


def _offsets(file: str, _: How) -> Iterator[Fact]:
    for line in _checkpoint(file):
        match line.split(" ") if isinstance(line, str) else ():
            case [topic, partition, offset] if partition.isdigit() and offset.isdigit():
                yield {
                    "kind": "checkpoint_entry",
                    "topic": topic,
                    "partition": int(partition),
                    "offset": int(offset),
                }
            case _:
                yield _no_entry(line)


def _epochs(file: str, _: How) -> Iterator[Fact]:
    for line in _checkpoint(file):
        match line.split(" ") if isinstance(line, str) else ():
            case [epoch, offset] if epoch.isdigit() and offset.isdigit():
                yield {"kind": "leader_epoch", "epoch": int(epoch), "start_offset": int(offset)}
            case _:
                yield _no_entry(line)


def _no_entry(line: str | Fact) -> Fact:
    if isinstance(line, dict):
        return line
    return {"kind": "problem", "problem": f"this is no entry: {line}"}


def _checkpoint(file: str) -> Iterator[str | Fact]:
    """The lines behind version and count."""
    lines = Path(file).read_text(errors="backslashreplace").splitlines()
    if not lines:
        return  # as old brokers leave it
    if lines[:1] != ["0"] or lines[1:2] != [str(len(lines) - 2)]:
        what = "the list is not whole: it begins with its version, 0, and its number of lines"
        yield {"kind": "problem", "problem": what}
    yield from lines[2:]


def _properties(file: str, __: How) -> Iterator[Fact]:
    for line in Path(file).read_text(errors="backslashreplace").splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, value = line.replace(":", "=", 1).partition("=")
            yield {"kind": "property", "name": name.strip(), "value": value.strip()}


_READERS: dict[str, Callable[[str, How], Iterator[Fact]]] = {
    ".log": _log,
    ".index": _index,
    ".timeindex": _time_index,
    ".txnindex": _transactions,
    ".snapshot": _snapshot,
    "recovery-point-offset-checkpoint": _offsets,
    "replication-offset-checkpoint": _offsets,
    "log-start-offset-checkpoint": _offsets,
    "cleaner-offset-checkpoint": _offsets,
    "leader-epoch-checkpoint": _epochs,
    "partition.metadata": _properties,
    "meta.properties": _properties,
}

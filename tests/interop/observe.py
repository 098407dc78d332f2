"""What a consumer is given, as rows that can be compared.

`kafka` is any module with kafka-python's API, `address` what it connects to: the same code
asks a real broker through kafka-python and a directory through brokerless. Each row is a
JSON object; `is` says what of:

    ends       topic partition beginning end stable
    record     topic partition offset timestamp timestamp_type leader_epoch key value
               headers committed
    time       topic partition at found
    committed  group topic partition offset metadata leader_epoch

`committed` of a record: a `read_committed` consumer is given it too. `stable` is the end
such a consumer sees. Bytes are hexadecimal; long ones are their length and SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

Row = dict[str, Any]

LONG = 64
"""More bytes than this are told as their length and digest."""


def as_text(data: bytes | None) -> str | None:
    """Bytes as they stand in a row."""
    if data is None or len(data) <= LONG:
        return None if data is None else data.hex()
    return f"{len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}"


class Observer:
    """Asks one address through one module."""

    def __init__(self, kafka: Any, address: str, settings: Mapping[str, Any] | None = None) -> None:
        self._kafka = kafka
        self._settings = {
            "bootstrap_servers": address,
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest",
            "exclude_internal_topics": False,
            **(settings or {}),
        }

    def partitions(self, topics: Iterable[str]) -> list[Any]:
        """Every partition of `topics`, sorted."""
        with self._consumer() as consumer:
            return [
                self._kafka.TopicPartition(topic, partition)
                for topic in sorted(topics)
                for partition in sorted(consumer.partitions_for_topic(topic) or ())
            ]

    def topics(self) -> set[str]:
        """Every topic, the internal ones too."""
        with self._consumer() as consumer:
            return set(consumer.topics())

    def rows(self, topics: Iterable[str], groups: Iterable[str]) -> Iterator[Row]:
        """All there is to know of `topics`, and what `groups` committed in them."""
        partitions = self.partitions(topics)
        yield from self._ends(partitions)
        records = self.records(partitions, "read_uncommitted")
        stable = self.records(partitions, "read_committed")
        for partition in partitions:
            wanted = {record.offset: record for record in stable[partition]}
            for record in records[partition]:
                again = wanted.pop(record.offset, None)
                yield record_row(record, again is not None)
            assert not wanted, f"{partition}: only a read_committed consumer is given {wanted}"
        yield from self._times(partitions, records)
        yield from self._committed(partitions, groups)

    def records(self, partitions: list[Any], isolation_level: str) -> dict[Any, list[Any]]:
        """All records of `partitions`, as `poll` gives them."""
        given: dict[Any, list[Any]] = {partition: [] for partition in partitions}
        with self._consumer(isolation_level=isolation_level) as consumer:
            ends = consumer.end_offsets(partitions)
            consumer.assign(partitions)
            consumer.seek_to_beginning(*partitions)
            idle = time.monotonic()
            while any(consumer.position(one) < ends[one] for one in partitions):
                for partition, records in consumer.poll(timeout_ms=200).items():
                    given[partition].extend(records)
                    idle = time.monotonic()
                if time.monotonic() - idle > 10:
                    late = {one: (consumer.position(one), ends[one]) for one in partitions}
                    behind = {one: at for one, at in late.items() if at[0] < at[1]}
                    raise TimeoutError(f"nothing for 10 s; position and end: {behind}")
        return given

    def _ends(self, partitions: list[Any]) -> Iterator[Row]:
        with self._consumer() as consumer:
            beginnings = consumer.beginning_offsets(partitions)
            ends = consumer.end_offsets(partitions)
        with self._consumer(isolation_level="read_committed") as consumer:
            stable = consumer.end_offsets(partitions)
        for partition in partitions:
            yield {
                "is": "ends",
                "topic": partition.topic,
                "partition": partition.partition,
                "beginning": beginnings[partition],
                "end": ends[partition],
                "stable": stable[partition],
            }

    def _times(self, partitions: list[Any], records: dict[Any, list[Any]]) -> Iterator[Row]:
        with self._consumer() as consumer:
            for partition in partitions:
                for at in asked_times([record.timestamp for record in records[partition]]):
                    found = consumer.offsets_for_times({partition: at})[partition]
                    yield {
                        "is": "time",
                        "topic": partition.topic,
                        "partition": partition.partition,
                        "at": at,
                        "found": None if found is None else list(found),
                    }

    def _committed(self, partitions: list[Any], groups: Iterable[str]) -> Iterator[Row]:
        for group in groups:
            with self._consumer(group_id=group) as consumer:
                for partition in partitions:
                    found = consumer.committed(partition, metadata=True)
                    if found is not None and found.offset >= 0:
                        yield {
                            "is": "committed",
                            "group": group,
                            "topic": partition.topic,
                            "partition": partition.partition,
                            "offset": found.offset,
                            "metadata": found.metadata,
                            "leader_epoch": found.leader_epoch,
                        }

    def _consumer(self, **settings: Any) -> Any:
        return self._kafka.KafkaConsumer(**{**self._settings, **settings})


def record_row(record: Any, committed: bool) -> Row:
    """One record as a row."""
    return {
        "is": "record",
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "timestamp_type": record.timestamp_type,
        "leader_epoch": record.leader_epoch,
        "key": as_text(record.key),
        "value": as_text(record.value),
        "headers": [[name, as_text(value)] for name, value in record.headers],
        "committed": committed,
    }


def asked_times(timestamps: list[int | None]) -> list[int]:
    """Before, at, between and after: a few of the times there are."""
    known = sorted({one for one in timestamps if one is not None and one >= 0})
    if not known:
        return [0]
    some = known[:: max(1, len(known) // 5)]
    return sorted({known[0] - 1, *some, *(one + 1 for one in some), known[-1], known[-1] + 1})


def write(path: Path, rows: Iterable[Row]) -> None:
    """One row a line."""
    lines = (json.dumps(row, ensure_ascii=True, separators=(",", ":")) for row in rows)
    path.write_text("".join(f"{line}\n" for line in lines))


def read(path: Path) -> list[Row]:
    """The rows of a file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def differences(expected: Iterable[Row], given: Iterable[Row]) -> list[str]:
    """What is missing, extra or other, a line each; empty if all is equal."""
    wanted, have = _by_place(expected), _by_place(given)
    found = [f"missing: {wanted[place]}" for place in wanted.keys() - have.keys()]
    found += [f"extra: {have[place]}" for place in have.keys() - wanted.keys()]
    for place in wanted.keys() & have.keys():
        fields = [name for name in wanted[place] if wanted[place][name] != have[place].get(name)]
        found += [
            f"{place}: {name} is {have[place].get(name)!r}, expected {wanted[place][name]!r}"
            for name in fields
        ]
    return sorted(found)


def _by_place(rows: Iterable[Row]) -> dict[tuple[Any, ...], Row]:
    names = ("is", "group", "topic", "partition", "offset", "at")
    places: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        keys = names if row["is"] != "committed" else names[:4]
        place = tuple(row.get(name) for name in keys)
        assert place not in places, f"twice: {row}"
        places[place] = row
    return places

"""The directory that brokerless writes for Kafka to read, and how it is asked about.

Between them its topics have every codec, headers, null keys and values, both kinds of
timestamps, times that go back, segments rolled by size, index entries and committed offsets.
`kafka` is any module with kafka-python's API, as in `observe.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import observe

import brokerless
import brokerless.admin

if TYPE_CHECKING:
    from pathlib import Path

CODECS = {"none", "gzip", "snappy", "lz4", "zstd"}

START = 1_700_000_000_000
"""The first timestamp, in milliseconds."""

SMALL_SEGMENTS = {"segment.bytes": "16384", "index.interval.bytes": "512"}

TOPICS: dict[str, tuple[int, dict[str, str]]] = {
    **{f"codec-{codec}": (2, {}) for codec in sorted(CODECS)},
    **{f"rolled-{codec}": (1, SMALL_SEGMENTS) for codec in sorted(CODECS)},
    "append-time": (1, {"message.timestamp.type": "LogAppendTime"}),
    "small-index": (1, {"segment.index.bytes": "64", "index.interval.bytes": "100"}),
    "one-by-one": (1, {}),
    "empty": (1, {}),
}

GROUPS = ("readers", "writers")

METADATA = {"readers": "forty-two \u00fc", "writers": ""}

Record = dict[str, Any]


def shape(number: int) -> Record:
    """The `number`-th record: between them, every shape a record can have."""
    shapes: tuple[Record, ...] = (
        {"key": b"key %d" % number, "value": b"value %d " % number * 8},
        {"key": None, "value": b"no key"},
        {"key": b"tombstone", "value": None},
        {"key": b"", "value": b""},
        {"key": b"h", "value": b"headers", "headers": [("a", b"1"), ("a", b"2"), ("b", b"")]},
        {"key": b"u", "value": "\u00fc".encode(), "headers": [("\u540d", b"\x00\xff")]},
        {"key": b"big", "value": bytes((number * n * n) % 251 for n in range(5000))},
        {"key": b"soft", "value": b"the same words again and again, " * 100},
        {"key": b"many", "value": b"x", "headers": [(f"h{n}", b"v" * n) for n in range(20)]},
    )
    at = START + number * 1000 - (30_000 if number % 5 == 3 else 0)
    return {"headers": [], **shapes[number % len(shapes)], "timestamp_ms": at}


def sent(topic: str) -> list[list[Record]]:
    """What `write` sends to each partition of a topic, in order."""
    count, _ = TOPICS[topic]
    numbers = 0 if topic == "empty" else 400 if topic.startswith("rolled") else 90
    return [[shape(n) for n in range(numbers) if n % count == one] for one in range(count)]


def write(directory: Path) -> None:
    """Makes the directory and everything in it."""
    create_topics(brokerless, str(directory))
    for topic in TOPICS:
        _, _, codec = topic.partition("-")
        settings: Record = {"compression_type": codec} if codec in CODECS - {"none"} else {}
        _send(brokerless, str(directory), topic, **settings)
    _commit(brokerless, str(directory), {"readers": 17, "writers": 5})
    _commit(brokerless, str(directory), {"readers": 42})


def create_topics(kafka: Any, address: str) -> None:
    """Makes the topics; a real broker has segments of a megabyte at least."""
    ours = kafka is brokerless
    with kafka.admin.KafkaAdminClient(bootstrap_servers=address) as admin:
        admin.create_topics(
            [
                kafka.admin.NewTopic(name, count, 1, topic_configs=configs if ours else {})
                for name, (count, configs) in TOPICS.items()
            ]
        )
    if not ours:
        _commit(kafka, address, {"nobody": 0})


def continue_with(kafka: Any, address: str) -> None:
    """Somebody else goes on in every log."""
    with kafka.KafkaProducer(bootstrap_servers=address) as producer:
        for topic, (count, _) in TOPICS.items():
            for number in range(10):
                value = f"continued {number}".encode()
                producer.send(topic, value, partition=number % count)
    _commit(kafka, address, {"readers": 60})


def _send(kafka: Any, address: str, topic: str, **settings: Any) -> None:
    with kafka.KafkaProducer(bootstrap_servers=address, **settings) as producer:
        for partition, records in enumerate(sent(topic)):
            for number, record in enumerate(records):
                future = producer.send(topic, partition=partition, **record)
                if topic == "one-by-one" or number % 10 == 9:
                    future.get(10)


def _commit(kafka: Any, address: str, offsets: dict[str, int]) -> None:
    for group, offset in offsets.items():
        settings = {"group_id": group, "enable_auto_commit": False}
        with kafka.KafkaConsumer(bootstrap_servers=address, **settings) as consumer:
            partitions = [kafka.TopicPartition(f"codec-{codec}", 1) for codec in sorted(CODECS)]
            consumer.assign(partitions)
            metadata = METADATA.get(group, "")
            consumer.commit(
                {one: kafka.OffsetAndMetadata(offset, metadata, -1) for one in partitions}
            )


def observed(kafka: Any, address: str) -> list[observe.Row]:
    """The rows of all our topics and groups."""
    return list(observe.Observer(kafka, address).rows(TOPICS, GROUPS))


def missing(rows: list[observe.Row]) -> list[str]:
    """What was sent, and is not given as it was."""
    given: dict[tuple[str, int], list[observe.Row]] = {}
    for row in rows:
        if row["is"] == "record":
            given.setdefault((row["topic"], row["partition"]), []).append(row)
    found: list[str] = []
    for topic in TOPICS:
        for partition, records in enumerate(sent(topic)):
            have = given.get((topic, partition), [])
            if len(have) != len(records):
                found.append(f"{topic}-{partition}: {len(have)} of {len(records)} records")
            for offset, (record, row) in enumerate(zip(records, have, strict=False)):
                found += _differences(topic, partition, offset, record, row)
    return found


def _differences(
    topic: str, partition: int, offset: int, record: Record, row: observe.Row
) -> list[str]:
    wanted = {
        "offset": offset,
        "key": observe.as_text(record["key"]),
        "value": observe.as_text(record["value"]),
        "headers": [[name, observe.as_text(value)] for name, value in record["headers"]],
    }
    if topic != "append-time":
        wanted["timestamp"] = record["timestamp_ms"]
    return [
        f"{topic}-{partition} {offset}: {name} is {row[name]!r}, sent {value!r}"
        for name, value in wanted.items()
        if row[name] != value
    ]


def folders(directory: Path) -> list[Path]:
    """The partitions' folders."""
    return [path for path in sorted(directory.glob("*-*")) if path.is_dir()]


def offsets_partitions(directory: Path) -> int:
    """How many partitions the topic of committed offsets has."""
    return sum(path.name.startswith("__consumer_offsets-") for path in folders(directory))

"""Topics that are cleaned, and what is left of them.

`kafka` is any module with kafka-python's API, `address` what it connects to. `fill` is for
brokerless, whose segments may be small; a real broker gets the same files.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

LONG_AGO = 1_000_000
LONG_FROM_NOW = 4_102_444_800_000
"""The year 2100."""

YEARS = "315360000000"
"""Ten of them, in milliseconds."""

ANY_TIME = {"message.timestamp.after.max.ms": str(2**63 - 1)}

TOPICS = {
    "table": {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01"},
    "aged": {"retention.ms": YEARS, **ANY_TIME},
    "outlived": {"retention.ms": YEARS, **ANY_TIME},
    "sized": {"retention.ms": "-1", "retention.bytes": "5000", **ANY_TIME},
    "both": {"retention.ms": YEARS, "min.cleanable.dirty.ratio": "0.01", **ANY_TIME},
    "purged": {"retention.ms": "-1"},
}
"""One partition each."""

COMPACTED_TOO = "both"
"""Compacted too when what is old is gone: which of both comes first would matter."""

PURGED = {"both": 200, "purged": 77}
"""From these offsets on the user keeps records."""

SMALL = {"segment.bytes": "1500", "index.interval.bytes": "200"}

OFTEN = {"log.cleaner.backoff.ms": "200", "log.retention.check.interval.ms": "500"}
"""Settings of a broker, or of a directory."""

COUNT = 300


def records() -> list[dict[str, Any]]:
    """All that is sent, in order."""
    rows = []
    dice = 1
    for number in range(COUNT):
        dice = dice * 1_103_515_245 % 2**31 + 12_345
        key = b"key %d" % (dice // 65_536 % 60)
        dead = dice // 1_048_576 % 9 == 0
        value = None if dead else b"value %d " % number + b"." * (number % 50)
        headers = [("number", b"%d" % number)] if number % 3 == 0 else []
        rows.append({"topic": "table", "key": key, "value": value, "headers": headers})
    for topic in ("aged", "outlived", "sized", "both", "purged"):
        for number in range(COUNT):
            old = topic in ("outlived", "purged") or (topic != "sized" and number < COUNT / 2)
            when = LONG_AGO + number if old else LONG_FROM_NOW + number
            value = b"value %d " % number + b"." * 50
            key = b"key %d" % (number * number % 83) if topic == COMPACTED_TOO else None
            rows.append({"topic": topic, "key": key, "value": value, "timestamp_ms": when})
    # Some would else have the time of the test.
    return [{"timestamp_ms": LONG_AGO, **row} for row in rows]


def fill(kafka: Any, address: str) -> None:
    """Makes the topics and sends all, three records a batch."""
    admin = kafka.KafkaAdminClient(bootstrap_servers=address)
    admin.create_topics(
        [
            kafka.NewTopic(topic, 1, 1, topic_configs={**settings, **SMALL})
            for topic, settings in TOPICS.items()
        ]
    )
    admin.close()
    producer = kafka.KafkaProducer(bootstrap_servers=address, linger_ms=100_000)
    sent = []
    for row in records():
        sent.append(producer.send(partition=0, **row))
        if len(sent) == 3:
            producer.flush()
            for future in sent:
                future.get(10)
            sent.clear()
    producer.close()


def left(kafka: Any, address: str) -> list[list[Any]]:
    """All records there are: topic, offset, timestamp, key, value, headers."""
    consumer = kafka.KafkaConsumer(bootstrap_servers=address, enable_auto_commit=False)
    rows: list[list[Any]] = []
    for topic in TOPICS:
        partition = kafka.TopicPartition(topic, 0)
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        end = consumer.end_offsets([partition])[partition]
        rows.append([topic, "starts", consumer.beginning_offsets([partition])[partition]])
        while consumer.position(partition) < end:
            for record in consumer.poll(timeout_ms=1000).get(partition, ()):
                key, value = (
                    None if it is None else it.decode() for it in (record.key, record.value)
                )
                headers = [[name, data.decode()] for name, data in record.headers or ()]
                rows.append([topic, record.offset, record.timestamp, key, value, headers])
    consumer.close()
    return rows


def clean(kafka: Any, address: str, directory: Path) -> None:
    """Waits until every topic was cleaned: the segments are as few as there can be."""
    await_starts(kafka, address)
    admin = kafka.KafkaAdminClient(bootstrap_servers=address)
    settings = {**TOPICS[COMPACTED_TOO], "cleanup.policy": "compact,delete"}
    kind = kafka.admin.ConfigResourceType.TOPIC
    admin.alter_configs([kafka.admin.ConfigResource(kind, COMPACTED_TOO, configs=settings)])
    await_compaction(directory)
    admin.delete_records(
        {kafka.TopicPartition(topic, 0): offset for topic, offset in PURGED.items()}
    )
    admin.close()


def await_starts(kafka: Any, address: str) -> None:
    """Waits until segments that are due went."""
    done = {
        "aged": COUNT // 2,
        "outlived": COUNT,
        "sized": COUNT * 85 // 100,
        "both": COUNT // 2,
    }
    consumer = kafka.KafkaConsumer(bootstrap_servers=address, enable_auto_commit=False)
    partitions = {topic: kafka.TopicPartition(topic, 0) for topic in done}
    end = time.monotonic() + 120
    while time.monotonic() < end:
        starts = consumer.beginning_offsets(list(partitions.values()))
        near = all(starts[partitions[topic]] > least - 20 for topic, least in done.items())
        if near:
            consumer.close()
            return
        time.sleep(0.1)
    raise TimeoutError(f"not cleaned within 120 s: {starts}")


def await_compaction(directory: Path) -> None:
    """Waits until the cleaner's checkpoint is at the active segments of what is compacted."""
    end = time.monotonic() + 120
    while not all(is_compacted(directory, topic) for topic in ("table", COMPACTED_TOO)):
        if time.monotonic() > end:
            raise TimeoutError("not compacted within 120 s")
        time.sleep(0.1)


def is_compacted(directory: Path, topic: str) -> bool:
    """Whether the cleaner's checkpoint is at the active segment of a topic."""
    active = max(int(path.stem) for path in (directory / f"{topic}-0").glob("*.log"))
    checkpoint = directory / "cleaner-offset-checkpoint"
    lines = checkpoint.read_text().splitlines() if checkpoint.exists() else []
    return f"{topic} 0 {active}" in lines

"""Makes `tests/data/kafka/old`: message formats 0 and 1, as an old Kafka wrote them.

It needs ZooKeeper, which comes with the old jars. See `make_golden.py` for the rest.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import kafka
import kafka.admin
import make_golden
import observe
from broker import OldBroker, ZooKeeper
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, ConfigResource
from confluent_kafka.cimpl import NewTopic
from make_golden import START, finished, wait_for

FORMATS = {"v0": "0.9.0", "v1": "0.10.2"}

CODECS = ("none", "gzip", "snappy", "lz4")

SETTINGS = {
    "log.index.size.max.bytes": "4096",
    "log.cleaner.backoff.ms": "200",
    "log.retention.ms": "-1",
}

COMPACTED = {
    "cleanup.policy": "compact",
    "segment.bytes": "1024",
    "min.cleanable.dirty.ratio": "0.01",
}

TOPICS: dict[str, dict[str, str]] = {
    "upgraded": {"message.format.version": "0.9.0"},
    "v1-append-time": {
        "message.format.version": "0.10.2",
        "message.timestamp.type": "LogAppendTime",
    },
}
for name, version in FORMATS.items():
    written = {"message.format.version": version}
    TOPICS |= {f"{name}-codec-{codec}": written for codec in CODECS}
    TOPICS |= {
        f"{name}-recompressed-{codec}": {**written, "compression.type": codec}
        for codec in CODECS[1:]
    }
    TOPICS |= {
        f"{name}-segments": {**written, "segment.bytes": "2048", "index.interval.bytes": "256"}
    }
    TOPICS |= {f"{name}-compacted": {**written, **COMPACTED}}

SHAPES: tuple[tuple[bytes | None, bytes | None], ...] = (
    (b"key", b"the same words again and again, " * 20),
    (None, b"no key"),
    (b"tombstone", None),
    (b"", b""),
    (None, None),
    (b"big", make_golden.some_bytes("old", 500)),
)


class OldWorkload:
    """Everything that is done to the old broker."""

    def __init__(self, broker: OldBroker) -> None:
        self.broker = broker
        self.address = broker.address
        self.admin = AdminClient({"bootstrap.servers": self.address})

    def fill(self) -> None:
        new = [NewTopic(name, 1, 1, config=config) for name, config in TOPICS.items()]
        finished(self.admin.create_topics(new))
        for name in FORMATS:
            for codec in CODECS:
                self.send_shapes(f"{name}-codec-{codec}", codec, 18)
            for codec in CODECS[1:]:
                self.send_shapes(f"{name}-recompressed-{codec}", "none", 12)
            self.send_shapes(f"{name}-segments", "none", 30)
            self.send_shapes(f"{name}-segments", "gzip", 30)
            self.compact(f"{name}-compacted")
        for codec in ("none", "gzip"):
            self.send_shapes("v1-append-time", codec, 6)
        self.upgrade()
        self.commit_offsets()

    def send_shapes(self, topic: str, codec: str, count: int) -> None:
        producer = self.producer(codec)
        for number in range(count):
            key, value = SHAPES[number % len(SHAPES)]
            producer.produce(topic, value, key=key, timestamp=START + number * 1000)
            if number % 6 == 5:
                producer.flush()

    def compact(self, topic: str) -> None:
        for codec in ("none", "gzip", "lz4"):
            producer = self.producer(codec)
            for number in range(60):
                key = f"once {codec} {number}" if number % 9 == 4 else f"key {number * 7 % 13}"
                value = None if number % 18 == 4 else f"value {number} " * 4
                producer.produce(topic, value, key=key, timestamp=START + number)
                if number % 6 == 5:
                    producer.flush()
        checkpoint = self.broker.directory / "cleaner-offset-checkpoint"
        wait_for("compaction", lambda: f"{topic} 0 " in checkpoint.read_text())

    def upgrade(self) -> None:
        """One log with all three formats in it."""
        for version in ("0.9.0", "0.10.2", "1.1"):
            written = {"message.format.version": version}
            with kafka.KafkaAdminClient(bootstrap_servers=self.address) as admin:
                admin.alter_configs([kafka.admin.ConfigResource("TOPIC", "upgraded", written)])
            self.wait_for_format("upgraded", version)
            for codec in CODECS:
                self.send_shapes("upgraded", codec, 6)

    def wait_for_format(self, topic: str, version: str) -> None:
        def has_it() -> bool:
            (future,) = self.admin.describe_configs([ConfigResource("topic", topic)]).values()
            return bool(future.result()["message.format.version"].value.startswith(version))

        wait_for("the new format", has_it)

    def commit_offsets(self) -> None:
        partition = kafka.TopicPartition("v1-segments", 0)
        with kafka.KafkaConsumer(bootstrap_servers=self.address, group_id="readers") as consumer:
            consumer.assign([partition])
            consumer.commit({partition: kafka.OffsetAndMetadata(42, "forty-two", -1)})

    def producer(self, codec: str) -> Producer:
        settings = {"bootstrap.servers": self.address, "linger.ms": 20}
        return Producer({**settings, "compression.type": codec})

    def observed(self) -> list[observe.Row]:
        topics = {*TOPICS, "__consumer_offsets"}
        return list(observe.Observer(kafka, self.address).rows(topics, ["readers"]))


def main() -> None:
    work = Path(tempfile.mkdtemp(prefix="golden-old-"))
    with ZooKeeper(work / "zookeeper") as keeper:
        broker = OldBroker(work / "logs", keeper, SETTINGS)
        try:
            broker.start()
            workload = OldWorkload(broker)
            workload.fill()
            rows = workload.observed()
            make_golden.check_with_librdkafka(broker.address, rows)
            broker.stop()
            make_golden.keep(broker.directory, "old", rows)
        except BaseException:
            print(broker.said(), file=sys.stderr)
            raise
        finally:
            broker.stop()
    shutil.rmtree(work)


if __name__ == "__main__":
    main()

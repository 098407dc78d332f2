"""Makes the golden directories under `tests/data/kafka` with a real Apache Kafka.

    clean/    a log directory after a clean shutdown
    killed/   the same directory, used again, after `kill -9`
    *.jsonl   what real consumers were given just before (see `observe.py`)

A broker runs three times on one directory: to fill it, to continue it under later leader
epochs, and to be killed. The times of day in it, and so its bytes, differ from run to run.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kafka
import observe
from broker import Broker
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions, NewTopic

if TYPE_CHECKING:
    from collections.abc import Callable

TARGET = Path(__file__).parents[1] / "data" / "kafka"

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")

START = 1_600_000_000_000
"""The first timestamp a producer gives, in milliseconds."""

SETTINGS = {
    "log.index.size.max.bytes": "4096",
    "log.cleaner.backoff.ms": "200",
    "log.initial.task.delay.ms": "500",
    "log.retention.check.interval.ms": "500",
    "log.retention.ms": "-1",
}

SMALL_SEGMENTS = {"internal.segment.bytes": "4096", "index.interval.bytes": "256"}

COMPACTED = {
    "cleanup.policy": "compact",
    "internal.segment.bytes": "1024",
    "min.cleanable.dirty.ratio": "0.01",
    "min.compaction.lag.ms": "0",
    "segment.ms": "60000",
}

TOPICS: dict[str, tuple[int, dict[str, str]]] = {
    **{f"codec-{codec}": (2, {}) for codec in CODECS},
    **{f"recompressed-{codec}": (1, {"compression.type": codec}) for codec in CODECS[1:]},
    "append-time": (2, {"message.timestamp.type": "LogAppendTime"}),
    "segments": (1, SMALL_SEGMENTS),
    "transactions": (2, SMALL_SEGMENTS),
    "open-transaction": (1, {}),
    "idempotent": (1, {}),
    "compacted": (1, COMPACTED),
    "trimmed": (1, SMALL_SEGMENTS),
    "grown": (1, {}),
    "epochs": (1, {}),
    "empty": (1, {}),
    "gone": (1, {}),
    "dots.and_dashes-1": (1, {}),
}

INTERNAL = {"__consumer_offsets", "__transaction_state"}

GROUPS = ("readers", "modern", "transactional", "deleted", "reset")


def some_bytes(seed: str, length: int) -> bytes:
    """Bytes that no codec makes smaller, the same in every run."""
    blocks = (hashlib.sha256(f"{seed} {n}".encode()).digest() for n in range(length // 32 + 1))
    return b"".join(blocks)[:length]


def sample(number: int) -> dict[str, Any]:
    """The `number`-th record: between them, every shape a record can have."""
    shapes: tuple[dict[str, Any], ...] = (
        {"key": f"key-{number}".encode(), "value": f"value {number} ".encode() * 8},
        {"key": None, "value": b"no key"},
        {"key": b"tombstone", "value": None},
        {"key": b"", "value": b""},
        {"key": None, "value": None},
        {"key": b"h", "value": b"headers", "headers": [("a", b"1"), ("a", b"2"), ("empty", b"")]},
        {
            "key": b"u",
            "value": "\u00fcml\u00e4ut".encode(),
            "headers": [("\u540d\u524d", b"\x00\xff")],
        },
        {"key": b"n", "value": b"null header", "headers": [("null", None)]},
        {"key": b"big", "value": some_bytes(f"big {number}", 3000)},
        {"key": b"many", "value": b"x", "headers": [(f"h{n}", b"v" * n) for n in range(20)]},
        {"key": b"soft", "value": b"the same words again and again, " * 100},
    )
    return shapes[number % len(shapes)]


def finished(futures: dict[Any, Any]) -> None:
    for future in futures.values():
        future.result()


def wait_for(what: str, holds: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.1)


class Workload:
    """Everything that is done to one broker."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.address = broker.address
        self.admin = AdminClient({"bootstrap.servers": self.address})

    def producer(self, **settings: Any) -> Producer:
        named = {name.replace("_", "."): value for name, value in settings.items()}
        return Producer({"bootstrap.servers": self.address, "linger.ms": 20, **named})

    def create_topics(self) -> None:
        new = [NewTopic(name, count, 1, config=config) for name, (count, config) in TOPICS.items()]
        finished(self.admin.create_topics(new))

    def fill(self) -> None:
        for codec in CODECS:
            self.send_samples(f"codec-{codec}", codec, range(44))
            self.send_with_kafka_python(f"codec-{codec}", codec)
        for codec in CODECS[1:]:
            self.send_samples(f"recompressed-{codec}", "none", range(33), partitions=1)
        for codec in ("none", "gzip"):
            self.send_samples("append-time", codec, range(11))
            time.sleep(0.05)
        self.send_in_order("segments", 150)
        self.send_in_order("trimmed", 150)
        self.send_in_order("epochs", 5)
        self.send_in_order("gone", 5)
        self.send_in_order("dots.and_dashes-1", 5)
        self.send_in_order("grown", 10)
        finished(self.admin.create_partitions([NewPartitions("grown", 3)]))
        self.send_idempotent()
        self.send_transactions()
        self.send_open_transaction()
        self.compact()
        self.commit_offsets()

    def send_samples(self, topic: str, codec: str, numbers: range, partitions: int = 2) -> None:
        producer = self.producer(compression_type=codec)
        for number in numbers:
            at = START + number * 1000
            producer.produce(topic, partition=number % partitions, timestamp=at, **sample(number))
        producer.flush()

    def send_with_kafka_python(self, topic: str, codec: str) -> None:
        chosen = None if codec == "none" else codec
        with kafka.KafkaProducer(
            bootstrap_servers=self.address, compression_type=chosen, linger_ms=20
        ) as producer:
            for number in range(100, 122):
                shape = {**sample(number), "partition": number % 2}
                if shape["key"] is None and shape["value"] is None:
                    continue  # kafka-python refuses it
                headers = [one for one in shape.pop("headers", []) if one[1] is not None]
                at = START + number * 1000
                producer.send(topic, headers=headers, timestamp_ms=at, **shape)

    def send_in_order(self, topic: str, count: int) -> None:
        """Several batches, their times mostly but not always growing."""
        producer = self.producer(linger_ms=0)
        for number in range(count):
            at = START + number * 1000 - (5000 if number % 7 == 3 else 0)
            value = f"{topic} {number} ".encode() * 10
            producer.produce(topic, value, key=str(number).encode(), timestamp=at)
            if number % 5 == 4:
                producer.flush()
        producer.flush()

    def send_idempotent(self) -> None:
        producer = self.producer(enable_idempotence=True, linger_ms=0)
        for number in range(20):
            producer.produce("idempotent", f"librdkafka {number}", timestamp=START + number)
            if number % 4 == 3:
                producer.flush()
        with kafka.KafkaProducer(bootstrap_servers=self.address, enable_idempotence=True) as other:
            for number in range(20, 30):
                other.send("idempotent", b"kafka-python %d" % number, timestamp_ms=START + number)
        producer.flush()

    def send_transactions(self) -> None:
        """Committed and aborted ones, interleaved with each other and with plain records."""
        first, second = (self.producer(transactional_id=name) for name in ("first", "second"))
        plain = self.producer()
        for producer in (first, second):
            producer.init_transactions()
        for turn in range(12):
            for name, producer in (("first", first), ("second", second)):
                producer.begin_transaction()
                for number in range(4):
                    value = f"{name} {turn} {number} ".encode() * 6
                    producer.produce("transactions", value, partition=number % 2)
                producer.flush()
            plain.produce("transactions", f"plain {turn}", partition=turn % 2)
            plain.flush()
            if turn % 3 == 1:
                self.send_offsets(second, turn)
            (first.abort_transaction if turn % 3 == 0 else first.commit_transaction)()
            (second.abort_transaction if turn % 4 == 1 else second.commit_transaction)()

    def send_offsets(self, producer: Producer, turn: int) -> None:
        """An offset that is committed, or aborted, with the transaction."""
        settings = {"bootstrap.servers": self.address, "group.id": "transactional"}
        consumer = Consumer(settings)
        offset = TopicPartition("transactions", turn % 2, 1000 + turn, f"turn {turn}")
        producer.send_offsets_to_transaction([offset], consumer.consumer_group_metadata())
        consumer.close()

    def send_open_transaction(self) -> None:
        """A transaction whose producer is gone: it stays open until it times out."""
        plain = self.producer()
        for number in range(3):
            plain.produce("open-transaction", f"before {number}")
        plain.flush()
        child = os.fork()
        if child == 0:
            producer = self.producer(transactional_id="open", transaction_timeout_ms=900_000)
            producer.init_transactions()
            producer.begin_transaction()
            for number in range(3):
                producer.produce("open-transaction", f"undecided {number}")
            producer.flush()
            os._exit(0)
        os.waitpid(child, 0)
        for number in range(3):
            plain.produce("open-transaction", f"after {number}")
        plain.flush()

    def compact(self) -> None:
        """Keys written often, once, and deleted; returns when the cleaner has been there.

        The first producer's records are all written again by others: of its last batch only
        the header stays.
        """
        first = self.producer(enable_idempotence=True)
        for number in range(6):
            first.produce("compacted", f"first {number}", key=f"key {number}", timestamp=START)
        first.flush()
        producers = [self.producer(linger_ms=0, compression_type=codec) for codec in CODECS]
        for number in range(180):
            producer = producers[number // 6 % len(producers)]
            key = f"once {number}" if number % 9 == 4 else f"key {number * 7 % 13}"
            value = None if number % 18 == 4 or number % 11 == 5 else f"value {number} " * 4
            producer.produce("compacted", value, key=key, timestamp=START + number)
            if number % 6 == 5:
                producer.flush()
        first.flush()
        checkpoint = self.broker.directory / "cleaner-offset-checkpoint"
        wait_for("compaction", lambda: "compacted 0 " in checkpoint.read_text())

    def commit_offsets(self) -> None:
        settings = {"bootstrap.servers": self.address, "auto.offset.reset": "earliest"}
        readers = Consumer({**settings, "group.id": "readers", "enable.auto.commit": False})
        readers.subscribe(["segments", "codec-none"])
        wait_for("an assignment", lambda: readers.poll(0.1) is not None)
        readers.commit(offsets=[TopicPartition("segments", 0, 17)], asynchronous=False)
        readers.commit(
            offsets=[
                TopicPartition("segments", 0, 42, metadata="forty-two \u00fc", leader_epoch=0),
                TopicPartition("codec-none", 1, 7, metadata=""),
            ],
            asynchronous=False,
        )
        readers.close()
        modern = Consumer({**settings, "group.id": "modern", "group.protocol": "consumer"})
        modern.subscribe(["segments", "grown"])
        wait_for("an assignment", lambda: modern.poll(0.1) is not None)
        modern.commit(offsets=[TopicPartition("grown", 0, 3)], asynchronous=False)
        modern.close()
        for group in ("deleted", "reset"):
            with kafka.KafkaConsumer(bootstrap_servers=self.address, group_id=group) as one:
                partition = kafka.TopicPartition("segments", 0)
                one.assign([partition])
                one.commit({partition: kafka.OffsetAndMetadata(5, "python", -1)})
        finished(self.admin.delete_consumer_groups(["deleted"]))

    def go_on(self) -> None:
        """After a restart: later leader epochs, and things a shutdown leaves half done."""
        self.send_in_order("epochs", 10)
        self.send_samples("codec-zstd", "zstd", range(200, 222))
        finished(self.admin.delete_records([TopicPartition("trimmed", 0, 77)]))
        removed = self.broker.directory / "trimmed-0"
        wait_for("retention", lambda: any(removed.glob("*.deleted")))
        finished(self.admin.delete_topics(["gone"]))
        wait_for("deletion", lambda: any(self.broker.directory.glob("gone-0.*-delete")))

    def observed(self) -> list[observe.Row]:
        observer = observe.Observer(kafka, self.address)
        topics = (observer.topics() | INTERNAL) - {"gone"}
        return list(observer.rows(topics, GROUPS))


def check_with_librdkafka(address: str, rows: list[observe.Row]) -> None:
    """The second opinion: librdkafka is given the same records."""
    partitions = [(row["topic"], row["partition"]) for row in rows if row["is"] == "ends"]
    for isolation in ("read_uncommitted", "read_committed"):
        wanted = {
            (row["topic"], row["partition"], row["offset"]): row["value"]
            for row in rows
            if row["is"] == "record" and (row["committed"] or isolation == "read_uncommitted")
        }
        given = given_to_librdkafka(address, partitions, isolation)
        other = sorted(dict(given.items() ^ wanted.items()))
        assert not other, f"{isolation}: librdkafka is given others at {other}"


def given_to_librdkafka(
    address: str, partitions: list[tuple[str, int]], isolation: str
) -> dict[Any, Any]:
    """The value at each topic, partition and offset."""
    consumer = Consumer(
        {
            "bootstrap.servers": address,
            "group.id": "second opinion",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "isolation.level": isolation,
        }
    )
    consumer.assign([TopicPartition(topic, partition, 0) for topic, partition in partitions])
    given: dict[Any, Any] = {}
    at_end: set[Any] = set()
    while len(at_end) < len(partitions):
        message = consumer.poll(10)
        assert message is not None, f"nothing for 10 s, {partitions} but {at_end} not at the end"
        place = (message.topic(), message.partition())
        if message.error():
            at_end.add(place)
        else:
            given[message.topic(), message.partition(), message.offset()] = observe.as_text(
                message.value()
            )
    consumer.close()
    return given


def keep(directory: Path, name: str, rows: list[observe.Row]) -> None:
    """Copies what a broker left. Its metadata log is no topic, and preallocated when killed."""
    target = TARGET / name
    shutil.rmtree(target, ignore_errors=True)
    leave_out = ("__cluster_metadata-0",) if name == "killed" else ()
    shutil.copytree(directory, target, ignore=lambda _, names: set(names) & set(leave_out))
    observe.write(TARGET / f"{name}.jsonl", rows)
    size = sum(file.stat().st_size for file in target.rglob("*") if file.is_file())
    print(f"{name}: {len(rows)} rows, {size} bytes")


def main() -> None:
    work = Path(tempfile.mkdtemp(prefix="golden-"))
    directory = work / "logs"
    TARGET.mkdir(parents=True, exist_ok=True)
    broker = Broker(directory, SETTINGS)
    broker.format()
    try:
        broker.start()
        workload = Workload(broker)
        workload.create_topics()
        workload.fill()
        broker.stop()
        broker.start()
        workload.go_on()
        rows = workload.observed()
        check_with_librdkafka(broker.address, rows)
        broker.stop()
        keep(directory, "clean", rows)
        broker.start()
        workload.send_samples("codec-lz4", "lz4", range(300, 322))
        workload.send_in_order("epochs", 10)
        rows = workload.observed()
        check_with_librdkafka(broker.address, rows)
        broker.kill()
        keep(directory, "killed", rows)
    except BaseException:
        print(broker.said(), file=sys.stderr)
        raise
    finally:
        broker.stop()
    shutil.rmtree(work)


if __name__ == "__main__":
    main()

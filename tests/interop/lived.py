"""A broker's own logs, cleaned by it and by brokerless, and what each makes of the other's.

The broker writes transactions, committed, aborted and undecided, and idempotent batches of every
codec while nobody cleans. Then it cleans one copy and brokerless another one, more is written to
both, and both are cleaned again: the same records are left, and the same batches, control batches
among them. The broker starts on what brokerless has cleaned, and its producers go on; brokerless
reads what the broker has cleaned. `python tests/interop/lived.py` does nothing else.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dump
import kafka
import kafka.admin
from broker import Broker

import brokerless
import brokerless.admin

sys.path.insert(0, str(Path(__file__).parents[1] / "cleaning"))
import scenario

COMPACT = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.01",
    "delete.retention.ms": "0",
    "retention.ms": "-1",
}

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")

TRANSACTED = ("transacted", "kept", "purged")

OPEN = "open"
"""The topic with a transaction that is not decided."""

TOPICS: dict[str, dict[str, str]] = {
    "transacted": COMPACT,
    "kept": {**COMPACT, "delete.retention.ms": scenario.YEARS},
    "purged": {**COMPACT, "cleanup.policy": "compact,delete"},
    OPEN: COMPACT,
    "lagged": {**COMPACT, "min.compaction.lag.ms": scenario.YEARS},
    **{f"codec-{codec}": COMPACT for codec in CODECS},
    "timed": {"retention.ms": "-1", "segment.ms": "55"},
    "stamped": {"retention.ms": scenario.YEARS, "message.timestamp.type": "LogAppendTime"},
    "mixed": {"retention.ms": scenario.YEARS},
}
"""One partition each."""

PURGED = 75
"""Before this offset of that topic the user has deleted the records: in the middle of a segment,
and of a transaction, so that its marker has data whether segments before it went or not."""

SMALL = {"index.interval.bytes": "200"}
THEIR_SIZE, OUR_SIZE = {"internal.segment.bytes": "1500"}, {"segment.bytes": "1500"}
"""A broker's segments have a megabyte at least, but for its own tests."""

START = 1_700_000_000_000
"""The first timestamp, in milliseconds."""

DIES = """
import os, sys, kafka
address, topic = sys.argv[1:]
producer = kafka.KafkaProducer(
    bootstrap_servers=address, transactional_id="dies", transaction_timeout_ms=900_000
)
producer.init_transactions()
producer.begin_transaction()
for number in range(3):
    producer.send(topic, b"undecided", b"key %d" % number, partition=0).get(10)
os._exit(0)
"""

LEVELS = ("read_uncommitted", "read_committed")

Row = list[Any]


def record(topic: str, number: int) -> dict[str, Any]:
    """The `number`-th record of a topic: some keys come often, some values are none."""
    key = b"key %d" % (number * number % 17 if number % 4 else number % 7)
    old = (topic == "lagged" and number < 120) or (topic == "mixed" and number % 60 >= 6)
    return {
        "topic": topic,
        "partition": 0,
        "key": key,
        "value": None if number % 11 == 5 else b"value %d " % number + b"." * (number % 40),
        "headers": [("number", b"%d" % number)] if number % 3 == 0 else [],
        "timestamp_ms": (scenario.LONG_AGO if old else START) + number * 10,
    }


def fill(address: str) -> None:
    for topic in TOPICS:
        if topic in TRANSACTED:
            transact(address, topic)
        else:
            _, _, codec = topic.partition("-")
            settings = {"compression_type": codec} if codec in CODECS[1:] else {}
            send(kafka, address, topic, range(240), 6, **settings)
            if topic == OPEN:
                leave_open(address)
    admin = kafka.KafkaAdminClient(bootstrap_servers=address)
    admin.delete_records({kafka.TopicPartition("purged", 0): PURGED})
    admin.close()


def send(kafka: Any, address: str, topic: str, numbers: range, batch: int, **named: Any) -> None:
    """Sends records, so many a batch."""
    producer = kafka.KafkaProducer(bootstrap_servers=address, linger_ms=50_000, **named)
    for number in numbers:
        producer.send(**record(topic, number))
        if number % batch == batch - 1:
            producer.flush()
    producer.close()


def transact(address: str, topic: str) -> None:
    """Transactions of two producers, one after the other and side by side; every third aborts."""
    producers = [
        kafka.KafkaProducer(bootstrap_servers=address, transactional_id=f"{topic} {number}")
        for number in range(2)
    ]
    for producer in producers:
        producer.init_transactions()
    for number in range(24):
        transaction(producers[number % 2 : number % 2 + 1], topic, number * 5, number % 3 != 1)
    for number in range(24, 28):
        transaction(producers, topic, number * 5, number % 2 == 0)
    for producer in producers:
        producer.close()
    # Behind the last transaction, so that its marker is in no active segment.
    send(kafka, address, topic, range(140, 180), 1)


def transaction(producers: list[Any], topic: str, first: int, commits: bool) -> None:
    for producer in producers:
        producer.begin_transaction()
    for number in range(first, first + 5):
        for producer in producers:
            producer.send(**record(topic, number))
            producer.flush()
    for producer in producers:
        if commits:
            producer.commit_transaction()
        else:
            producer.abort_transaction()


def leave_open(address: str) -> None:
    """A transaction whose producer dies in the middle, and records behind it that are not its."""
    subprocess.run([sys.executable, "-c", DIES, address, OPEN], check=True)
    send(kafka, address, OPEN, range(240, 300), 6)


def records(kafka: Any, address: str) -> list[Row]:
    """All that each kind of consumer is given, and where each log starts and ends."""
    rows: list[Row] = []
    for level in LEVELS:
        consumer = kafka.KafkaConsumer(
            bootstrap_servers=address, enable_auto_commit=False, isolation_level=level
        )
        for topic in TOPICS:
            partition = kafka.TopicPartition(topic, 0)
            consumer.assign([partition])
            start, end = (
                find([partition])[partition]
                for find in (consumer.beginning_offsets, consumer.end_offsets)
            )
            rows.append([level, topic, start, end])
            consumer.seek(partition, start)
            while consumer.position(partition) < end:
                for one in consumer.poll(timeout_ms=1000).get(partition, ()):
                    time_of = one.timestamp if topic != "stamped" else None
                    content = [one.key, one.value, one.headers or []]
                    rows.append([level, topic, one.offset, time_of, *content])
        consumer.close()
    return rows


def batches(directory: Path) -> list[str]:
    """The batches as Kafka dumps them, without where they lie and which leader has taken them.

    Nor those that are empty but for their producer: of which are left both decide by themselves.
    """
    found = []
    for topic in TOPICS:
        paths = sorted((directory / f"{topic}-0").glob("*.log"))
        for line in dump.dump(paths).splitlines():
            if line.startswith("baseOffset:") and " count: 0 " not in line:
                line = re.sub(
                    r" (position|size|crc|\w*[tT]ime|partitionLeaderEpoch): -?\d+", "", line
                )
                found.append(f"{topic} {re.sub(r'OptionalLong.[0-9]+.', 'set', line)}")
    return found


def segments(directory: Path, topic: str) -> list[str]:
    return sorted(path.name for path in (directory / f"{topic}-0").glob("*.log"))


def await_compaction(directory: Path) -> None:
    end = time.monotonic() + 120
    compacted = [topic for topic, given in TOPICS.items() if "compact" in str(given)]
    while not all(is_compacted(directory, topic) for topic in compacted):
        if time.monotonic() > end:
            raise TimeoutError(f"{directory.name}: not compacted within 120 s")
        time.sleep(0.1)
    # Where there is nothing to do, somebody has looked too.
    time.sleep(1)


def is_compacted(directory: Path, topic: str) -> bool:
    """Whether it is as far as can be: not up to the end where records are young, or undecided."""
    if topic not in ("lagged", OPEN):
        return scenario.is_compacted(directory, topic)
    checkpoint = directory / "cleaner-offset-checkpoint"
    return checkpoint.exists() and f"\n{topic} 0 " in checkpoint.read_text()


class Copy:
    """One of the two copies of what the broker has written, and who looks after it."""

    def __init__(self, source: Path, name: str) -> None:
        self.directory = source.with_name(name)
        shutil.copytree(source, self.directory)
        self.records: list[Row] = []
        self.batches: list[str] = []

    @contextmanager
    def running(self, *, cleans: bool) -> Iterator[tuple[Any, str]]:
        """The module and the address of clients; who looks after the logs cleans them, or not."""
        raise NotImplementedError

    def go_on(self, numbers: range) -> None:
        with self.running(cleans=False) as (kafka, address):
            for topic in TOPICS:
                send(kafka, address, topic, numbers, 4, enable_idempotence=False)

    def clean(self) -> None:
        with self.running(cleans=True) as (kafka, address):
            await_compaction(self.directory)
            self.records = records(kafka, address)
        self.batches = batches(self.directory)


class Theirs(Copy):
    """The broker's."""

    @contextmanager
    def running(self, *, cleans: bool) -> Iterator[tuple[Any, str]]:
        with Broker(self.directory, their_settings(cleans)) as broker:
            yield kafka, broker.address


class Ours(Copy):
    """Ours, to which the settings of the topics are told: a broker keeps them for itself."""

    def __init__(self, source: Path, name: str) -> None:
        super().__init__(source, name)
        with self.running(cleans=False) as (_, address):
            admin = brokerless.KafkaAdminClient(bootstrap_servers=address)
            admin.alter_configs(
                [
                    brokerless.admin.ConfigResource("topic", topic, {**given, **SMALL, **OUR_SIZE})
                    for topic, given in TOPICS.items()
                ]
            )
            admin.close()

    @contextmanager
    def running(self, *, cleans: bool) -> Iterator[tuple[Any, str]]:
        lines = (f"{name}={value}\n" for name, value in settings(cleans).items())
        (self.directory / "brokerless.properties").write_text("".join(lines))
        # Somebody has it open all the time.
        admin = brokerless.KafkaAdminClient(bootstrap_servers=str(self.directory))
        yield brokerless, str(self.directory)
        admin.close()


def settings(cleans: bool) -> dict[str, str]:
    return {**scenario.OFTEN, "log.cleaner.enable": str(cleans).lower()}


def their_settings(cleans: bool) -> dict[str, str]:
    return {**settings(cleans), "log.initial.task.delay.ms": "500"}


def written(work: Path) -> Path:
    """What a broker wrote that never cleaned."""
    broker = Broker(work / "lived", their_settings(cleans=False))
    broker.format()
    with broker:
        admin = kafka.KafkaAdminClient(bootstrap_servers=broker.address)
        new = [
            kafka.admin.NewTopic(topic, 1, 1, topic_configs={**given, **SMALL, **THEIR_SIZE})
            for topic, given in TOPICS.items()
        ]
        admin.create_topics(new)
        admin.close()
        fill(broker.address)
    return broker.directory


def differences(work: Path) -> list[str]:
    """What the one leaves and the other does not, and what each does not find in the other's.

    Twice: markers and values of none that the first cleaning has seen go with the second.
    """
    source = written(work)
    theirs, ours = Theirs(source, "lived-theirs"), Ours(source, "lived-ours")
    found = []
    for number in range(2):
        if number:
            for copy in (theirs, ours):
                copy.go_on(range(1000 * number, 1000 * number + 40))
        theirs.clean()
        ours.clean()
        found += told_apart(f"records after {number + 1}", theirs.records, ours.records)
        found += told_apart(f"batches after {number + 1}", theirs.batches, ours.batches)
    names = [segments(copy.directory, "timed") for copy in (theirs, ours)]
    found += told_apart("segments by time", *names)
    found += complaints(ours.directory)
    print(f"   {len(theirs.records)} records, {len(theirs.batches)} batches are left")
    return found + crossed(theirs, ours)


def crossed(theirs: Theirs, ours: Ours) -> list[str]:
    """Each has the other's directory; the producers of the broker go on in both."""
    there, here = Theirs(ours.directory, "lived-there"), Ours(theirs.directory, "lived-here")
    found = []
    with there.running(cleans=True) as (_, address):
        found += told_apart("ours by them", ours.records, records(kafka, address))
        for topic in TRANSACTED:
            transact(address, topic)
    with here.running(cleans=True) as (_, address):
        found += told_apart("theirs by us", theirs.records, records(brokerless, address))
    return found


def complaints(directory: Path) -> list[str]:
    """What `DumpLogSegments` finds wrong, but for the offsets that compaction took."""
    found = dump.complaints(dump.dump(dump.files(directory)))
    return [line for line in found if not re.search("Non-consecutive| is followed by ", line)]


def told_apart(what: str, theirs: list[Any], ours: list[Any]) -> list[str]:
    """A line for each that only one has."""
    return [f"{what}: only they have {row}" for row in theirs if row not in ours] + [
        f"{what}: only we have {row}" for row in ours if row not in theirs
    ]


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="lived-") as work:
        found = differences(Path(work))
    print("\n".join(found) or "lived: the same is left")
    return min(len(found), 1)


if __name__ == "__main__":
    sys.exit(main())

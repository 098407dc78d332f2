"""A client that was closed lets go of the directory, though a name still stands for it."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from brokerless import KafkaAdminClient, KafkaConsumer, KafkaProducer, NewTopic, TopicPartition
from brokerless.admin import ConfigResource

T0 = TopicPartition("t", 0)

Repair = Callable[[], None]


@pytest.fixture
def repair(directory: Path) -> Repair:
    """Has another process repair the directory, for which nobody may have it open."""

    def repair() -> None:
        assert (directory / ".kafka_cleanshutdown").exists()
        done = subprocess.run(
            [sys.executable, "-m", "brokerless", "verify", "--repair", str(directory)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    return repair


def test_a_closed_producer_keeps_nobody_out(topic: str, repair: Repair) -> None:
    producer = KafkaProducer()
    future = producer.send(topic, b"x", partition=0)

    producer.close()

    repair()
    assert future.get(20).offset == 0
    assert producer.metrics()["producer-metrics"]


def test_a_consumer_closed_in_an_iteration_keeps_nobody_out(topic: str, repair: Repair) -> None:
    with KafkaProducer() as producer:
        producer.send_many(topic, [b"x"] * 10, partition=0)
    consumer = KafkaConsumer(auto_offset_reset="earliest")
    consumer.assign([T0])
    record = next(consumer)

    consumer.close()

    repair()
    assert record.value == b"x"
    assert list(consumer) == []
    assert consumer.metrics()["consumer-metrics"]


def test_a_member_closed_in_a_poll_keeps_nobody_out(topic: str, repair: Repair) -> None:
    consumer = KafkaConsumer(topic, group_id="g")
    polled: list[object] = []
    polling = threading.Thread(target=lambda: polled.append(consumer.poll(60_000)))
    polling.start()
    while not consumer.assignment():
        time.sleep(0.01)

    consumer.close()
    polling.join()

    repair()
    assert polled == [{}]


def test_the_directory_stays_open_for_the_last_client(
    topic: str, directory: Path, repair: Repair
) -> None:
    first, last = KafkaProducer(), KafkaProducer()

    first.close()

    assert not (directory / ".kafka_cleanshutdown").exists()
    assert last.send(topic, b"x", partition=0).get(20).offset == 0
    last.close()
    repair()


def test_an_admin_client_closed_while_its_logs_are_compacted_keeps_nobody_out(
    directory: Path, repair: Repair
) -> None:
    with KafkaAdminClient() as admin:
        settings = {"segment.bytes": 1 << 20, "min.cleanable.dirty.ratio": 0}
        admin.create_topics([NewTopic("t", 1, 1, topic_configs=settings)])
    with KafkaProducer() as producer:
        for number in range(40_000):
            producer.send("t", bytes(1000), key=b"%d" % number)
    admin = KafkaAdminClient()
    admin.alter_configs([ConfigResource("topic", "t", {"cleanup.policy": "compact"})])
    over = directory / "cleaner-offset-checkpoint"
    while not list(directory.glob("t-0/*.cleaned")) and not over.exists():
        time.sleep(0.001)

    admin.close()

    repair()

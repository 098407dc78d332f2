"""Beside a process that was stopped while it holds a lock: calls end by their timeouts."""

import fcntl
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from brokerless import KafkaAdminClient, KafkaConsumer, KafkaProducer, NewTopic, TopicPartition
from brokerless.errors import KafkaTimeoutError

T0, T1 = TopicPartition("t", 0), TopicPartition("t", 1)

Hold = Callable[[Path], "Held"]


class Held:
    """A folder's lock, as a stopped process has it."""

    def __init__(self, folder: Path) -> None:
        self.fd = os.open(folder, os.O_RDONLY)
        fcntl.flock(self.fd, fcntl.LOCK_EX)

    def end(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


@pytest.fixture
def hold() -> Iterator[Hold]:
    held: list[Held] = []

    def hold(folder: Path) -> Held:
        held.append(Held(folder))
        return held[-1]

    yield hold
    for one in held:
        one.end()


def test_a_future_fails_after_the_delivery_timeout(topic: str, directory: Path, hold: Hold) -> None:
    with KafkaProducer(
        acks=1, delivery_timeout_ms=3000, linger_ms=0, request_timeout_ms=200
    ) as producer:
        producer.send(topic, b"first", partition=0).get(20)
        held = hold(directory / "t-0")

        stuck = producer.send(topic, b"stuck", partition=0)
        other = producer.send(topic, b"other", partition=1)

        assert other.get(20).offset == 0
        with pytest.raises(KafkaTimeoutError):
            stuck.get(20)
        held.end()
        assert producer.send(topic, b"second", partition=0).get(20).offset == 1


def test_closing_does_not_wait_longer_than_it_may(topic: str, directory: Path, hold: Hold) -> None:
    producer = KafkaProducer(acks=1)
    hold(directory / "t-0")
    stuck = producer.send(topic, b"stuck", partition=0)

    with pytest.raises(KafkaTimeoutError):
        producer.flush(timeout=0.1)
    producer.close(timeout=0.1)

    assert not stuck.is_done or stuck.failed()


def test_what_closing_had_no_time_for_fails_and_is_not_sent(
    topic: str, directory: Path, hold: Hold
) -> None:
    producer = KafkaProducer(acks=1, linger_ms=60_000)
    held = hold(directory / "t-0")
    one = producer.send(topic, b"one", partition=0)
    several = producer.send_many(topic, [b"two", b"three"], partition=0)

    producer.close(timeout=0.1)

    for future in (one, several):
        with pytest.raises(KafkaTimeoutError, match="closing the producer"):
            future.get()
    held.end()
    with KafkaProducer() as another:
        assert another.send(topic, b"first", partition=0).get(20).offset == 0


def test_sending_to_a_topic_that_cannot_be_made_ends_with_max_block_ms(
    topic: str, directory: Path, hold: Hold
) -> None:
    with KafkaProducer(max_block_ms=200) as producer:
        hold(directory)

        with pytest.raises(KafkaTimeoutError):
            producer.send("new", b"x")
        assert producer.send(topic, b"x", partition=0).get(20).offset == 0


def test_a_poll_gives_what_is_not_held_up(topic: str, directory: Path, hold: Hold) -> None:
    with KafkaProducer() as producer:
        for partition in (0, 1):
            producer.send(topic, b"x", partition=partition)
    del producer  # the next to come is the first in, and looks at every log
    held = hold(directory / "t-0")
    with KafkaConsumer(auto_offset_reset="earliest") as consumer:
        consumer.assign([T0, T1])

        assert list(consumer.poll(5000)) == [T1]
        assert consumer.poll(0) == {}
        with pytest.raises(KafkaTimeoutError):
            consumer.position(T0, timeout_ms=200)
        held.end()
        assert list(consumer.poll(20000)) == [T0]


def test_what_the_core_warns_of_reaches_logging(
    topic: str, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_and_kill(directory)
    log = directory / "t-0" / "00000000000000000000.log"
    with log.open("ab") as file:
        file.write(b"torn")

    with caplog.at_level(logging.INFO), KafkaConsumer() as consumer:
        assert consumer.end_offsets([T0]) == {T0: 1}

    warned = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert [r.name for r in warned] == ["brokerless.log.recovery.walk"]
    assert str(log) in warned[0].getMessage()


def write_and_kill(directory: Path) -> None:
    program = (
        "import os\n"
        "from brokerless import KafkaProducer\n"
        "producer = KafkaProducer(acks=1)\n"
        "producer.send('t', b'x', partition=0).get()\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_a_handler_may_log_by_a_producer(topic: str, directory: Path) -> None:
    class ByProducer(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            producer.send(topic, record.getMessage().encode(), partition=1)

    write_and_kill(directory)
    with (directory / "t-0" / "00000000000000000000.log").open("ab") as file:
        file.write(b"torn")
    producer = KafkaProducer()
    with added(ByProducer()):
        producer.send(topic, b"x", partition=0).get(20)
        producer.flush()
        producer.send(topic, b"y", partition=0).get(20)
    producer.close()

    with KafkaConsumer() as consumer:
        assert consumer.end_offsets([T1]) == {T1: 1}


@contextmanager
def added(handler: logging.Handler) -> Iterator[None]:
    logger = logging.getLogger("brokerless")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def test_topics_are_made_when_the_directory_is_free_again(
    topic: str, directory: Path, hold: Hold
) -> None:
    with KafkaAdminClient() as admin:
        held = hold(directory)
        timer = threading.Timer(0.5, held.end)
        timer.start()

        admin.create_topics([NewTopic("new", 1, 1)])

        timer.join()
        assert "new" in admin.list_topics()

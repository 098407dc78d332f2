"""The compiled producer and its futures."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from brokerless import errors
from brokerless._brokerless import (
    Admin,
    Consumer,
    FutureRecordMetadata,
    Producer,
    RecordMetadata,
)
from brokerless.structs import TopicPartition

if TYPE_CHECKING:
    from pathlib import Path

Open = Callable[..., Producer]


@pytest.fixture
def producer(tmp_path: Path) -> Iterator[Open]:
    """Opens producers of one directory."""
    opened: list[Producer] = []

    def open_(**settings: Any) -> Producer:
        one = Producer()
        one._open(str(tmp_path / "data"), {"acks": 1, **settings})
        opened.append(one)
        return one

    yield open_
    for one in opened:
        one.close()


def test_a_future_gives_where_the_record_went(producer: Open) -> None:
    future = producer().send("t", b"value", key=b"k", headers=[("name", b"x")], timestamp_ms=5)

    metadata = future.get(10)

    assert (metadata.topic, metadata.partition, metadata.offset) == ("t", 0, 0)
    assert metadata.timestamp == 5
    assert metadata[-3:] == (1, 5, 5)
    assert future.is_done
    assert future.succeeded()
    assert not future.failed()
    assert future.value is metadata
    assert future.exception is None


def test_callbacks_get_their_arguments_before_the_metadata(producer: Open) -> None:
    calls: list[Any] = []
    future = producer(linger_ms=50).send("t", b"v")

    chained = future.add_callback(lambda *args, **named: calls.append((args, named)), 1, name=2)
    future.add_both(calls.append).add_errback(calls.append)
    metadata = future.get(10)
    future.add_callback(calls.append)

    assert chained is future
    assert calls == [((1, metadata), {"name": 2}), metadata, metadata]


def test_what_a_callback_raises_is_logged_and_hurts_nobody(
    producer: Open, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[Any] = []

    def fail(_: RecordMetadata) -> None:
        raise ZeroDivisionError("mine")

    future = producer(linger_ms=20).send("t", b"v").add_callback(fail).add_callback(calls.append)
    with caplog.at_level(logging.ERROR, logger="brokerless"):
        future.get(10)

    assert len(calls) == 1
    assert "Error processing callback" in caplog.text
    assert "mine" in caplog.text


def test_a_callback_may_send_with_the_same_producer(producer: Open) -> None:
    one = producer()
    second: list[FutureRecordMetadata] = []
    done = threading.Event()

    def send_on(_: RecordMetadata) -> None:
        second.append(one.send("t", b"second"))
        done.set()

    one.send("t", b"first").add_callback(send_on)

    assert done.wait(10)
    assert second[0].get(10).offset == 1


def test_a_future_may_be_awaited(producer: Open) -> None:
    one = producer(linger_ms=20)

    async def main() -> list[RecordMetadata]:
        return list(await asyncio.gather(*(one.send("t", b"%d" % n) for n in range(3))))

    assert [metadata.offset for metadata in asyncio.run(main())] == [0, 1, 2]


def test_serializers_of_both_kafka_pythons_are_called(producer: Open) -> None:
    class Old:
        def serialize(self, topic: str, value: Any) -> bytes:
            return f"{topic}/{value}".encode()

    class New:
        closed = False

        def serialize(self, topic: str, headers: list[Any], data: Any) -> bytes:
            return f"{topic}/{headers}/{data}".encode()

        def close(self) -> None:
            self.closed = True

    new = New()
    old = producer(key_serializer=str.encode, value_serializer=Old())
    assert old.send("t", 7, key="k").get(10)[-3:-1] == (1, 3)
    one = producer(value_serializer=new)
    assert one.send("t", 7).get(10)[-2] == len("t/[]/7")
    one.close()
    assert new.closed


def test_a_callable_partitioner_is_asked(producer: Open, tmp_path: Path) -> None:
    Admin(str(tmp_path / "data")).create_topic("three", 3)
    asked: list[Any] = []

    def last(key: bytes, everything: list[int], available: list[int]) -> int:
        asked.append((key, everything, available))
        return everything[-1]

    one = producer(partitioner=last)

    assert one.send("three", b"v", key=b"k").get(10).partition == 2
    assert one.send("three", b"v", partition=1).get(10).partition == 1
    assert asked == [(b"k", [0, 1, 2], [0, 1, 2])]
    assert one.partitions_for("three") == {0, 1, 2}


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"value": "text"}, TypeError, "value_serializer"),
        ({"value": "text"}, AssertionError, "encode"),
        ({"value": b"", "key": 7}, TypeError, "key_serializer"),
        ({}, ValueError, "key or a value"),
        ({"value": b"", "topic": 7}, TypeError, "topic"),
        ({"value": b"", "topic": "../x"}, errors.InvalidTopicError, "invalid"),
        ({"value": b"", "partition": -1}, ValueError, "-1"),
        ({"value": b"", "partition": 1 << 40}, ValueError, "1099511627776"),
        ({"value": b"", "partition": 7}, ValueError, "7"),
        ({"value": bytes(2_000_000)}, errors.MessageSizeTooLargeError, "max_request_size"),
        ({"value": b"", "headers": {}}, TypeError, "list"),
        ({"value": b"", "headers": [("a", "b")]}, TypeError, "bytes"),
        ({"value": b"", "timestamp_ms": -5}, ValueError, "-5"),
    ],
)
def test_bad_arguments_are_refused_and_the_next_send_works(
    producer: Open, arguments: dict[str, Any], error: type[Exception], match: str
) -> None:
    one = producer()

    with pytest.raises(error, match=match):
        one.send(**{"topic": "t", **arguments})

    assert one.send("t", b"fine").get(10).offset == 0


def test_bytes_like_values_are_copied(producer: Open) -> None:
    one = producer(linger_ms=50)
    value = bytearray(b"abc")

    future = one.send("t", value, key=memoryview(b"abcd")[::2])
    value[:] = b"xyz"

    assert future.get(10)[-3:-1] == (2, 3)


def test_one_future_stands_for_all_values_of_send_many(producer: Open) -> None:
    values = (b"%d" % number for number in range(5000))

    future = producer(batch_size=100).send_many("t", values)

    assert future.get(10).offset == 4999
    with pytest.raises(ValueError, match="no values"):
        producer().send_many("t", [])
    with pytest.raises(ValueError, match="fewer keys"):
        producer().send_many("t", [b"1", b"2"], keys=[b"k"])


def test_send_many_keeps_the_order_of_values_of_every_kind(producer: Open, tmp_path: Path) -> None:
    one = producer(batch_size=1000)
    values = [b"%d" % number for number in range(10_000)]
    mixed: list[Any] = [*values, bytearray(b"array"), b"last"]

    assert one.send_many("t", mixed, headers=[("h", b"x")]).get(10).offset == 10_001
    with pytest.raises(TypeError, match="value_serializer"):
        one.send_many("t", [b"sent", "not sent", b"neither"])
    one.flush()

    consumer = Consumer()
    consumer._open(str(tmp_path / "data"), {"auto_offset_reset": "earliest"})
    consumer.assign([TopicPartition("t", 0)])
    read: list[Any] = []
    while polled := consumer.poll(100):
        read += polled[TopicPartition("t", 0)]
    consumer.close()
    assert [record.value for record in read] == [*values, b"array", b"last", b"sent"]
    assert read[-2].headers == [("h", b"x")]


def test_send_many_spreads_over_partitions(producer: Open, tmp_path: Path) -> None:
    Admin(str(tmp_path / "data")).create_topic("three", 3)
    one = producer()

    for _ in range(20):
        one.send_many("three", [bytes(100)] * 1000).get(10)

    consumer = Consumer()
    consumer._open(str(tmp_path / "data"), {})
    ends = consumer.end_offsets([TopicPartition("three", number) for number in range(3)])
    consumer.close()
    assert sum(ends.values()) == 20_000
    assert min(ends.values()) > 1000


def test_a_closed_producer_refuses_in_both_dialects(producer: Open) -> None:
    one = producer()
    one.send("t", b"v")
    one.close()
    one.close()

    with pytest.raises(errors.IllegalStateError):
        one.send("t", b"v")
    with pytest.raises(AssertionError):
        one.send("t", b"v")


def test_a_wait_ends_after_its_timeout(producer: Open) -> None:
    future = producer(linger_ms=60_000).send("t", b"v")

    started = time.monotonic()
    with pytest.raises(errors.KafkaTimeoutError, match=r"0\.25"):
        future.get(0.25)

    assert 0.2 < time.monotonic() - started < 30


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs signals")
def test_ctrl_c_ends_a_wait_at_once(producer: Open) -> None:
    future = producer(linger_ms=60_000).send("t", b"v")
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        future.get(600)

    assert time.monotonic() - started < 30


def test_a_wrong_setting_is_named(producer: Open) -> None:
    with pytest.raises(errors.KafkaConfigurationError, match="acks='some'"):
        producer(acks="some")
    with pytest.raises(errors.KafkaConfigurationError, match="compression_type"):
        producer(compression_type="rar")
    with pytest.raises(errors.IllegalStateError, match="not open"):
        Producer().send("t", b"v")

"""Each a clear exception of kafka-python's class, nothing lost, and the next call works."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from brokerless import (
    ConsumerRecord,
    KafkaAdminClient,
    KafkaConsumer,
    KafkaProducer,
    NewTopic,
    TopicPartition,
)
from brokerless.errors import (
    CorruptRecordError,
    IllegalStateError,
    InvalidTopicError,
    KafkaError,
    KafkaStorageError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    OffsetOutOfRangeError,
    RecordListTooLargeError,
    UnknownTopicOrPartitionError,
    UnsupportedVersionError,
)

Read = Callable[..., list[ConsumerRecord]]

T0 = TopicPartition("t", 0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda p, _: p.send("t", b"", partition="0"), TypeError, "partition must be an int"),
        (lambda p, _: p.send("t", b"", partition=2**70), ValueError, "partition is too large"),
        (lambda p, _: p.send("t", b"", timestamp_ms=1.5), TypeError, r"timestamp_ms.*int\(\)"),
        (lambda p, _: p.send("t", b"", timestamp_ms=2**63), ValueError, "timestamp_ms is too"),
        (lambda p, _: p.send("t", b"", headers=[("\ud800", b"")]), ValueError, "a header's name"),
        (lambda p, _: p.send("\ud800", b""), ValueError, "the topic has no form in UTF-8"),
        (lambda p, _: p.flush(timeout="1"), TypeError, "a timeout must be a number, not '1'"),
        (lambda _, c: c.poll("1"), TypeError, "a timeout must be a number, not '1'"),
        (lambda _, c: c.offsets_for_times({T0: "x"}), TypeError, "a timestamp must be an int"),
        (lambda _, c: c.offsets_for_times({T0: None}), TypeError, "a timestamp must be an int"),
        (lambda _, c: c.offsets_for_times({T0: 2**63}), ValueError, "a timestamp is too large"),
        (lambda _, c: c.commit({T0: 2**63}), ValueError, "an offset is too large"),
        (lambda _, c: c.commit({T0: ("1", "")}), TypeError, "an offset must be an int"),
    ],
)
def test_a_wrong_argument_is_named(
    topic: str,
    call: Callable[[KafkaProducer, KafkaConsumer], object],
    error: type[Exception],
    message: str,
) -> None:
    with (
        KafkaProducer() as producer,
        KafkaConsumer(topic, group_id="g") as consumer,
        pytest.raises(error, match=message),
    ):
        call(producer, consumer)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"value": "text"}, TypeError),
        ({"value": 5}, TypeError),
        ({"value": {"a": 1}}, TypeError),
        ({"value": b"v", "key": "text"}, TypeError),
        ({"value": b"v", "key": 5}, TypeError),
        ({}, ValueError),
        ({"value": None, "key": None}, ValueError),
        ({"value": b"v", "headers": {"a": b"b"}}, TypeError),
        ({"value": b"v", "headers": [("a", "text")]}, TypeError),
        ({"value": b"v", "headers": [(b"a", b"b")]}, TypeError),
        ({"value": b"v", "headers": [("a",)]}, TypeError),
        ({"value": b"v", "headers": "ab"}, TypeError),
        ({"value": b"v", "partition": -1}, ValueError),
        ({"value": b"v", "partition": 3}, ValueError),
        ({"value": b"v", "partition": 2**40}, (ValueError, OverflowError)),
        ({"value": b"v", "partition": "0"}, TypeError),
        ({"value": b"v", "timestamp_ms": -2}, ValueError),
        ({"value": b"v", "timestamp_ms": "now"}, TypeError),
        ({"value": b"v", "nothing": 1}, TypeError),
    ],
)
def test_send_refuses_what_makes_no_sense(
    topic: str, read: Read, arguments: dict[str, Any], error: Any
) -> None:
    with KafkaProducer() as producer:
        producer.send(topic, b"before", partition=0)
        with pytest.raises(error):
            producer.send(topic, **arguments)
        producer.send(topic, b"after", partition=0)

    assert [r.value for r in read(topic)] == [b"before", b"after"]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../../etc", "a b", "ü", "x" * 250, "a\0b"])
def test_a_topic_name_that_kafka_refuses(name: str, directory: Path) -> None:
    with KafkaProducer() as producer:
        with pytest.raises((InvalidTopicError, ValueError)):
            producer.send(name, b"v").get(10)
        producer.send("good", b"v").get(10)
    with KafkaConsumer() as consumer:
        assert consumer.topics() == {"good"}
        with pytest.raises((InvalidTopicError, ValueError)):
            consumer.subscribe([name])
    assert sorted(p.name for p in directory.parent.iterdir()) == [directory.name]


@pytest.mark.parametrize("name", [None, 5, b"t", ["t"]])
def test_a_topic_that_is_no_string(name: Any) -> None:
    with KafkaProducer() as producer, pytest.raises(TypeError):
        producer.send(name, b"v")
    with KafkaConsumer() as consumer, pytest.raises((TypeError, ValueError)):
        consumer.subscribe([name])


def test_a_record_above_max_request_size(topic: str, read: Read) -> None:
    with KafkaProducer(max_request_size=1000) as producer:
        with pytest.raises(MessageSizeTooLargeError, match="max_request_size"):
            producer.send(topic, b"x" * 1001)
        producer.send(topic, b"fits")

    assert [r.value for r in read(topic)] == [b"fits"]


def test_a_record_above_the_topics_limit(read: Read) -> None:
    with KafkaAdminClient() as admin:
        admin.create_topics([NewTopic("t", 1, 1, topic_configs={"max.message.bytes": 1000})])
    with KafkaProducer() as producer:
        with pytest.raises(MessageSizeTooLargeError, match=r"max.message.bytes"):
            producer.send("t", b"x" * 2000).get(10)
        producer.send("t", b"fits").get(10)

    assert [r.value for r in read("t")] == [b"fits"]


def test_a_batch_that_no_segment_could_hold(read: Read) -> None:
    with KafkaAdminClient() as admin:
        admin.create_topics([NewTopic("t", 1, 1, topic_configs={"segment.bytes": 1000})])
    with KafkaProducer() as producer:
        with pytest.raises(RecordListTooLargeError, match="size of 1000") as raised:
            producer.send("t", b"x" * 2000).get(10)
        producer.send("t", b"fits").get(10)

    assert (raised.value.errno, raised.value.retriable) == (18, False)
    assert [r.value for r in read("t")] == [b"fits"]


def test_a_large_record_within_its_limits(read: Read) -> None:
    size = 5_000_000
    with KafkaAdminClient() as admin:
        admin.create_topics([NewTopic("t", 1, 1, topic_configs={"max.message.bytes": 2 * size})])
    with KafkaProducer(max_request_size=2 * size) as producer:
        producer.send("t", b"x" * size)

    assert len(read("t")[0].value) == size


def test_memory_that_cannot_get_free_ends_in_a_timeout(topic: str) -> None:
    with (
        KafkaProducer(buffer_memory=2000, max_block_ms=100, linger_ms=0) as producer,
        pytest.raises(KafkaError),
    ):
        producer.send(topic, b"x" * 3000)


@pytest.mark.parametrize("get", ["send", "partitions_for"])
def test_a_closed_producer_says_so(topic: str, get: str) -> None:
    producer = KafkaProducer()
    producer.close()

    arguments = {"send": (topic, b"v"), "partitions_for": (topic,)}[get]
    with pytest.raises(IllegalStateError) as raised:
        getattr(producer, get)(*arguments)
    assert isinstance(raised.value, AssertionError)  # 2.x


@pytest.mark.parametrize("get", ["poll", "commit", "topics", "subscribe"])
def test_a_closed_consumer_says_so(topic: str, get: str) -> None:
    consumer = KafkaConsumer(topic, group_id="g")
    consumer.close()
    consumer.close()

    with pytest.raises(IllegalStateError):
        getattr(consumer, get)(*([["t"]] if get == "subscribe" else []))
    with pytest.raises(StopIteration):
        next(consumer)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda c: c.poll(-1), ValueError),
        (lambda c: c.poll(0, max_records=0), ValueError),
        (lambda c: c.poll(0, max_records="5"), TypeError),
        (lambda c: c.poll("soon"), TypeError),
        (lambda c: c.seek(T0, -1), ValueError),
        (lambda c: c.seek(T0, "5"), (TypeError, ValueError)),
        (lambda c: c.seek(("t",), 5), TypeError),
        (lambda c: c.seek(TopicPartition("t", 9), 0), ValueError),
        (lambda c: c.seek_to_end(TopicPartition("t", 9)), ValueError),
        (lambda c: c.position(TopicPartition("t", 9)), IllegalStateError),
        (lambda c: c.highwater(TopicPartition("t", 9)), IllegalStateError),
        (lambda c: c.position("t"), TypeError),
        (lambda c: c.pause("t"), TypeError),
        (lambda c: c.pause(TopicPartition("t", 9)), (IllegalStateError, KeyError)),
        (lambda c: c.subscribe(["u"]), IllegalStateError),
        (lambda c: c.offsets_for_times({T0: -5}), ValueError),
        (lambda c: c.end_offsets([TopicPartition("nothing", 0)]), UnknownTopicOrPartitionError),
        (lambda c: c.assign(["t"]), TypeError),
        (lambda c: c.commit({T0: "x"}), (TypeError, ValueError)),
        (lambda c: c.commit({T0: -1}), ValueError),
    ],
)
def test_a_consumer_refuses_what_makes_no_sense(
    topic: str, call: Callable[[KafkaConsumer], object], error: Any
) -> None:
    with KafkaProducer() as producer:
        producer.send(topic, b"v", partition=0)
    with KafkaConsumer(group_id="g", auto_offset_reset="earliest") as consumer:
        consumer.assign([T0])
        with pytest.raises(error):
            call(consumer)
        assert consumer.poll(5000)[T0][0].value == b"v"


def test_subscribe_refuses_what_makes_no_sense(topic: str) -> None:
    with KafkaConsumer() as consumer:
        with pytest.raises(ValueError, match=r"topics or a? ?pattern"):
            consumer.subscribe()
        with pytest.raises(IllegalStateError):
            consumer.subscribe([topic], pattern="x")
        with pytest.raises(TypeError, match="listener"):
            consumer.subscribe([topic], listener=object())  # type: ignore[arg-type]
        consumer.subscribe([topic])
        with pytest.raises(IllegalStateError):
            consumer.assign([T0])


def test_an_offset_out_of_range(topic: str) -> None:
    with KafkaProducer() as producer:
        producer.send(topic, b"v", partition=0)
    with KafkaConsumer(auto_offset_reset="none") as consumer:
        consumer.assign([T0])
        consumer.seek(T0, 50)
        with pytest.raises(OffsetOutOfRangeError, match="50"):
            consumer.poll(1000)
        consumer.seek(T0, 0)
        assert consumer.poll(1000)[T0][0].value == b"v"

    with KafkaConsumer(auto_offset_reset="earliest") as consumer:
        consumer.assign([T0])
        consumer.seek(T0, 50)
        assert consumer.poll(1000)[T0][0].offset == 0


def test_a_consumer_of_a_topic_that_is_not_there_waits(read: Read) -> None:
    with KafkaConsumer("later", auto_offset_reset="earliest") as consumer:
        assert consumer.poll(100) == {}
        with KafkaProducer() as producer:
            producer.send("later", b"v")
        assert consumer.poll(5000)


def test_a_corrupt_record_names_file_position_and_what_to_do(topic: str, directory: Path) -> None:
    # It is open when that happens: to open it would find the damage.
    with KafkaConsumer(auto_offset_reset="earliest") as consumer:
        with KafkaProducer() as producer:
            producer.send(topic, b"first", partition=0).get(10)
            producer.send(topic, b"second", partition=0).get(10)
            producer.send(topic, b"third", partition=0).get(10)
        log = directory / "t-0" / "00000000000000000000.log"
        content = bytearray(log.read_bytes())
        content[content.index(b"second")] ^= 1
        log.write_bytes(content)
        consumer.assign([T0])
        assert consumer.poll(1000, max_records=1)[T0][0].value == b"first"
        with pytest.raises(CorruptRecordError) as raised:
            consumer.poll(1000)
        assert str(log) in str(raised.value)
        assert "position" in str(raised.value)
        consumer.seek(T0, 2)
        assert consumer.poll(1000)[T0][0].value == b"third"


def test_a_directory_of_a_newer_format(directory: Path) -> None:
    KafkaProducer().close()
    (directory / ".brokerless-format").write_text("99\n")

    with pytest.raises(UnsupportedVersionError, match="99"):
        KafkaProducer()


def test_a_directory_that_is_a_file(directory: Path) -> None:
    directory.write_text("not a directory")

    with pytest.raises(KafkaError, match=str(directory)):
        KafkaProducer()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_may_not_be_written(directory: Path, topic: str) -> None:
    directory.chmod(0o500)
    with pytest.raises(KafkaStorageError):
        KafkaProducer()
    directory.chmod(0o700)


def test_reading_a_directory_that_nobody_may_change(topic: str, directory: Path) -> None:
    with KafkaProducer() as producer:
        producer.send(topic, b"v", partition=0)
    before = {p: p.stat().st_mtime_ns for p in directory.rglob("*")}

    with KafkaConsumer(read_only=True, auto_offset_reset="earliest", group_id="g") as consumer:
        consumer.assign([T0])
        assert consumer.poll(1000)[T0][0].value == b"v"
        with pytest.raises(KafkaError):
            consumer.commit()

    assert {p: p.stat().st_mtime_ns for p in directory.rglob("*")} == before


def test_a_flush_that_takes_too_long_is_a_timeout_and_goes_on(topic: str, read: Read) -> None:
    producer = KafkaProducer()
    producer.send(topic, b"v", partition=0)
    with suppress(KafkaTimeoutError):
        producer.flush(timeout=0)
    producer.close()

    assert len(read(topic)) == 1


def test_get_with_a_timeout(topic: str) -> None:
    with KafkaProducer(linger_ms=200) as producer:
        future = producer.send(topic, b"v")
        with pytest.raises(KafkaTimeoutError):
            future.get(timeout=0)
        assert future.get(timeout=10).offset == 0

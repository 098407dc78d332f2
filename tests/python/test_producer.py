import asyncio
import gc
import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from brokerless import ConsumerRecord, JsonSerializer, KafkaConsumer, KafkaProducer, TopicPartition
from brokerless._brokerless import FutureRecordMetadata, RecordMetadata
from brokerless.partitioner import DefaultPartitioner, Partitioner, murmur2

Read = Callable[..., list[ConsumerRecord]]


def test_what_is_sent_can_be_read(read: Read) -> None:
    with KafkaProducer() as producer:
        producer.send("greetings", b"hello")

    (record,) = read("greetings")
    assert (record.topic, record.partition, record.offset) == ("greetings", 0, 0)
    assert (record.key, record.value, record.headers) == (None, b"hello", [])


def test_the_arguments_are_in_kafka_pythons_order(read: Read, topic: str) -> None:
    before = int(time.time() * 1000)
    with KafkaProducer() as producer:
        producer.send(topic, b"value", b"key", [("h", b"1"), ("h", b"2")], 2, 1234)
        producer.send(topic=topic, partition=1, value=b"now")
    after = int(time.time() * 1000)

    now, record = read(topic)
    assert (record.partition, record.timestamp, record.timestamp_type) == (2, 1234, 0)
    assert (record.key, record.value) == (b"key", b"value")
    assert record.headers == [("h", b"1"), ("h", b"2")]
    assert (record.serialized_key_size, record.serialized_value_size) == (3, 5)
    assert before <= now.timestamp <= after
    assert now.serialized_key_size == -1


def test_the_future_tells_where_the_record_is(topic: str) -> None:
    with KafkaProducer() as producer:
        futures = [producer.send(topic, b"v", key=b"k", partition=1) for _ in range(3)]
        metadata = [future.get(timeout=10) for future in futures]

    assert isinstance(futures[0], FutureRecordMetadata)
    assert [m.offset for m in metadata] == [0, 1, 2]
    assert metadata[0].topic == topic
    assert metadata[0].partition == 1
    assert metadata[0].topic_partition == TopicPartition(topic, 1)
    assert (metadata[0].serialized_key_size, metadata[0].serialized_value_size) == (1, 1)
    assert abs(metadata[0].timestamp / 1000 - time.time()) < 60
    assert futures[0].is_done
    assert futures[0].succeeded()
    assert not futures[0].failed()
    assert futures[0].value == metadata[0]
    assert futures[0].exception is None


def test_metadata_is_a_tuple_as_in_kafka_python(topic: str) -> None:
    with KafkaProducer() as producer:
        metadata = producer.send(topic, b"v", partition=0).get(10)

    name, partition, topic_partition, offset, *_ = metadata
    assert (name, partition, topic_partition, offset) == (topic, 0, (topic, 0), 0)
    assert RecordMetadata._fields[:4] == ("topic", "partition", "topic_partition", "offset")
    assert metadata[3] == metadata.offset
    assert len(metadata) == 9


@pytest.mark.parametrize("acks", [0, 1, "all", -1])
def test_every_level_of_acks_delivers(read: Read, topic: str, acks: object) -> None:
    with KafkaProducer(acks=acks) as producer:
        futures = [producer.send(topic, b"%d" % n, partition=0) for n in range(100)]
        offsets = [future.get(10).offset for future in futures]

    assert offsets == ([-1] * 100 if acks == 0 else list(range(100)))
    assert [r.value for r in read(topic)] == [b"%d" % n for n in range(100)]


def test_callbacks_get_metadata_and_extra_arguments(topic: str) -> None:
    seen: list[Any] = []
    with KafkaProducer() as producer:
        future = producer.send(topic, b"v", partition=0)
        chained = future.add_callback(
            lambda extra, m, more: seen.append((extra, m, more)), 1, more=2
        )
        chained.add_errback(lambda e: seen.append("never")).add_both(seen.append)
        metadata = future.get(10)
        producer.flush()
        future.add_callback(seen.append)

    assert seen == [(1, metadata, 2), metadata, metadata]


def test_callbacks_come_in_the_order_of_sending(topic: str) -> None:
    seen: list[int] = []
    with KafkaProducer(linger_ms=5) as producer:
        for _ in range(1000):
            producer.send(topic, b"v", partition=0).add_callback(lambda m: seen.append(m.offset))

    assert seen == list(range(1000))


def test_a_failing_callback_is_logged_and_harms_nobody(
    topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    with KafkaProducer() as producer:
        producer.send(topic, b"v").add_callback(lambda m: 1 / 0)
        producer.flush()
        producer.send(topic, b"w").get(10)

    assert "ZeroDivisionError" in caplog.text


def test_a_callback_may_send_flush_and_close(read: Read, topic: str) -> None:
    producer = KafkaProducer()
    sent = threading.Event()

    def again(metadata: RecordMetadata) -> None:
        producer.send(topic, b"second", partition=0)
        producer.close()
        sent.set()

    producer.send(topic, b"first", partition=0).add_callback(again)
    assert sent.wait(10)
    producer.close(timeout=10)

    assert [r.value for r in read(topic)] == [b"first", b"second"]


def test_futures_chain_to_others(topic: str) -> None:
    from brokerless.future import Future

    other = Future()
    with KafkaProducer() as producer:
        producer.send(topic, b"v", partition=0).chain(other)

    assert other.value.offset == 0


def test_a_future_can_be_awaited(topic: str) -> None:
    async def main(producer: KafkaProducer) -> list[int]:
        metadata = [await producer.send(topic, b"v", partition=0) for _ in range(3)]
        many = [producer.send(topic, b"v", partition=0) for _ in range(100)]

        async def wait(future: FutureRecordMetadata) -> int:
            return (await future).offset

        rest = await asyncio.gather(*map(wait, many))
        return [m.offset for m in metadata] + rest

    with KafkaProducer() as producer:
        assert asyncio.run(main(producer)) == list(range(103))


def test_serializers_turn_objects_into_bytes(read: Read) -> None:
    with KafkaProducer(
        key_serializer=str.encode, value_serializer=lambda v: json.dumps(v).encode()
    ) as producer:
        producer.send("t", {"n": 1}, key="k")
        producer.send("t", value=[1, None], key="l")

    records = read("t", value_deserializer=json.loads, key_deserializer=bytes.decode)
    assert [(r.key, r.value) for r in records] == [("k", {"n": 1}), ("l", [1, None])]
    assert records[0].serialized_value_size == len(b'{"n": 1}')


def test_serializers_may_be_objects_of_either_dialect(read: Read) -> None:
    class Old:
        closed = False

        def serialize(self, topic: str, value: str) -> bytes:
            return f"{topic}:{value}".encode()

        def close(self) -> None:
            self.closed = True

    old = Old()
    with KafkaProducer(key_serializer=old, value_serializer=JsonSerializer()) as producer:
        producer.send("t", {"a": 1}, key="k")

    (record,) = read("t", value_deserializer=JsonSerializer())
    assert (record.key, record.value) == (b"t:k", {"a": 1})
    assert old.closed


def test_what_a_serializer_raises_comes_out_of_send(topic: str, read: Read) -> None:
    with KafkaProducer(value_serializer=lambda v: json.dumps(v).encode()) as producer:
        with pytest.raises(TypeError, match="not JSON serializable"):
            producer.send(topic, object())
        producer.send(topic, 1)

    assert [r.value for r in read(topic)] == [b"1"]


@pytest.mark.parametrize("value", [b"bytes", bytearray(b"array"), memoryview(b"view"), b""])
def test_any_kind_of_bytes_will_do(read: Read, topic: str, value: Any) -> None:
    with KafkaProducer() as producer:
        producer.send(topic, value, key=value)

    (record,) = read(topic)
    assert (record.key, record.value) == (bytes(value), bytes(value))


def test_a_key_without_a_value_is_a_tombstone(read: Read, topic: str) -> None:
    with KafkaProducer() as producer:
        producer.send(topic, key=b"k", value=None)

    (record,) = read(topic)
    assert (record.key, record.value, record.serialized_value_size) == (b"k", None, -1)


def test_keys_go_where_javas_client_sends_them(read: Read, topic: str) -> None:
    keys = [b"key-%d" % n for n in range(200)]
    with KafkaProducer() as producer:
        for key in keys:
            producer.send(topic, b"v", key=key)

    places = {r.key: r.partition for r in read(topic)}
    assert places == {key: (murmur2(key) & 0x7FFFFFFF) % 3 for key in keys}


def test_records_without_a_key_fill_batches_of_all_partitions(read: Read, topic: str) -> None:
    with KafkaProducer(batch_size=1000) as producer:
        for _ in range(3000):
            producer.send(topic, b"x" * 100)

    counts = [sum(r.partition == p for r in read(topic)) for p in range(3)]
    assert sum(counts) == 3000
    assert min(counts) > 300


def test_a_partitioner_may_be_a_function(read: Read, topic: str) -> None:
    asked = []

    def pick(key: bytes, everything: list[int], available: list[int]) -> int:
        asked.append((key, everything, available))
        return everything[-1]

    with KafkaProducer(partitioner=pick, key_serializer=str.encode) as producer:
        producer.send(topic, b"v", key="k")
        producer.send(topic, b"v", key="k", partition=0)

    assert asked == [(b"k", [0, 1, 2], [0, 1, 2])]
    assert [r.partition for r in read(topic)] == [0, 2]


def test_a_partitioner_may_be_an_object_of_the_new_dialect(read: Read, topic: str) -> None:
    class ByValue(Partitioner):
        def partition(
            self,
            topic: str,
            key: Any,
            serialized_key: bytes | None,
            value: Any,
            serialized_value: bytes | None,
            cluster: Any,
        ) -> int:
            assert cluster.partitions_for_topic(topic) == {0, 1, 2}
            assert cluster.available_partitions_for_topic(topic) == {0, 1, 2}
            assert topic in cluster.topics()
            assert (serialized_key, serialized_value) == (None, b"%d" % value)
            return int(value) % 3

    with KafkaProducer(partitioner=ByValue(), value_serializer=lambda n: b"%d" % n) as producer:
        for n in range(6):
            producer.send(topic, n)

    assert [(r.partition, r.value) for r in read(topic)] == [
        (0, b"0"),
        (0, b"3"),
        (1, b"1"),
        (1, b"4"),
        (2, b"2"),
        (2, b"5"),
    ]


def test_a_partitioner_may_extend_the_default_one(read: Read, topic: str) -> None:
    class Mine(DefaultPartitioner):
        pass

    with KafkaProducer(partitioner=Mine()) as producer:
        producer.send(topic, b"v", key=b"k")

    assert read(topic)[0].partition == (murmur2(b"k") & 0x7FFFFFFF) % 3


@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
def test_every_codec_comes_back_as_it_was(
    read: Read, topic: str, codec: str | None, directory: Path
) -> None:
    values = [b"%06d" % n * 50 for n in range(2000)]
    with KafkaProducer(compression_type=codec, linger_ms=50) as producer:
        for value in values:
            producer.send(topic, value, partition=0, headers=[("a", b"b")])

    assert [r.value for r in read(topic)] == values
    size = sum(f.stat().st_size for f in directory.glob("t-0/*.log"))
    assert (size < 400_000) == (codec is not None)


def test_linger_gathers_records_into_one_batch(topic: str, directory: Path) -> None:
    with KafkaProducer(linger_ms=100, acks=1) as producer:
        futures = [producer.send(topic, b"v", partition=0) for _ in range(10)]
        assert not futures[0].is_done
        futures[0].get(60)

    assert all(future.is_done for future in futures)


def test_flush_waits_for_everything_sent(topic: str) -> None:
    with KafkaProducer(linger_ms=60_000) as producer:
        futures = [producer.send(topic, b"v") for _ in range(1000)]
        producer.flush()

        assert all(future.is_done for future in futures)


def test_close_sends_the_rest(read: Read, topic: str) -> None:
    producer = KafkaProducer(linger_ms=60_000)
    producer.send(topic, b"v")

    producer.close()
    producer.close()

    assert len(read(topic)) == 1


def test_a_producer_that_is_forgotten_sends_the_rest(read: Read, topic: str) -> None:
    KafkaProducer(linger_ms=100).send(topic, b"v")
    gc.collect()

    with KafkaConsumer(topic, auto_offset_reset="earliest", consumer_timeout_ms=10_000) as consumer:
        assert next(consumer).value == b"v"


def test_many_threads_share_a_producer(read: Read, topic: str) -> None:
    def work(number: int) -> None:
        for n in range(500):
            producer.send(topic, b"%d %d" % (number, n), key=b"%d" % number)

    with KafkaProducer() as producer:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    for number in range(8):
        mine = [r.value for r in read(topic) if r.key == b"%d" % number]
        assert mine == [b"%d %d" % (number, n) for n in range(500)]


def test_memory_is_bounded_and_nothing_is_lost(read: Read, topic: str) -> None:
    with KafkaProducer(buffer_memory=50_000, max_block_ms=30_000) as producer:
        for n in range(2000):
            producer.send(topic, b"%04d" % n * 100, partition=0)

    assert [r.value[:4] for r in read(topic)] == [b"%04d" % n for n in range(2000)]


def test_partitions_are_a_set_and_made_on_demand(topic: str) -> None:
    with KafkaProducer() as producer:
        assert producer.partitions_for(topic) == {0, 1, 2}
        assert producer.partitions_for("new") == {0}


def test_metrics_are_numbers_by_group_and_name(topic: str) -> None:
    with KafkaProducer() as producer:
        producer.send(topic, b"v").get(10)
        metrics = producer.metrics()

    assert metrics["producer-metrics"]["record-send-total"] == 1
    assert all(isinstance(v, float) for group in metrics.values() for v in group.values())


def test_send_many_is_one_call_and_one_future(read: Read, topic: str) -> None:
    with KafkaProducer(value_serializer=str.encode) as producer:
        future = producer.send_many(topic, (str(n) for n in range(1000)), partition=0)
        last = future.get(10)

    assert last.offset == 999
    assert [r.value for r in read(topic)] == [b"%d" % n for n in range(1000)]


def test_a_producer_can_be_extended(read: Read) -> None:
    class JsonProducer(KafkaProducer):
        def __init__(self, topic: str, **settings: Any) -> None:
            super().__init__(value_serializer=lambda v: json.dumps(v).encode(), **settings)
            self.topic = topic

        def put(self, value: object) -> FutureRecordMetadata:
            return self.send(self.topic, value)

    with JsonProducer("json", client_id="mine") as producer:
        assert producer.config["client_id"] == "mine"
        assert producer.put({"a": 1}).get(10).offset == 0

    assert read("json")[0].value == b'{"a": 1}'


def test_settings_can_be_looked_at() -> None:
    with KafkaProducer(linger_ms=5, security_protocol="SSL") as producer:
        assert producer.config["linger_ms"] == 5
        assert producer.config["acks"] == -1
        assert producer.config["security_protocol"] == "SSL"
        assert producer.bootstrap_connected()
        assert "KafkaProducer" in repr(producer)
    assert not producer.bootstrap_connected()
    assert KafkaProducer.DEFAULT_CONFIG["linger_ms"] == 0


def test_acks_1_switches_idempotence_off_as_in_2x(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="brokerless")

    with KafkaProducer(acks=1) as producer:
        assert producer.config["enable_idempotence"] is False

    assert "acks=1" in caplog.text


def test_a_record_is_as_kafka_python_has_it(read: Read, topic: str) -> None:
    with KafkaProducer() as producer:
        producer.send(topic, b"v", key=b"k", partition=0, timestamp_ms=5, headers=[("a", b"bc")])

    (record,) = read(topic)
    assert isinstance(record, ConsumerRecord)
    assert ConsumerRecord._fields == (
        "topic",
        "partition",
        "leader_epoch",
        "offset",
        "timestamp",
        "timestamp_type",
        "key",
        "value",
        "headers",
        "checksum",
        "serialized_key_size",
        "serialized_value_size",
        "serialized_header_size",
    )
    expected = ("t", 0, record.leader_epoch, 0, 5, 0, b"k", b"v", [("a", b"bc")], None, 1, 1, 3)
    assert tuple(record) == expected


def test_flush_ends_while_others_keep_sending(topic: str) -> None:
    stop = threading.Event()

    def send() -> None:
        while not stop.is_set():
            producer.send(topic, b"v").add_callback(lambda metadata: None)

    with KafkaProducer(buffer_memory=2_000_000) as producer:
        thread = threading.Thread(target=send)
        thread.start()
        time.sleep(0.3)
        first = producer.send(topic, b"first")
        try:
            producer.flush(timeout=60)
        finally:
            stop.set()
            thread.join()

    assert first.is_done

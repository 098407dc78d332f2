import inspect
import pickle
import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from brokerless import (
    AsyncConsumerRebalanceListener,
    ConsumerRebalanceListener,
    ConsumerRecord,
    KafkaAdminClient,
    KafkaConsumer,
    KafkaProducer,
    OffsetAndTimestamp,
    TopicPartition,
)
from brokerless.errors import KafkaError

T0, T1, T2 = (TopicPartition("t", number) for number in range(3))


@pytest.fixture
def filled(topic: str) -> str:
    """A topic with a hundred records in each of three partitions, a second apart."""
    with KafkaProducer() as producer:
        for n in range(100):
            for partition in range(3):
                producer.send(
                    topic,
                    b"%d" % n,
                    key=b"k%d" % n,
                    partition=partition,
                    timestamp_ms=1_000_000 + n * 1000,
                )
    return topic


def earliest(*topics: str, **settings: Any) -> KafkaConsumer:
    return KafkaConsumer(
        *topics, **{"auto_offset_reset": "earliest", "consumer_timeout_ms": 5000, **settings}
    )


def test_poll_gives_records_by_partition(filled: str) -> None:
    with earliest(filled) as consumer:
        records = consumer.poll(timeout_ms=1000, max_records=1000)

    assert set(records) <= {T0, T1, T2}
    for partition, found in records.items():
        assert isinstance(partition, TopicPartition)
        assert [r.offset for r in found] == list(range(len(found)))
        assert all((r.topic, r.partition) == partition for r in found)


def test_the_first_poll_gives_what_is_there_at_once(filled: str) -> None:
    with earliest(filled) as consumer:
        assert consumer.poll(0)


def test_poll_gives_at_most_max_records_and_leaves_none_out(filled: str) -> None:
    with earliest(filled, max_poll_records=7) as consumer:
        counts, seen = [], []
        while records := consumer.poll(500):
            counts.append(sum(map(len, records.values())))
            seen += [r for found in records.values() for r in found]

    assert max(counts) == 7
    assert len(seen) == 300
    for partition in range(3):
        assert [r.offset for r in seen if r.partition == partition] == list(range(100))


def test_max_records_of_a_poll_counts_more(filled: str) -> None:
    with earliest(filled) as consumer:
        assert sum(map(len, consumer.poll(500, max_records=3).values())) == 3


def test_poll_without_data_waits_and_gives_nothing(topic: str) -> None:
    with earliest(topic) as consumer:
        begun = time.monotonic()
        assert consumer.poll(timeout_ms=200) == {}
        assert time.monotonic() - begun > 0.15


def test_a_waiting_poll_is_woken_by_a_record(topic: str) -> None:
    with earliest(topic) as consumer, KafkaProducer() as producer:
        consumer.poll(0)
        timer = threading.Timer(0.2, lambda: producer.send(topic, b"now"))
        timer.start()
        begun = time.monotonic()
        (records,) = consumer.poll(timeout_ms=600_000).values()
        waited = time.monotonic() - begun
        timer.join()

    assert records[0].value == b"now"
    assert waited < 300


def test_iteration_gives_one_record_after_the_other(filled: str) -> None:
    with earliest(filled, consumer_timeout_ms=200) as consumer:
        records = list(consumer)

    assert len(records) == 300
    assert all(isinstance(record, ConsumerRecord) for record in records)


def test_iteration_ends_after_the_timeout_and_may_go_on(topic: str) -> None:
    with earliest(topic, consumer_timeout_ms=100) as consumer, KafkaProducer() as producer:
        assert list(consumer) == []
        producer.send(topic, b"late").get(10)
        assert [r.value for r in consumer] == [b"late"]


def test_next_gives_a_record_or_stops(filled: str) -> None:
    with earliest(filled, consumer_timeout_ms=100) as consumer:
        assert next(consumer).offset == 0
        for _ in range(299):
            next(consumer)
        with pytest.raises(StopIteration):
            next(consumer)


def test_the_position_follows_iteration_not_what_was_fetched(filled: str) -> None:
    with earliest() as consumer:
        consumer.assign([T0])
        for record in consumer:
            assert consumer.position(T0) == record.offset + 1
            if record.offset == 41:
                break
        assert [r.offset for r in consumer.poll(1000, max_records=2)[T0]] == [42, 43]


def test_without_a_group_latest_is_where_it_begins(filled: str) -> None:
    with KafkaConsumer(filled) as consumer, KafkaProducer() as producer:
        assert consumer.poll(0) == {}
        producer.send(filled, b"new", partition=1)
        (records,) = consumer.poll(5000).values()

    assert [(r.value, r.offset) for r in records] == [(b"new", 100)]


@pytest.mark.parametrize("topics", ["t", ["t"], ("t",), {"t"}])
def test_subscribe_takes_a_list_or_one_string(filled: str, topics: Any) -> None:
    with earliest() as consumer:
        consumer.subscribe(topics)
        assert consumer.subscription() == {"t"}
        assert consumer.poll(1000)
        assert consumer.assignment() == {T0, T1, T2}


def test_subscribe_by_keyword_and_to_several(filled: str) -> None:
    with KafkaProducer() as producer:
        producer.send("u", b"other")
    with earliest() as consumer:
        consumer.subscribe(topics=(filled, "u"))
        seen = set()
        while records := consumer.poll(300):
            seen |= set(records)
    assert {part.topic for part in seen} == {"t", "u"}


@pytest.mark.parametrize("pattern", ["^log-.*", "log-", re.compile("log-[a-z]+$")])
def test_subscribe_takes_a_pattern(pattern: Any) -> None:
    with KafkaProducer() as producer:
        for name in ("log-a", "log-b", "other", "my-log-a"):
            producer.send(name, name.encode())
    with earliest(consumer_timeout_ms=300) as consumer:
        consumer.subscribe(pattern=pattern)
        assert sorted(r.value for r in consumer) == [b"log-a", b"log-b"]


def test_a_pattern_finds_topics_that_come_later() -> None:
    with earliest() as consumer, KafkaProducer() as producer:
        consumer.subscribe(pattern="new-.*")
        assert consumer.poll(50) == {}
        producer.send("new-1", b"v").get(10)
        assert next(consumer).value == b"v"


def test_partitions_that_come_later_are_read_from_their_beginning(topic: str) -> None:
    with earliest(topic) as consumer, KafkaAdminClient() as admin, KafkaProducer() as producer:
        consumer.poll(50)
        admin.create_partitions({topic: 5})
        producer.send(topic, b"v", partition=4).get(10)
        assert next(consumer).partition == 4
        assert len(consumer.assignment()) == 5


def test_unsubscribe_leaves_nothing(filled: str) -> None:
    with earliest(filled) as consumer:
        consumer.poll(100)
        consumer.unsubscribe()
        assert consumer.assignment() == set()
        assert not consumer.subscription()
        consumer.assign([T1])
        assert list(consumer.poll(1000)) == [T1]


def test_assign_reads_only_these(filled: str) -> None:
    with earliest(consumer_timeout_ms=200) as consumer:
        consumer.assign([T2])
        assert consumer.assignment() == {T2}
        assert {r.partition for r in consumer} == {2}


def test_seek_sets_the_next_offset_also_inside_a_batch(filled: str) -> None:
    with earliest() as consumer:
        consumer.assign([T0])
        for offset in (50, 3, 99, 0):
            consumer.seek(T0, offset)
            assert consumer.position(T0) == offset
            assert consumer.poll(1000, max_records=1)[T0][0].offset == offset


def test_seek_inside_iteration_takes_effect_at_once(filled: str) -> None:
    with earliest() as consumer:
        consumer.assign([T0])
        assert next(consumer).offset == 0
        consumer.seek(T0, 70)
        assert next(consumer).offset == 70


def test_seek_to_the_ends(filled: str) -> None:
    with earliest() as consumer:
        consumer.assign([T0, T1])
        consumer.seek_to_end(T0)
        assert consumer.position(T0) == 100
        consumer.seek_to_end()
        assert consumer.position(T1) == 100
        consumer.seek_to_beginning(T0, T1)
        assert (consumer.position(T0), consumer.position(T1)) == (0, 0)
        consumer.seek_to_beginning()
        assert consumer.poll(1000, max_records=1)


def test_pause_and_resume(filled: str) -> None:
    with earliest(consumer_timeout_ms=200) as consumer:
        consumer.assign([T0, T1])
        consumer.pause(T0)
        assert consumer.paused() == {T0}
        assert {r.partition for r in consumer} == {1}
        consumer.resume(T0)
        assert consumer.paused() == set()
        assert {r.partition for r in consumer} == {0}


def test_pause_inside_iteration_loses_nothing(filled: str) -> None:
    with earliest(consumer_timeout_ms=200) as consumer:
        consumer.assign([T0])
        for record in consumer:
            if record.offset == 9:
                consumer.pause(T0)
                break
        assert list(consumer) == []
        consumer.resume(T0)
        assert [r.offset for r in consumer] == list(range(10, 100))


def test_offsets_of_beginning_and_end(filled: str) -> None:
    with KafkaConsumer() as consumer:
        assert consumer.beginning_offsets([T0, T1]) == {T0: 0, T1: 0}
        assert consumer.end_offsets([T0, T2]) == {T0: 100, T2: 100}
        assert consumer.assignment() == set()


@pytest.mark.parametrize(
    ("timestamp", "offset"),
    [(0, 0), (1_000_000, 0), (1_000_001, 1), (1_050_000, 50), (1_099_000, 99), (1_099_001, None)],
)
def test_offsets_for_times_are_exact(filled: str, timestamp: int, offset: int | None) -> None:
    with KafkaConsumer() as consumer:
        found = consumer.offsets_for_times({T0: timestamp, T1: timestamp})

    assert set(found) == {T0, T1}
    if offset is None:
        assert found[T0] is None
    else:
        place = found[T0]
        assert isinstance(place, OffsetAndTimestamp)
        assert (place.offset, place.timestamp) == (offset, 1_000_000 + offset * 1000)


def test_highwater_is_the_end_known_from_reading(filled: str) -> None:
    with earliest() as consumer:
        consumer.assign([T0])
        consumer.poll(1000)
        assert consumer.highwater(T0) == 100


def test_topics_and_their_partitions(filled: str) -> None:
    with KafkaConsumer() as consumer:
        assert consumer.topics() == {"t"}
        assert consumer.partitions_for_topic("t") == {0, 1, 2}
        assert not consumer.partitions_for_topic("nothing")
        assert consumer.topics() == {"t"}


def test_deserializers_turn_bytes_into_objects(filled: str) -> None:
    with earliest(value_deserializer=int, key_deserializer=lambda k: k.decode()) as consumer:
        consumer.assign([T0])
        record = next(consumer)
    assert (record.key, record.value) == ("k0", 0)


def test_what_a_deserializer_raises_comes_out_and_the_record_can_be_skipped(topic: str) -> None:
    with KafkaProducer() as producer:
        for value in (b"1", b"x", b"3"):
            producer.send(topic, value, partition=0)
    with earliest(value_deserializer=int, consumer_timeout_ms=200) as consumer:
        consumer.assign([T0])
        assert next(consumer).value == 1
        with pytest.raises(ValueError, match="invalid literal"):
            next(consumer)
        consumer.seek(T0, 2)
        assert next(consumer).value == 3


def test_a_listener_is_told_before_records_come(filled: str) -> None:
    told: list[Any] = []

    class Listener(ConsumerRebalanceListener):
        def on_partitions_revoked(self, revoked: Any) -> None:
            told.append(("revoked", set(revoked)))

        def on_partitions_assigned(self, assigned: Any) -> None:
            told.append(("assigned", set(assigned)))
            consumer.seek(T0, 90)
            consumer.pause(T1, T2)

    with earliest(consumer_timeout_ms=200) as consumer:
        consumer.subscribe([filled], listener=Listener())
        assert [r.offset for r in consumer] == list(range(90, 100))
    assert ("assigned", {T0, T1, T2}) in told
    assert told[-1][0] == "revoked"


def test_a_listener_may_be_asynchronous(filled: str) -> None:
    told: list[Any] = []

    class Listener(AsyncConsumerRebalanceListener):
        async def on_partitions_assigned(self, assigned: Any) -> None:
            told.append(set(assigned))

    with earliest() as consumer:
        consumer.subscribe([filled], listener=Listener())
        consumer.poll(1000)
    assert told == [{T0, T1, T2}]


def test_a_listener_may_mix_plain_and_asynchronous_methods(filled: str) -> None:
    told: list[str] = []

    class Listener(ConsumerRebalanceListener):
        async def on_partitions_assigned(self, assigned: Any) -> None:
            told.append("assigned")

        def on_partitions_revoked(self, revoked: Any) -> None:
            told.append("revoked")

    with earliest() as consumer:
        consumer.subscribe([filled], listener=Listener())
        consumer.poll(1000)
    assert told[-2:] == ["assigned", "revoked"]


def public_methods(client: type) -> Iterator[str]:
    for name in dir(client):
        if not name.startswith("_") and callable(getattr(client, name)):
            yield name


@pytest.mark.parametrize("client", [KafkaAdminClient, KafkaConsumer, KafkaProducer])
def test_every_public_method_says_what_it_does(client: type) -> None:
    silent = [name for name in public_methods(client) if not inspect.getdoc(getattr(client, name))]

    assert not silent


def test_what_a_listener_raises_poll_raises_once_and_reading_goes_on(filled: str) -> None:
    class Listener(ConsumerRebalanceListener):
        def on_partitions_assigned(self, assigned: Any) -> None:
            raise LookupError("mine")

    with earliest() as consumer:
        consumer.subscribe([filled], listener=Listener())
        with pytest.raises(KafkaError, match="rebalance callback") as raised:
            consumer.poll(1000)
        assert consumer.poll(1000)
    assert isinstance(raised.value.__cause__, LookupError)


def test_fetch_min_bytes_waits_at_most_fetch_max_wait_ms(topic: str) -> None:
    settings = {"fetch_min_bytes": 1_000_000, "fetch_max_wait_ms": 300}
    with earliest(topic, **settings) as consumer, KafkaProducer() as producer:
        consumer.poll(0)
        producer.send(topic, b"small").get(10)
        begun = time.monotonic()
        assert next(consumer).value == b"small"
        assert time.monotonic() - begun > 0.1


def test_small_fetches_still_give_everything(filled: str) -> None:
    with earliest(
        filled, max_partition_fetch_bytes=1, fetch_max_bytes=1, consumer_timeout_ms=200
    ) as consumer:
        assert len(list(consumer)) == 300


def test_metrics_are_numbers_by_group_and_name(filled: str) -> None:
    with earliest(filled, consumer_timeout_ms=200) as consumer:
        list(consumer)
        metrics = consumer.metrics()
    assert metrics["consumer-metrics"]["records-consumed-total"] == 300


def test_closing_from_another_thread_ends_iteration(topic: str) -> None:
    consumer = KafkaConsumer(topic)
    ended = threading.Event()

    def loop() -> None:
        for _ in consumer:
            pass
        ended.set()

    thread = threading.Thread(target=loop)
    thread.start()
    time.sleep(0.2)
    consumer.close()

    assert ended.wait(5)
    thread.join()


def test_a_consumer_can_be_extended(filled: str) -> None:
    class Mine(KafkaConsumer):
        def __init__(self, *topics: str, limit: int, **settings: Any) -> None:
            super().__init__(*topics, **settings)
            self.limit = limit

        def some(self) -> list[ConsumerRecord]:
            return [next(self) for _ in range(self.limit)]

    with Mine(filled, limit=5, auto_offset_reset="earliest") as consumer:
        assert len(consumer.some()) == 5
        assert consumer.config["auto_offset_reset"] == "earliest"
        assert "Mine" in repr(consumer)
        assert consumer.bootstrap_connected()
    assert not consumer.bootstrap_connected()


def test_records_are_unpacked_compared_and_pickled(filled: str) -> None:
    with earliest() as consumer:
        consumer.assign([T0])
        record = next(consumer)

    topic, partition, _, offset, *_ = record
    assert (topic, partition, offset) == ("t", 0, 0)
    assert record[3] == record.offset
    assert record == pickle.loads(pickle.dumps(record))
    assert record == ConsumerRecord(*record)
    assert record._replace(value=b"x").value == b"x"
    assert record._asdict()["key"] == b"k0"
    assert "offset=0" in repr(record)


def test_two_consumers_without_a_group_read_the_same(filled: str) -> None:
    settings = {"consumer_timeout_ms": 200}
    with earliest(filled, **settings) as one, earliest(filled, **settings) as two:
        assert len(list(one)) == len(list(two)) == 300


def test_threads_that_iterate_one_consumer_never_get_a_record_twice(topic: str) -> None:
    """Where two would poll at once one is refused, as kafka-python does."""
    with KafkaProducer() as producer:
        producer.send_many(topic, [b"v"] * 20_000).get()
    consumer = KafkaConsumer(topic, auto_offset_reset="earliest", consumer_timeout_ms=300)
    got: list[tuple[int, int]] = []
    refused: list[ValueError] = []

    def iterate() -> None:
        while True:
            try:
                got.extend((record.partition, record.offset) for record in consumer)
            except ValueError as error:  # noqa: PERF203
                refused.append(error)
            else:
                return

    threads = [threading.Thread(target=iterate) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(got)) == len(got) == 20_000
    assert all("another thread" in str(error) for error in refused)


def test_a_consumer_tells_where_it_stands_with_its_group(topic: str) -> None:
    with KafkaConsumer(topic, group_id="g") as consumer, KafkaConsumer(topic) as alone:
        before = consumer.group_metadata()
        consumer.poll(0)
        alone.poll(0)

        assert (before.group_id, before.generation_id, before.state) == ("g", -1, "<unjoined>")
        assert (consumer.group_metadata().generation_id, consumer.group_metadata().state) == (
            1,
            "<stable>",
        )
        assert alone.group_metadata().group_id is None

"""The compiled consumer."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from brokerless import errors
from brokerless._brokerless import Admin, Consumer, Producer
from brokerless.structs import OffsetAndMetadata, TopicPartition

if TYPE_CHECKING:
    from pathlib import Path

TP = TopicPartition("t", 0)
Open = Callable[..., Consumer]


@pytest.fixture
def data(tmp_path: Path) -> str:
    """A directory with a topic of ten records."""
    path = str(tmp_path / "data")
    producer = Producer()
    producer._open(path, {"acks": 1})
    producer.send_many("t", [b"%d" % number for number in range(10)]).get(10)
    producer.close()
    return path


@pytest.fixture
def consumer(data: str) -> Iterator[Open]:
    """Opens consumers of the directory."""
    opened: list[Consumer] = []

    def open_(*, assign: bool = True, **settings: Any) -> Consumer:
        one = Consumer()
        defaults = {"auto_offset_reset": "earliest", "consumer_timeout_ms": 100}
        one._open(data, {**defaults, **settings})
        if assign:
            one.assign([TP])
        opened.append(one)
        return one

    yield open_
    for one in opened:
        one.close()


def test_a_poll_gives_lists_by_partition(consumer: Open) -> None:
    polled = consumer().poll(1000, max_records=4)

    assert list(polled) == [TP]
    assert [record.value for record in polled[TP]] == [b"0", b"1", b"2", b"3"]
    first = polled[TP][0]
    assert (first.topic, first.partition, first.offset, first.key) == ("t", 0, 0, None)
    assert (first.serialized_key_size, first.serialized_value_size) == (-1, 1)
    assert first.headers == []


def test_an_iteration_ends_after_its_timeout_and_can_go_on(consumer: Open, data: str) -> None:
    one = consumer()
    assert [record.offset for record in one] == list(range(10))

    producer = Producer()
    producer._open(data, {})
    producer.send("t", b"later").get(10)

    assert [record.value for record in one] == [b"later"]


def test_positions_follow_an_iteration_record_by_record(consumer: Open) -> None:
    one = consumer(group_id="g", enable_auto_commit=False)
    for record in one:
        assert one.position(TP) == record.offset + 1
        if record.offset == 3:
            one.commit()
        if record.offset == 5:
            break

    assert one.committed(TP) == 4
    assert one._consumed() == {TP: OffsetAndMetadata(6, "", 0)}
    assert [record.offset for record in one.poll(1000)[TP]] == [6, 7, 8, 9]


def test_a_slow_iteration_commits_on_its_way(consumer: Open, data: str) -> None:
    producer = Producer()
    producer._open(data, {})
    producer.send_many("t", [b"x"] * 1000).get(10)
    one = consumer(group_id="g", auto_commit_interval_ms=10)

    for record in one:
        time.sleep(0.02 if record.offset < 32 else 0)
        if record.offset == 40:
            break

    assert one.committed(TP) == 32


def test_a_seek_inside_an_iteration_takes_effect_at_once(consumer: Open) -> None:
    one = consumer()
    offsets = []
    for record in one:
        offsets.append(record.offset)
        if len(offsets) == 2:
            one.seek(TP, 8)

    assert offsets == [0, 1, 8, 9]


def test_a_paused_partition_keeps_its_place_in_an_iteration(consumer: Open) -> None:
    one = consumer()
    offsets = []
    for record in one:
        offsets.append(record.offset)
        if len(offsets) == 2:
            one.pause(TP)
    assert offsets == [0, 1]
    assert one.paused() == {TP}

    one.resume(TP)

    assert [record.offset for record in one] == list(range(2, 10))


def test_a_record_that_does_not_deserialize_stays_the_next_one(consumer: Open) -> None:
    def parse(value: bytes) -> int:
        if value == b"4":
            raise ZeroDivisionError("bad record")
        return int(value)

    one = consumer(value_deserializer=parse)

    assert [record.value for record in one.poll(1000)[TP]] == [0, 1, 2, 3]
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            one.poll(1000)
        assert one.position(TP) == 4
    one.seek(TP, 5)
    assert [record.value for record in one.poll(1000)[TP]] == [5, 6, 7, 8, 9]

    one.seek(TP, 2)
    assert next(one).value == 2
    assert next(one).value == 3
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            next(one)
        assert one.position(TP) == 4


def test_deserializers_of_both_kafka_pythons_are_called(consumer: Open) -> None:
    class Old:
        def deserialize(self, topic: str, value: bytes) -> Any:
            return topic, value

    class New:
        def deserialize(self, topic: str, headers: list[Any], data: bytes) -> Any:
            return topic, headers, data

    one = consumer(key_deserializer=lambda key: [key], value_deserializer=Old())
    record = next(one)
    assert (record.key, record.value) == ([None], ("t", b"0"))
    assert next(consumer(value_deserializer=New())).value == ("t", [], b"0")


def test_large_values_come_whole(consumer: Open, data: str) -> None:
    value = os.urandom(100_000)
    producer = Producer()
    producer._open(data, {})
    producer.send("t", value, headers=[("h", b"x"), ("h", None)]).get(10)

    record = consumer().poll(1000)[TP][-1]

    assert record.value == value
    assert record.value is record.value
    assert record.headers == [("h", b"x"), ("h", None)]
    assert record.serialized_header_size == 3


def test_listeners_are_told_in_the_polling_thread(consumer: Open) -> None:
    told: list[Any] = []

    class Listener:
        def on_partitions_revoked(self, revoked: Any) -> None:
            told.append(("revoked", revoked))

        def on_partitions_assigned(self, assigned: Any) -> None:
            told.append(("assigned", assigned))
            one.seek(TP, 7)
            assert threading.current_thread() is threading.main_thread()

    one = consumer(assign=False)
    one.subscribe("t", listener=Listener())
    assert one.subscription() == {"t"}

    polled = one.poll(1000)
    one.unsubscribe()

    assert [record.offset for record in polled[TP]] == [7, 8, 9]
    assert told == [("assigned", {TP}), ("revoked", {TP})]


def test_a_pattern_finds_topics(consumer: Open, data: str) -> None:
    Admin(data).create_topic("other")
    one = consumer(assign=False)
    one.subscribe(pattern="^t")

    assert set(one.poll(1000)) == {TP}
    assert one.assignment() == {TP}


def test_subscriptions_that_make_no_sense_are_refused(consumer: Open) -> None:
    one = consumer(assign=False)

    with pytest.raises(ValueError, match="topics or a pattern"):
        one.subscribe()
    with pytest.raises(errors.IllegalStateError):
        one.subscribe(["t"], pattern="t")
    with pytest.raises(TypeError):
        one.subscribe([1])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="on_partitions"):
        one.subscribe("t", listener=object())


def test_commits_keep_metadata_of_any_type(consumer: Open) -> None:
    one = consumer(group_id="g", enable_auto_commit=False)
    assert one.committed(TP) is None

    one.commit({TP: OffsetAndMetadata(7, 1234)})  # type: ignore[arg-type]

    assert one.committed(TP) == 7
    assert one.committed(TP, metadata=True) == OffsetAndMetadata(7, "1234", -1)


def test_offsets_are_found_without_an_assignment(consumer: Open) -> None:
    one = consumer(assign=False)

    assert one.beginning_offsets([TP]) == {TP: 0}
    assert one.end_offsets([TP]) == {TP: 10}
    found = one.offsets_for_times({TP: 0})[TP]
    assert found is not None
    assert found.offset == 0
    assert one.offsets_for_times({TP: 1 << 52}) == {TP: None}
    assert one.topics() == {"t"}
    assert one.partitions_for_topic("t") == {0}
    assert one.partitions_for_topic("nowhere") == set()


def test_a_listener_that_holds_its_consumer_is_collected(data: str) -> None:
    class App:
        def __init__(self) -> None:
            self.consumer = Consumer()
            settings = {"group_id": "g", "value_deserializer": self.parse}
            self.consumer._open(data, settings)
            self.consumer.subscribe("t", listener=self)

        def parse(self, value: bytes) -> bytes:
            return value

        def on_partitions_revoked(self, revoked: Any) -> None:
            pass

        def on_partitions_assigned(self, assigned: Any) -> None:
            pass

    for _ in range(2):  # the second one could not join beside the first
        app = App()
        app.consumer.poll(100)
        gone = weakref.ref(app)
        del app
        gc.collect()

        assert gone() is None


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda one: one.poll(-1), ValueError),
        (lambda one: one.poll(0, max_records=0), ValueError),
        (lambda one: one.poll(0, max_records="1"), TypeError),
        (lambda one: one.seek(TP, -1), ValueError),
        (lambda one: one.seek(TopicPartition("t", 9), 0), ValueError),
        (lambda one: one.seek("t", 0), TypeError),
        (lambda one: one.position(TopicPartition("t", 9)), errors.IllegalStateError),
        (lambda one: one.committed(TP), errors.IllegalStateError),
        (lambda one: one.commit({TP: "x"}), TypeError),
        (lambda one: one.offsets_for_times({TP: -1}), ValueError),
    ],
)
def test_bad_calls_are_refused_and_the_next_poll_works(
    consumer: Open, call: Callable[[Consumer], Any], error: type[Exception]
) -> None:
    one = consumer()

    with pytest.raises(error):
        call(one)

    assert len(one.poll(1000)[TP]) == 10


def test_a_close_elsewhere_ends_a_poll_and_an_iteration(consumer: Open) -> None:
    for wait in (lambda one: one.poll(600_000), lambda one: list(one)):
        one = consumer(auto_offset_reset="latest", consumer_timeout_ms=600_000)
        threading.Timer(0.2, one.close).start()

        started = time.monotonic()
        assert not wait(one)

        assert time.monotonic() - started < 300
        with pytest.raises(errors.IllegalStateError):
            one.poll()
        assert list(one) == []


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs signals")
def test_ctrl_c_ends_a_poll_and_an_iteration_at_once(consumer: Open) -> None:
    one = consumer(auto_offset_reset="latest", consumer_timeout_ms=600_000)
    for wait in (lambda: one.poll(600_000), lambda: next(one)):
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()

        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            wait()

        assert time.monotonic() - started < 300


def test_a_signal_whose_handler_returns_does_not_shorten_a_poll(consumer: Open) -> None:
    handled: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: handled.append(number))
    try:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1)).start()

        started = time.monotonic()
        assert consumer(auto_offset_reset="latest").poll(400) == {}

        assert time.monotonic() - started >= 0.4
        assert handled == [signal.SIGUSR1]
    finally:
        signal.signal(signal.SIGUSR1, before)

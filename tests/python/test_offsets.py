"""Committed offsets: by hand, automatically, with metadata, and after a restart."""

from typing import Any

import pytest

from brokerless import KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from brokerless.errors import IllegalStateError, NoOffsetForPartitionError

T0, T1 = TopicPartition("t", 0), TopicPartition("t", 1)


@pytest.fixture
def filled(topic: str) -> str:
    with KafkaProducer() as producer:
        for n in range(20):
            producer.send(topic, b"%d" % n, partition=0)
    return topic


def member(*topics: str, **settings: Any) -> KafkaConsumer:
    return KafkaConsumer(
        *topics,
        **{
            "group_id": "g",
            "auto_offset_reset": "earliest",
            "consumer_timeout_ms": 300,
            "enable_auto_commit": False,
            **settings,
        },
    )


def test_a_commit_is_found_again_after_a_restart(filled: str) -> None:
    with member(filled) as consumer:
        for _ in range(7):
            next(consumer)
        consumer.commit()
        assert consumer.committed(T0) == 7

    with member(filled) as consumer:
        assert consumer.committed(T0) == 7
        assert [r.offset for r in consumer] == list(range(7, 20))


def test_a_commit_covers_what_iteration_gave_not_what_was_fetched(filled: str) -> None:
    with member(filled) as consumer:
        next(consumer)
        consumer.commit()

    with member(filled) as consumer:
        assert next(consumer).offset == 1


@pytest.fixture
def spread(topic: str) -> str:
    with KafkaProducer() as producer:
        for n in range(9):
            producer.send(topic, b"%d" % n, partition=n % 3)
    return topic


def test_a_commit_covers_what_iteration_gave_of_many_partitions(spread: str) -> None:
    seen = []
    for _ in range(9):
        with member(spread) as consumer:
            record = next(consumer)
            seen.append((record.partition, record.offset))
            consumer.commit()

    assert sorted(seen) == [(partition, n) for partition in range(3) for n in range(3)]


def test_what_is_left_of_an_iteration_is_polled(spread: str) -> None:
    with member(spread) as consumer:
        seen = [next(consumer).value]
        while polled := consumer.poll(timeout_ms=300):
            seen += [record.value for records in polled.values() for record in records]

    assert sorted(seen) == [b"%d" % n for n in range(9)]


def test_metadata_comes_back_as_a_string(filled: str) -> None:
    with member(filled) as consumer:
        record = next(consumer)
        consumer.commit({T0: OffsetAndMetadata(record.offset + 1, record.timestamp)})  # type: ignore[arg-type]
        assert consumer.committed(T0, metadata=True) == OffsetAndMetadata(1, str(record.timestamp))

        consumer.commit({T0: OffsetAndMetadata(2, "note", 0)})
        found = consumer.committed(T0, metadata=True)
        assert found is not None
        assert (found.offset, found.metadata) == (2, "note")


def test_groups_are_apart(filled: str) -> None:
    with member(filled, group_id="one") as consumer:
        consumer.poll(1000)
        consumer.commit({T0: OffsetAndMetadata(5, "")})
    with member(filled, group_id="two") as consumer:
        assert consumer.committed(T0) is None
        assert next(consumer).offset == 0


def test_nothing_committed_is_none(filled: str) -> None:
    with member(filled) as consumer:
        assert consumer.committed(T1) is None
        assert consumer.committed(T1, metadata=True) is None


def test_assigned_partitions_begin_at_the_commit_too(filled: str) -> None:
    with member() as consumer:
        consumer.assign([T0])
        consumer.commit({T0: OffsetAndMetadata(15, "")})
    with member() as consumer:
        consumer.assign([T0])
        assert consumer.position(T0) == 15


def test_auto_commit_on_close(filled: str) -> None:
    with member(filled, enable_auto_commit=True) as consumer:
        for _ in range(4):
            next(consumer)
    with member(filled) as consumer:
        assert next(consumer).offset == 4


def test_auto_commit_on_the_way(filled: str) -> None:
    with member(filled, enable_auto_commit=True, auto_commit_interval_ms=0) as consumer:
        consumer.poll(1000, max_records=5)
        consumer.poll(1000, max_records=5)
        assert consumer.committed(T0) in (5, 10)
        consumer.close(autocommit=False)


def test_close_without_autocommit_commits_nothing(filled: str) -> None:
    consumer = member(filled, enable_auto_commit=True)
    next(consumer)
    consumer.close(autocommit=False)

    with member(filled) as consumer:
        assert consumer.committed(T0) is None


def test_an_exception_in_a_with_block_commits_nothing(filled: str) -> None:
    def fail() -> None:
        with member(filled, enable_auto_commit=True) as consumer:
            next(consumer)
            raise LookupError

    with pytest.raises(LookupError):
        fail()

    with member(filled) as consumer:
        assert consumer.committed(T0) is None


def test_commit_async_calls_back(filled: str) -> None:
    called: list[Any] = []
    with member(filled) as consumer:
        next(consumer)
        future = consumer.commit_async(callback=lambda offsets, outcome: called.append(offsets))
        assert future.succeeded()
        consumer.commit_async({T0: OffsetAndMetadata(9, "")})
        assert consumer.committed(T0) == 9

    assert called[0][T0].offset == 1


def test_the_default_callback_is_called(filled: str) -> None:
    called: list[Any] = []
    settings = {"default_offset_commit_callback": lambda *args: called.append(args)}
    with member(filled, **settings) as consumer:
        next(consumer)
        consumer.commit_async()
    assert len(called) == 1


def test_without_a_group_there_are_no_commits(filled: str) -> None:
    with KafkaConsumer(filled) as consumer:
        for call in (consumer.commit, consumer.commit_async):
            with pytest.raises(IllegalStateError):
                call()
        with pytest.raises(IllegalStateError):
            consumer.committed(T0)


def test_an_error_about_one_partition_names_it(filled: str) -> None:
    with member(auto_offset_reset="none") as consumer:
        consumer.assign([T0, T1])
        consumer.commit({T0: OffsetAndMetadata(7, "")})

        with pytest.raises(NoOffsetForPartitionError) as raised:
            consumer.poll(1000)

        assert raised.value.partition == T1
        assert consumer.position(T0) == 7


def test_none_as_reset_demands_a_commit(filled: str) -> None:
    with (
        member(filled, auto_offset_reset="none") as consumer,
        pytest.raises(NoOffsetForPartitionError),
    ):
        consumer.poll(1000)

    with member() as consumer:
        consumer.assign([T0])
        consumer.commit({TopicPartition("t", p): OffsetAndMetadata(0, "") for p in range(3)})
    with member(filled, auto_offset_reset="none") as consumer:
        assert next(consumer).offset == 0


@pytest.mark.parametrize("reset", ["smallest", "largest"])
def test_old_names_of_the_resets(filled: str, reset: str) -> None:
    with KafkaConsumer(auto_offset_reset=reset) as consumer:
        consumer.assign([T0])
        assert consumer.position(T0) == (0 if reset == "smallest" else 20)


def test_reading_committed_only_is_the_same_without_transactions(filled: str) -> None:
    with member(filled, isolation_level="read_committed") as consumer:
        assert len(list(consumer)) == 20

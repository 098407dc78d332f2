"""Offsets and deleted records by the admin client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from brokerless import (
    IsolationLevel,
    KafkaAdminClient,
    KafkaConsumer,
    KafkaProducer,
    OffsetAndTimestamp,
    OffsetSpec,
    TopicPartition,
)
from brokerless.admin import ConfigResource, OffsetTimestamp
from brokerless.errors import (
    BrokerResponseError,
    OffsetOutOfRangeError,
    PolicyViolationError,
    UnknownTopicOrPartitionError,
)

from .conftest import Read

T0, T1, NONE = TopicPartition("t", 0), TopicPartition("t", 1), TopicPartition("none", 0)


@pytest.fixture
def admin() -> Iterator[KafkaAdminClient]:
    """Ten records in the first of two partitions, one a second; the seventh is the youngest."""
    with KafkaAdminClient() as admin:
        admin.create_topics({"t": {"num_partitions": 2, "configs": {"retention.ms": "-1"}}})
        with KafkaProducer() as producer:
            for number in range(10):
                time = 90_000 if number == 6 else 1000 * number
                producer.send("t", b"%d" % number, partition=0, timestamp_ms=time)
        yield admin


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        (OffsetSpec.EARLIEST, (0, -1, 0)),
        (OffsetSpec.LATEST, (10, -1, 0)),
        (OffsetSpec.MAX_TIMESTAMP, (6, 90_000, 0)),
        (OffsetSpec.EARLIEST_LOCAL, (0, -1, 0)),
        (OffsetSpec.LATEST_TIERED, (-1, -1, None)),
        (OffsetTimestamp(3500), (4, 4000, 0)),
        (3500, (4, 4000, 0)),
        (99_000, (-1, -1, None)),
        (-2, (0, -1, 0)),
    ],
)
def test_offsets_are_found_by_place_and_by_time(
    admin: KafkaAdminClient, spec: int, found: tuple[int, int, int]
) -> None:
    assert admin.list_partition_offsets({T0: spec}) == {T0: OffsetAndTimestamp(*found)}


def test_several_partitions_are_looked_up_at_once(admin: KafkaAdminClient) -> None:
    specs = {T0: OffsetSpec.LATEST, T1: OffsetSpec.MAX_TIMESTAMP}

    for level in (IsolationLevel.READ_COMMITTED, "read_committed", 0):
        found = admin.list_partition_offsets(specs, isolation_level=level)
        assert {one: each.offset for one, each in found.items()} == {T0: 10, T1: -1}


def test_what_is_no_place_is_refused(admin: KafkaAdminClient) -> None:
    with pytest.raises(ValueError, match="not a valid OffsetSpec"):
        admin.list_partition_offsets({T0: -7})
    with pytest.raises(TypeError):
        admin.list_partition_offsets({T0: "latest"})  # type: ignore[dict-item]
    with pytest.raises(UnknownTopicOrPartitionError, match="none"):
        admin.list_partition_offsets({T0: 1, NONE: 1})


def test_deleted_records_are_gone_for_every_reader(admin: KafkaAdminClient, read: Read) -> None:
    deleted = admin.delete_records({T0: 4})

    assert deleted == {T0: {"partition_index": 0, "low_watermark": 4, "error_code": 0}}
    assert [record.offset for record in read("t")] == [4, 5, 6, 7, 8, 9]
    with KafkaConsumer() as consumer:
        assert consumer.beginning_offsets([T0]) == {T0: 4}
    assert admin.delete_records({T0: 2})[T0]["low_watermark"] == 4
    assert admin.delete_records({T0: -1, T1: 0})[T0]["low_watermark"] == 10
    assert read("t") == []


def test_records_that_are_not_there_are_not_deleted(admin: KafkaAdminClient) -> None:
    with pytest.raises(OffsetOutOfRangeError):
        admin.delete_records({T0: 11})
    with pytest.raises(UnknownTopicOrPartitionError):
        admin.delete_records({T0: 5, NONE: 0})
    with pytest.raises(BrokerResponseError, match=r"t\(partition=0\): OffsetOutOfRangeError, t\("):
        admin.delete_records({T0: 99, T1: 99})
    assert admin.list_partition_offsets({T0: OffsetSpec.EARLIEST})[T0].offset == 0


def test_a_compacted_topic_keeps_its_records(admin: KafkaAdminClient) -> None:
    admin.alter_configs([ConfigResource("topic", "t", {"cleanup.policy": "compact"})])

    with pytest.raises(PolicyViolationError):
        admin.delete_records({T0: 5})

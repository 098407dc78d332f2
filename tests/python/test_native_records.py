"""ConsumerRecord and RecordMetadata, which behave like kafka-python's namedtuples."""

from __future__ import annotations

import copy
import pickle

import pytest

from brokerless._brokerless import ConsumerRecord, RecordMetadata
from brokerless.structs import TopicPartition

RECORD = ConsumerRecord("orders", 3, 1, 42, 1_700_000_000_000, 0, b"k", b"v", [("h", b"x")])


def test_a_record_made_by_hand_has_kafka_pythons_fields_in_order() -> None:
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
    assert (RECORD.topic, RECORD.offset, RECORD.value) == ("orders", 42, b"v")
    assert ConsumerRecord(topic="t", partition=0).headers == []


def test_a_record_is_unpacked_indexed_and_sliced_like_a_tuple() -> None:
    topic, partition, *rest = RECORD

    assert (topic, partition, len(rest)) == ("orders", 3, 11)
    assert len(RECORD) == 13
    assert RECORD[3] == RECORD[-10] == 42
    assert RECORD[:2] == ("orders", 3)
    assert 42 in RECORD
    assert RECORD.index(42) == 3
    assert RECORD.count(-1) == 3
    with pytest.raises(IndexError):
        RECORD[13]


def test_a_record_equals_and_orders_as_the_tuple_of_its_fields() -> None:
    other = RECORD._replace(offset=43)

    assert tuple(RECORD) == RECORD
    assert RECORD.__eq__(tuple(RECORD)) is True
    assert other != RECORD
    assert RECORD < other <= other
    assert RECORD != "orders"
    assert hash(RECORD) == hash(RECORD._replace(offset=42))


def test_a_record_is_reversed_and_added_as_a_tuple() -> None:
    fields, one = tuple(RECORD), (1,)

    assert tuple(reversed(RECORD)) == fields[::-1]
    assert RECORD + one == fields + one
    assert one + RECORD == one + fields
    assert RECORD + RECORD == fields + fields
    with pytest.raises(TypeError):
        RECORD + 1  # type: ignore[operator]


def test_a_record_survives_pickle_and_copy() -> None:
    assert pickle.loads(pickle.dumps(RECORD)) == RECORD
    assert copy.copy(RECORD) == RECORD
    assert copy.deepcopy(RECORD) == RECORD


def test_a_record_prints_like_a_namedtuple() -> None:
    assert repr(RECORD).startswith("ConsumerRecord(topic='orders', partition=3, leader_epoch=1, ")
    assert RECORD._asdict()["offset"] == 42


def test_a_record_matches_by_position_and_by_name() -> None:
    match RECORD:
        case ConsumerRecord(topic, partition, offset=offset):
            assert (topic, partition, offset) == ("orders", 3, 42)
        case _:
            pytest.fail("no match")


def test_a_record_needs_its_topic_and_knows_its_fields() -> None:
    with pytest.raises(TypeError, match="'topic'"):
        ConsumerRecord()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="'color'"):
        ConsumerRecord("t", 0, color="red")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="more than once"):
        ConsumerRecord("t", 0, topic="t")  # type: ignore[misc]
    with pytest.raises(ValueError, match="color"):
        RECORD._replace(color="red")
    with pytest.raises(TypeError, match="Expected 13"):
        ConsumerRecord._make([1, 2])


def test_metadata_made_by_hand_knows_its_partition() -> None:
    metadata = RecordMetadata("orders", 3, offset=7)

    assert metadata.topic_partition == TopicPartition("orders", 3)
    assert metadata[3] == 7
    assert pickle.loads(pickle.dumps(metadata)) == metadata

import pickle

from brokerless import OffsetAndMetadata, OffsetAndTimestamp, TopicPartition
from brokerless.structs import BrokerMetadata, ConsumerGroupMetadata, MemberState


def test_a_partition_is_a_tuple_with_names() -> None:
    partition = TopicPartition("orders", 3)

    assert partition == ("orders", 3)
    assert TopicPartition(topic="orders", partition=3) == partition
    assert {partition: 1}[TopicPartition("orders", 3)] == 1
    assert repr(partition) == "TopicPartition(topic='orders', partition=3)"
    assert partition._replace(partition=4) == TopicPartition("orders", 4)
    assert pickle.loads(pickle.dumps(partition)) == partition
    assert min(TopicPartition("b", 0), TopicPartition("a", 1)).topic == "a"


def test_an_offset_has_two_fields_or_three() -> None:
    assert OffsetAndMetadata(5, "note") == OffsetAndMetadata(5, "note", -1)
    assert OffsetAndMetadata(5, "note", 7).leader_epoch == 7
    assert OffsetAndMetadata(offset=5) == (5, "", -1)


def test_the_other_tuples_have_kafka_pythons_fields() -> None:
    assert OffsetAndTimestamp(1, 2, 3)._fields == ("offset", "timestamp", "leader_epoch")
    assert BrokerMetadata._fields == ("nodeId", "host", "port", "rack")
    assert ConsumerGroupMetadata() == (None, -1, "", None, MemberState.UNJOINED)

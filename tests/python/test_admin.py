import pytest

from brokerless import KafkaAdminClient, KafkaConsumer, KafkaProducer, NewPartitions, NewTopic
from brokerless.admin import ConfigResource, ConfigResourceType
from brokerless.errors import (
    IllegalArgumentError,
    InvalidConfigurationError,
    InvalidPartitionsError,
    InvalidReplicationFactorError,
    InvalidTopicError,
    KafkaError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
)


@pytest.fixture
def admin() -> KafkaAdminClient:
    return KafkaAdminClient(bootstrap_servers="localhost:9092", client_id="admin")


def partitions(topic: str) -> int:
    with KafkaConsumer() as consumer:
        return len(consumer.partitions_for_topic(topic))


@pytest.mark.parametrize(
    ("topics", "number"),
    [
        ([NewTopic("t", 3, 1)], 3),
        ([NewTopic(name="t", num_partitions=3, replication_factor=2)], 3),
        ([NewTopic("t", replica_assignments={0: [1], 1: [1]})], 2),
        ([NewTopic("t", 2, 1, topic_configs={"max.message.bytes": 2000})], 2),
        ({"t": {"num_partitions": 4, "configs": {"max.message.bytes": "2000"}}}, 4),
        ({"t": {}}, 1),
        (["t"], 1),
    ],
)
def test_topics_are_named_in_any_dialect(
    admin: KafkaAdminClient, topics: list[str], number: int
) -> None:
    response = admin.create_topics(topics, timeout_ms=1000)

    assert admin.list_topics() == ["t"]
    assert partitions("t") == number
    assert response["topics"][0]["error_code"] == 0  # 3.x
    assert response.topic_errors == [("t", 0, None)]  # 2.x


def test_a_topic_that_is_there_stays_as_it_is(admin: KafkaAdminClient) -> None:
    admin.create_topics([NewTopic("t", 3, 1)])

    with pytest.raises(TopicAlreadyExistsError):
        admin.create_topics([NewTopic("t", 5, 1), NewTopic("u", 1, 1)])

    assert partitions("t") == 3
    assert admin.list_topics() == ["t", "u"]


def test_errors_can_be_reported_instead(admin: KafkaAdminClient) -> None:
    response = admin.create_topics(["ok", "not/ok"], raise_errors=False)

    assert [(t["name"], t["error_code"]) for t in response["topics"]] == [("ok", 0), ("not/ok", 17)]
    assert response["topics"][1]["error_message"]


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "../up", "/etc", "a b", "ü", "x" * 250, "a\0b", "a\nb"]
)
def test_a_name_that_kafka_refuses_is_refused(admin: KafkaAdminClient, name: str) -> None:
    with pytest.raises(InvalidTopicError):
        admin.create_topics([NewTopic(name, 1, 1)])
    assert admin.list_topics() == []


@pytest.mark.parametrize("validate_only", [True, False])
def test_names_that_differ_by_dots_and_underscores_collide(
    admin: KafkaAdminClient, validate_only: bool
) -> None:
    admin.create_topics([NewTopic("a.b", 1, 1)])

    with pytest.raises(InvalidTopicError, match=r'"a_b" collides with the existing topic "a\.b"'):
        admin.create_topics([NewTopic("a_b", 1, 1)], validate_only=validate_only)

    assert admin.list_topics() == ["a.b"]


@pytest.mark.parametrize(
    ("topic", "error"),
    [
        (NewTopic("t", 0, 1), InvalidPartitionsError),
        (NewTopic("t", -2, 1), InvalidPartitionsError),
        (NewTopic("t", 1, 0), InvalidReplicationFactorError),
        (NewTopic("t", 1, 1, topic_configs={"no.such": "1"}), InvalidConfigurationError),
        (NewTopic("t", 1, 1, topic_configs={"segment.bytes": "x"}), InvalidConfigurationError),
    ],
)
def test_numbers_and_settings_are_checked(
    admin: KafkaAdminClient, topic: NewTopic, error: type[KafkaError]
) -> None:
    with pytest.raises(error):
        admin.create_topics([topic])
    assert admin.list_topics() == []
    admin.create_topics([NewTopic("t", 1, 1)])


def test_no_topics_make_no_sense(admin: KafkaAdminClient) -> None:
    with pytest.raises(ValueError, match="No valid topics"):
        admin.create_topics([])
    with pytest.raises(IllegalArgumentError):
        NewTopic("t", 3, 1, replica_assignments={0: [1]})


def test_partitions_grow_but_never_shrink(admin: KafkaAdminClient) -> None:
    admin.create_topics(["t"])

    admin.create_partitions({"t": NewPartitions(total_count=3)})
    assert partitions("t") == 3
    admin.create_partitions({"t": 4})
    admin.create_partitions({"t": {"count": 5}})
    assert partitions("t") == 5

    with pytest.raises(InvalidPartitionsError):
        admin.create_partitions({"t": 2})
    with pytest.raises(UnknownTopicOrPartitionError):
        admin.create_partitions({"u": 2})
    assert partitions("t") == 5


def test_deleted_topics_are_gone_and_may_come_again(admin: KafkaAdminClient) -> None:
    with KafkaProducer() as producer:
        producer.send("t", b"old")
    admin.delete_topics(["t"])
    assert admin.list_topics() == []

    with KafkaProducer() as producer:
        producer.send("t", b"new")
    with KafkaConsumer("t", auto_offset_reset="earliest", consumer_timeout_ms=300) as consumer:
        assert [(r.offset, r.value) for r in consumer] == [(0, b"new")]

    with pytest.raises(UnknownTopicOrPartitionError):
        admin.delete_topics(["nothing"])


def test_a_producer_notices_that_its_topic_came_again(admin: KafkaAdminClient) -> None:
    with KafkaProducer() as producer:
        producer.send("t", b"old").get(10)
        admin.delete_topics(["t"])
        admin.create_topics(["t"])
        assert producer.send("t", b"new").get(10).offset == 0


def test_the_client_can_be_closed_twice(admin: KafkaAdminClient) -> None:
    assert admin.bootstrap_connected()
    admin.close()
    admin.close()
    with pytest.raises(KafkaError):
        admin.list_topics()


def test_resources_are_named_by_type() -> None:
    resource = ConfigResource("topic", "t", {"retention.ms": "1"})

    assert resource.resource_type is ConfigResourceType.TOPIC
    assert (resource.name, resource.configs) == ("t", {"retention.ms": "1"})

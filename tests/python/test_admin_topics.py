"""Topics described and checked by the admin client, and the cluster they are in."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from brokerless import (
    KafkaAdminClient,
    KafkaConsumer,
    KafkaProducer,
    NewPartitions,
    NewTopic,
    TopicPartition,
)
from brokerless.errors import (
    ElectionNotNeededError,
    InvalidConfigurationError,
    InvalidPartitionsError,
    InvalidReplicationAssignmentError,
    InvalidRequestError,
    KafkaTimeoutError,
    LogDirNotFoundError,
    NoError,
    NoReassignmentInProgressError,
    RequestTimedOutError,
    TopicAlreadyExistsError,
    UnknownBrokerIdError,
    UnknownTopicIdError,
    UnknownTopicOrPartitionError,
)

T0, T1, NONE = TopicPartition("t", 0), TopicPartition("t", 1), TopicPartition("none", 0)


@pytest.fixture
def admin() -> Iterator[KafkaAdminClient]:
    with KafkaAdminClient() as admin:
        admin.create_topics({"t": {"num_partitions": 2}})
        yield admin


def test_what_is_only_checked_is_not_made(admin: KafkaAdminClient) -> None:
    checked = admin.create_topics([NewTopic("u", 3, 1)], validate_only=True)

    assert checked["topics"][0]["num_partitions"] == 3
    assert checked["topics"][0]["topic_id"] is None
    default = admin.create_topics(["u"], validate_only=True)["topics"][0]
    assert default["num_partitions"] == 1
    assert admin.list_topics() == ["t"]
    with pytest.raises(TopicAlreadyExistsError):
        admin.create_topics(["t"], validate_only=True)
    with pytest.raises(InvalidConfigurationError):
        admin.create_topics({"u": {"configs": {"no.such": "1"}}}, validate_only=True)
    with pytest.raises(ValueError, match="mutually exclusive"):
        admin.create_topics(["u"], validate_only=True, wait_for_metadata=True)


@pytest.mark.parametrize("validate_only", [False, True])
def test_a_new_topic_comes_with_its_settings(admin: KafkaAdminClient, validate_only: bool) -> None:
    wanted = {"u": {"configs": {"retention.ms": 7}}}

    made = admin.create_topics(wanted, validate_only=validate_only)["topics"][0]

    settings = made["configs"]
    assert settings["retention.ms"] == {
        "value": "7",
        "read_only": False,
        "config_source": "DYNAMIC_TOPIC_CONFIG",
        "is_sensitive": False,
    }
    assert settings["segment.bytes"]["config_source"] == "DEFAULT_CONFIG"
    refused = admin.create_topics(["t"], raise_errors=False)["topics"][0]
    assert "configs" not in refused


def test_a_topic_that_is_named_twice_is_not_deleted(admin: KafkaAdminClient) -> None:
    t = uuid.UUID(admin.describe_topics(["t"])[0]["topic_id"])

    for names in (["t", "t"], ["t", t], [t, t]):
        told = admin.delete_topics(names, raise_errors=False)["topics"]
        assert {one["error_code"] for one in told} == {InvalidRequestError.errno}
        assert len(told) == len(set(names))

    assert admin.list_topics() == ["t"]


def test_a_topic_that_is_held_up_is_told_and_the_others_are_made(
    admin: KafkaAdminClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = admin._create

    # As where the deletion of an earlier topic of that name waits for a process that was stopped.
    def held_up(topic: Any, validate_only: bool) -> Any:
        if topic.name == "late":
            raise KafkaTimeoutError("it did not end")
        return create(topic, validate_only)

    monkeypatch.setattr(admin, "_create", held_up)

    made = admin.create_topics(["late", "u"], raise_errors=False)

    errors = {topic["name"]: topic["error_code"] for topic in made["topics"]}
    assert errors == {"late": RequestTimedOutError.errno, "u": 0}
    assert admin.list_topics() == ["t", "u"]


def test_partitions_that_are_only_checked_are_not_made(admin: KafkaAdminClient) -> None:
    checked = admin.create_partitions({"t": 5}, validate_only=True)

    assert checked.results[0].error_code == 0
    assert len(admin.describe_topics(["t"])[0]["partitions"]) == 2
    with pytest.raises(InvalidPartitionsError):
        admin.create_partitions({"t": 2}, validate_only=True)
    told = admin.create_partitions({"t": 2, "none": 3}, raise_errors=False)
    assert told.topic_error_codes == [("t", 37), ("none", 3)]
    assert told.to_dict()["results"][0]["name"] == "t"


def test_a_topic_is_described_in_both_dialects(admin: KafkaAdminClient) -> None:
    topic, none = admin.describe_topics(["t", "none"])

    assert (topic["error_code"], topic["is_internal"]) == (0, False)
    assert topic["name"] == topic["topic"] == topic.get("topic") == "t"
    assert [partition["partition_index"] for partition in topic["partitions"]] == [0, 1]
    second = topic["partitions"][1]
    assert (second["partition"], second["leader"], second["replicas"]) == (1, 1, [1])
    assert (second["leader_id"], second["replica_nodes"], second["isr"]) == (1, [1], [1])
    assert (none["error_code"], none["partitions"]) == (3, [])
    assert topic.get("nothing", 7) == 7
    with pytest.raises(KeyError):
        topic["nothing"]


def test_all_topics_are_described_and_internal_ones_say_so(admin: KafkaAdminClient) -> None:
    with KafkaConsumer("t", group_id="g") as consumer:
        consumer.poll(timeout_ms=100)

    described = {topic["name"]: topic["is_internal"] for topic in admin.describe_topics()}

    assert described == {"__consumer_offsets": True, "t": False}


def test_topics_have_ids_by_which_they_are_found_and_deleted(admin: KafkaAdminClient) -> None:
    created = admin.create_topics(["u"])["topics"][0]
    (topic,) = admin.describe_topics(["u"])
    assert created["topic_id"] == topic["topic_id"]
    topic_id, unknown = uuid.UUID(topic["topic_id"]), uuid.uuid4()

    found, none = admin.describe_topics([topic_id, unknown])
    assert (found["name"], none["name"], none["error_code"]) == ("u", None, 100)
    assert none["topic_id"] == str(unknown)

    deleted = admin.delete_topics([topic_id])
    assert deleted["topics"][0]["name"] == "u"
    assert deleted.topic_error_codes == [("u", 0)]
    assert admin.list_topics() == ["t"]
    with pytest.raises(UnknownTopicIdError):
        admin.delete_topics([unknown])
    assert admin.delete_topics(["none"], raise_errors=False).topic_error_codes == [("none", 3)]


def test_by_its_id_no_other_topic_is_deleted_that_has_its_name_by_now(
    admin: KafkaAdminClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Late:
        """Lists the topics as they were, and makes one of them anew."""

        def __getattr__(self, name: str) -> Any:
            return getattr(native, name)

        def topics(self) -> Any:
            listed = native.topics()
            native.delete_topic("t")
            native.create_topic("t")
            return listed

    native = admin._admin
    topic_id = uuid.UUID(admin.describe_topics(["t"])[0]["topic_id"])
    monkeypatch.setattr(admin, "_admin", Late())

    with pytest.raises(UnknownTopicIdError):
        admin.delete_topics([topic_id])

    (other,) = native.topics()
    assert other[0] == "t"


def test_partitions_are_described_page_by_page(admin: KafkaAdminClient) -> None:
    admin.create_topics({"a": {"num_partitions": 3}})
    cursor, pages = None, []
    for _ in range(3):
        page = admin.describe_topic_partitions(["t", "a"], 2, cursor)
        cursor = page["next_cursor"]
        pages.append(
            [
                (one["name"], p["partition_index"])
                for one in page["topics"]
                for p in one["partitions"]
            ]
        )

    assert pages == [[("a", 0), ("a", 1)], [("a", 2), ("t", 0)], [("t", 1)]]
    assert cursor is None
    page = admin.describe_topic_partitions(["t", "a"], 3)
    assert [topic["name"] for topic in page["topics"]] == ["a"]
    assert page["next_cursor"] == {"topic_name": "t", "partition_index": 0}
    (topic,) = admin.describe_topic_partitions(["none"])["topics"]
    assert topic["error_code"] == 3
    assert isinstance(admin.describe_topic_partitions(["a"])["topics"][0]["topic_id"], uuid.UUID)


def test_topics_of_others_are_waited_for(admin: KafkaAdminClient) -> None:
    def create() -> None:
        time.sleep(0.2)
        with KafkaAdminClient() as other:
            other.create_topics(["late"])

    thread = threading.Thread(target=create)
    thread.start()
    admin.wait_for_topics(["t", "late"])
    thread.join()

    assert "late" in admin.list_topics()
    with pytest.raises(KafkaTimeoutError, match="none"):
        admin.wait_for_topics(["none"], timeout_ms=50)


def test_the_cluster_is_this_directory(admin: KafkaAdminClient, directory: Path) -> None:
    cluster = admin.describe_cluster()

    meta = (directory / "meta.properties").read_text()
    assert f"cluster.id={cluster['cluster_id']}\n" in meta
    (broker,) = cluster["brokers"]
    assert cluster["controller_id"] == broker["broker_id"] == broker["node_id"] == 1


def test_log_dirs_tell_the_bytes_of_each_log(admin: KafkaAdminClient, directory: Path) -> None:
    with KafkaProducer() as producer:
        producer.send("t", b"x" * 1000, partition=0)
    log = directory / "t-0" / "00000000000000000000.log"

    (described,) = admin.describe_log_dirs()

    assert described["broker"] == 1
    (folder,) = described["log_dirs"]
    assert Path(folder["log_dir"]) == directory
    assert folder["total_bytes"] > folder["usable_bytes"] > 0
    sizes = [one["partition_size"] for one in folder["topics"][0]["partitions"]]
    assert sizes == [log.stat().st_size, 0]
    assert admin.describe_log_dirs().log_dirs[0][1] == str(directory)
    narrow = admin.describe_log_dirs({"t": [1], "none": [0]})[0]["log_dirs"][0]["topics"]
    assert [(one["name"], len(one["partitions"])) for one in narrow] == [("t", 1)]
    with pytest.raises(UnknownBrokerIdError):
        admin.describe_log_dirs(brokers=[2])


def test_log_dirs_leave_out_what_goes_meanwhile(
    admin: KafkaAdminClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin.create_topics(["u"])
    counts = admin._counts()
    admin.delete_topics(["u"])
    monkeypatch.setattr(admin, "_counts", lambda: counts)

    (broker,) = admin.describe_log_dirs()

    (folder,) = broker["log_dirs"]
    found = {topic["name"]: len(topic["partitions"]) for topic in folder["topics"]}
    assert found == {"t": 2, "u": 0}


def test_nothing_moves_and_nobody_is_elected(admin: KafkaAdminClient, directory: Path) -> None:
    moved = admin.alter_partition_reassignments({T0: [1], T1: None, NONE: [1]})
    assert moved == {
        T0: None,
        T1: NoReassignmentInProgressError,
        NONE: UnknownTopicOrPartitionError,
    }
    away = admin.alter_partition_reassignments({T0: [2]})
    assert away == {T0: InvalidReplicationAssignmentError}
    assert admin.list_partition_reassignments() == {}

    folders = {
        ("t", 0, 1): str(directory),
        ("t", 1, 1): "/elsewhere",
        ("none", 0, 1): str(directory),
    }
    assert list(admin.alter_replica_log_dirs(folders).values()) == [
        NoError,
        LogDirNotFoundError,
        UnknownTopicOrPartitionError,
    ]

    elected = admin.elect_leaders(0, {"t": [1]})
    (result,) = elected.replica_election_results
    assert elected.replication_election_results == [result]
    assert elected.to_dict()["throttle_time_ms"] == 0
    assert result.partition_result[0].error_code == ElectionNotNeededError.errno
    everything = admin.perform_leader_election(0).replica_election_results
    assert [one.partition_id for one in everything[0].partition_result] == [0, 1]
    with pytest.raises(UnknownTopicOrPartitionError):
        admin.elect_leaders(0, {"none": [0]})
    with pytest.raises(ValueError, match="ElectionType"):
        admin.elect_leaders(3)


@pytest.mark.parametrize("validate_only", [False, True])
def test_a_topic_that_is_named_twice_is_not_created(validate_only: bool) -> None:
    with KafkaAdminClient() as admin:
        with pytest.raises(InvalidRequestError):
            admin.create_topics(["t", NewTopic("t", 2), "u"], validate_only=validate_only)

        assert admin.list_topics() == ([] if validate_only else ["u"])


@pytest.mark.parametrize("validate_only", [False, True])
def test_replicas_of_a_new_topic_are_assigned_without_a_hole(validate_only: bool) -> None:
    topic = NewTopic("t", replica_assignments={0: [1], 2: [1]})
    with KafkaAdminClient() as admin:
        with pytest.raises(InvalidReplicationAssignmentError):
            admin.create_topics([topic], validate_only=validate_only)

        assert admin.list_topics() == []


@pytest.mark.parametrize("validate_only", [False, True])
@pytest.mark.parametrize(
    "wanted",
    [NewPartitions(6, [[1], [1]]), {"count": 6, "assignments": [[1], [1]]}, NewPartitions(6, [])],
)
def test_each_new_partition_gets_one_assignment_or_none_does(
    topic: str, wanted: Any, validate_only: bool
) -> None:
    with KafkaAdminClient() as admin:
        with pytest.raises(InvalidReplicationAssignmentError):
            admin.create_partitions({topic: wanted}, validate_only=validate_only)
        assert len(admin.describe_topics([topic])[0]["partitions"]) == 3

        admin.create_partitions({topic: NewPartitions(5, [[1], [1]])})
        assert len(admin.describe_topics([topic])[0]["partitions"]) == 5

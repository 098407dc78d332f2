"""Groups by the admin client, in the names and shapes of kafka-python 2.x and 3.x."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from brokerless import (
    ConsumerRebalanceListener,
    KafkaAdminClient,
    KafkaConsumer,
    KafkaProducer,
    OffsetAndMetadata,
    OffsetSpec,
    TopicPartition,
)
from brokerless.admin import GroupState, MemberToRemove, OffsetShift, OffsetTimestamp
from brokerless.errors import (
    GroupIdNotFoundError,
    GroupSubscribedToTopicError,
    IllegalArgumentError,
    KafkaStorageError,
    NoError,
    NonEmptyGroupError,
    UnknownMemberIdError,
    UnknownTopicOrPartitionError,
)

T0, T1, NONE = TopicPartition("t", 0), TopicPartition("t", 1), TopicPartition("none", 0)


@pytest.fixture
def admin() -> Iterator[KafkaAdminClient]:
    """Ten records in the first of two partitions, one a second."""
    with KafkaAdminClient() as admin:
        admin.create_topics({"t": {"num_partitions": 2, "configs": {"retention.ms": "-1"}}})
        with KafkaProducer() as producer:
            for number in range(10):
                producer.send("t", b"v", partition=0, timestamp_ms=1000 * number)
        yield admin


@pytest.fixture
def member(admin: KafkaAdminClient) -> Iterator[KafkaConsumer]:
    """A member of group g that has read and committed all."""
    consumer = KafkaConsumer("t", group_id="g", client_id="me", auto_offset_reset="earliest")
    while not consumer.poll(timeout_ms=5000):
        pass
    consumer.commit()
    with consumer:
        yield consumer


def at(offset: int, metadata: str = "") -> OffsetAndMetadata:
    return OffsetAndMetadata(offset, metadata, -1)


def test_a_group_is_described_as_version_3_does(
    admin: KafkaAdminClient, member: KafkaConsumer
) -> None:
    group = admin.describe_groups(["g"])["g"]

    (described,) = group.pop("members")
    assert group == {
        "group_id": "g",
        "group_state": "Stable",
        "protocol_type": "consumer",
        "protocol_data": "range",
        "authorized_operations": [
            "READ",
            "DELETE",
            "DESCRIBE",
            "DESCRIBE_CONFIGS",
            "ALTER_CONFIGS",
        ],
        "error": None,
    }
    assert described == {
        "member_id": member.group_metadata().member_id,
        "group_instance_id": None,
        "client_id": "me",
        "client_host": "/127.0.0.1",
        "process_id": os.getpid(),
        "member_metadata": {"topics": ["t"], "user_data": ""},
        "member_assignment": {
            "assigned_partitions": [{"topic": "t", "partitions": [0, 1]}],
            "user_data": "",
        },
    }


def test_a_group_is_described_as_version_2_does(
    admin: KafkaAdminClient, member: KafkaConsumer
) -> None:
    group, none = admin.describe_consumer_groups(["g", "none"])

    assert group[:5] == (0, "g", "Stable", "consumer", "range")
    (described,) = group.members
    assert described.member_id == member.group_metadata().member_id
    assert described[1:3] == ("me", "/127.0.0.1")
    assert described.member_metadata.subscription == ["t"]
    assert described.member_assignment.assignment == [("t", [0, 1])]
    assert none == (0, "none", "Dead", "", "", [], None)


def test_a_group_that_is_not_there_is_dead(admin: KafkaAdminClient) -> None:
    group = admin.describe_groups(["none"])["none"]

    assert (group["group_state"], group["members"]) == ("Dead", [])
    assert "GroupIdNotFoundError" in group["error"]


def test_groups_are_listed_and_filtered(admin: KafkaAdminClient, member: KafkaConsumer) -> None:
    admin.alter_group_offsets("simple", {T0: at(1)})

    def ids(**filters: object) -> list[str]:
        return [group["group_id"] for group in admin.list_groups(**filters)]  # type: ignore[arg-type]

    assert admin.list_groups()[0] == {
        "group_id": "g",
        "protocol_type": "consumer",
        "group_state": "Stable",
        "group_type": "classic",
    }
    assert sorted(admin.list_consumer_groups()) == [("g", "consumer"), ("simple", "")]
    assert ids(states_filter=["empty"]) == ["simple"]
    assert ids(states_filter=[GroupState.STABLE, "empty"]) == ["g", "simple"]
    assert ids(types_filter=["consumer"]) == []
    with pytest.raises(ValueError, match="Unrecognized GroupState"):
        ids(states_filter=["asleep"])


def test_what_a_group_committed_is_given(admin: KafkaAdminClient, member: KafkaConsumer) -> None:
    committed = admin.list_group_offsets("g")["g"]

    assert {partition: commit.offset for partition, commit in committed.items()} == {T0: 10, T1: 0}
    assert admin.list_group_offsets(["g", "none"]) == {"g": committed, "none": {}}
    assert admin.list_group_offsets({"g": [T1, NONE]}) == {"g": {T1: committed[T1], NONE: at(-1)}}
    assert admin.list_consumer_group_offsets("g") == committed
    assert admin.list_consumer_group_offsets("g", partitions=[NONE]) == {NONE: at(-1)}


def test_offsets_are_altered_unless_the_group_lives(
    admin: KafkaAdminClient, member: KafkaConsumer
) -> None:
    wanted = {T0: at(3, "by hand"), NONE: at(1)}

    refused = admin.alter_group_offsets("g", wanted)
    assert refused == {T0: UnknownMemberIdError, NONE: UnknownTopicOrPartitionError}
    member.close()

    assert admin.alter_group_offsets("g", wanted) == {
        T0: NoError,
        NONE: UnknownTopicOrPartitionError,
    }
    assert admin.list_group_offsets("g")["g"][T0] == at(3, "by hand")


@pytest.mark.parametrize(
    ("spec", "offset"),
    [
        (OffsetSpec.EARLIEST, 0),
        (OffsetSpec.LATEST, 10),
        (OffsetTimestamp(3500), 4),
        (OffsetTimestamp(99_000), 10),
        (OffsetShift(-2), 3),
        (OffsetShift(+99), 10),
        (7, 7),
        (70, 10),
        (-1, 10),
    ],
)
def test_offsets_are_reset_by_a_rule(admin: KafkaAdminClient, spec: int, offset: int) -> None:
    admin.alter_group_offsets("g", {T0: at(5, "kept")})

    tried = admin.reset_group_offsets("g", {T0: spec}, validate_only=True)
    assert admin.list_group_offsets("g")["g"][T0] == at(5, "kept")
    reset = admin.reset_group_offsets("g", {T0: spec})

    assert reset == tried == {T0: {"error": NoError, "offset": offset}}
    assert admin.list_group_offsets("g")["g"][T0] == at(offset, "kept")


def test_a_group_that_lives_is_not_reset(admin: KafkaAdminClient, member: KafkaConsumer) -> None:
    reset = admin.reset_group_offsets("g", {T0: OffsetSpec.EARLIEST})

    assert reset == {T0: {"error": UnknownMemberIdError, "offset": 0}}
    assert admin.list_group_offsets("g")["g"][T0].offset == 10


def test_nonsense_is_no_reset(admin: KafkaAdminClient) -> None:
    with pytest.raises(TypeError, match="Unsupported reset target"):
        admin.reset_group_offsets("g", {T0: "earliest"})  # type: ignore[dict-item]
    with pytest.raises(UnknownTopicOrPartitionError):
        admin.reset_group_offsets("g", {NONE: 5})
    with pytest.raises(IllegalArgumentError, match="nothing is committed"):
        admin.reset_group_offsets("g", {T0: OffsetShift(1)})
    assert admin.reset_group_offsets("g", {}) == {}


def test_offsets_are_deleted_where_nobody_needs_them(
    admin: KafkaAdminClient, member: KafkaConsumer
) -> None:
    partitions = [T0, T1, NONE]

    refused = admin.delete_group_offsets("g", partitions)
    assert list(refused.values()) == [
        GroupSubscribedToTopicError,
        GroupSubscribedToTopicError,
        UnknownTopicOrPartitionError,
    ]
    member.close()

    assert admin.delete_group_offsets("g", [T0]) == {T0: NoError}
    assert list(admin.list_group_offsets("g")["g"]) == [T1]
    assert admin.delete_group_offsets("g", []) == {}
    with pytest.raises(GroupIdNotFoundError):
        admin.delete_group_offsets("none", [T0])


def test_groups_are_deleted_in_both_dialects(
    admin: KafkaAdminClient, member: KafkaConsumer
) -> None:
    assert admin.delete_groups(["g", "none"]) == {
        "g": "NonEmptyGroupError",
        "none": "GroupIdNotFoundError",
    }
    assert admin.delete_consumer_groups(["g"]) == [("g", NonEmptyGroupError)]
    member.close()
    admin.alter_group_offsets("h", {T0: at(1)})

    assert admin.delete_groups(["g"]) == {"g": "OK"}
    assert admin.delete_consumer_groups(["h"]) == [("h", NoError)]
    assert admin.list_groups() == []


class Noting(ConsumerRebalanceListener):
    def __init__(self) -> None:
        self.told: list[str] = []

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        self.told.append("revoked")

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self.told.append("assigned")

    def on_partitions_lost(self, lost: set[TopicPartition]) -> None:
        self.told.append("lost")


def test_a_member_that_is_taken_out_has_lost_its_partitions_and_joins_again(
    admin: KafkaAdminClient,
) -> None:
    listener = Noting()
    with KafkaConsumer(group_id="g") as consumer:
        consumer.subscribe(["t"], listener=listener)
        consumer.poll(timeout_ms=1000)
        before = consumer.group_metadata().member_id
        listener.told.clear()

        removed = admin.remove_group_members(
            "g", [MemberToRemove(before, reason="it is slow"), MemberToRemove("none")]
        )
        assert removed == {before: NoError, "none": UnknownMemberIdError}
        assert admin.describe_groups(["g"])["g"]["group_state"] == "Empty"

        consumer.poll(timeout_ms=1000)
        assert listener.told == ["lost", "assigned"]
        assert consumer.group_metadata().member_id != before


def test_a_static_member_is_taken_out_by_its_instance(admin: KafkaAdminClient) -> None:
    with KafkaConsumer("t", group_id="g", group_instance_id="i") as consumer:
        consumer.poll(timeout_ms=1000)
    assert admin.describe_groups(["g"])["g"]["members"][0]["group_instance_id"] == "i"

    removed = admin.remove_group_members("g", [MemberToRemove(group_instance_id="i")])

    assert removed == {"i": NoError}
    assert admin.describe_groups(["g"])["g"]["members"] == []
    removed = admin.remove_group_members("none", [MemberToRemove("x")])
    assert removed == {"x": UnknownMemberIdError}


MEMBER = """
import sys
from brokerless import KafkaConsumer
consumer = KafkaConsumer("t", group_id="g", client_id="there")
while not consumer.assignment():
    consumer.poll(timeout_ms=100)
print("in", flush=True)
sys.stdin.read()
"""


def test_members_of_other_processes_are_seen_and_the_dead_are_none(
    admin: KafkaAdminClient,
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", MEMBER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "in\n"

        (member,) = admin.describe_groups(["g"])["g"]["members"]
        assert (member["client_id"], member["process_id"]) == ("there", process.pid)
        process.kill()
        process.wait()

    assert admin.describe_groups(["g"])["g"]["group_state"] == "Empty"
    assert admin.delete_groups(["g"]) == {"g": "OK"}


def test_groups_of_a_directory_that_is_read_only_are_seen_and_stay(
    admin: KafkaAdminClient, member: KafkaConsumer
) -> None:
    with KafkaAdminClient(read_only=True) as reader:
        assert [group["group_id"] for group in reader.list_groups()] == ["g"]
        assert reader.list_group_offsets("g")["g"][T0].offset == 10
        with pytest.raises(KafkaStorageError, match="read-only"):
            reader.alter_group_offsets("g", {T0: at(1)})
        with pytest.raises(KafkaStorageError, match="read-only"):
            reader.remove_group_members("g", [MemberToRemove("x")])
    assert admin.list_group_offsets("g")["g"][T0].offset == 10


def test_a_reset_is_tried_also_where_nothing_may_be_written(admin: KafkaAdminClient) -> None:
    admin.alter_group_offsets("g", {T0: at(5)})
    with KafkaAdminClient(read_only=True) as reader:
        tried = reader.reset_group_offsets("g", {T0: OffsetShift(2)}, validate_only=True)

        assert tried == {T0: {"error": NoError, "offset": 7}}
        with pytest.raises(KafkaStorageError, match="read-only"):
            reader.reset_group_offsets("g", {T0: 0})
    assert admin.list_group_offsets("g")["g"][T0].offset == 5


def test_members_to_remove_are_equal_by_what_they_say() -> None:
    one = MemberToRemove("m", reason="slow")

    assert one == MemberToRemove("m", None, "slow")
    assert len({one, MemberToRemove("m", None, "slow"), MemberToRemove("m")}) == 2
    assert repr(one) == "<MemberToRemove member_id=m, group_instance_id=None, reason=slow>"

"""The assignors: Kafka's as kafka-python's users call them, and those of users."""

from __future__ import annotations

import time
from collections import defaultdict
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

import brokerless
from brokerless.admin import NewTopic
from brokerless.assignors import (
    AbstractPartitionAssignor,
    ConsumerProtocolAssignment,
    ConsumerProtocolSubscription,
    CooperativeStickyAssignor,
    RangePartitionAssignor,
    RebalanceProtocol,
    RoundRobinPartitionAssignor,
    StickyAssignorUserData,
    StickyPartitionAssignor,
)
from brokerless.assignors.plan import Task, TaskMember, describe, plan, told
from brokerless.assignors.protocol import ConsumerProtocol, JoinGroupResponse
from brokerless.errors import IllegalArgumentError, KafkaError
from brokerless.structs import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

Lists = dict[str, list[tuple[str, list[int]]]]

KAFKAS = (
    RangePartitionAssignor,
    RoundRobinPartitionAssignor,
    StickyPartitionAssignor,
    CooperativeStickyAssignor,
)


class Cluster:
    """As much of kafka-python's as assignors ask."""

    def __init__(self, **counts: int) -> None:
        self.counts = counts

    def topics(self) -> set[str]:
        return set(self.counts)

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return set(range(self.counts[topic])) if topic in self.counts else None


def listed(metadata: Mapping[str, Any], **instances: str) -> list[Any]:
    """The members as kafka-python 3.0 has them."""
    return [
        JoinGroupResponse.JoinGroupResponseMember(member_id, instances.get(member_id), each)
        for member_id, each in metadata.items()
    ]


def wanting(assignor: Any, wishes: Mapping[str, Iterable[str]]) -> dict[str, Any]:
    return {member_id: assignor.metadata(set(topics)) for member_id, topics in wishes.items()}


def shown(answer: Mapping[str, ConsumerProtocolAssignment]) -> Lists:
    return {
        member: [(topic, list(numbers)) for topic, numbers in assignment.assigned_partitions]
        for member, assignment in answer.items()
    }


# What kafka-python documents of each.


def test_range_gives_runs_as_in_kafka_pythons_example() -> None:
    members = listed(wanting(RangePartitionAssignor, {"C0": ["t0", "t1"], "C1": ["t0", "t1"]}))

    answer = RangePartitionAssignor.assign(Cluster(t0=3, t1=3), members)

    assert answer == {
        "C0": ConsumerProtocolAssignment(0, [("t0", [0, 1]), ("t1", [0, 1])], b""),
        "C1": ConsumerProtocolAssignment(0, [("t0", [2]), ("t1", [2])], b""),
    }


def test_round_robin_deals_as_in_kafka_pythons_example() -> None:
    wishes = {"C0": ["t0", "t1"], "C1": ["t0", "t1"]}
    members = listed(wanting(RoundRobinPartitionAssignor, wishes))

    answer = RoundRobinPartitionAssignor.assign(Cluster(t0=3, t1=3), members)

    assert shown(answer) == {
        "C0": [("t0", [0, 2]), ("t1", [1])],
        "C1": [("t0", [1]), ("t1", [0, 2])],
    }


UNEQUAL = {"C0": ["t0"], "C1": ["t0", "t1"], "C2": ["t0", "t1", "t2"]}


def test_round_robin_passes_over_who_does_not_want_a_topic() -> None:
    members = listed(wanting(RoundRobinPartitionAssignor, UNEQUAL))

    answer = RoundRobinPartitionAssignor.assign(Cluster(t0=1, t1=2, t2=3), members)

    assert shown(answer) == {
        "C0": [("t0", [0])],
        "C1": [("t1", [0])],
        "C2": [("t1", [1]), ("t2", [0, 1, 2])],
    }


def had(answer: Mapping[str, ConsumerProtocolAssignment], wishes: Mapping[str, Any]) -> Any:
    """What members say after they have got that."""
    metadata = StickyPartitionAssignor._metadata
    return {
        member: metadata(wishes[member], answer[member].partitions(), 1)
        for member in answer
        if member in wishes
    }


def test_sticky_keeps_what_members_have_as_in_kafka_pythons_first_example() -> None:
    cluster, assignor = Cluster(t0=2, t1=2, t2=2, t3=2), StickyPartitionAssignor()
    wishes = {member: ["t0", "t1", "t2", "t3"] for member in ("C0", "C1", "C2")}

    first = assignor.assign(cluster, listed(wanting(assignor, wishes)))
    # All that they have they keep; of what C1 had, Kafka's Java clients give t0-1 to C0 and t2-0
    # to C2, where kafka-python does the reverse.
    del wishes["C1"]
    then = assignor.assign(cluster, listed(had(first, wishes)))

    assert shown(first) == {
        "C0": [("t0", [0]), ("t1", [1]), ("t3", [0])],
        "C1": [("t0", [1]), ("t2", [0]), ("t3", [1])],
        "C2": [("t1", [0]), ("t2", [1])],
    }
    assert shown(then) == {
        "C0": [("t0", [0, 1]), ("t1", [1]), ("t3", [0])],
        "C2": [("t1", [0]), ("t2", [0, 1]), ("t3", [1])],
    }


def test_sticky_keeps_what_members_have_as_in_kafka_pythons_second_example() -> None:
    cluster, assignor = Cluster(t0=1, t1=2, t2=3), StickyPartitionAssignor()

    first = assignor.assign(cluster, listed(wanting(assignor, UNEQUAL)))
    rest = {member: UNEQUAL[member] for member in ("C1", "C2")}
    then = assignor.assign(cluster, listed(had(first, rest)))

    assert shown(first) == {
        "C0": [("t0", [0])],
        "C1": [("t1", [0, 1])],
        "C2": [("t2", [0, 1, 2])],
    }
    assert shown(then) == {
        "C1": [("t0", [0]), ("t1", [0, 1])],
        "C2": [("t2", [0, 1, 2])],
    }


def owning(generation: int = 1, **owned: list[int]) -> dict[str, Any]:
    return {
        member: ConsumerProtocolSubscription(
            2, ["t"], b"", [ConsumerProtocolSubscription.TopicPartition("t", numbers)], generation
        )
        for member, numbers in owned.items()
    }


def test_cooperative_holds_back_what_another_member_still_has() -> None:
    assignor, cluster = CooperativeStickyAssignor(), Cluster(t=4)

    first = assignor.assign(cluster, listed(owning(C0=[0, 1, 2], C1=[3])))
    second = assignor.assign(cluster, listed(owning(C0=[0, 1], C1=[3])))

    assert shown(first) == {"C0": [("t", [0, 1])], "C1": [("t", [3])]}
    assert shown(second) == {"C0": [("t", [0, 1])], "C1": [("t", [2, 3])]}


# How they may be called.


@pytest.mark.parametrize("assignor", KAFKAS)
def test_members_may_be_a_dict_as_in_2_x(assignor: Any) -> None:
    metadata = wanting(assignor, {"C0": ["t"], "C1": ["t", "u"]})
    cluster = Cluster(t=3, u=2)

    assert assignor.assign(cluster, metadata) == assignor.assign(cluster, listed(metadata))


@pytest.mark.parametrize("assignor", KAFKAS)
def test_classes_answer_as_their_instances(assignor: Any) -> None:
    members = listed(wanting(assignor, {"C0": ["t"], "C1": ["t"]}))

    assert assignor.assign(Cluster(t=3), members) == assignor().assign(Cluster(t=3), members)
    assert assignor.metadata(["t"]) == assignor().metadata(["t"])
    assert assignor.supported_protocols() == assignor().supported_protocols()
    assert assignor.name == assignor().name


@pytest.mark.parametrize("assignor", KAFKAS)
def test_a_topic_that_does_not_exist_is_left_out(assignor: Any) -> None:
    members = listed(wanting(assignor, {"C0": ["t", "nowhere"], "C1": []}))

    assert shown(assignor.assign(Cluster(t=2), members)) == {"C0": [("t", [0, 1])], "C1": []}


def test_static_members_come_first_by_their_instance_ids() -> None:
    metadata = wanting(RangePartitionAssignor, {"A": ["t"], "B": ["t"], "C": ["t"]})

    answer = RangePartitionAssignor.assign(Cluster(t=4), listed(metadata, B="i2", C="i1"))

    assert shown(answer) == {"A": [("t", [3])], "B": [("t", [2])], "C": [("t", [0, 1])]}


def test_instance_ids_are_found_in_the_subscriptions_of_2_x() -> None:
    subscriptions = {
        "A": SimpleNamespace(topics=["t"], user_data=b"", group_instance_id=None),
        "B": SimpleNamespace(topics=["t"], user_data=b"", group_instance_id="i"),
    }

    answer = RangePartitionAssignor.assign(Cluster(t=1), subscriptions)

    assert shown(answer) == {"A": [], "B": [("t", [0])]}


@pytest.mark.parametrize("assignor", KAFKAS)
def test_a_cluster_may_lack_partitions(assignor: Any) -> None:
    cluster = SimpleNamespace(partitions_for_topic=lambda topic: {1, 4, 7})
    members = listed(wanting(assignor, {"C0": ["t"]}))

    assert shown(assignor.assign(cluster, members)) == {"C0": [("t", [1, 4, 7])]}


def test_a_member_keeps_its_partition_in_a_cluster_that_lacks_others() -> None:
    cluster = SimpleNamespace(partitions_for_topic=lambda topic: {1, 4})
    metadata = owning(C0=[], C1=[1])

    assert shown(CooperativeStickyAssignor.assign(cluster, metadata)) == {
        "C0": [("t", [4])],
        "C1": [("t", [1])],
    }


def test_the_generation_may_stand_in_the_user_data_as_in_older_java_clients() -> None:
    def claiming(generation: int) -> Any:
        return ConsumerProtocolSubscription(1, ["t"], generation.to_bytes(4, "big"), [("t", [0])])

    metadata = {"C0": claiming(3), "C1": claiming(4)}

    answer = CooperativeStickyAssignor.assign(Cluster(t=2), metadata)

    assert shown(answer) == {"C0": [("t", [1])], "C1": [("t", [0])]}


def test_what_members_say_they_own_may_be_nonsense() -> None:
    members = listed({
        "C0": StickyPartitionAssignor._metadata(["t"], [TopicPartition("u", 5)], 1),
        "C1": ConsumerProtocolSubscription(0, ["t"], b"no user data at all"),
    })  # fmt: skip

    answer = StickyPartitionAssignor().assign(Cluster(t=2), members)

    assert shown(answer) == {"C0": [("t", [0])], "C1": [("t", [1])]}


def test_an_assignor_remembers_what_its_member_got() -> None:
    assignor, other = StickyPartitionAssignor(), StickyPartitionAssignor()
    assignor.on_assignment(ConsumerProtocolAssignment(0, [("t", [2, 0])], b""), 7)

    data = StickyAssignorUserData.decode(assignor.metadata(["t"]).user_data)

    assert (data.previous_assignment, data.generation) == ([("t", [2, 0])], 7)
    assert other.metadata(["t"]).user_data == b""
    assert StickyPartitionAssignor.member_assignment is None


def test_an_assignor_hears_of_the_generation_as_in_2_x() -> None:
    assignor = StickyPartitionAssignor()
    assignor.on_assignment(ConsumerProtocolAssignment(0, [("t", [0])], b""))
    assignor.on_generation_assignment(8)

    assert StickyAssignorUserData.decode(assignor.metadata(["t"]).user_data).generation == 8


def test_the_cooperative_one_tells_what_its_member_has() -> None:
    assignor = CooperativeStickyAssignor()
    assignor.on_assignment(ConsumerProtocolAssignment(1, [("t", [2, 0])], b""), 7)

    metadata = assignor.metadata({"t"})

    assert metadata.version == 1
    assert metadata.owned_partitions == [("t", [0, 2])]
    assert assignor.parse_member_metadata(metadata).partitions == [("t", 0), ("t", 2)]


def test_the_protocols_are_kafka_pythons() -> None:
    assert CooperativeStickyAssignor().supported_protocols() == [RebalanceProtocol.COOPERATIVE]
    for assignor in KAFKAS[:3]:
        assert assignor().supported_protocols() == [RebalanceProtocol.EAGER]


def test_an_assignor_of_a_subclass_without_assign_says_what_is_missing() -> None:
    class Nothing(AbstractPartitionAssignor):
        name = "nothing"

    with pytest.raises(NotImplementedError, match="Nothing has no method assign"):
        Nothing().assign(Cluster(), [])


# What goes over the wire, with the bytes of Kafka's Java clients.

OWNED = [("bills", [0]), ("orders", [0, 1])]
TOPICS = "0000000200 0562696c6c7300066f7264657273".replace(" ", "")
OWNED_BYTES = "00000002000562696c6c73000000010000000000066f7264657273000000020000000000000001"
SUBSCRIPTIONS = [
    f"0000{TOPICS}000000020708",
    f"0001{TOPICS}000000020708{OWNED_BYTES}",
    f"0002{TOPICS}000000020708{OWNED_BYTES}00000007",
    f"0003{TOPICS}000000020708{OWNED_BYTES}0000000700047261636b",
]


@pytest.mark.parametrize("version", range(4))
def test_subscriptions_have_kafkas_bytes(version: int) -> None:
    fields = (["bills", "orders"], b"\x07\x08", OWNED, 7, "rack")[: version + 2]
    subscription = ConsumerProtocolSubscription(version, *fields)

    assert subscription.encode().hex() == SUBSCRIPTIONS[version]
    assert ConsumerProtocolSubscription.decode(bytes.fromhex(SUBSCRIPTIONS[version])) == (
        subscription
    )


def test_assignments_have_kafkas_bytes() -> None:
    assignment = ConsumerProtocolAssignment(3, [("orders", [1, 0]), ("bills", [0])], b"\x09")
    message = (
        "00030000000200066f7264657273000000020000000100000000000562696c6c73"
        "00000001000000000000000109"
    )

    assert assignment.encode().hex() == message
    assert ConsumerProtocolAssignment.decode(bytes.fromhex(message)) == assignment
    assert assignment.partitions() == [("orders", 1), ("orders", 0), ("bills", 0)]


def test_user_data_of_a_sticky_assignor_has_kafkas_bytes() -> None:
    data = StickyAssignorUserData([("t", [1, 2])], 5)
    message = "000000010001740000000200000001000000020000 0005".replace(" ", "")

    assert data.encode().hex() == message
    assert StickyAssignorUserData.decode(bytes.fromhex(message)) == data
    # Kafka's first version, and kafka-python's that has the version in front.
    old = StickyAssignorUserData.decode(bytes.fromhex(message[:-8]))
    assert (old.previous_assignment, old.generation) == ([("t", [1, 2])], -1)
    assert StickyAssignorUserData.decode(bytes.fromhex("0001" + message)) == data


def test_user_data_with_something_behind_it_is_refused() -> None:
    with pytest.raises(ValueError, match="no user data"):
        StickyAssignorUserData.decode(bytes(12))


def test_messages_do_not_share_their_lists() -> None:
    ConsumerProtocolAssignment(0).assigned_partitions.append(("t", [0]))

    assert ConsumerProtocolAssignment(0).assigned_partitions == []


@pytest.mark.parametrize("end", range(len(bytes.fromhex(SUBSCRIPTIONS[3]))))
def test_a_message_cut_anywhere_is_a_value_error(end: int) -> None:
    with pytest.raises(ValueError):
        ConsumerProtocolSubscription.decode(bytes.fromhex(SUBSCRIPTIONS[3])[:end])


def test_the_names_and_fields_of_2_x_are_there() -> None:
    metadata = ConsumerProtocol[0].METADATA(0, ["t"], b"x")
    assignment = ConsumerProtocol[0].ASSIGNMENT(version=0, assignment=[("t", [1])], user_data=b"")

    assert (metadata.subscription, metadata.topics) == (["t"], ["t"])
    assert assignment.assignment == assignment.assigned_partitions == [("t", [1])]
    assert list(assignment) == [[("t", [1])], b""]
    assert assignment[0] == [("t", [1])]
    assert repr(metadata) == (
        "ConsumerProtocolSubscription(version=0, topics=['t'], user_data=b'x')"
    )


def test_fields_that_a_message_does_not_have_are_refused() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        ConsumerProtocolAssignment(nonsense=1)
    with pytest.raises(ValueError, match="Invalid version: 4"):
        ConsumerProtocolSubscription(4, [])
    with pytest.raises(TypeError, match="fields"):
        ConsumerProtocolSubscription(0, [], b"", [])


# How a group asks an assignor of the user's.


def task(**owned: list[int]) -> Task:
    return Task(
        {"t": 3, "u": 1},
        [
            TaskMember("C0", None, ["t", "u"], b"zero", [("t", n) for n in owned.get("C0", [])], 4),
            TaskMember("C1", "one", ["t"], b"", [("t", n) for n in owned.get("C1", [])], -1),
        ],
    )


def planned(assignor: Any, task: Task) -> dict[str, list[TopicPartition]]:
    """The partitions of a plan."""
    return {member_id: target.partitions for member_id, target in plan(assignor, task).items()}


def test_the_members_of_a_plan_are_those_of_kafka_python_3() -> None:
    class Own(AbstractPartitionAssignor):
        name = "own"

        def assign(self, cluster: Any, members: Any) -> Any:
            assert [member.member_id for member in members] == ["C0", "C1"]
            assert [member.group_instance_id for member in members] == [None, "one"]
            metadata = members[0].metadata
            assert (metadata.topics, metadata.user_data) == (["t", "u"], b"zero")
            assert (metadata.owned_partitions, metadata.generation_id) == ([("t", [2])], 4)
            assert cluster.topics() == {"t", "u"}
            assert cluster.partitions_for_topic("t") == {0, 1, 2}
            assert cluster.partitions_for_topic("nowhere") is None
            by_member = {member.member_id: [("t", [place])] for place, member in enumerate(members)}
            return {
                member_id: ConsumerProtocolAssignment(self.version, topics, b"")
                for member_id, topics in by_member.items()
            }

    assert planned(Own(), task(C0=[2])) == {"C0": [("t", 0)], "C1": [("t", 1)]}


def test_the_members_of_a_plan_are_those_of_kafka_python_2_as_well() -> None:
    class Own(AbstractPartitionAssignor):
        name = "own"

        @classmethod
        def assign(cls, cluster: Any, members: Any) -> Any:
            lists: Any = defaultdict(list)
            for member_id, subscription in members.items():
                assert subscription is members[member_id]
                assert isinstance(subscription.topics, list)
            assert members["C1"].group_instance_id == "one"
            assert "C1" in members
            for place, member_id in enumerate(members):
                lists[member_id].append(("t", [place]))
            return {
                member_id: ConsumerProtocol[0].ASSIGNMENT(cls.version, lists[member_id], b"")
                for member_id in members
            }

    assert planned(Own, task()) == {"C0": [("t", 0)], "C1": [("t", 1)]}


@pytest.mark.parametrize("base", KAFKAS)
def test_a_subclass_may_ask_its_base_and_change_the_answer(base: Any) -> None:
    class Swapped(base):  # type: ignore[misc]
        name = "swapped"

        def assign(self, cluster: Any, members: Any) -> Any:
            answer = super().assign(cluster, members)
            topics = [("t", [0, 1, 2])]
            answer["C0"].assigned_partitions = [("u", [0])]
            answer["C1"].assigned_partitions = topics
            return answer

    assert planned(Swapped(), task()) == {
        "C0": [("u", 0)],
        "C1": [("t", 0), ("t", 1), ("t", 2)],
    }


def test_a_group_hands_over_itself_what_a_cooperative_subclass_moves() -> None:
    class Own(CooperativeStickyAssignor):
        name = "own"

    everything = Task({"t": 2}, [
        TaskMember("C0", None, ["t"], b"", [("t", 0), ("t", 1)], 4),
        TaskMember("C1", None, ["t"], b"", [], -1),
    ])  # fmt: skip

    assert planned(Own(), everything) == {"C0": [("t", 0)], "C1": [("t", 1)]}


def test_members_that_are_not_named_get_nothing() -> None:
    class Own(AbstractPartitionAssignor):
        def assign(self, cluster: Any, members: Any) -> Any:
            return {"C1": [TopicPartition("t", 2)]}

    assert planned(Own(), task()) == {"C0": [], "C1": [("t", 2)]}


NONSENSE: list[tuple[object, str]] = [
    (None, "answered None, not a dict of assignments"),
    ({"stranger": []}, "names 'stranger', which is no member of the group"),
    ({3: []}, "names 3, which is no member of the group"),
    ({"C0": [("nowhere", 0)]}, "assigns nowhere-0, which does not exist"),
    ({"C0": [("t", 3)]}, "assigns t-3, which does not exist"),
    ({"C0": [("t", -1)]}, "assigns t--1, which does not exist"),
    ({"C1": [("u", 0)]}, "assigns u-0 to 'C1', which did not subscribe to it"),
    ({"C0": [("t", 0)], "C1": [("t", 0)]}, "assigns t-0 twice, to 'C0' and 'C1'"),
    ({"C0": [("t", 0), ("t", 0)]}, "assigns t-0 twice, to 'C0' and 'C0'"),
    ({"C0": None}, "answered None for 'C0', not an assignment"),
    ({"C0": "t0"}, "answered 't0' for 'C0', not an assignment"),
    ({"C0": [("t", "0")]}, "for 'C0', not an assignment"),
    ({"C0": [("t", True)]}, "for 'C0', not an assignment"),
    ({"C0": [(0, 0)]}, "for 'C0', not an assignment"),
    ({"C0": ConsumerProtocolAssignment(0, [("t", None)], b"")}, "for 'C0', not an assignment"),
    ({"C0": ["t" * 100]}, "... for 'C0', not an assignment"),
]


@pytest.mark.parametrize(("answer", "says"), NONSENSE)
def test_nonsense_is_refused_with_what_is_wrong(answer: object, says: str) -> None:
    class Wild(AbstractPartitionAssignor):
        def assign(self, cluster: Any, members: Any) -> Any:
            return answer

    with pytest.raises(IllegalArgumentError) as refused:
        plan(Wild(), task())

    assert isinstance(refused.value, KafkaError)
    assert refused.value.args[0].startswith("Wild.assign ")
    assert refused.value.args[0].endswith(says)


@pytest.mark.parametrize(
    ("user_data", "planned"),
    [
        (None, b""),
        (b"\0", b"\0"),
        (bytearray(b"x"), b"x"),
        (StickyAssignorUserData([], 5), StickyAssignorUserData([], 5).encode()),
    ],
)
def test_a_plan_has_what_the_assignor_says_to_a_member_in_bytes(
    user_data: Any, planned: bytes
) -> None:
    class Own(AbstractPartitionAssignor):
        def assign(self, cluster: Any, members: Any) -> Any:
            return {"C1": ConsumerProtocolAssignment(0, [("t", [0])], user_data)}

    targets = plan(Own(), task())

    assert [target.user_data for target in targets.values()] == [b"", planned]


def test_what_an_assignor_says_to_a_member_in_another_type_is_refused() -> None:
    class Own(AbstractPartitionAssignor):
        def assign(self, cluster: Any, members: Any) -> Any:
            return {"C1": ConsumerProtocolAssignment(0, [("t", [0])], "text")}

    with pytest.raises(IllegalArgumentError, match=r"Own\.assign: user_data must be bytes"):
        plan(Own(), task())


def test_what_an_assignor_raises_comes_out_as_it_is() -> None:
    class Broken(AbstractPartitionAssignor):
        def assign(self, cluster: Any, members: Any) -> Any:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        plan(Broken(), task())


@pytest.mark.parametrize(
    ("user_data", "described"),
    [
        (None, b""),
        (b"x", b"x"),
        (bytearray(b"x"), b"x"),
        (StickyAssignorUserData([], 1), bytes(7) + b"\1"),
    ],
)
def test_user_data_is_described_in_bytes(user_data: Any, described: bytes) -> None:
    class Own(AbstractPartitionAssignor):
        def metadata(self, topics: Iterable[str]) -> Any:
            assert topics == {"t"}
            return ConsumerProtocolSubscription(0, list(topics), user_data)

    assert describe(Own(), ["t"]) == described


@pytest.mark.parametrize("user_data", ["text", 7, ["x"]])
def test_user_data_of_another_type_is_refused(user_data: Any) -> None:
    class Own(AbstractPartitionAssignor):
        def metadata(self, topics: Iterable[str]) -> Any:
            return ConsumerProtocolSubscription(0, list(topics), user_data)

    with pytest.raises(IllegalArgumentError, match=r"Own\.metadata: user_data must be bytes"):
        describe(Own(), ["t"])


def test_an_assignor_is_told_in_the_way_of_its_kafka_python() -> None:
    heard: list[object] = []

    class Three(AbstractPartitionAssignor):
        def on_assignment(self, assignment: Any, generation: int) -> None:
            heard.append((assignment.partitions(), generation))

    class Two(AbstractPartitionAssignor):
        @classmethod
        def on_assignment(cls, assignment: Any) -> None:  # type: ignore[override]
            heard.append(assignment.partitions())

        @classmethod
        def on_generation_assignment(cls, generation: int) -> None:
            heard.append(generation)

    for assignor in (Three(), Two(), Two):
        told(assignor, [("t", 1), ("t", 0)], 9)

    both = [("t", 0), ("t", 1)]
    assert heard == [(both, 9), both, 9, both, 9]


def test_what_a_sticky_subclass_is_told_it_describes_and_keeps() -> None:
    class Own(StickyPartitionAssignor):
        name = "own"

    first, second = Own(), Own()
    told(first, [("t", 1)], 3)
    told(second, [("t", 0), ("t", 2)], 3)
    members = [
        TaskMember("C0", None, ["t"], describe(first, ["t"]), [], 3),
        TaskMember("C1", None, ["t"], describe(second, ["t"]), [], 3),
    ]

    answer = planned(first, Task({"t": 4}, members))

    assert answer == {"C0": [("t", 1), ("t", 3)], "C1": [("t", 0), ("t", 2)]}


def test_an_error_of_on_assignment_is_not_taken_for_a_wrong_signature() -> None:
    class Own(AbstractPartitionAssignor):
        def on_assignment(self, assignment: Any, generation: int) -> None:
            raise TypeError("of the user's")

    with pytest.raises(TypeError, match="of the user's"):
        told(Own(), [], 1)


# Groups that use them.


class Halves(AbstractPartitionAssignor):
    """Each an even share, the last partitions to the first member."""

    name = "halves"

    def assign(self, cluster: Any, members: Any) -> Any:
        ids = sorted(member.member_id for member in members)
        numbers = sorted(cluster.partitions_for_topic("t"), reverse=True)
        return {
            member_id: ConsumerProtocolAssignment(0, [("t", numbers[place :: len(ids)])], b"")
            for place, member_id in enumerate(ids)
        }


class OldHalves(AbstractPartitionAssignor):
    """The same, as programs for kafka-python 2.x have it."""

    name = "old-halves"
    heard: ClassVar[list[int]] = []

    @classmethod
    def metadata(cls, topics: Iterable[str]) -> Any:
        return ConsumerProtocol[0].METADATA(cls.version, list(topics), b"")

    @classmethod
    def assign(cls, cluster: Any, members: Any) -> Any:
        numbers = sorted(cluster.partitions_for_topic("t"), reverse=True)
        return {
            member_id: ConsumerProtocol[0].ASSIGNMENT(
                cls.version, [("t", numbers[place :: len(members)])], b""
            )
            for place, member_id in enumerate(sorted(members))
        }

    @classmethod
    def on_assignment(cls, assignment: Any) -> None:  # type: ignore[override]
        cls.heard.append(len(assignment.partitions()))


class Patient(AbstractPartitionAssignor):
    """Cooperative, and holds back itself what moves, as Kafka's protocol asks."""

    name = "patient"

    def supported_protocols(self) -> list[RebalanceProtocol]:  # type: ignore[override]
        return [RebalanceProtocol.COOPERATIVE]

    def assign(self, cluster: Any, members: Any) -> Any:
        return CooperativeStickyAssignor.assign(Cluster(t=4), members)


class Wordy(Halves):
    """Says to each member which it is; notes what its own is told."""

    name = "wordy"

    def __init__(self) -> None:
        self.heard: list[tuple[list[TopicPartition], bytes]] = []

    def assign(self, cluster: Any, members: Any) -> Any:
        answer = super().assign(cluster, members)
        for place, (_, assignment) in enumerate(sorted(answer.items())):
            assignment.user_data = b"%d of %d\xff" % (place, len(answer))
        return answer

    def on_assignment(self, assignment: Any, generation: int) -> None:
        self.heard.append((sorted(assignment.partitions()), assignment.user_data))


class CooperativeSubclass(CooperativeStickyAssignor):
    name = "cooperative-subclass"


class StickySubclass(StickyPartitionAssignor):
    name = "sticky-subclass"


@pytest.fixture
def member(tmp_path: Path) -> Callable[..., brokerless.KafkaConsumer]:
    """Makes a member of the group "g" on a topic "t" with four partitions."""
    directory = str(tmp_path / "data")
    with brokerless.KafkaAdminClient(bootstrap_servers=directory) as admin:
        admin.create_topics([NewTopic("t", 4, 1)])

    def make(assignor: Any) -> brokerless.KafkaConsumer:
        return brokerless.KafkaConsumer(
            "t",
            group_id="g",
            bootstrap_servers=directory,
            partition_assignment_strategy=[assignor],
        )

    return make


def poll_until_shared(*members: brokerless.KafkaConsumer) -> list[set[int]]:
    """Lets them poll until each has an even share; gives the shares."""
    deadline = time.monotonic() + 30
    while any(len(each.assignment()) != 4 // len(members) for each in members):
        assert time.monotonic() < deadline, [each.assignment() for each in members]
        for each in members:
            each.poll(5)
    return [{partition.partition for partition in each.assignment()} for each in members]


OWN = [Halves, OldHalves, Patient, CooperativeSubclass, StickySubclass]


@pytest.mark.parametrize("assignor", OWN)
def test_a_group_shares_by_a_class_of_the_users(member: Any, assignor: Any) -> None:
    with member(assignor) as first:
        poll_until_shared(first)
        with member(assignor) as second:
            shares = poll_until_shared(first, second)
            assert set.union(*shares) == {0, 1, 2, 3}
            if assignor in (Halves, OldHalves):
                assert shares == [{1, 3}, {0, 2}]
        assert poll_until_shared(first) == [{0, 1, 2, 3}]
    if assignor is OldHalves:
        assert OldHalves.heard == [4, 2, 2, 4]


def test_a_group_goes_on_when_its_assignor_has_come_to_its_senses(member: Any) -> None:
    class Moody(Halves):
        mood: Any = None

        def assign(self, cluster: Any, members: Any) -> Any:
            if isinstance(Moody.mood, Exception):
                raise Moody.mood
            return super().assign(cluster, members) if Moody.mood else {"stranger": []}

    with member(Moody) as only:
        with pytest.raises(IllegalArgumentError, match=r"Moody\.assign names 'stranger'"):
            only.poll(1000)
        Moody.mood = ZeroDivisionError("of the user's")
        with pytest.raises(ZeroDivisionError, match="of the user's"):
            only.poll(1000)
        Moody.mood = True
        assert poll_until_shared(only) == [{0, 1, 2, 3}]


def test_a_strategy_that_the_core_does_not_know_is_refused() -> None:
    from brokerless._brokerless import assign_partitions

    with pytest.raises(ValueError, match='no such strategy: "random"'):
        assign_partitions("random", {}, [])


@pytest.mark.parametrize(
    "asked",
    [lambda: StickyPartitionAssignor.metadata.__doc__, lambda: StickyPartitionAssignor.__doc__],
)
def test_methods_keep_their_docstrings(asked: Callable[[], str | None]) -> None:
    assert asked()


def test_each_member_is_told_what_the_leaders_assignor_says_to_it(member: Any) -> None:
    leading, led = Wordy(), Wordy()
    with member(leading) as first:
        poll_until_shared(first)
        with member(led) as second:
            poll_until_shared(first, second)

    everything = [TopicPartition("t", number) for number in range(4)]
    assert leading.heard[0] == (everything, b"0 of 1\xff")
    assert leading.heard[-1] == (everything[1::2], b"0 of 2\xff")
    assert led.heard == [(everything[0::2], b"1 of 2\xff")]

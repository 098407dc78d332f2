"""How a group asks an assignor of the user's.

The consumer that leads calls `plan` with what is to be shared out; each consumer calls
`describe` before that, to know what the one that leads is to learn of it, and `told`
when it has got its partitions:

    user_data = describe(assignor, topics)
    targets = plan(assignor, Task(partitions={"orders": 3}, members=[TaskMember(...), ...]))
    told(assignor, partitions, generation, user_data)

What assignors raise comes out of these as it is. What they answer is checked; nonsense
is an `IllegalArgumentError` that says what is wrong.
"""

from __future__ import annotations

import inspect
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from brokerless.assignors.protocol import ConsumerProtocolAssignment, ConsumerProtocolSubscription
from brokerless.assignors.wire import TopicPartitions
from brokerless.errors.base import IllegalArgumentError
from brokerless.structs import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["Target", "Task", "TaskMember", "describe", "plan", "told"]

_NEWEST = 3
"""The version of subscriptions that has all their fields."""


class TaskMember(NamedTuple):
    """A member among whom to share."""

    member_id: str
    instance_id: str | None
    topics: Sequence[str]
    user_data: bytes
    owned: Sequence[tuple[str, int]]
    generation: int


class Task(NamedTuple):
    """What to share out: topics with the number of their partitions, and among whom."""

    partitions: Mapping[str, int]
    members: Sequence[TaskMember]


class Target(NamedTuple):
    """What a member gets: partitions, and what the assignor of the one that leads tells its own."""

    partitions: list[TopicPartition]
    user_data: bytes = b""


def describe(assignor: Any, topics: Iterable[str]) -> bytes:
    """The user data of `assignor` for a member that wants `topics`."""
    return _raw(assignor.metadata(set(topics)).user_data, f"{_name(assignor)}.metadata")


def told(
    assignor: Any,
    partitions: Iterable[tuple[str, int]],
    generation: int,
    user_data: bytes = b"",
) -> None:
    """Tells `assignor` what its member has got, in the way of its kafka-python."""
    assignment = ConsumerProtocolAssignment(
        getattr(assignor, "version", 0), _by_topic(partitions), user_data
    )
    try:
        inspect.signature(assignor.on_assignment).bind(assignment, generation)
    except TypeError:
        # As in 2.x.
        assignor.on_assignment(assignment)
        if hasattr(assignor, "on_generation_assignment"):
            assignor.on_generation_assignment(generation)
    else:
        assignor.on_assignment(assignment, generation)


def plan(assignor: Any, task: Task) -> dict[str, Target]:
    """What each member of `task` gets by `assignor`; whom it does not name gets nothing."""
    answer = assignor.assign(_Topics(task.partitions), _Members(task.members))
    if not hasattr(answer, "items"):
        _refuse(assignor, f"answered {_shown(answer)}, not a dict of assignments")
    wanted = {member.member_id: set(member.topics) for member in task.members}
    targets = {member_id: Target([]) for member_id in wanted}
    owners: dict[TopicPartition, str] = {}
    for named, assigned in answer.items():
        # It may be of a subclass of str.
        member_id = str(named)
        if member_id not in targets:
            _refuse(assignor, f"names {named!r}, which is no member of the group")
        for partition in _partitions(assignor, member_id, assigned):
            exists = 0 <= partition.partition < task.partitions.get(partition.topic, 0)
            if not exists:
                _refuse(assignor, f"assigns {_place(partition)}, which does not exist")
            if partition.topic not in wanted[member_id]:
                who = f"{member_id!r}, which did not subscribe to it"
                _refuse(assignor, f"assigns {_place(partition)} to {who}")
            if partition in owners:
                both = f"{owners[partition]!r} and {member_id!r}"
                _refuse(assignor, f"assigns {_place(partition)} twice, to {both}")
            owners[partition] = member_id
            targets[member_id].partitions.append(partition)
        data = _raw(getattr(assigned, "user_data", None), f"{_name(assignor)}.assign")
        targets[member_id] = targets[member_id]._replace(user_data=data)
    return targets


def _raw(data: Any, of: str) -> bytes:
    """User data in bytes; `of` says where they are from."""
    if hasattr(data, "encode") and not isinstance(data, str):
        data = data.encode()
    if data is None or isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data or b"")
    raise IllegalArgumentError(f"{of}: user_data must be bytes, not {type(data).__name__}")


def _partitions(assignor: Any, member_id: str, assigned: Any) -> list[TopicPartition]:
    """One by one, from a `ConsumerProtocolAssignment` or just a list of partitions."""
    try:
        if hasattr(assigned, "partitions"):
            assigned = assigned.partitions()
        every = [TopicPartition(*partition) for partition in assigned]
    except (TypeError, ValueError):
        every = [TopicPartition("", -1)]
    if not all(_is_partition(*partition) and partition.topic for partition in every):
        _refuse(assignor, f"answered {_shown(assigned)} for {member_id!r}, not an assignment")
    return every


def _is_partition(topic: Any, number: Any) -> bool:
    return isinstance(topic, str) and type(number) is int


def _refuse(assignor: Any, wrong: str) -> NoReturn:
    raise IllegalArgumentError(f"{_name(assignor)}.assign {wrong}")


def _name(assignor: Any) -> str:
    return (assignor if isinstance(assignor, type) else type(assignor)).__name__


def _shown(given: object) -> str:
    text = repr(given)
    return text if len(text) <= 80 else text[:77] + "..."


def _place(partition: TopicPartition) -> str:
    return f"{partition.topic}-{partition.partition}"


def _by_topic(partitions: Iterable[tuple[str, int]]) -> list[TopicPartitions]:
    by_topic = defaultdict(list)
    for topic, partition in partitions:
        by_topic[topic].append(partition)
    return [TopicPartitions(topic, sorted(numbers)) for topic, numbers in sorted(by_topic.items())]


class _Topics:
    """The cluster that the assignor sees."""

    # No one need wait for a second round: a partition changes hands when it is given up.
    hands_over = True

    def __init__(self, partitions: Mapping[str, int]) -> None:
        self._partitions = partitions

    def topics(self, exclude_internal_topics: bool = True) -> set[str]:
        """Those that somebody wants."""
        return set(self._partitions)

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        """The numbers of its partitions, or None if there is no such topic."""
        count = self._partitions.get(topic)
        return None if count is None else set(range(count))

    available_partitions_for_topic = partitions_for_topic


class _Member(str):
    """A member of kafka-python 3.0, and a member's id, which it is in 2.x."""

    member_id: str
    group_instance_id: str | None
    metadata: ConsumerProtocolSubscription

    __slots__ = ("group_instance_id", "member_id", "metadata")

    @classmethod
    def of(cls, member: TaskMember) -> _Member:
        """The member with all that is known of it."""
        made = cls(member.member_id)
        made.member_id = member.member_id
        made.group_instance_id = member.instance_id
        made.metadata = ConsumerProtocolSubscription(
            topics=list(member.topics),
            user_data=member.user_data,
            owned_partitions=_by_topic(member.owned),
            generation_id=member.generation,
            version=_NEWEST,
        )
        made.metadata.group_instance_id = member.instance_id
        return made


class _Members(dict[str, ConsumerProtocolSubscription]):
    """The members, a list as in kafka-python 3.0 and a dict by id as in 2.x."""

    def __init__(self, members: Sequence[TaskMember]) -> None:
        self._list = [_Member.of(member) for member in members]
        super().__init__((member, member.metadata) for member in self._list)

    def __iter__(self) -> Iterator[_Member]:
        return iter(self._list)

    def __getitem__(self, key: Any) -> Any:
        return self._list[key] if isinstance(key, (int, slice)) else super().__getitem__(key)

"""The assignors' way into the core, which knows Kafka's algorithms."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from brokerless._brokerless import assign_partitions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import TypeAlias

    from brokerless.assignors.abstract import Cluster
    from brokerless.assignors.protocol import ConsumerProtocolAssignment

    Owned: TypeAlias = tuple[list[tuple[str, int]], int]
    """Partitions, and in which generation they were got."""

__all__ = ["ask", "each", "nothing"]


def each(members: Any) -> Iterable[tuple[str, str | None, Any]]:
    """Member id, instance id and metadata of each.

    In kafka-python 3.0 members are a list of what has these; in 2.x they are a dict,
    of what is metadata, and sometimes has the instance id.
    """
    if hasattr(members, "items"):
        for member_id, metadata in members.items():
            yield str(member_id), getattr(metadata, "group_instance_id", None), metadata
    else:
        for member in members:
            yield member.member_id, member.group_instance_id, member.metadata


def nothing(_: Any) -> Owned:
    """For the assignors that do not ask what members own."""
    return [], -1


def ask(
    assignor: Any,
    cluster: Cluster,
    members: Any,
    owned: Callable[[Any], Owned] = nothing,
    strategy: str = "",
    hold_back: bool = False,
) -> dict[str, ConsumerProtocolAssignment]:
    """What the core answers, for the members as a program has them."""
    from brokerless.assignors.protocol import ConsumerProtocolAssignment

    every = list(each(members))
    topics = {topic for _, _, metadata in every for topic in metadata.topics}
    numbers = {topic: sorted(cluster.partitions_for_topic(topic) or ()) for topic in topics}
    lists = assign_partitions(
        strategy,
        {topic: len(partitions) for topic, partitions in numbers.items()},
        [
            (member_id, instance_id, sorted(metadata.topics), *_placed(owned(metadata), numbers))
            for member_id, instance_id, metadata in every
        ],
        hold_back,
    )
    return {
        member_id: ConsumerProtocolAssignment(
            assignor.version, _by_topic(lists[member_id], numbers), b""
        )
        for member_id, _, _ in every
    }


def _placed(owned: Owned, numbers: Mapping[str, list[int]]) -> Owned:
    """The core counts partitions from 0; a cluster of the user's need not have all of them."""
    places = {
        (topic, number): place
        for topic, partitions in numbers.items()
        for place, number in enumerate(partitions)
    }
    partitions, generation = owned
    known = [(topic, number) for topic, number in partitions if (topic, number) in places]
    return [(topic, places[topic, number]) for topic, number in known], generation


def _by_topic(
    partitions: Iterable[tuple[str, int]], numbers: Mapping[str, list[int]]
) -> list[tuple[str, list[int]]]:
    by_topic = defaultdict(list)
    for topic, place in partitions:
        by_topic[topic].append(numbers[topic][place])
    return sorted((topic, sorted(every)) for topic, every in by_topic.items())
